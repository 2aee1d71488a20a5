import type { Backend } from '../backends/backend.ts';
import type { BackendStatus } from '../backends/backendManager.ts';
import { lookAt } from '../routing/breaker.ts';
import { isNamed } from '../routing/route.ts';
import type { RoutePolicy } from '../routing/route.ts';
import type { AtWorkRow, WaitingRow } from '../store/scheduleStore.ts';
import type { DispatchPolicy, WaitingJob, Worker } from './dispatch.ts';
import { gpuKey } from './gpuSpeed.ts';
import { predict, remainingSeconds } from './measurements.ts';
import type { SpeedBook } from './measurements.ts';

/** What the scheduler knows at one moment. Times are ms since the epoch. */
export interface QueueScene {
  readonly nowMs: number;
  readonly statuses: readonly BackendStatus[];
  readonly policy: QueuePolicy;
  readonly atWork: readonly AtWorkRow[];
  readonly book: SpeedBook;
  readonly loadedOn: (backend: string) => readonly string[];
  readonly loadSeconds: (gpu: string) => number;
  readonly priceOf: (backend: string) => { readonly usdPerHourMicros: number; readonly microsPerJob: number };
  /** Backends that take nothing for a while, by id, each with the reason. */
  readonly resting: ReadonlyMap<string, string>;
  /** Since then the backend has had nothing of what is at work now before it. */
  readonly freeSince: ReadonlyMap<string, number>;
}

export interface QueuePolicy extends Omit<RoutePolicy, 'localOnly'>, DispatchPolicy {
  /** Nothing leaves this machine. */
  readonly localOnly: boolean;
  /** Gemini may be paid without a question: queued jobs ask none. */
  readonly mayPayGemini: boolean;
  /** A stopped pod may be started for a job. */
  readonly mayStart: boolean;
  /** Micro-dollars that a second run of a late job may cost; undefined = none is begun. */
  readonly secondRunMostMicros: number | undefined;
}

/** The backends by what they are to the queue. */
export interface QueueWorkers {
  /** They work now, or may: the queue chooses among them. */
  readonly open: readonly Worker[];
  /** Only for jobs that none of the open ones may have: stopped pods, then Gemini. */
  readonly reserve: readonly Worker[];
  /** Not for the queue, each with the reason as a sentence. */
  readonly out: ReadonlyMap<string, string>;
}

/** An older bad observation decides nothing. */
const healthFreshMs = 30_000;
/** From the start to the first answer, while nothing is measured. */
const bootSeconds = 240;
/** To send the inputs and fetch the files. */
export const transferSeconds = { local: 0.1, cloud: 1, gemini: 1 } as const;

/** Pure. */
export function workersOf(scene: QueueScene): QueueWorkers {
  const open: Worker[] = [];
  const reserve: Worker[] = [];
  const out = new Map<string, string>();
  for (const status of scene.statuses) {
    const why = exclusionOf(status, scene);
    if (why !== undefined) out.set(status.backend.id, why);
    else if (status.backend.tier === 'gemini' || isStopped(status)) reserve.push(workerOf(status, scene));
    else open.push(workerOf(status, scene));
  }
  return { open, reserve, out };
}

function exclusionOf({ backend, ready }: BackendStatus, { policy }: QueueScene): string | undefined {
  if (!ready.ok) return ready.why;
  const named = { id: backend.id, tier: backend.tier, alias: backend.alias?.() };
  if (policy.forced !== undefined && !isNamed(named, policy.forced))
    return 'Another backend is the only one to be used';
  if (!policy.priority.includes(backend.tier)) return 'It is not in the order of priority';
  if (backend.tier === 'gemini' && !policy.mayPayGemini) {
    return "Gemini asks before each job, and queued jobs ask nothing: set its fallback to 'always' to let it run them";
  }
  return undefined;
}

function isStopped({ backend, health }: BackendStatus): boolean {
  // It starts by itself, and costs nothing until then.
  if (backend.workers !== undefined) return false;
  const standing = backend.standing?.();
  if (standing !== undefined && standing !== 'unknown') return standing === 'stopped';
  return health.known && health.value.state === 'stopped';
}

