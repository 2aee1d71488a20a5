import * as vscode from 'vscode';
import type { Addresses } from './core/createCore.ts';
import { Lifetime } from './core/kernel/lifetime.ts';
import type { Settings } from './core/settings.ts';
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

  let session = life.child();
  const open = (place: Place): void => {
    session.dispose();
    session = life.child();
    openSession({ context, log, channel, settings, place }, session);
  };
  const openReal = (): void =>
    open({
      addresses: addressesOf(settings.current()),
      secrets,
      storeFolder: context.globalStorageUri.fsPath,
      podId: () => settings.current()['cloud.podId'] || undefined,
      demo: undefined,
    });
  openReal();
}

function addressesOf(settings: Settings): Addresses {
  return {
    localComfyUrl: settings['local.url'],
    runpodApiUrl: settings['runpod.apiUrl'],
    podProxyUrl: settings['runpod.proxyUrl'],
    geminiUrl: settings['gemini.apiUrl'],
  };
}
