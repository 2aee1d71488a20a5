import { predict } from './measurements.ts';
import type { SpeedBook } from './measurements.ts';

export interface WaitingJob {
  readonly id: string;
  /** Greater goes first. */
  readonly priority: number;
  /** Among equals, smaller goes first. */
  readonly order: number;
  readonly fingerprint: string;
  readonly models: readonly string[];
  /** Workers that may not have it, each with the reason, a sentence: privacy, a missing node, an earlier failure there. */
  readonly excluded: ReadonlyMap<string, string>;
}

export interface Worker {
  readonly id: string;
  readonly label: string;
  /** Place of its tier in the user's order; equal within a tier. */
  readonly rank: number;
  /** As `gpuKey` gives it. */
  readonly gpu: string;
  /** Jobs that it can be given now; 0 while it boots. */
  readonly freeSlots: number;
  /** Until what it has is done, and until it has booted. */
  readonly secondsAhead: number;
  /** On the GPU now, as far as known. */
  readonly loadedModels: readonly string[];
  /** To load other models than those. */
  readonly loadSeconds: number;
  /** To send inputs and fetch the files. */
  readonly transferSeconds: number;
  readonly usdPerHourMicros: number;
  /** Micro-dollars of one job beside the time; serverless and API prices. */
  readonly microsPerJob: number;
  /** Why it takes nothing now, a sentence: switched off, unhealthy, its door is shut. */
  readonly closed: string | undefined;
  /** Gets a job only when no other worker could ever take it, however busy those are. */
  readonly lastResort: boolean;
}

export type Strategy = 'priority' | 'cheapest' | 'fastest' | 'balanced';

export interface DispatchPolicy {
  readonly strategy: Strategy;
  /** Of 'balanced': seconds that a saved dollar is worth. */
  readonly secondsPerUsd: number;
}

export interface DispatchScene {
  readonly jobs: readonly WaitingJob[];
  readonly workers: readonly Worker[];
  readonly book: SpeedBook;
  readonly policy: DispatchPolicy;
}

export interface Assignment {
  readonly jobId: string;
  readonly workerId: string;
  /** 'Why this backend?', a sentence. */
  readonly because: string;
  /** From now to the files. */
  readonly finishSeconds: number;
  readonly micros: number;
  readonly basis: 'measured' | 'scaled' | 'assumed';
  /** Every other worker, with what it would have been or why it could not. */
  readonly others: readonly Considered[];
}

export interface Considered {
  readonly workerId: string;
  /** Undefined when it could not have the job. */
  readonly finishSeconds: number | undefined;
  readonly micros: number | undefined;
  readonly why: string | undefined;
}

export interface Dispatch {
  readonly assignments: readonly Assignment[];
  /** Job id → the worker that it waits for, since it ends sooner there than on any that is free. */
  readonly held: ReadonlyMap<string, string>;
  /** Job id → why no worker can ever take it, as things stand. */
  readonly stranded: ReadonlyMap<string, readonly string[]>;
}

/** 'cheapest' waits at most so long for a dollar: a free GPU at home wins by far, yet nothing waits for ever. */
const cheapestSecondsPerUsd = 100_000;
/** Scores this close are decided by the user's order. */
const tieBand = 1.2;
const hoursPerSecond = 1 / 3_600;

/** A worker while jobs are being placed. */
interface Lane {
  readonly worker: Worker;
  free: number;
  ahead: number;
  loaded: readonly string[];
}

/** A job's numbers on each lane; equal for all jobs of one fingerprint. NaN = cannot. */
interface Profile {
  readonly models: readonly string[];
  readonly run: Float64Array;
  readonly micros: Float64Array;
}

/**
 * Late binding: places jobs in turn where they end first, busy and booting workers included, and hands out only those
 * whose place is free now. So a slow worker does not take the last job when a fast one ends it sooner, waiting included.
 * Pure.
 */
