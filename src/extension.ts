import * as vscode from 'vscode';
import { commands } from './contract.ts';
import { Lifetime } from './core/kernel/lifetime.ts';
import { createHostLog } from './host/hostLog.ts';
import { createHostSecrets } from './host/hostSecrets.ts';
import { createHostSettings } from './host/hostSettings.ts';
import type { Place } from './host/place.ts';
import { openSession } from './session.ts';

/** The composition root: the log first, so that nothing is lost, then a session over the real services. */
export function activate(context: vscode.ExtensionContext): void {
  const life = new Lifetime();
  context.subscriptions.push(life);
  const channel = life.own(vscode.window.createOutputChannel('PodRelay', { log: true }));
  const log = createHostLog(channel);
  const settings = createHostSettings(process.env, log, life);
  const secrets = createHostSecrets(context.secrets, process.env, life);
  life.own(vscode.commands.registerCommand(commands.showLog, () => channel.show()));

  const real: Place = {
    addresses: () => ({ localComfyUrl: settings.current()['local.url'] }),
    secrets,
    storeFolder: context.globalStorageUri.fsPath,
    demo: undefined,
  };
  openSession({ context, log, settings, place: real }, life.child());
}
