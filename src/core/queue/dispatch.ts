import { secondsPerUsdOf } from '../routing/strategy.ts';
import type { Strategy } from '../routing/strategy.ts';
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
  /** Where it works on several jobs at once: the same of each further one, least first. Absent = on one job at a time. */
  readonly otherSecondsAhead?: readonly number[];
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

export type { Strategy };

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

/** Scores this close are decided by the user's order. */
const tieBand = 1.2;
const hoursPerSecond = 1 / 3_600;
/** No lane. */
const none = -1;

/** A worker while jobs are being placed. */
interface Lane {
  readonly worker: Worker;
  free: number;
  ahead: number;
  /** Of its other workers, least first. */
  others: readonly number[];
  loaded: readonly string[];
}

/** A job's numbers on each lane; equal for all jobs of one fingerprint. */
interface Profile {
  readonly models: readonly string[];
  /** Seconds of run and transfer. */
  readonly run: Float64Array;
  /** Seconds to load the models; 0 where they are. */
  readonly load: Float64Array;
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
    const index = placing.choose(job);
    if (index === none) {
      stranded.set(job.id, placing.refusals(job));
      continue;
    }
    if (placing.isFree(index)) assignments.push(placing.explain(job, index));
    else held.set(job.id, placing.workerId(index));
    placing.put(job, index);
  }
  return { assignments, held, stranded };
}

/** Predicted seconds from now until each waiting job has ended, were nothing to change. Those without a place are absent. */
export function forecast(scene: DispatchScene): ReadonlyMap<string, number> {
  const placing = new Placing(scene);
  const finish = new Map<string, number>();
  for (const job of inTurn(scene.jobs)) {
    const index = placing.choose(job);
    if (index === none) continue;
    finish.set(job.id, placing.finishSeconds(job, index));
    placing.put(job, index);
  }
  return finish;
}

function inTurn(jobs: readonly WaitingJob[]): readonly WaitingJob[] {
  return [...jobs].sort((a, b) => b.priority - a.priority || a.order - b.order);
}

/** Every choice looks at every worker, for each of perhaps thousands of jobs: plain loops over numbers. */
class Placing {
  readonly #scene: DispatchScene;
  readonly #lanes: readonly Lane[];
  readonly #profiles = new Map<string, Profile>();
  readonly #secondsPerUsd: number;
  readonly #scores: Float64Array;
  #free: number;

