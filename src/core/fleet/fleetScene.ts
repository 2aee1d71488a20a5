import type { Observed } from '../kernel/observed.ts';
import type { Strategy } from '../queue/dispatch.ts';
import type { Cloud, Stock } from '../runpod/gpuType.ts';

/** Everything that the autoscaler's decision stands on. Times are ms since the epoch, money micro-dollars. */
export interface Scene {
  readonly nowMs: number;
  /** Unknown = RunPod cannot be asked: nothing is started or stopped then. */
  readonly pods: Observed<readonly FleetPod[]>;
  /** Queued and not given to any worker yet, in the order of the queue. */
  readonly waiting: readonly QueuedWork[];
  /** GPUs that are not pods of ours: the local one, a person's own pod, a serverless worker. */
  readonly elsewhere: readonly OtherCapacity[];
  /** Unknown = the catalogue could not be read: only stopped pods can be started then. */
  readonly candidates: Observed<readonly LaunchCandidate[]>;
  readonly policy: FleetPolicy;
  readonly budget: FleetBudget;
  /** How long the queue stood empty before each of the last jobs that ended an idle time, in seconds, newest last. */
  readonly gapsSeconds: readonly number[];
  /** Pod id, GPU id or candidate key → not before. {@link allLaunches} stands for every launch. */
  readonly coolingUntilMs: ReadonlyMap<string, number>;
  /** When the autoscaler stopped a pod last because it was idle. */
  readonly lastIdleStopMs: number | undefined;
}

export const allLaunches = '*';

/** Names a pod's stop in cool-downs, as its id names its start. */
export function stopKey(podId: string): string {
  return `stop ${podId}`;
}

export interface QueuedWork {
  readonly id: string;
  readonly sinceMs: number;
  /** GPU → predicted seconds. */
  readonly seconds: Readonly<Record<string, number>>;
  /** On a GPU that is not in `seconds`. */
  readonly otherSeconds: number;
  /** Has never run anywhere: the seconds are a usual image's. */
  readonly unmeasured?: boolean;
  /** False: it may not leave this machine, or no pod can run it. */
  readonly onPods: boolean;
  /** False: nothing of `elsewhere` can run it. */
  readonly onElsewhere: boolean;
  /** Stands for so many alike, from the further end of a long queue; absent = one job. */
  readonly count?: number;
  /** Ids of pods that have refused it. */
  readonly notOn?: readonly string[];
}

export function countOf(works: readonly QueuedWork[]): number {
  return works.reduce((sum, { count = 1 }) => sum + count, 0);
}

export type PodPhase =
  /** Billed and not answering yet. */
  | 'booting'
  | 'ready'
  /** Can be started again. */
  | 'stopped'
  /** It came back from a stop without a GPU. */
  | 'zeroGpu'
  /** Its container has failed; RunPod can only terminate it, which automation never does. */
  | 'failed';

export interface FleetPod {
  readonly id: string;
  readonly name: string;
  /** Deployed by PodRelay on this computer: no other pod is ever touched. */
  readonly ours: boolean;
  /** A person wants it to stay up, or it is locked: never stopped. */
  readonly keep: boolean;
  /** Once stopped, automation may start it for jobs: it has a ComfyUI and can be stopped again. */
  readonly mayStart: boolean;
  readonly phase: PodPhase;
  readonly gpu: string;
  /** While it runs; of a stopped pod, what it cost when it ran. */
  readonly usdPerHourMicros: number;
  /** Start of the phase. */
  readonly sinceMs: number;
  /** Measured on this pod or its like, from the start to the first answer; the 75th percentile. */
  readonly bootSeconds: number;
  /** Undefined while it has work. */
  readonly idleSinceMs: number | undefined;
  /** Jobs given to it and not ended. */
  readonly inFlight: number;
  /** Predicted time to end them. */
  readonly busySeconds: number;
  /** Of a usual job there: with the price, what decides which pod goes first. */
  readonly jobSeconds: number;
}

