import type { Expected } from './fleetScene.ts';

/** One thing that automation did with a pod, or tried to. Times are ms since the epoch. */
export interface FleetDecision {
  readonly atMs: number;
  readonly what: 'start' | 'create' | 'stop';
  /** Undefined when no pod was created after all. */
  readonly podId: string | undefined;
  readonly podName: string | undefined;
  readonly usdPerHourMicros: number | undefined;
  /** A sentence. */
  readonly because: string;
  readonly expected: Expected;
  /** Why it failed, a sentence; undefined = done. */
  readonly failure: string | undefined;
}

/** So many are kept. */
export const keptDecisions = 100;
