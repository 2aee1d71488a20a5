import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import { late } from '../../core/kernel/late.ts';
import type { EndpointControlServices } from './endpointControl.ts';
import type { Command } from './runCommand.ts';

/** What can be done to serverless endpoints. Each command takes the row that it was called on, an id, or asks for one. */
export function endpointCommands(services: EndpointControlServices): readonly Command[] {
  const control = late(() => import('./endpointControl.ts'));
  const creation = late(() => import('./createEndpointCommand.ts'));
  const logs = late(() => import('./workerLogs.ts'));
  const workers = late(() => import('./endpointWorkers.ts'));
  return [
    {
      id: commands.createEndpoint,
      failure: vscode.l10n.t('The endpoint could not be created'),
      run: (_args, signal) => creation.createEndpoint(services, signal),
    },
    {
      id: commands.useEndpoint,
      failure: vscode.l10n.t('The endpoint could not be chosen for jobs'),
      run: ([arg], signal) => control.useEndpoint(services, arg, signal),
    },
    {
      id: commands.stopUsingEndpoint,
      failure: vscode.l10n.t('The endpoint still gets jobs'),
      run: ([arg], signal) => control.stopUsingEndpoint(services, arg, signal),
    },
    {
      id: commands.setEndpointWorkers,
      failure: vscode.l10n.t('The workers could not be set'),
      run: ([arg], signal) => workers.setMaxWorkers(services, arg, signal),
    },
    {
      id: commands.setEndpointMinWorkers,
      failure: vscode.l10n.t('The workers could not be set'),
      run: ([arg], signal) => workers.setMinWorkers(services, arg, signal),
    },
    {
      id: commands.showWorkerLogs,
      failure: vscode.l10n.t("The worker's log could not be shown"),
      run: ([arg], signal) => logs.showWorkerLogs(services, arg, signal),
    },
    {
      id: commands.purgeEndpoint,
      failure: vscode.l10n.t('The queue could not be emptied'),
      run: ([arg], signal) => control.purgeQueue(services, arg, signal),
    },
    {
      id: commands.deleteEndpoint,
      failure: vscode.l10n.t('The endpoint could not be deleted'),
      run: ([arg], signal) => control.deleteEndpoint(services, arg, signal),
    },
    {
      id: commands.openEndpointConsole,
      failure: vscode.l10n.t("RunPod's console could not be opened"),
      run: ([arg], signal) => control.openEndpointConsole(services, arg, signal),
    },
    {
      id: commands.showEndpointHealth,
      failure: vscode.l10n.t('The health of the endpoint could not be shown'),
      run: ([arg], signal) => control.showEndpointHealth(services, arg, signal),
    },
  ];
}
