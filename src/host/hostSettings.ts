import * as vscode from 'vscode';
import { settingPrefix } from '../contract.ts';
import { tiers } from '../core/backends/backend.ts';
import type { Tier } from '../core/backends/backend.ts';
import { Emitter } from '../core/kernel/event.ts';
import type { Event } from '../core/kernel/event.ts';
import type { Lifetime } from '../core/kernel/lifetime.ts';
import type { Log } from '../core/kernel/ports.ts';
import type { NetworkSettings } from '../core/http/transport.ts';
import { readSettings } from '../core/settings.ts';
import type { Settings } from '../core/settings.ts';

export interface HostSettings {
  readonly current: () => Settings;
  readonly onDidChange: Event<void>;
  readonly network: () => NetworkSettings;
}

/** The editor's settings as one checked record; a bad value is reported once and its default used. */
export function createHostSettings(environment: NodeJS.ProcessEnv, log: Log, life: Lifetime): HostSettings {
  const changed = life.own(new Emitter<void>());
  const read = (): Settings => {
    const { settings, problems } = readSettings((key) => vscode.workspace.getConfiguration().get(settingPrefix + key));
    for (const { key, why } of problems)
      log.warn(`The setting ${settingPrefix}${key} is not usable (${why}): using its default`);
    const priority = readPriority(environment.PODRELAY_PRIORITY);
    return priority === undefined ? settings : { ...settings, 'routing.priority': priority };
  };
  let current: Settings | undefined;
  life.own(
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (!event.affectsConfiguration('podrelay')) return;
      current = undefined;
      changed.fire();
    }),
  );
  return {
    current: () => (current ??= read()),
    onDidChange: (listener) => changed.event(listener),
    network: () => {
      const http = vscode.workspace.getConfiguration('http');
      return {
        proxyUrl: http.get<string>('proxy') || undefined,
        noProxy: http.get<string[]>('noProxy') ?? [],
        strictTls: http.get<boolean>('proxyStrictSSL') ?? true,
      };
    },
  };
}

/** `cloud, local` → cloud, local; undefined when it is not set or names nothing that exists. */
export function readPriority(text: string | undefined): readonly Tier[] | undefined {
  const named = (text ?? '').split(',').map((part) => part.trim().toLowerCase());
  const order = tiers.filter((tier) => named.includes(tier)).sort((a, b) => named.indexOf(a) - named.indexOf(b));
  return order.length === 0 ? undefined : order;
}
