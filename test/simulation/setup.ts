import type { FleetPolicy } from '../../src/core/fleet/fleetScene.ts';
import type { FleetEvent } from '../../src/core/fleet/reconciler.ts';
import type { DispatchPolicy } from '../../src/core/queue/dispatch.ts';
import type { MeasuredRun } from '../../src/core/queue/measurements.ts';
import type { Offer, Weather } from './market.ts';
import type { Arrival } from './traces.ts';

/** A GPU at home, always there and free. */
export interface HomeGpu {
  readonly gpu: string;
  readonly speed: number;
}

export interface Setup {
  readonly seed: number;
  readonly arrivals: readonly Arrival[];
  readonly offers: readonly Offer[];
  readonly policy: FleetPolicy;
  readonly weather: Weather;
  readonly dispatchPolicy?: DispatchPolicy;
  readonly home?: readonly HomeGpu[];
  /** Pods of someone else in the same account: idle and dear, a temptation. */
  readonly foreignPods?: number;
  readonly budgetMicros?: number;
  /** Ours at the start, ready. */
  readonly podsAtStart?: readonly Offer[];
  /** What was measured before. */
  readonly knownRuns?: readonly MeasuredRun[];
  /** Share by which a run may differ from its nominal time. */
  readonly noise?: number;
}

export interface Outcome {
  readonly jobs: number;
  readonly ended: number;
  /** From arrival to the start of the run, seconds, in the order of arrival. */
  readonly waits: readonly number[];
  readonly makespanSeconds: number;
  readonly gpuMicros: number;
  readonly diskMicros: number;
  readonly launches: number;
  readonly stops: number;
  readonly mostPods: number;
  readonly boots: readonly number[];
  readonly events: readonly FleetEvent[];
  /** Broken promises; a sentence each. */
  readonly violations: readonly string[];
  readonly looks: number;
}
