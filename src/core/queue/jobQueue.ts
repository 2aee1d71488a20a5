import type { BackendManager } from '../backends/backendManager.ts';
import type { JobRequest } from '../backends/backend.ts';
import type { JobRunner } from '../jobs/jobRunner.ts';
import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { toFault } from '../kernel/fault.ts';
import { Lifetime } from '../kernel/lifetime.ts';
import { known, unknown } from '../kernel/observed.ts';
import type { Observed } from '../kernel/observed.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { QueueRow, QueueStore } from '../store/queueStore.ts';
import type { ScheduleStore } from '../store/scheduleStore.ts';
import { predict, remainingSeconds } from './measurements.ts';
import { prepareJobs } from './prepareJobs.ts';
import { gpuOf } from './queueScene.ts';
import type { QueueService, QueueView } from './queueView.ts';
import type { RunTimes } from './runTimes.ts';
import type { Scheduler } from './scheduler.ts';
import { viewOf } from './viewOf.ts';

export interface JobQueueOptions {
  readonly store: QueueStore;
  readonly schedule: Pick<ScheduleStore, 'pulse'>;
  readonly scheduler: Scheduler;
  readonly runTimes: RunTimes;
  readonly jobs: Pick<JobRunner, 'running' | 'onDidChange'>;
  readonly backends: Pick<BackendManager, 'statuses' | 'find'>;
  /** Of this window, as the stores were told. */
  readonly owner: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly outputFolder: () => string;
  /** Calls when any window has written; see databaseWatch.ts. */
  readonly watchRecords: (onChange: () => void) => Disposable | undefined;
  /** Jobs run in windows that may be gone. */
  readonly recover: () => void;
}

const shown = { queued: 500, ended: 100 } as const;
/** Between two looks while somebody watches, and the least between two that changes here ask for. */
const watchMs = 1_000;
const settleMs = 100;
/** After a sign that some window has written: for many such signs one look. */
const noticeMs = 200;

/** The queue, as the views and commands of one window use it. */
export class JobQueue implements QueueService, Disposable {
  readonly #options: JobQueueOptions;
  readonly #life = new Lifetime();
  readonly #changed = this.#life.own(new Emitter<void>());
  #view: Observed<QueueView>;
  #watchers = 0;
  #stopWatching = new AbortController();
  #isSettling = false;
  #isNoticing = false;
  #listening: Disposable | undefined;

  constructor(options: JobQueueOptions) {
    this.#options = options;
    this.#view = unknown(options.clock.now());
    this.#life.own(options.scheduler);
    this.#life.own(options.scheduler.onDidChange(() => this.#settle()));
    this.#life.own(options.jobs.onDidChange(() => this.#settle()));
  }

  readonly onDidChange: Event<void> = (listener) => this.#changed.event(listener);

  get view(): Observed<QueueView> {
    return this.#view;
  }

  /** Looks whether there is something to do, once: queued jobs, or jobs of windows that may be gone. */
  async begin(): Promise<void> {
    const { schedule, scheduler, recover } = this.#options;
    const { queued, atWork } = await schedule.pulse();
    this.#listen();
    if (queued > 0) scheduler.nudge();
    if (atWork > this.#options.jobs.running().length) recover();
  }

  async refresh(): Promise<void> {
    const { store, clock } = this.#options;
    try {
      this.#view = known(this.#shown(await store.list(shown)), clock.now());
    } catch (error) {
      this.#view = unknown(clock.now(), toFault(error));
    }
    this.#changed.fire();
  }

  async enqueue(
    requests: readonly (JobRequest & { readonly priority?: number })[],
    signal: AbortSignal,
  ): Promise<void> {
    const { store, clock, outputFolder } = this.#options;
    await store.enqueue(await prepareJobs(requests, outputFolder(), clock, signal), clock.now());
    await this.#after();
  }

  async cancel(ids: readonly string[]): Promise<void> {
    const { store, clock, jobs } = this.#options;
    const wanted = new Set(ids);
    await store.cancel(ids, clock.now());
    for (const job of jobs.running()) if (wanted.has(job.id)) job.cancel();
    await this.#after();
  }

  async retry(ids: readonly string[]): Promise<void> {
    await this.#options.store.retry(ids, this.#options.clock.now());
    await this.#after();
  }

  async move(id: string, to: 'top' | 'up' | 'down' | 'bottom'): Promise<void> {
    await this.#options.store.move(id, to);
    await this.#after();
  }

  async pause(): Promise<void> {
    await this.#options.store.setPaused(true);
    await this.#after();
  }

  async resume(): Promise<void> {
    await this.#options.store.setPaused(false);
    await this.#after();
  }

  async clearEnded(): Promise<void> {
    await this.#options.store.clearEnded();
    await this.#after();
  }

  watch(): Disposable {
    this.#watchers += 1;
    if (this.#watchers === 1) {
      this.#stopWatching = new AbortController();
      void this.#follow(AbortSignal.any([this.#stopWatching.signal, this.#life.signal]));
    }
    let isOver = false;
    return {
      dispose: () => {
        if (isOver) return;
        isOver = true;
        this.#watchers -= 1;
        if (this.#watchers === 0) this.#stopWatching.abort();
      },
    };
  }

  dispose(): void {
    this.#life.dispose();
  }

  async #after(): Promise<void> {
    this.#options.scheduler.wake();
    await this.refresh();
    this.#listen();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      await this.refresh();
      await clock.sleep(watchMs, signal).catch(() => undefined);
    }
  }

  /** Something has changed here: one look for many changes, and none while nobody looks. */
  #settle(): void {
    if (this.#isSettling || this.#watchers === 0) return;
    this.#isSettling = true;
    this.#options.clock
      .sleep(settleMs, this.#life.signal)
      .then(() => {
        this.#isSettling = false;
        return this.refresh();
      })
      .catch(() => undefined);
  }

  /** From the first use on: before it there may be no records. */
  #listen(): void {
    if (this.#listening !== undefined || this.#life.signal.aborted) return;
    this.#listening = this.#options.watchRecords(() => this.#notice());
    if (this.#listening !== undefined) this.#life.own(this.#listening);
  }

  /** Some window has written: perhaps there is something to do here. */
  #notice(): void {
    if (this.#isNoticing) return;
    this.#isNoticing = true;
    const { clock, log } = this.#options;
    clock
      .sleep(noticeMs, this.#life.signal)
      .then(() => {
        this.#isNoticing = false;
        return this.begin();
      })
      .catch((error: unknown) => {
        this.#isNoticing = false;
        if (!this.#life.signal.aborted) log.debug(`The queue could not be looked at: ${toFault(error).message}`);
      });
  }

  #shown(rows: Awaited<ReturnType<QueueStore['list']>>): QueueView {
    const { clock, owner, jobs, backends, scheduler } = this.#options;
    const nowMs = clock.now();
    return viewOf(rows, {
      nowMs,
      owner,
      running: jobs.running(),
      labelOf: (id) => backends.find(id)?.label,
      endOf: (row) => this.#endOf(row, nowMs),
      finish: scheduler.placement?.finish(),
    });
  }

  #endOf({ backend, fingerprint, changedAt }: QueueRow, nowMs: number): number | undefined {
    const { backends, runTimes } = this.#options;
    const status = backends.statuses().find((one) => one.backend.id === backend);
    if (status === undefined || fingerprint === '' || !runTimes.isRead) return undefined;
    const { seconds, basis } = predict(runTimes.book, fingerprint, gpuOf(status));
    if (basis === 'assumed') return undefined;
    return nowMs + remainingSeconds(seconds, (nowMs - changedAt) / 1_000) * 1_000;
  }
}
