/**
 * The life of a pod as data in simulated time: a list of phases, some of them still to come. What the pod is at a
 * moment, and what it has cost until then, follow from the list alone; an action rewrites the future part of it.
 */
export type PodStatus = 'PROVISIONING' | 'STARTING' | 'RUNNING' | 'EXITED' | 'ERROR' | 'TERMINATED';
export type PodAction = 'start' | 'stop' | 'restart' | 'terminate';
export const podActions: readonly PodAction[] = ['start', 'stop', 'restart', 'terminate'];

export interface Phase {
  /** ms since the epoch, simulated */
  readonly from: number;
  readonly status: PodStatus;
  /** when ComfyUI answers; only in RUNNING, Infinity = never */
  readonly readyAt?: number;
  readonly containerGb: number;
  readonly volumeGb: number;
}

export interface BootTimes {
  readonly provisioningMs: number;
  readonly startingMs: number;
  readonly appBootMs: number;
}

/** What becomes of a boot. `crashLoop` alternates STARTING and ERROR. */
export type BootEnd = 'ready' | 'stuckPulling' | 'neverReady' | 'crashLoop' | 'errorAfterRun';

/** Transitions valid for a status (RunPod OpenAPI v2, prose of `actions`). The lock changes nothing here. */
export const actionsOf: Readonly<Record<PodStatus, readonly PodAction[]>> = {
  PROVISIONING: ['stop', 'terminate'],
  STARTING: ['stop', 'terminate'],
  RUNNING: ['stop', 'restart', 'terminate'],
  EXITED: ['start', 'terminate'],
  ERROR: ['start', 'terminate'],
  TERMINATED: [],
};

export function phaseAt(phases: readonly Phase[], now: number): Phase | undefined {
  return phases.findLast((phase) => phase.from <= now);
}

export function statusAt(phases: readonly Phase[], now: number): PodStatus {
  return phaseAt(phases, now)?.status ?? 'PROVISIONING';
}

/** Start of the last RUNNING phase that has begun; null before the first. */
export function startedAt(phases: readonly Phase[], now: number): number | null {
  return phases.findLast((phase) => phase.from <= now && phase.status === 'RUNNING')?.from ?? null;
}

/** The phases as they are until `now`, without the future that was planned. */
export function until(phases: readonly Phase[], now: number): Phase[] {
  return phases.filter((phase) => phase.from < now);
}

type Disks = Pick<Phase, 'containerGb' | 'volumeGb'>;

/** Phases of a boot that begins at `now`. `provisioningMs` 0 leaves PROVISIONING out (a restart keeps its host). */
export function bootPhases(now: number, times: BootTimes, disks: Disks, end: BootEnd): Phase[] {
  const phases: Phase[] = [];
  if (times.provisioningMs > 0) phases.push({ from: now, status: 'PROVISIONING', ...disks });
  const starting = now + times.provisioningMs;
  phases.push({ from: starting, status: 'STARTING', ...disks });
  const running = starting + times.startingMs;
  switch (end) {
    case 'stuckPulling':
      return phases;
    case 'crashLoop':
      for (let turn = 0; turn < 500; turn++) {
        const dies = running + turn * (times.startingMs + 5_000);
        phases.push({ from: dies, status: 'ERROR', ...disks }, { from: dies + 5_000, status: 'STARTING', ...disks });
      }
      return phases;
    case 'ready':
    case 'neverReady':
    case 'errorAfterRun': {
      const readyAt = end === 'ready' ? running + times.appBootMs : Infinity;
      phases.push({ from: running, status: 'RUNNING', readyAt, ...disks });
      if (end === 'errorAfterRun') phases.push({ from: running + times.appBootMs, status: 'ERROR', ...disks });
      return phases;
    }
  }
}

export function stopped(phases: readonly Phase[], now: number, disks: Disks): Phase[] {
  return [...until(phases, now), { from: now, status: 'EXITED', ...disks }];
}

export function terminated(phases: readonly Phase[], now: number): Phase[] {
  return [...until(phases, now), { from: now, status: 'TERMINATED', containerGb: 0, volumeGb: 0 }];
}
