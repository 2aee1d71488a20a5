import type { QueueView } from '../../core/queue/queueView.ts';

/** Jobs from the moment when the first came to an idle queue until it is idle again: '3 of 12'. */
export interface Burst {
  /** Ended jobs on record when it began. */
  readonly endedBefore: number;
}

type Counts = QueueView['counts'];

/** Undefined while nothing runs and nothing waits. Pure. */
export function nextBurst(before: Burst | undefined, counts: Counts): Burst | undefined {
  if (counts.running + counts.queued === 0) return undefined;
  const ended = endedOf(counts);
  // Fewer than before: the ended ones were cleared, or are tried again.
  return before === undefined || ended < before.endedBefore ? { endedBefore: ended } : before;
}

/** How many of a burst's jobs have ended, of how many. */
export function burstSize({ endedBefore }: Burst, counts: Counts): { readonly ended: number; readonly total: number } {
  const ended = endedOf(counts) - endedBefore;
  return { ended, total: ended + counts.running + counts.queued };
}

function endedOf({ done, failed, cancelled, lost }: Counts): number {
  return done + failed + cancelled + lost;
}
