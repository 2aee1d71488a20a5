import type { BackendManager } from '../backends/backendManager.ts';
import type { Workflow } from '../comfy/workflow.ts';
import type { JobRunner } from '../jobs/jobRunner.ts';
import type { JobRecovery } from '../jobs/recoverJobs.ts';
import type { Disposable } from '../kernel/event.ts';
import type { Lifetime } from '../kernel/lifetime.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { Database } from '../store/database.ts';
import { watchDatabase } from '../store/databaseWatch.ts';
import { createQueueStore } from '../store/queueStore.ts';
import { createRunTimeStore } from '../store/runTimeStore.ts';
import { createScheduleStore, standDown } from '../store/scheduleStore.ts';
import type { ScheduleStore } from '../store/scheduleStore.ts';
import { createSecondRunStore } from '../store/secondRuns.ts';
import { createChoice } from './choice.ts';
import type { Choice } from './choice.ts';
import { JobQueue } from './jobQueue.ts';
import { LeaderLease } from './leaderLease.ts';
import { predictBatch } from './predictBatch.ts';
import type { BatchPrediction } from './predictBatch.ts';
import { gpuOf } from './queueScene.ts';
import type { QueuePolicy, QueueScene } from './queueScene.ts';
import { RunningReport } from './runningReport.ts';
import { RunTimes } from './runTimes.ts';
import { Scheduler } from './scheduler.ts';

/** The lead is free a little sooner than the jobs are: another window leads within the 15 s. */
const leadShare = 0.9;

export interface QueueOptions {
  readonly database: Database;
  readonly databaseFile: string;
  readonly jobs: JobRunner;
  readonly backends: BackendManager;
  readonly recovery: Pick<JobRecovery, 'watch' | 'isWatching' | 'onDidPark'>;
  /** Of this window, as the job store was told. */
  readonly owner: string;
  readonly jobLeaseMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly outputFolder: () => string;
  /** What the backends need before they are asked. */
  readonly prepare: () => Promise<void>;
  readonly policy: () => QueuePolicy;
  /** False in a window that may look and must not run anything. */
  readonly mayRun: () => boolean;
  readonly priceOf: QueueScene['priceOf'];
}

export interface OpenedQueue {
  readonly queue: JobQueue;
  readonly schedule: ScheduleStore;
  readonly runTimes: RunTimes;
  readonly choice: Choice;
  /** Of so many jobs of a workflow; undefined = not known. Faults: 'io'. */
  predictBatch(workflow: Workflow, count: number): Promise<BatchPrediction | undefined>;
}

/** Wires the queue of one window. Nothing is sent, and no timer is set, before there are jobs. */
export function createQueue(options: QueueOptions, life: Lifetime): OpenedQueue {
  const { database, databaseFile, jobs, backends, recovery, owner, jobLeaseMs, clock, log } = options;
  const leadMs = Math.round(jobLeaseMs * leadShare);
  const schedule = createScheduleStore(database, { ...options, leadMs });
  const runTimes = new RunTimes({
    store: createRunTimeStore(database),
    clock,
    log,
    gpuOf: (id) => {
      const status = backends.statuses().find(({ backend }) => backend.id === id);
      return status === undefined ? id : gpuOf(status);
    },
  });
  const recover = (): void => {
    if (!options.mayRun()) return;
    recovery.watch(() => undefined, life.signal).catch(() => undefined);
  };
  const scheduler = new Scheduler({
    ...options,
    store: schedule,
    secondRuns: createSecondRunStore(database, options),
    lease: new LeaderLease(schedule, clock, leadMs),
    runTimes,
    onLead: recover,
  });
  const queue = life.own(
    new JobQueue({
      ...options,
      store: createQueueStore(database),
      schedule,
      scheduler,
      runTimes,
      // Who watches already finds it out in time.
      recover: () => void (recovery.isWatching || recover()),
      watchRecords: (onChange: () => void): Disposable | undefined => watchDatabase(databaseFile, onChange),
    }),
  );
  life.own(new RunningReport({ jobs, store: schedule, clock, log }));
  life.own(recovery.onDidPark(recover));
  database.atEnd((rows) => standDown(rows, owner)).catch(() => undefined);
  return {
    queue,
    schedule,
    runTimes,
    choice: createChoice({ ...options, schedule, runTimes }),
    async predictBatch(workflow, count) {
      if (!runTimes.isRead) await runTimes.refresh();
      const { priceOf } = options;
      return predictBatch({ workflow, count, statuses: backends.statuses(), book: runTimes.book, priceOf });
    },
  };
}
