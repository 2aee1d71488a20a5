import * as vscode from 'vscode';
import { commands, settingPrefix, viewContainer } from '../contract.ts';
import type { BackendManager } from '../core/backends/backendManager.ts';
import { isActive } from '../core/fleet/podFilter.ts';
import type { PodService } from '../core/fleet/podService.ts';
import type { JobRunner } from '../core/jobs/jobRunner.ts';
import type { JobRecovery } from '../core/jobs/recoverJobs.ts';
import type { KeyRing } from '../core/keyRing.ts';
import { Emitter } from '../core/kernel/event.ts';
import type { Event } from '../core/kernel/event.ts';
import type { Lifetime } from '../core/kernel/lifetime.ts';
import type { Clock, Log } from '../core/kernel/ports.ts';
import type { Settings } from '../core/settings.ts';
import { backendCommands } from './commands/backendCommands.ts';
import { demoCommands } from './commands/demoCommands.ts';
import type { DemoSwitch } from './commands/demoCommands.ts';
import { helpCommands } from './commands/helpCommands.ts';
import { jobCommands } from './commands/jobCommands.ts';
import { keyCommands } from './commands/keyCommands.ts';
import type { KeyChangeServices } from './commands/keyCommandsAsk.ts';
import { podCommands } from './commands/podCommands.ts';
import type { PodCommandServices } from './commands/podCommands.ts';
import { PodLogs } from './commands/podLogs.ts';
import { registerCommands } from './commands/runCommand.ts';
import type { Command } from './commands/runCommand.ts';
import { statusMenu } from './commands/statusMenu.ts';
import { costsCommand } from './costs/costsCommand.ts';
import { JobStarter } from './jobs/jobStarter.ts';
import { recoverOnStart } from './jobs/recoverOnStart.ts';
import type { Spending } from './moneySnapshot.ts';
import type { OutputsSlot } from './outputs/outputsSlot.ts';
import { outputFolderCommand } from './outputs/revealFile.ts';
import { registerStatusBar } from './statusBar.ts';
import { registerBackendsView } from './trees/backendsView.ts';
import { PodLayout } from './trees/podLayout.ts';
import type { ViewMemory } from './trees/podLayout.ts';
import { registerPodsView } from './trees/podsView.ts';
import { registerRowDecorations } from './trees/rowDecorations.ts';

export interface UiServices {
  readonly keys: KeyRing;
  /** The person's own keys, whatever the place. */
  readonly keyStorage: KeyChangeServices['storage'];
  readonly checkKey: KeyChangeServices['checkKey'];
  readonly pods: PodService;
  readonly gpuTypes: PodCommandServices['gpuTypes'];
  /** The pod that runs jobs; undefined = none is configured. */
  readonly podId: () => string | undefined;
  readonly choosePod: (podId: string | undefined) => Promise<void>;
  readonly backends: BackendManager;
  readonly jobs: JobRunner;
  readonly recovery: JobRecovery;
  /** False on a machine where PodRelay has done nothing yet. */
  readonly hasRecords: () => boolean;
  readonly ledger: Spending;
  readonly settings: () => Settings;
  /** Settings, keys or addresses changed. */
  readonly onDidChangeSetup: Event<unknown>;
  readonly demo: DemoSwitch;
  /** Empty = none. */
  readonly localComfyUrl: () => string;
  readonly clock: Clock;
  readonly log: Log;
  readonly channel: vscode.LogOutputChannel;
  /** What this workspace remembers. */
  readonly memory: ViewMemory;
  /** Takes keys out of a text. */
  readonly redact: (text: string) => string;
  readonly extension: vscode.Extension<unknown>;
  /** The last lines of the log, without secrets. */
  readonly recentLines: () => readonly string[];
  readonly outputs: OutputsSlot;
  readonly outputFolder: () => string;
}

/** Views, commands and the status bar. Registers only: nothing is asked before a view opens or a command runs. */
export function registerUi(services: UiServices, life: Lifetime): void {
  const { backends, demo, jobs, keys, pods, log, settings } = services;
  const hasRunpodKey = (): boolean => keys.has('runpodApiKey');
  const isDemo = demo.control !== undefined;
  const isSetUp = (): boolean => isDemo || hasRunpodKey() || keys.has('geminiApiKey');
  const activePods = (): number => (pods.lastSeen?.pods ?? []).filter(isActive).length;
  const layout = new PodLayout(services.memory, life);
  const podChosen = life.own(new Emitter<void>());
  const chooseForJobs = async (podId: string | undefined): Promise<void> => {
    await services.choosePod(podId);
    backends.reset('cloud');
    podChosen.fire();
    if (podId === undefined) return;
    backends
      .check('cloud', life.signal)
      .catch((error: unknown) => log.debug(`The pod was not checked: ${String(error)}`));
  };
  const starter = new JobStarter({ jobs, settings, prepare: () => keys.load() });

  registerCommands(
    [
      ...windowCommands(services),
      ...backendCommands(services),
      ...jobCommands({ jobs, starter }),
      outputFolderCommand(services.outputFolder),
      costsCommand({ ...services, isDemo, hasRunpodKey }, life),
      ...helpCommands({ ...services, isDemo }),
      ...demoCommands({
        demo,
        lookAgain: (signal) => Promise.allSettled([backends.checkAll(signal), pods.refresh(signal)]),
      }),
      ...podCommands({ ...services, isDemo, layout, chooseForJobs, logs: new PodLogs(services, life) }),
      ...keyCommands({ ...services, isDemo, storage: services.keyStorage }),
      statusMenu({ jobs, activePods }),
    ],
    log,
    life,
  );
  registerRowDecorations(life);
  registerBackendsView({ ...services, isSetUp, prepare: () => keys.load() }, life);
  registerPodsView(
    {
      ...services,
      layout,
      hasRunpodKey,
      onDidChangeKeys: keys.onDidChange,
      onDidChoosePod: podChosen.event,
      prepare: () => keys.load(),
    },
    life,
  );
  services.outputs.attach({ ...services, starter, isDemo }, life);
  registerStatusBar({ ...services, isDemo, hasRunpodKey }, life);
  recoverOnStart({ ...services, starter, prepare: () => keys.load() }, life);
  // Which keys are set is asked of the editor, not of the network; until it is known they count as set.
  void keys.load().catch((error: unknown) => log.warn(`The keys could not be read: ${String(error)}`));
}

function windowCommands({ channel }: UiServices): readonly Command[] {
  return [
    {
      id: commands.showLog,
      failure: vscode.l10n.t('The log could not be shown'),
      run: () => Promise.resolve(channel.show()),
    },
    {
      id: commands.showViews,
      failure: vscode.l10n.t('The views could not be shown'),
      run: async () => vscode.commands.executeCommand(`workbench.view.extension.${viewContainer}`),
    },
    {
      id: commands.openSettings,
      failure: vscode.l10n.t('The settings could not be opened'),
      run: async ([query]) =>
        vscode.commands.executeCommand(
          'workbench.action.openSettings',
          settingPrefix + (typeof query === 'string' ? query : ''),
        ),
    },
  ];
}
