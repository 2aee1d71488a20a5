import * as vscode from 'vscode';
import { contextKeys, views } from '../../contract.ts';
import { tiers } from '../../core/backends/backend.ts';
import type { BackendManager } from '../../core/backends/backendManager.ts';
import { Inventories } from '../../core/backends/inventory.ts';
import { Emitter } from '../../core/kernel/event.ts';
import type { Event } from '../../core/kernel/event.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Clock, Log } from '../../core/kernel/ports.ts';
import type { Settings } from '../../core/settings.ts';
import { setContext } from '../setContext.ts';
import { backendRows, backendsState } from './backendRows.ts';
import type { BackendScene } from './backendRows.ts';
import { registerTree } from './treeAdapter.ts';

export interface BackendsViewServices {
  readonly backends: BackendManager;
  readonly settings: () => Settings;
  /** Settings, keys or addresses changed. */
  readonly onDidChangeSetup: Event<unknown>;
  /** True in the demo, and once a key or an address was set. */
  readonly isSetUp: () => boolean;
  /** Called before a check: what decisions need and is not known yet. */
  readonly prepare: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/** A check asks each backend for its state; it never starts a pod and never spends. */
const checkEveryMs = 15_000;

export function registerBackendsView(services: BackendsViewServices, life: Lifetime): void {
  const { backends, clock, log } = services;
  const inventories = new Inventories(clock, log);
  const learned = life.own(new Emitter<void>());
  const rows = (): ReturnType<typeof backendRows> => {
    const scene = backendScene(services, (id) => inventories.of(id));
    setContext(contextKeys.backendsState, backendsState(scene));
    return backendRows(scene);
  };
  const refresh = async (signal: AbortSignal): Promise<void> => {
    await services.prepare();
    const statuses = await backends.checkAll(signal);
    if (await inventories.learn(statuses, signal)) learned.fire();
  };
  const changes = [
    learned.event,
    backends.onDidChange,
    services.onDidChangeSetup,
    vscode.workspace.onDidGrantWorkspaceTrust,
  ];
  registerTree({ view: views.backends, rows, changes, refresh, refreshMs: checkEveryMs, clock, log }, life);
}

export function backendScene(
  services: Omit<BackendsViewServices, 'log' | 'onDidChangeSetup' | 'prepare'>,
  inventory: BackendScene['inventory'],
): BackendScene {
  const { backends, settings, clock } = services;
  const now = settings();
  const unlessNone = (value: string): string | undefined => (value === 'none' ? undefined : value);
  return {
    statuses: backends.statuses(),
    forced: unlessNone(now['routing.forced']),
    preferred: unlessNone(now['routing.preferred']),
    // In Restricted Mode there is no next job.
    selected: vscode.workspace.isTrusted ? backends.selected() : undefined,
    switchedOff: new Set(tiers.filter((tier) => !now[`${tier}.enabled`])),
    setUp: services.isSetUp(),
    inventory,
    nowMs: clock.now(),
  };
}
