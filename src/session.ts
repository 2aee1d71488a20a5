import { existsSync } from 'node:fs';
import path from 'node:path';
import * as vscode from 'vscode';
import { createCore } from './core/createCore.ts';
import { systemClock } from './core/kernel/clock.ts';
import type { Lifetime } from './core/kernel/lifetime.ts';
import type { Log } from './core/kernel/ports.ts';
import type { KeyStore } from './host/hostSecrets.ts';
import type { HostSettings } from './host/hostSettings.ts';
import type { Place } from './host/place.ts';
import { redact } from './host/redact.ts';
import type { DemoSwitch } from './ui/commands/demoCommands.ts';
import { lookBack } from './ui/lookBack.ts';
import { beginQueue } from './ui/queue/beginQueue.ts';
import { askGemini } from './ui/jobs/askGemini.ts';
import type { OutputsSlot } from './ui/outputs/outputsSlot.ts';
import { registerUi } from './ui/registerUi.ts';

export interface SessionOptions {
  readonly context: vscode.ExtensionContext;
  readonly log: Log;
  readonly channel: vscode.LogOutputChannel;
  /** The last lines of the log, without secrets. */
  readonly recentLines: () => readonly string[];
  readonly settings: HostSettings;
  readonly place: Place;
  /** The person's own keys, whatever the place. */
  readonly secrets: KeyStore;
  readonly demo: DemoSwitch;
  readonly outputs: OutputsSlot;
}

/**
 * Core and UI over one place. Switching between the demo and the real services ends one session and opens another, so
 * nothing of one can leak into the other. No network and no timer starts here.
 */
export function openSession(options: SessionOptions, life: Lifetime): void {
  const { context, log, channel, settings, place, demo } = options;
  const { version } = context.extension.packageJSON as { version: string };
  const databaseFile = path.join(place.storeFolder, 'podrelay.db');
  const outputFolder = (): string => {
    const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? context.globalStorageUri.fsPath;
    return path.resolve(folder, settings.current().outputFolder);
  };
  const hasRecords = (): boolean => existsSync(databaseFile);
  const core = createCore(
    {
      clock: systemClock,
      log,
      random: Math.random,
      userAgent: `PodRelay/${version} (VS Code ${vscode.version})`,
      settings: settings.current,
      addresses: place.addresses,
      secrets: place.secrets,
      podTokens: place.podTokens,
      podId: place.podId,
      endpointIds: place.endpointIds,
      databaseFile,
      network: settings.network,
      outputFolder,
      onJobDone: () => Promise.resolve(),
      consent: askGemini,
      mayRun: () => vscode.workspace.isTrusted,
      simulated: demo.control !== undefined,
    },
    life,
  );

  const { onDidChange } = settings;
  registerUi(
    {
      ...core,
      keyStorage: options.secrets,
      podId: place.podId,
      choosePod: (podId) => place.choosePod(podId),
      endpointIds: place.endpointIds,
      chooseEndpoints: (endpointIds) => place.chooseEndpoints(endpointIds),
      memory: context.workspaceState,
      redact,
      settings: settings.current,
      onDidChangeSetup: onDidChange,
      demo,
      localComfyUrl: () => place.addresses.localComfyUrl,
      clock: systemClock,
      log,
      channel,
      extension: context.extension,
      recentLines: options.recentLines,
      outputs: options.outputs,
      outputFolder,
      hasRecords,
    },
    life,
  );
  lookBack({ ...core, log, hasRecords }, life);
  beginQueue({ ...core, log, hasRecords }, life);
}
