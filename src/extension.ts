import * as vscode from 'vscode';
import { contextKeys, settingPrefix } from './contract.ts';
import type { Addresses } from './core/createCore.ts';
import { Lifetime } from './core/kernel/lifetime.ts';
import type { Settings } from './core/settings.ts';
import { createHostLog } from './host/hostLog.ts';
import { createHostPodTokens, createHostSecrets } from './host/hostSecrets.ts';
import { createHostSettings } from './host/hostSettings.ts';
import type { Place } from './host/place.ts';
import { rememberLines } from './host/recentLines.ts';
import type { Demo } from './host/startDemo.ts';
import { openSession } from './session.ts';
import type { DemoSwitch } from './ui/commands/demoCommands.ts';
import { registerOutputsView } from './ui/outputs/outputsSlot.ts';
import { setContext } from './ui/setContext.ts';

/** The composition root: the log first, so that nothing is lost, then a session over the real services. */
export function activate(context: vscode.ExtensionContext): void {
  const life = new Lifetime();
  context.subscriptions.push(life);
  const channel = life.own(vscode.window.createOutputChannel('PodRelay', { log: true }));
  const recent = rememberLines(channel, 200);
  const log = createHostLog(recent.channel);
  const settings = createHostSettings(process.env, log, life);
  const secrets = createHostSecrets(context.secrets, process.env, life);
  const storageFolder = context.globalStorageUri.fsPath;

  const outputs = registerOutputsView(context.extensionUri, log, life);

  let session: Lifetime | undefined;
  let demo: Demo | undefined;
  const open = (place: Place): void => {
    // Before the first session none of them is set.
    if (session !== undefined) {
      session.dispose();
      for (const key of [contextKeys.demo, contextKeys.demoLocal, contextKeys.demoCloud]) setContext(key, !!demo);
      setContext(contextKeys.hasLast, false);
    }
    session = life.child();
    openSession(
      { context, log, recentLines: recent.lines, channel, settings, secrets, place, demo: demoSwitch, outputs },
      session,
    );
  };
  const openReal = (): void =>
    open({
      addresses: addressesOf(settings.current()),
      secrets,
      podTokens: createHostPodTokens(context.secrets),
      storeFolder: storageFolder,
      podId: () => settings.current()['cloud.podId'] || undefined,
      choosePod: async (podId) =>
        vscode.workspace.getConfiguration().update(`${settingPrefix}cloud.podId`, podId, true),
      endpointIds: () => settings.current()['serverless.endpointIds'],
      chooseEndpoints: async (ids) =>
        vscode.workspace.getConfiguration().update(`${settingPrefix}serverless.endpointIds`, ids, true),
    });
  const leaveDemo = (): void => {
    const ended = demo;
    demo = undefined;
    // The session first: it still talks to the simulator.
    openReal();
    ended?.dispose();
  };
  const demoSwitch: DemoSwitch = {
    get control() {
      return demo;
    },
    async start(signal) {
      const { startDemo } = await import('./host/startDemo.ts');
      const onDidEnd = (): void => {
        if (demo !== started) return;
        leaveDemo();
        void vscode.window.showErrorMessage('PodRelay: the demo has ended by itself. The log has the details.');
      };
      const started = await startDemo(
        { extensionPath: context.extensionPath, storageFolder, log, onDidEnd },
        AbortSignal.any([signal, life.signal]),
      );
      if (demo !== undefined) return started.dispose();
      demo = started;
      open(started.place);
    },
    stop: () => {
      if (demo !== undefined) leaveDemo();
    },
  };
  life.own({ dispose: () => demo?.dispose() });

  openReal();
  let addresses = JSON.stringify(addressesOf(settings.current()));
  life.own(
    settings.onDidChange(() => {
      const now = JSON.stringify(addressesOf(settings.current()));
      if (now === addresses) return;
      addresses = now;
      if (demo === undefined) openReal();
    }),
  );
}

function addressesOf(settings: Settings): Addresses {
  return {
    localComfyUrl: settings['local.url'],
    runpodApiUrl: settings['runpod.apiUrl'],
    podProxyUrl: settings['runpod.proxyUrl'],
    serverlessUrl: settings['runpod.serverlessUrl'],
    geminiUrl: settings['gemini.apiUrl'],
  };
}
