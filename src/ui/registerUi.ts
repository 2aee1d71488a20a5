import * as vscode from 'vscode';
import { commands, settingPrefix } from '../contract.ts';
import type { BackendManager } from '../core/backends/backendManager.ts';
import type { JobRunner } from '../core/jobs/jobRunner.ts';
import type { Event } from '../core/kernel/event.ts';
import type { Lifetime } from '../core/kernel/lifetime.ts';
import type { Clock, Log } from '../core/kernel/ports.ts';
import type { Settings } from '../core/settings.ts';
import { backendCommands } from './commands/backendCommands.ts';
import { registerCommands } from './commands/runCommand.ts';
import { runWorkflow } from './commands/runWorkflow.ts';
import { registerStatusBar } from './statusBar.ts';
import { registerBackendsView } from './trees/backendsView.ts';

export interface UiServices {
  readonly backends: BackendManager;
  readonly jobs: JobRunner;
  readonly settings: () => Settings;
  /** Settings, keys or addresses changed. */
  readonly onDidChangeSetup: Event<unknown>;
  /** True in the demo, and once a key or an address was set. */
  readonly isSetUp: () => boolean;
  /** Empty = none. */
  readonly localComfyUrl: () => string;
  readonly clock: Clock;
  readonly log: Log;
  readonly channel: vscode.LogOutputChannel;
}

/** Views, commands and the status bar. Registers only: nothing is asked before a view opens or a command runs. */
export function registerUi(services: UiServices, life: Lifetime): void {
  const { backends, jobs, channel, log } = services;
  registerCommands(
    [
      {
        id: commands.runWorkflow,
        failure: vscode.l10n.t('The workflow could not be run'),
        run: ([file], signal) => runWorkflow(jobs, signal, file instanceof vscode.Uri ? file : undefined),
      },
      {
        id: commands.showLog,
        failure: vscode.l10n.t('The log could not be shown'),
        run: () => Promise.resolve(channel.show()),
      },
      {
        id: commands.openSettings,
        failure: vscode.l10n.t('The settings could not be opened'),
        run: ([query]) =>
          Promise.resolve(
            vscode.commands.executeCommand(
              'workbench.action.openSettings',
              settingPrefix + (typeof query === 'string' ? query : ''),
            ),
          ),
      },
      ...backendCommands(services),
    ],
    log,
    life,
  );
  registerBackendsView(services, life);
  registerStatusBar(backends, life);
}
