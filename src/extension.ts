import path from 'node:path';
import * as vscode from 'vscode';
import { commands, settingPrefix } from './contract.ts';
import { createCore } from './core/createCore.ts';
import { systemClock } from './core/kernel/clock.ts';
import { Lifetime } from './core/kernel/lifetime.ts';
import { readSettings } from './core/settings.ts';
import { createHostLog } from './host/hostLog.ts';
import { runWorkflow } from './ui/commands/runWorkflow.ts';
import { showFault } from './ui/notify.ts';
import { registerStatusBar } from './ui/statusBar.ts';

/** Builds host, core and UI. No network and no timer starts here. */
export function activate(context: vscode.ExtensionContext): void {
  const life = new Lifetime();
  context.subscriptions.push(life);
  const channel = life.own(vscode.window.createOutputChannel('PodRelay', { log: true }));
  const log = createHostLog(channel);
  const settings = () => readSettings((key) => vscode.workspace.getConfiguration().get(settingPrefix + key)).settings;
  const { version } = context.extension.packageJSON as { version: string };

  const core = createCore(
    {
      clock: systemClock,
      log,
      random: Math.random,
      userAgent: `PodRelay/${version} (VS Code ${vscode.version})`,
      settings,
      addresses: () => ({ localComfyUrl: settings()['local.url'] }),
      network: () => {
        const http = vscode.workspace.getConfiguration('http');
        return {
          proxyUrl: http.get<string>('proxy') || undefined,
          noProxy: http.get<string[]>('noProxy') ?? [],
          strictTls: http.get<boolean>('proxyStrictSSL') ?? true,
        };
      },
      outputFolder: () => {
        const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? context.globalStorageUri.fsPath;
        return path.resolve(folder, settings().outputFolder);
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
  command(commands.showLog, vscode.l10n.t('The log could not be shown'), () => {
    channel.show();
    return Promise.resolve();
  });
  registerStatusBar(core.backends, life);
}