export function dispatch(scene: DispatchScene): Dispatch {
  const placing = new Placing(scene);
  const assignments: Assignment[] = [];
  const held = new Map<string, string>();
  const stranded = new Map<string, readonly string[]>();
  for (const job of inTurn(scene.jobs)) {
    if (!placing.hasFree) break;
    const lane = placing.choose(job);
    if (lane === undefined) {
      stranded.set(job.id, placing.refusals(job));
      continue;
    }
    if (lane.free > 0) assignments.push(placing.explain(job, lane));
    else held.set(job.id, lane.worker.id);
    placing.put(job, lane);
  }
  return { assignments, held, stranded };
}

/** Predicted seconds from now until each waiting job has ended, were nothing to change. Those without a place are absent. */
export function forecast(scene: DispatchScene): ReadonlyMap<string, number> {
  const placing = new Placing(scene);
  const finish = new Map<string, number>();
  for (const job of inTurn(scene.jobs)) {
    const lane = placing.choose(job);
    if (lane === undefined) continue;
    finish.set(job.id, placing.finishSeconds(job, lane));
    placing.put(job, lane);
  }
  return finish;
}

function inTurn(jobs: readonly WaitingJob[]): readonly WaitingJob[] {
  return [...jobs].sort((a, b) => b.priority - a.priority || a.order - b.order);
}

class Placing {
  readonly #scene: DispatchScene;
  readonly #lanes: readonly Lane[];
  readonly #profiles = new Map<string, Profile>();
  readonly #secondsPerUsd: number;
  #free: number;

