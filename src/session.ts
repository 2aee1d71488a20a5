import path from 'node:path';
import * as vscode from 'vscode';
import { commands } from './contract.ts';
import { createCore } from './core/createCore.ts';
import { systemClock } from './core/kernel/clock.ts';
import type { Lifetime } from './core/kernel/lifetime.ts';
import type { Log } from './core/kernel/ports.ts';
import type { HostSettings } from './host/hostSettings.ts';
import type { Place } from './host/place.ts';
import { runWorkflow } from './ui/commands/runWorkflow.ts';
import { showFault } from './ui/notify.ts';
import { registerStatusBar } from './ui/statusBar.ts';

export interface SessionOptions {
  readonly context: vscode.ExtensionContext;
  readonly log: Log;
  readonly settings: HostSettings;
  readonly place: Place;
}

/**
 * Core and UI over one place. Switching between the demo and the real services ends one session and opens another, so
 * nothing of one can leak into the other. No network and no timer starts here.
 */
export function openSession({ context, log, settings, place }: SessionOptions, life: Lifetime): void {
  const { version } = context.extension.packageJSON as { version: string };
  const core = createCore(
    {
      clock: systemClock,
      log,
      random: Math.random,
      userAgent: `PodRelay/${version} (VS Code ${vscode.version})`,
      settings: settings.current,
      addresses: place.addresses,
      network: settings.network,
      outputFolder: () => {
        const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? context.globalStorageUri.fsPath;
        return path.resolve(folder, settings.current().outputFolder);
      },
      onJobDone: () => Promise.resolve(),
    },
    life,
  );

  const command = (id: string, title: string, work: (...args: unknown[]) => Promise<unknown>): void => {
    const run = async (...args: unknown[]): Promise<unknown> => {
      try {
        return await work(...args);
      } catch (error) {
        log.error(title, error);
        void showFault(title, error);
        return undefined;
      }
    };
    life.own(vscode.commands.registerCommand(id, run));
  };
  command(commands.runWorkflow, vscode.l10n.t('The workflow could not be run'), (file) =>
    runWorkflow(core.jobs, life.signal, file instanceof vscode.Uri ? file : undefined),
  );
  command(commands.checkBackends, vscode.l10n.t('The backends could not be checked'), () =>
    core.backends.checkAll(life.signal),
  );
  registerStatusBar(core.backends, life);
}