export interface OtherCapacity {
  readonly gpu: string;
  readonly busySeconds: number;
}

/** A pod that could be created. */
export interface LaunchCandidate {
  /** Names it in cool-downs: GPU, cloud and data centre. */
  readonly key: string;
  readonly gpu: string;
  readonly cloud: Cloud;
  readonly usdPerHourMicros: number;
  readonly stock: Stock | undefined;
  readonly bootSeconds: number;
  /** Of the disk that it leaves behind once it is stopped, for as long as is reckoned to it; absent = nothing. */
  readonly diskMicros?: number;
}

export type ScaleRule =
  /** By the time that the queue takes to drain, against the time that a pod takes to boot. */
  | { readonly by: 'drain'; readonly targetWaitSeconds: number }
  /** One more while a job has waited longer than this; RunPod Serverless calls it QUEUE_DELAY, with 4 s. */
  | { readonly by: 'queueDelay'; readonly delaySeconds: number }
  /** One pod for so many jobs that wait or run; RunPod Serverless calls it REQUEST_COUNT. */
  | { readonly by: 'queueLength'; readonly jobsPerPod: number }
  /** Always so many. */
  | { readonly by: 'fixed'; readonly pods: number };

export interface FleetPolicy {
  readonly rule: ScaleRule;
  readonly strategy: Strategy;
  /** Of 'balanced': seconds that a saved dollar is worth. */
  readonly secondsPerUsd: number;
  /** Of ours that are billed at one time. */
  readonly maxPods: number;
  /** Of ours together. */
  readonly maxUsdPerHourMicros: number;
  /** So many are kept ready, work or no work. */
  readonly warmPods: number;
  /** Bounds of the time that an idle pod is kept; break-even decides between them. */
  readonly idleSeconds: { readonly least: number; readonly most: number };
  /** After so long without an answer a booting pod is given up. */
  readonly stuckSeconds: number;
  /** After an idle stop nothing is launched for so long, unless new work has come. */
  readonly restSeconds: number;
}

export interface FleetBudget {
  /** What may still be spent, reservations deducted; undefined = no budget is set. */
  readonly remainingMicros: number | undefined;
  /** Of the tightest budget, 0 to 1. */
  readonly usedShare: number;
  /** A launch reserves so much time of its GPU; absent = nothing is reserved. */
  readonly holdSeconds?: number;
}

/** What an action is expected to bring and to cost. Undefined = cannot be told, or nothing to compare with. */
export interface Expected {
  /** The queue is drained so much sooner. */
  readonly savedSeconds: number | undefined;
  /** Spent by a launch, its work and idle time included; of a stop, what an hour more would cost, negative. */
  readonly micros: number | undefined;
}

interface Reasoned {
  /** A sentence, shown in the tree and the log. */
  readonly because: string;
  readonly expected: Expected;
}

export type StopCause = 'idle' | 'limit' | 'budget' | 'stuck' | 'zeroGpu';

export type FleetChange =
  | (Reasoned & { readonly do: 'start'; readonly podId: string })
  /** The candidates in the order to try them: RunPod creates one exact type and refuses when it has none. */
  | (Reasoned & { readonly do: 'create'; readonly candidates: readonly LaunchCandidate[] })
  | (Reasoned & { readonly do: 'stop'; readonly podId: string; readonly cause: StopCause })
  /** Stop a pod that lost its GPU, and create its successor elsewhere. */
  | (Reasoned & { readonly do: 'move'; readonly podId: string; readonly candidates: readonly LaunchCandidate[] });

export type PlannedAction =
  | FleetChange
  /** `untilMs` = when another look is due at the latest though nothing changes; undefined = nothing is under way. */
  | { readonly do: 'wait'; readonly untilMs: number | undefined; readonly because: string };

/** Costs GPU time, or is about to. */
export function isBilled(pod: FleetPod): boolean {
  return pod.phase === 'booting' || pod.phase === 'ready' || pod.phase === 'zeroGpu';
}
