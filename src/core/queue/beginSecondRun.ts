import type { Clock, Log } from '../kernel/ports.ts';
import type { JobRecord } from '../store/jobStore.ts';
import type { ScheduleStore } from '../store/scheduleStore.ts';
import type { SecondRunStore } from '../store/secondRuns.ts';
import type { QueueScene } from './queueScene.ts';
import type { RunTimes } from './runTimes.ts';
import { chooseSecondRun, lateJobs } from './secondRun.ts';

export interface SecondRunPorts {
  readonly secondRuns: SecondRunStore;
  readonly store: Pick<ScheduleStore, 'models'>;
  readonly runTimes: Pick<RunTimes, 'usualMost'>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface BegunRun {
  /** On record, to be run now; undefined = no job is late, or there is no place for one. */
  readonly record: JobRecord | undefined;
  /** When the next may be late; ms since the epoch. */
  readonly nextAt: number | undefined;
  /** A late job may be sent elsewhere: who is there must be known. */
  readonly leavesMachine: boolean;
}

const againMs = 1_000;

/** One at a time: the next is decided with this one at work. Faults: 'io'. */
export async function beginSecondRun(
  { secondRuns, store, runTimes, clock, log }: SecondRunPorts,
  scene: QueueScene,
  workingSince: ReadonlyMap<string, number>,
  mostMicros: number,
): Promise<BegunRun> {
  const { late, nextAt } = lateJobs(scene, workingSince, (fingerprint, gpu) => runTimes.usualMost(fingerprint, gpu));
  if (late.length === 0) return { record: undefined, nextAt, leavesMachine: false };
  // A place may become free, and the later it is the more is worth it.
  const againAt = clock.now() + againMs;
  const rows = await secondRuns.candidates(late.map(({ id }) => id));
  const leavesMachine = !scene.policy.localOnly && rows.some(({ localOnly }) => !localOnly);
  const models = await store.models([...new Set(rows.map(({ fingerprint }) => fingerprint))]);
  for (const row of rows) {
    const job = late.find(({ id }) => id === row.id);
    if (job === undefined) continue;
    const chosen = chooseSecondRun(job, row, models.get(row.fingerprint) ?? [], mostMicros, scene);
    if (chosen === undefined) continue;
    const record = await secondRuns.begin(chosen, clock.now());
    if (record === undefined) continue;
    log.info(`${record.label}: ${chosen.why}`);
    return { record, nextAt, leavesMachine };
  }
  return {
    record: undefined,
    nextAt: rows.length === 0 ? nextAt : Math.min(nextAt ?? againAt, againAt),
    leavesMachine,
  };
}