  constructor(scene: DispatchScene) {
    this.#scene = scene;
    this.#lanes = scene.workers.map((worker) => ({
      worker,
      free: worker.closed === undefined ? worker.freeSlots : 0,
      ahead: worker.secondsAhead,
      others: worker.otherSecondsAhead ?? [],
      loaded: worker.loadedModels,
    }));
    this.#scores = new Float64Array(this.#lanes.length);
    this.#free = this.#lanes.reduce((sum, lane) => sum + lane.free, 0);
    const { strategy, secondsPerUsd } = scene.policy;
    this.#secondsPerUsd = secondsPerUsdOf(strategy, secondsPerUsd) ?? 0;
  }

  get hasFree(): boolean {
    return this.#free > 0;
  }

  isFree(index: number): boolean {
    return this.#lane(index).free > 0;
  }

  workerId(index: number): string {
    return this.#lane(index).worker.id;
  }

  /** The lane where the job is best placed; {@link none} when it has none. */
  choose(job: WaitingJob): number {
    const profile = this.#profile(job);
    const index = this.#best(job, profile, false);
    return index === none ? this.#best(job, profile, true) : index;
  }

  finishSeconds(job: WaitingJob, index: number): number {
    return this.#finish(this.#profile(job), index);
  }

  put(job: WaitingJob, index: number): void {
    const lane = this.#lane(index);
    const profile = this.#profile(job);
    // The GPU is free again before the files are fetched.
    const ends = this.#finish(profile, index) - lane.worker.transferSeconds;
    if (lane.others.length === 0) lane.ahead = ends;
    else [lane.ahead = ends, ...lane.others] = [...lane.others, ends].sort((a, b) => a - b);
    if (profile.models.length > 0 && lane.loaded !== profile.models) {
      lane.loaded = profile.models;
      for (const one of this.#profiles.values()) one.load[index] = loadSeconds(one.models, lane);
    }
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

  explain(job: WaitingJob, index: number): Assignment {
    const profile = this.#profile(job);
    const { worker } = this.#lane(index);
    const finishSeconds = this.#finish(profile, index);
    const micros = Math.round(profile.micros[index] ?? 0);
    const others = this.#lanes.flatMap((lane, at): Considered[] => {
      if (at === index) return [];
      const why = refusal(job, lane.worker);
      const workerId = lane.worker.id;
      if (why !== undefined) return [{ workerId, finishSeconds: undefined, micros: undefined, why }];
      const seconds = this.#finish(profile, at);
      return [{ workerId, finishSeconds: seconds, micros: Math.round(profile.micros[at] ?? 0), why: undefined }];
    });
    return {
      jobId: job.id,
      workerId: worker.id,
      because: this.#because(worker, finishSeconds, others),
      finishSeconds,
      micros,
      basis: predict(this.#scene.book, job.fingerprint, worker.gpu).basis,
      others,
    };
  }

  #because({ id, label, lastResort, gpu }: Worker, seconds: number, others: readonly Considered[]): string {
    const able = others.filter((other) => other.finishSeconds !== undefined);
    const takes = `about ${durationText(seconds)} on ${label}${gpu === id ? '' : ` (${gpu})`}`;
    if (lastResort) return `${label} is the last resort: no other backend can run it`;
    if (able.length === 0) return `${takes}: no other can run it`;
    const soonest = able.reduce((a, b) => ((b.finishSeconds ?? 0) < (a.finishSeconds ?? 0) ? b : a));
    const name = this.#scene.workers.find(({ id }) => id === soonest.workerId)?.label ?? soonest.workerId;
    const there = durationText(soonest.finishSeconds ?? 0);
    if ((soonest.finishSeconds ?? 0) >= seconds) return `${takes}: ends first there; next is ${name} with ${there}`;
    const { strategy } = this.#scene.policy;
    if (strategy === 'priority') return `${takes}: first in your order with a free place; ${name} would take ${there}`;
    if (strategy === 'fastest') return `${takes}: first in your order, and ${name} with ${there} is hardly sooner`;
    return `${takes}: the better balance of time and cost; ${name} would take ${there}`;
  }

  #best(job: WaitingJob, profile: Profile, lastResort: boolean): number {
    const lanes = this.#lanes;
    const scores = this.#scores;
    const byOrder = this.#scene.policy.strategy === 'priority';
    const perMicro = this.#secondsPerUsd / 1e6;
    const mayAll = job.excluded.size === 0;
    let best = Number.POSITIVE_INFINITY;
    // With 'priority', the first tier that has a free place; when none has, the first tier.
    let tier = Number.POSITIVE_INFINITY;
    let freeTier = Number.POSITIVE_INFINITY;
    for (let index = 0; index < lanes.length; index++) {
      const lane = this.#lane(index);
      const { worker } = lane;
      scores[index] = Number.NaN;
      if (worker.closed !== undefined || worker.lastResort !== lastResort) continue;
      if (!mayAll && job.excluded.has(worker.id)) continue;
      const score = this.#finish(profile, index) + perMicro * (profile.micros[index] ?? 0);
      scores[index] = score;
      if (score < best) best = score;
      if (worker.rank < tier) tier = worker.rank;
      if (lane.free > 0 && worker.rank < freeTier) freeTier = worker.rank;
    }
    const onlyTier = Number.isFinite(freeTier) ? freeTier : tier;
    const limit = byOrder ? Number.POSITIVE_INFINITY : best * tieBand;
    let chosen = none;
    let chosenScore = Number.POSITIVE_INFINITY;
    let chosenRank = Number.POSITIVE_INFINITY;
    for (let index = 0; index < lanes.length; index++) {
      const score = scores[index] ?? Number.NaN;
      if (!(score <= limit)) continue;
      const { rank } = this.#lane(index).worker;
      if (byOrder && rank !== onlyTier) continue;
      if (rank > chosenRank || (rank === chosenRank && score >= chosenScore)) continue;
      chosen = index;
      chosenScore = score;
      chosenRank = rank;
    }
    return chosen;
  }

  #finish({ run, load }: Profile, index: number): number {
    return this.#lane(index).ahead + (load[index] ?? 0) + (run[index] ?? Number.NaN);
  }

  #lane(index: number): Lane {
    const lane = this.#lanes[index];
    if (lane === undefined) throw new Error(`There is no worker ${index}`);
    return lane;
  }

  #profile(job: WaitingJob): Profile {
    const { fingerprint, models } = job;
    const made = this.#profiles.get(fingerprint);
    if (made !== undefined) return made;
    const { book } = this.#scene;
    const seconds = Float64Array.from(this.#lanes, ({ worker }) => predict(book, fingerprint, worker.gpu).seconds);
    const cost = ({ worker }: Lane, index: number): number =>
      (seconds[index] ?? 0) * worker.usdPerHourMicros * hoursPerSecond + worker.microsPerJob;
    const profile = {
      models,
      micros: Float64Array.from(this.#lanes, cost),
      load: Float64Array.from(this.#lanes, (lane) => loadSeconds(models, lane)),
      run: seconds.map((value, index) => value + this.#lane(index).worker.transferSeconds),
    };
    this.#profiles.set(fingerprint, profile);
    return profile;
  }
}

function loadSeconds(models: readonly string[], { loaded, worker }: Lane): number {
  return models.every((model) => loaded.includes(model)) ? 0 : worker.loadSeconds;
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