function workerOf(status: BackendStatus, scene: QueueScene): Worker {
  const { backend, health } = status;
  const { policy, atWork, nowMs, book } = scene;
  const own = atWork.filter((job) => job.backend === backend.id || job.backend === backend.alias?.());
  const gpu = gpuOf(status);
  const named = { id: backend.id, tier: backend.tier, alias: backend.alias?.() };
  const isPreferred = policy.preferred !== undefined && isNamed(named, policy.preferred);
  const { workers } = backend;
  const isStarting = (health.known && health.value.state === 'starting') || backend.standing?.() === 'starting';
  const isBooting = isStarting && workers === undefined;
  const places = isBooting ? 0 : placesOf(status, own.length > 0, nowMs);
  const isStill = isStopped(status);
  // Google's queue: what it has does not wait for itself.
  const isLine = backend.billing !== 'job';
  const [first = 0, ...others] = workers === undefined ? [] : workersAhead(workers);
  return {
    id: backend.id,
    label: backend.label,
    rank: isPreferred ? -1 : policy.priority.indexOf(backend.tier),
    gpu,
    freeSlots: Math.max(0, places - own.length),
    secondsAhead:
      first + (isBooting || isStill ? bootSeconds : 0) + (isLine ? secondsAhead(own, backend.id, gpu, scene) : 0),
    ...(others.length === 0 ? {} : { otherSecondsAhead: others }),
    loadedModels: scene.loadedOn(backend.id),
    loadSeconds: backend.tier === 'gemini' ? 0 : scene.loadSeconds(gpu),
    transferSeconds: transferSeconds[backend.tier],
    ...scene.priceOf(backend.id),
    closed: closedBy(status, scene, isStill),
    lastResort: backend.tier === 'gemini',
  };

  /** Of each worker of an endpoint, least first. Each takes the next job as it is free. */
  function workersAhead({ most, startSeconds }: NonNullable<Backend['workers']>): readonly number[] {
    const isCold = health.known && (health.value.state === 'stopped' || health.value.state === 'starting');
    const ahead = Array.from({ length: Math.max(1, most) }, () => (isCold ? startSeconds : 0));
    for (const [place, { fingerprint, givenAt }] of [...own].sort((a, b) => a.givenAt - b.givenAt).entries()) {
      const { seconds } = predict(book, fingerprint, gpu);
      const [free = 0, ...rest] = ahead;
      const isAtWork = !isCold && place < most;
      const left = isAtWork ? remainingSeconds(seconds, (nowMs - givenAt) / 1_000) : seconds;
      ahead.splice(0, ahead.length, ...[free + left, ...rest].sort((a, b) => a - b));
    }
    return ahead;
  }

  function secondsAhead(jobs: readonly AtWorkRow[], id: string, key: string, { freeSince }: QueueScene): number {
    const inLine = [...jobs].sort((a, b) => a.givenAt - b.givenAt);
    return inLine.reduce((sum, { fingerprint, givenAt }, place) => {
      const { seconds } = predict(book, fingerprint, key);
      const since = Math.max(givenAt, freeSince.get(id) ?? 0);
      return sum + (place === 0 ? remainingSeconds(seconds, (nowMs - since) / 1_000) : seconds);
    }, 0);
  }
}

/**
 * Who has not been seen is looked at first. That goes for a pod that was seen long ago, too: it may have been stopped since,
 * and a job would start it.
 */
function placesOf({ backend, health }: BackendStatus, isAtWork: boolean, nowMs: number): number {
  if (backend.tier === 'gemini') return backend.depth;
  if (!health.known) return 0;
  if (isStale({ backend, health }, nowMs) && !isAtWork) return 0;
  const { state } = health.value;
  if (backend.workers !== undefined && (state === 'starting' || state === 'stopped')) return backend.depth;
  return state === 'healthy' || state === 'degraded' ? backend.depth : 1;
}

