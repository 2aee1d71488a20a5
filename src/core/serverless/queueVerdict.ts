import type { EndpointHealth } from './jobClient.ts';

/** Why a job still waits. */
export type QueueVerdict =
  /** RunPod has no machine for the workers. */
  | 'noCapacity'
  /** The workers start and die. */
  | 'crashLoop'
  /** A worker pulls its image or boots. */
  | 'starting'
  /** The workers are busy with other jobs. */
  | 'busy'
  /** A worker is there and takes nothing: some that crash are shown as running. */
  | 'deaf'
  /** No worker is asked for yet, or nothing is told. */
  | 'unknown';

/** Reads `/health` of an endpoint on which a job of ours is queued. Pure. */
export function judgeQueue({ jobs, workers }: EndpointHealth): QueueVerdict {
  const { idle = 0, running = 0, initializing = 0, ready, throttled = 0, unhealthy = 0 } = workers;
  const inProgress = jobs.inProgress ?? 0;
  if (inProgress > 0) return 'busy';
  // A worker that boots may yet come up beside those that crash.
  if (initializing > 0) return 'starting';
  if (unhealthy > 0 && idle === 0 && running === 0) return 'crashLoop';
  if (throttled > 0 && idle === 0 && running === 0) return 'noCapacity';
  if (running > 0 || idle > 0 || (ready ?? 0) > 0) return 'deaf';
  return 'unknown';
}

/** How long a verdict may stand before the job is taken back, ms. */
export interface QueuePatience {
  readonly noCapacityMs: number;
  readonly crashLoopMs: number;
  readonly deafMs: number;
  readonly unknownMs: number;
  /** RunPod itself calls a worker unhealthy after 7 minutes. */
  readonly startingMs: number;
  readonly busyMs: number;
}

export const defaultPatience: QueuePatience = {
  noCapacityMs: 5 * 60_000,
  crashLoopMs: 2 * 60_000,
  deafMs: 4 * 60_000,
  unknownMs: 10 * 60_000,
  startingMs: 12 * 60_000,
  busyMs: 30 * 60_000,
};

export interface QueueWatch {
  readonly verdict: QueueVerdict;
  /** ms since the epoch: from then on the verdict has been the same */
  readonly since: number;
  /** Readings in a row: one alone proves nothing. */
  readonly readings: number;
}

export function watchQueue(before: QueueWatch | undefined, verdict: QueueVerdict, nowMs: number): QueueWatch {
  if (before?.verdict !== verdict) return { verdict, since: nowMs, readings: 1 };
  return { ...before, readings: before.readings + 1 };
}

/** True when the wait is over: the same trouble for longer than it may stand, seen more than once. */
export function isOverdue({ verdict, since, readings }: QueueWatch, patience: QueuePatience, nowMs: number): boolean {
  return readings >= 3 && nowMs - since >= patience[`${verdict}Ms`];
}

/** What a person reads while the job waits. */
export function queuePhase(verdict: QueueVerdict | undefined, health: EndpointHealth | undefined): string {
  const ahead = Math.max(0, (health?.jobs.inQueue ?? 1) - 1);
  const others = ahead === 0 ? '' : `, ${ahead} other job${ahead === 1 ? '' : 's'} in the queue`;
  switch (verdict) {
    case 'noCapacity':
      return `In the queue: RunPod has no free GPU for a worker${others}`;
    case 'crashLoop':
      return `In the queue: the endpoint's workers crash${others}`;
    case 'starting':
      return `A worker is starting${others}`;
    case 'busy':
      return `In the queue: the workers are busy${others}`;
    case 'deaf':
      return `In the queue: a worker is up and takes no job${others}`;
    case 'unknown':
    case undefined:
      return `In the queue${others}`;
  }
}
