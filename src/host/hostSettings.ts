import * as vscode from 'vscode';
import { settingPrefix } from '../contract.ts';
import { Emitter } from '../core/kernel/event.ts';
import type { Event } from '../core/kernel/event.ts';
import type { Lifetime } from '../core/kernel/lifetime.ts';
import type { Log } from '../core/kernel/ports.ts';
import type { NetworkSettings } from '../core/http/transport.ts';
import type { Settings } from '../core/settings.ts';
import type { ReadSetting } from './acrossFolders.ts';
import { readHostSettings } from './readHostSettings.ts';

export interface HostSettings {
  readonly current: () => Settings;
  readonly onDidChange: Event<void>;
  readonly network: () => NetworkSettings;
}

/** The editor's settings as one checked record; a bad value is reported once and its default used. */
export function createHostSettings(environment: NodeJS.ProcessEnv, log: Log, life: Lifetime): HostSettings {
  const changed = life.own(new Emitter<void>());
  const read = (): Settings => {
    const [first, ...others] = vscode.workspace.workspaceFolders ?? [];
    // Of one folder the settings are the window's, which the editor has at hand.
    const folders = [readerOf(others.length > 0 ? first : undefined), ...others.map(readerOf)] as const;
    const { settings, problems } = readHostSettings(folders, environment);
    for (const { key, why } of problems)
      log.warn(`The setting ${settingPrefix}${key} is not usable (${why}): using its default`);
    return settings;
  };
  let current: Settings | undefined;
  const again = (): void => {
    current = undefined;
    changed.fire();
  };
  life.own(vscode.workspace.onDidChangeConfiguration((event) => event.affectsConfiguration('podrelay') && again()));
  life.own(vscode.workspace.onDidChangeWorkspaceFolders(again));
  return {
    current: () => (current ??= read()),
    onDidChange: (listener) => changed.event(listener),
    network: () => {
      const http = vscode.workspace.getConfiguration('http');
      return {
        proxyUrl: http.get<string>('proxy') || undefined,
        noProxy: http.get<string[]>('noProxy') ?? [],
        strictTls: http.get<boolean>('proxyStrictSSL') ?? true,
        proxyAuthorization: http.get<string>('proxyAuthorization') || undefined,
        useProxy: http.get('proxySupport') !== 'off',
      };
    },
  };
}

function readerOf(folder: vscode.WorkspaceFolder | undefined): ReadSetting {
  const all = vscode.workspace.getConfiguration(undefined, folder?.uri ?? null);
  return (key) => all.get(settingPrefix + key);
}
