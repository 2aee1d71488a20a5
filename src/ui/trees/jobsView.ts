import * as vscode from 'vscode';
import { contextKeys, views } from '../../contract.ts';
import type { Fleet } from '../../core/fleet/fleet.ts';
import type { Disposable, Event } from '../../core/kernel/event.ts';
import type { KeyRing } from '../../core/keyRing.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Clock, Log } from '../../core/kernel/ports.ts';
import type { QueueService, QueueView } from '../../core/queue/queueView.ts';
import type { Settings } from '../../core/settings.ts';
import { fleetState } from '../fleet/fleetState.ts';
import { setContext } from '../setContext.ts';
import { jobRows, jobsBadge, jobsDescription, jobsState } from './jobRows.ts';
import type { JobScene } from './jobRows.ts';
import { registerTree } from './treeAdapter.ts';

export interface JobsViewServices {
  readonly queue: QueueService;
  /** False on a machine where PodRelay has done nothing yet. */
  readonly hasRecords: () => boolean;
  readonly fleet: Pick<Fleet, 'next' | 'onDidPlan'>;
  readonly settings: () => Settings;
  readonly onDidChangeSetup: Event<unknown>;
  readonly keys: Pick<KeyRing, 'has' | 'onDidChange'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Times grow old; what happens is told by the queue itself. */
const refreshMs = 30_000;

export function registerJobsView(services: JobsViewServices, life: Lifetime): void {
  const { queue, hasRecords, fleet, settings, keys, clock, log } = services;
  let lastSeen: { readonly view: QueueView; readonly at: number } | undefined;
  const scene = (): JobScene => ({
    ...{ view: queue.view, lastSeen, hasRecords: hasRecords(), nowMs: clock.now() },
    fleet: fleetState(fleet, settings(), vscode.workspace.isTrusted, keys.has('runpodApiKey')),
  });
  const rows = (): ReturnType<typeof jobRows> => {
    const now = scene();
    setContext(contextKeys.jobsState, jobsState(now));
    return jobRows(now);
  };
  const refresh = (): Promise<void> => (hasRecords() ? queue.refresh() : Promise.resolve());
  const changes = [queue.onDidChange, fleet.onDidPlan, services.onDidChangeSetup, keys.onDidChange];
  const view = registerTree(
    { view: views.jobs, rows, changes, refresh, refreshMs, clock, log, canSelectMany: true },
    life,
  );

  let watching: Disposable | undefined;
  const watch = (): void => {
    watching?.dispose();
    watching = view.visible && hasRecords() ? queue.watch() : undefined;
  };
  life.own(view.onDidChangeVisibility(watch));
  life.own({ dispose: () => watching?.dispose() });
  const update = (): void => {
    if (queue.view.known) {
      const { value, at } = queue.view;
      lastSeen = { view: value, at };
      view.badge = jobsBadge(value);
      view.description = jobsDescription(value, clock.now());
    }
    // The first job of a machine makes its records.
    if (watching === undefined) watch();
  };
  life.own(queue.onDidChange(update));
  setContext(contextKeys.jobsState, jobsState(scene()));
  update();
}
