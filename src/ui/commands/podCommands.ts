import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import { late } from '../../core/kernel/late.ts';
import type { PodLogs } from './podLogs.ts';
import type { DeployServices } from './deployCommand.ts';
import type { Command } from './runCommand.ts';

export interface PodCommandServices extends DeployServices {
  readonly logs: PodLogs;
}

/** What can be done to pods. Each command takes the row that it was called on, a pod's id, or asks for a pod. */
export function podCommands(services: PodCommandServices): readonly Command[] {
  const { logs } = services;
  const control = late(() => import('./podControl.ts'));
  const links = late(() => import('./podLinks.ts'));
  const look = late(() => import('./podLook.ts'));
  const deploy = late(() => import('./deployCommand.ts'));
  return [
    {
      id: commands.deployPod,
      failure: vscode.l10n.t('The pod could not be deployed'),
      run: (_args, signal) => deploy.deployPod(services, signal),
    },
    {
      id: commands.startPod,
      failure: vscode.l10n.t('The pod could not be started'),
      run: ([arg], signal) => control.startPod(services, arg, signal),
    },
    {
      id: commands.stopPod,
      failure: vscode.l10n.t('The pod could not be stopped and may still cost money'),
      run: ([arg], signal) => control.stopPod(services, arg, signal),
    },
    {
      id: commands.restartPod,
      failure: vscode.l10n.t('The pod could not be restarted'),
      run: ([arg], signal) => control.restartPod(services, arg, signal),
    },
    {
      id: commands.terminatePod,
      failure: vscode.l10n.t('The pod could not be terminated and may still cost money'),
      run: ([arg], signal) => control.terminatePod(services, arg, signal),
    },
    {
      id: commands.stopAllPods,
      failure: vscode.l10n.t('The pods could not be stopped and may still cost money'),
      run: (_args, signal) => control.stopAllPods(services, signal),
    },
    {
      id: commands.usePodForJobs,
      failure: vscode.l10n.t('The pod could not be chosen for jobs'),
      run: ([arg], signal) => control.usePodForJobs(services, arg, signal),
    },
    {
      id: commands.openPodComfy,
      failure: vscode.l10n.t('The pod could not be opened'),
      run: ([arg, port], signal) => links.openPodComfy(services, arg, port, signal),
    },
    {
      id: commands.openPodConsole,
      failure: vscode.l10n.t("RunPod's console could not be opened"),
      run: ([arg], signal) => links.openPodConsole(services, arg, signal),
    },
    {
      id: commands.copyPodAddress,
      failure: vscode.l10n.t("The pod's address could not be copied"),
      run: ([arg], signal) => links.copyPodAddress(services, arg, signal),
    },
    {
      id: commands.showPodLogs,
      failure: vscode.l10n.t("The pod's log could not be shown"),
      run: async ([arg], signal) => {
        const { choosePod } = await import('./podChoice.ts');
        const title = vscode.l10n.t('Show the log of which pod?');
        logs.show(await choosePod(services, arg, { title, fits: () => true }, signal));
      },
    },
    {
      id: commands.endPodLogs,
      failure: vscode.l10n.t('The logs could not be ended'),
      run: () => Promise.resolve(logs.end()),
    },
    {
      id: commands.refreshPods,
      failure: vscode.l10n.t('The pods could not be loaded'),
      run: (_args, signal) => look.refreshPods(services, signal),
    },
    {
      id: commands.filterPods,
      failure: vscode.l10n.t('The pods could not be filtered'),
      run: ([arg]) => look.filterPods(services, arg),
    },
    {
      id: commands.groupPods,
      failure: vscode.l10n.t('The pods could not be grouped'),
      run: () => look.groupPods(services),
    },
  ];
}