  constructor(scene: DispatchScene) {
    this.#scene = scene;
    this.#lanes = scene.workers.map((worker) => ({
      worker,
      free: worker.closed === undefined ? worker.freeSlots : 0,
      ahead: worker.secondsAhead,
      loaded: worker.loadedModels,
    }));
    this.#free = this.#lanes.reduce((sum, lane) => sum + lane.free, 0);
    const { strategy, secondsPerUsd } = scene.policy;
    this.#secondsPerUsd = { priority: 0, fastest: 0, cheapest: cheapestSecondsPerUsd, balanced: secondsPerUsd }[
      strategy
    ];
  }

  get hasFree(): boolean {
    return this.#free > 0;
  }

  choose(job: WaitingJob): Lane | undefined {
    const profile = this.#profile(job);
    return this.#best(job, profile, false) ?? this.#best(job, profile, true);
  }

  finishSeconds(job: WaitingJob, lane: Lane): number {
    return this.#finish(this.#profile(job), this.#lanes.indexOf(lane));
  }

  put(job: WaitingJob, lane: Lane): void {
    const index = this.#lanes.indexOf(lane);
    const profile = this.#profile(job);
    // The GPU is free again before the files are fetched.
    lane.ahead = this.#finish(profile, index) - lane.worker.transferSeconds;
    lane.loaded = profile.models.length === 0 ? lane.loaded : profile.models;
    if (lane.free === 0) return;
    lane.free -= 1;
    this.#free -= 1;
  }

  refusals(job: WaitingJob): readonly string[] {
    return this.#lanes.flatMap(({ worker }) => {
      const why = refusal(job, worker);
      return why === undefined ? [] : [`${worker.label}: ${why}`];
    });
  }

  explain(job: WaitingJob, chosen: Lane): Assignment {
    const profile = this.#profile(job);
    const index = this.#lanes.indexOf(chosen);
    const finishSeconds = this.#finish(profile, index);
    const micros = Math.round(profile.micros[index] ?? 0);
    const others = this.#lanes.flatMap((lane, at): Considered[] => {
      if (lane === chosen) return [];
      const why = refusal(job, lane.worker);
      const workerId = lane.worker.id;
      if (why !== undefined) return [{ workerId, finishSeconds: undefined, micros: undefined, why }];
      const seconds = this.#finish(profile, at);
      return [{ workerId, finishSeconds: seconds, micros: Math.round(profile.micros[at] ?? 0), why: undefined }];
    });
    return {
      jobId: job.id,
      workerId: chosen.worker.id,
      because: this.#because(chosen, finishSeconds, others),
      finishSeconds,
      micros,
      basis: predict(this.#scene.book, job.fingerprint, chosen.worker.gpu).basis,
      others,
    };
  }

  #because(chosen: Lane, seconds: number, others: readonly Considered[]): string {
    const { label, lastResort, gpu } = chosen.worker;
    const able = others.filter((other) => other.finishSeconds !== undefined);
    const takes = `about ${durationText(seconds)} on ${label} (${gpu})`;
    if (able.length === 0) {
      return lastResort ? `${label} is the last resort: no other backend can run it` : `${takes}: no other can run it`;
    }
    const soonest = able.reduce((a, b) => ((b.finishSeconds ?? 0) < (a.finishSeconds ?? 0) ? b : a));
    const name = this.#scene.workers.find(({ id }) => id === soonest.workerId)?.label ?? soonest.workerId;
    const there = durationText(soonest.finishSeconds ?? 0);
    if ((soonest.finishSeconds ?? 0) >= seconds) return `${takes}: ends first there; next is ${name} with ${there}`;
    const { strategy } = this.#scene.policy;
    if (strategy === 'priority') return `${takes}: first in your order with a free place; ${name} would take ${there}`;
    if (strategy === 'fastest') return `${takes}: first in your order, and ${name} with ${there} is hardly sooner`;
    return `${takes}: the better balance of time and cost; ${name} would take ${there}`;
  }

  #best(job: WaitingJob, profile: Profile, lastResort: boolean): Lane | undefined {
    const byOrder = this.#scene.policy.strategy === 'priority';
    const scores = new Float64Array(this.#lanes.length);
    let best = Number.POSITIVE_INFINITY;
    // With 'priority', the first tier that has a free place; when none has, the first tier.
    let tier = Number.POSITIVE_INFINITY;
    let freeTier = Number.POSITIVE_INFINITY;
    for (const [index, lane] of this.#lanes.entries()) {
      const { worker } = lane;
      scores[index] = Number.NaN;
      if (worker.closed !== undefined || worker.lastResort !== lastResort || job.excluded.has(worker.id)) continue;
      const score = this.#finish(profile, index) + (this.#secondsPerUsd * (profile.micros[index] ?? 0)) / 1e6;
      scores[index] = score;
      best = Math.min(best, score);
      tier = Math.min(tier, worker.rank);
      if (lane.free > 0) freeTier = Math.min(freeTier, worker.rank);
    }
    const wantedTier = Number.isFinite(freeTier) ? freeTier : tier;
    const limit = byOrder ? Number.POSITIVE_INFINITY : best * tieBand;
    let chosen: Lane | undefined;
    let chosenScore = Number.POSITIVE_INFINITY;
    for (const [index, lane] of this.#lanes.entries()) {
      const score = scores[index] ?? Number.NaN;
      if (!(score <= limit) || (byOrder && lane.worker.rank !== wantedTier)) continue;
      const rank = chosen?.worker.rank ?? Number.POSITIVE_INFINITY;
      if (lane.worker.rank > rank || (lane.worker.rank === rank && score >= chosenScore)) continue;
      chosen = lane;
      chosenScore = score;
    }
    return chosen;
  }

  #finish(profile: Profile, index: number): number {
    const lane = this.#lanes[index];
    if (lane === undefined) return Number.NaN;
    const load = profile.models.every((model) => lane.loaded.includes(model)) ? 0 : lane.worker.loadSeconds;
    return lane.ahead + load + (profile.run[index] ?? Number.NaN) + lane.worker.transferSeconds;
  }

  #profile(job: WaitingJob): Profile {
    const { fingerprint, models } = job;
    const made = this.#profiles.get(fingerprint);
    if (made !== undefined) return made;
    const seconds = this.#lanes.map(({ worker }) => predict(this.#scene.book, fingerprint, worker.gpu).seconds);
    const micros = this.#lanes.map(
      ({ worker }, index) => (seconds[index] ?? 0) * worker.usdPerHourMicros * hoursPerSecond + worker.microsPerJob,
    );
    const profile = { models, run: Float64Array.from(seconds), micros: Float64Array.from(micros) };
    this.#profiles.set(fingerprint, profile);
    return profile;
  }
}

function refusal(job: WaitingJob, worker: Worker): string | undefined {
  return worker.closed ?? job.excluded.get(worker.id);
}

/** '42 s', '4 min', '2 h 5 min' */
export function durationText(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 119.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
