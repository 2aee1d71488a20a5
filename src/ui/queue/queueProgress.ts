import * as vscode from 'vscode';
import { contextKeys, views } from '../../contract.ts';
import type { JobRunner } from '../../core/jobs/jobRunner.ts';
import type { Disposable } from '../../core/kernel/event.ts';
import { toFault } from '../../core/kernel/fault.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Log } from '../../core/kernel/ports.ts';
import type { QueueService } from '../../core/queue/queueView.ts';
import { setContext } from '../setContext.ts';
import type { ViewMemory } from '../trees/podLayout.ts';
import { nextBurst } from './burst.ts';
import type { Burst } from './burst.ts';
import { progressText } from './progressText.ts';

export interface QueueProgressServices {
  readonly queue: QueueService;
  readonly jobs: JobRunner;
  readonly memory: ViewMemory;
  /** False on a machine where PodRelay has done nothing yet: then there is nothing to look for. */
  readonly hasRecords: () => boolean;
  readonly clock: { now(): number };
  readonly log: Log;
}

const memoryKey = 'queue.burst';

/** The status bar's second item: how far the queue is. Other windows are watched only while there is something to see. */
export function registerQueueProgress(services: QueueProgressServices, life: Lifetime): void {
  const { queue, jobs, memory, hasRecords, clock, log } = services;
  const item = life.own(vscode.window.createStatusBarItem('podrelay.progress', vscode.StatusBarAlignment.Left, 9));
  item.name = vscode.l10n.t('PodRelay: jobs');
  item.command = `${views.jobs}.focus`;
  // The editor shows an item of an id that it has seen before, with its old text: that of a session that ended.
  item.hide();
  setContext(contextKeys.running, false);
  setContext(contextKeys.queuePaused, false);

  let burst = storedBurst(memory);
  let watching: Disposable | undefined;
  life.own({ dispose: () => watching?.dispose() });
  const update = (): void => {
    const view = queue.view.known ? queue.view.value : undefined;
    if (view !== undefined) {
      const next = nextBurst(burst, view.counts);
      if (next?.endedBefore !== burst?.endedBefore) void memory.update(memoryKey, next);
      burst = next;
      setContext(contextKeys.queuePaused, view.paused);
    }
    if (burst !== undefined || jobs.running().length > 0) watching ??= queue.watch();
    else {
      watching?.dispose();
      watching = undefined;
    }
    const shown = progressText({ running: jobs.running(), view, burst, nowMs: clock.now() });
    setContext(contextKeys.running, shown !== undefined);
    if (shown === undefined) return item.hide();
    item.text = shown.text;
    item.tooltip = new vscode.MarkdownString(shown.tooltip, true);
    item.accessibilityInformation = { label: shown.spoken };
    item.show();
  };
  const look = (): void => {
    if (!hasRecords()) return;
    queue.refresh().catch((error: unknown) => log.debug(`The jobs could not be loaded: ${toFault(error).message}`));
  };
  life.own(jobs.onDidChange(update));
  life.own(queue.onDidChange(update));
  // Another window may have queued something meanwhile.
  life.own(vscode.window.onDidChangeWindowState(({ focused }) => focused && look()));
  const start = setImmediate(look);
  life.own({ dispose: () => clearImmediate(start) });
}

function storedBurst(memory: ViewMemory): Burst | undefined {
  const stored = memory.get(memoryKey);
  if (typeof stored !== 'object' || stored === null || !('endedBefore' in stored)) return undefined;
  const { endedBefore } = stored;
  return typeof endedBefore === 'number' ? { endedBefore } : undefined;
}
