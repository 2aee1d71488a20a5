import type { Attempt } from '../backends/attempt.ts';
import type { AtWorkRow } from '../store/scheduleStore.ts';
import type { NewSecondRun } from '../store/secondRuns.ts';
import type { WaitingRow } from '../store/waitingRow.ts';
import { dispatch, durationText } from './dispatch.ts';
import { predict } from './measurements.ts';
import { choiceOf, gpuOf, workersOf } from './queueScene.ts';
import type { QueueScene } from './queueScene.ts';

/** A job that runs for longer than nine of ten of its kind do there. */
export interface LateJob {
  readonly id: string;
  readonly backend: string;
  readonly label: string;
  /** In its run so far. */
  readonly seconds: number;
  /** Of nine of ten. */
  readonly usualSeconds: number;
}

export interface LateJobs {
  readonly late: readonly LateJob[];
  /** When the next may be late; ms since the epoch. */
  readonly nextAt: number | undefined;
}

/** What differs by less is the same, as between two backends. */
const lateFactor = 1.2;

/**
 * Pure. The jobs that are late now, each the one that its backend works on, since `workingSince`. `usualMost` of a workflow on a GPU, in seconds:
 * what nine of ten runs stayed under; undefined = too few were measured, and nothing can be called late.
 */
export function lateJobs(
  scene: QueueScene,
  workingSince: ReadonlyMap<string, number>,
  usualMost: (fingerprint: string, gpu: string) => number | undefined,
): LateJobs {
  const late: LateJob[] = [];
  let nextAt: number | undefined;
  for (const status of scene.statuses) {
    const { backend } = status;
    // A service's own queue does not tell since when a job is at work.
    if (backend.billing === 'job') continue;
    const job = atWorkOn(status, scene.atWork);
    const usualSeconds = job === undefined ? undefined : usualMost(job.fingerprint, gpuOf(status));
    if (job === undefined || usualSeconds === undefined) continue;
    const since = workingSince.get(job.id) ?? scene.nowMs;
    const dueAt = Math.round(since + usualSeconds * lateFactor * 1_000);
    if (dueAt > scene.nowMs) nextAt = Math.min(nextAt ?? Infinity, dueAt);
    else {
      const seconds = (scene.nowMs - since) / 1_000;
      late.push({ id: job.id, backend: backend.id, label: backend.label, seconds, usualSeconds });
    }
  }
  return { late, nextAt };
}

/**
 * Pure. Since when each backend works on the job that it works on, as far as was seen: a job's time behind another one is
 * not its own. `before` is the last answer.
 */
export function workingSince(
  scene: Pick<QueueScene, 'statuses' | 'atWork' | 'nowMs'>,
  before: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const first = scene.statuses.flatMap((status) => atWorkOn(status, scene.atWork) ?? []);
  return new Map(first.map(({ id }) => [id, before.get(id) ?? scene.nowMs]));
}

/** The job that has been there for longest. */
function atWorkOn({ backend }: QueueScene['statuses'][number], atWork: readonly AtWorkRow[]): AtWorkRow | undefined {
  const jobs = atWork.filter((one) => one.backend === backend.id || one.backend === backend.alias?.());
  return jobs.reduce<AtWorkRow | undefined>(
    (first, job) => (first && first.givenAt <= job.givenAt ? first : job),
    undefined,
  );
}

/**
 * Pure. Where a late job gets its second run: on a backend that works, has nothing to do, may have the job, and asks no
 * more for it than `mostMicros`. No pod is started for it, and a service that bills each job is not asked: such a job could
 * not always be stopped before it is paid for. Undefined = nowhere.
 */
export function chooseSecondRun(
  late: LateJob,
  row: WaitingRow,
  models: readonly string[],
  mostMicros: number,
  scene: QueueScene,
): NewSecondRun | undefined {
  const workers = workersOf(scene);
  const isIdle = (id: string): boolean => {
    const status = scene.statuses.find(({ backend }) => backend.id === id);
    return status !== undefined && status.backend.billing !== 'job' && atWorkOn(status, scene.atWork) === undefined;
  };
  // A pod's price that is not known yet is no price of 0.
  const isPriced = (id: string, usdPerHourMicros: number): boolean =>
    usdPerHourMicros > 0 || scene.statuses.some(({ backend }) => backend.id === id && backend.billing === 'free');
  const hasFailed = (id: string): boolean => row.excluded.some(({ backend }) => backend === id);
  const idle = workers.open.filter(({ id, freeSlots, gpu, usdPerHourMicros, microsPerJob }) => {
    const seconds = predict(scene.book, row.fingerprint, gpu).seconds;
    const micros = (seconds * usdPerHourMicros) / 3_600 + microsPerJob;
    if (id === late.backend || freeSlots === 0 || micros > mostMicros) return false;
    return isIdle(id) && !hasFailed(id) && isPriced(id, usdPerHourMicros);
  });
  const choice = choiceOf(row, models, { open: idle, reserve: [], out: new Map() }, scene);
  if (choice.among !== 'open') return undefined;
  const { book, policy } = scene;
  const [place] = dispatch({ jobs: [choice.job], workers: idle, book, policy }).assignments;
  // Not worth it where it takes longer than the late run has taken by now.
  if (place === undefined || place.finishSeconds >= late.seconds) return undefined;
  const label = idle.find(({ id }) => id === place.workerId)?.label ?? place.workerId;
  const [soFar, usual] = [late.seconds, late.usualSeconds].map(durationText);
  const why = `A second run on ${label}: after ${soFar} on ${late.label} there is no result yet, and nine of ten took ${usual} at most`;
  const lateTry: Attempt = {
    ...{ backend: late.backend, label: late.label, outcome: 'failed', faultKind: 'timeout' },
    why: `no result after ${soFar}, where nine of ten take ${usual} at most: a second run was begun on ${label}`,
    ms: Math.round(late.seconds * 1_000),
  };
  return { jobId: row.id, backend: place.workerId, why, lateTry };
}