/** Nothing that is known of it decides any more. */
export function isStale({ backend, health }: Pick<BackendStatus, 'backend' | 'health'>, nowMs: number): boolean {
  return backend.tier === 'cloud' && health.known && Math.abs(nowMs - health.at) > healthFreshMs;
}

/** As run times are kept: the card, or the backend itself while that is not known and where each worker may have another. */
export function gpuOf({ backend, health }: Pick<BackendStatus, 'backend' | 'health'>): string {
  const gpu = backend.workers !== undefined ? undefined : health.known ? health.value.gpu : undefined;
  return gpu === undefined ? backend.id : gpuKey(gpu);
}

function closedBy(
  { backend, health, breaker }: BackendStatus,
  { nowMs, resting, policy }: QueueScene,
  isStill: boolean,
): string | undefined {
  const rests = resting.get(backend.id) ?? resting.get('*');
  if (rests !== undefined) return rests;
  if (isStill && !policy.mayStart) return 'Stopped; automatic start is off';
  const door = lookAt(breaker, nowMs);
  if (door.is === 'open') return door.why;
  if (!health.known || nowMs - health.at > healthFreshMs) return undefined;
  return health.value.state === 'unhealthy' || health.value.state === 'off' ? health.value.why : undefined;
}

/** Where a job may go, as it stands now. */
export type Choice =
  | { readonly among: 'open' | 'reserve'; readonly job: WaitingJob }
  /** It waits: for somebody who may have it and is closed. Sentences, none when nothing is configured at all. */
  | { readonly among: 'none'; readonly why: readonly string[] }
  /** Everybody who may have it has refused it for good. Sentences. */
  | { readonly among: 'never'; readonly why: readonly string[] };

/** Pure. `models` of the job's fingerprint. */
export function choiceOf(row: WaitingRow, models: readonly string[], workers: QueueWorkers, scene: QueueScene): Choice {
  const localOnly = row.localOnly || scene.policy.localOnly;
  const tierOf = new Map(scene.statuses.map(({ backend }) => [backend.id, backend.tier]));
  const all = [...workers.open, ...workers.reserve];
  const isPrivate = ({ id }: Worker): boolean => localOnly && tierOf.get(id) !== 'local';
  const allowed = all.filter((worker) => !isPrivate(worker));
  const refusal = ({ id }: Worker, how: 'ever' | 'now'): string | undefined =>
    row.excluded.find((one) => one.backend === id && (one.for === 'ever' || how === 'now'))?.why;
  const told = (worker: Worker): string => `${worker.label}: ${refusal(worker, 'now') ?? worker.closed ?? 'busy'}`;
  if (allowed.length > 0 && allowed.every((worker) => refusal(worker, 'ever') !== undefined)) {
    return { among: 'never', why: allowed.map(told) };
  }
  // Who has failed with it is asked again only when nobody else can.
  for (const how of ['now', 'ever'] as const) {
    for (const among of ['open', 'reserve'] as const) {
      const could = workers[among].filter(
        (worker) => !isPrivate(worker) && worker.closed === undefined && refusal(worker, how) === undefined,
      );
      if (could.length === 0) continue;
      const excluded = new Map(
        workers[among].flatMap((worker): [string, string][] => {
          if (isPrivate(worker)) return [[worker.id, "marked 'local only': it never leaves this machine"]];
          const why = refusal(worker, how);
          return why === undefined ? [] : [[worker.id, why]];
        }),
      );
      const { id, priority, place, fingerprint } = row;
      return { among, job: { id, priority, order: place, fingerprint, models, excluded } };
    }
  }
  const outside = [...workers.out].map(([id, why]) => {
    const label = scene.statuses.find(({ backend }) => backend.id === id)?.backend.label ?? id;
    return `${label}: ${why}`;
  });
  const local = localOnly ? ["It is marked 'local only'"] : [];
  return {
    among: 'none',
    why: [...local, ...allowed.map(told), ...(localOnly ? [] : outside)],
  };
}
