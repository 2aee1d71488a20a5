import { podTimeMicros } from '../cost/price.ts';
import type { QueuedWork } from './fleetScene.ts';

/** A GPU that will take work. */
export interface Server {
  readonly gpu: string;
  readonly kind: 'pod' | 'elsewhere';
  /** Until it can begin with the first of the waiting jobs: boot, and the work it has. */
  readonly readyInSeconds: number;
  /** 0 = free. */
  readonly usdPerHourMicros: number;
}

export interface Drain {
  /** Until the last of the jobs that pods can run has ended. Infinity when one of them has no server. */
  readonly seconds: number;
  /** In the order of the servers: seconds of work given to each, and how much that is on any GPU alike. */
  readonly taken: readonly Taken[];
}

export interface Taken {
  readonly seconds: number;
  /** Sum of `otherSeconds`: compares servers of different speed. */
  readonly work: number;
}

export function secondsOn(work: QueuedWork, gpu: string): number {
  return work.seconds[gpu] ?? work.otherSeconds;
}

/** Places the jobs in turn where they end first, as the dispatcher will. */
export function drain(waiting: readonly QueuedWork[], servers: readonly Server[]): Drain {
  const until = servers.map((server) => server.readyInSeconds);
  const taken = servers.map(() => ({ seconds: 0, work: 0 }));
  let last = 0;
  for (const work of waiting) {
    let best = -1;
    let bestEnd = Number.POSITIVE_INFINITY;
    let bestRun = 0;
    for (const [index, { gpu, kind }] of servers.entries()) {
      if (kind === 'pod' ? !work.onPods : !work.onElsewhere) continue;
      const run = secondsOn(work, gpu);
      const end = (until[index] ?? 0) + run;
      if (end >= bestEnd) continue;
      best = index;
      bestEnd = end;
      bestRun = run;
    }
    if (work.onPods) last = Math.max(last, bestEnd);
    if (best < 0) continue;
    until[best] = bestEnd;
    const mine = taken[best];
    if (mine === undefined) continue;
    mine.seconds += bestRun;
    mine.work += work.otherSeconds;
  }
  return { seconds: last, taken };
}

/** Micro-dollars of the work that a drain gives to its servers; without their boots and idle times. */
export function workMicros(servers: readonly Server[], { taken }: Drain): number {
  return servers.reduce(
    (sum, server, index) => sum + podTimeMicros(server.usdPerHourMicros, (taken[index]?.seconds ?? 0) * 1_000),
    0,
  );
}
