import type { Health } from '../backends/backend.ts';
import type { BackendManager } from '../backends/backendManager.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { throwIfAborted, toFault } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { JobRecord, JobStore } from '../store/jobStore.ts';
import type { RecoveredJob } from './jobOutcome.ts';
import type { JobRunner } from './jobRunner.ts';

export interface JobRecoveryOptions {
  readonly store: Pick<JobStore, 'claimAbandoned' | 'nextClaimAt' | 'unpark'>;
  readonly jobs: Pick<JobRunner, 'resume' | 'onDidPark'>;
  readonly backends: Pick<BackendManager, 'statuses' | 'onDidChange'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Waits before a server that did not answer is asked again. */
const retryMs: readonly number[] = [15_000, 60_000, 300_000, 900_000];
/** After those: until the next start, or a sign of health. */
const nextStartMs = 12 * 3_600_000;
/** Between two looks at the records. */
const pauseMs = { least: 500, most: 300_000 } as const;

/** Ends what windows that are gone have left: each job is one window's to end, and nothing is sent again. */
export class JobRecovery {
  readonly #options: JobRecoveryOptions;
  /** How often each job was asked for in vain. */
  readonly #tries = new Map<string, number>();
  readonly #atWork = new Set<Promise<unknown>>();
  /** Something changed since the records were looked at. */
  #isDirty = false;
  readonly #listeners = new Set<(job: RecoveredJob) => void>();
  #isWatching = false;
  #endPause: () => void = () => undefined;

  constructor(options: JobRecoveryOptions) {
    this.#options = options;
  }

  get isWatching(): boolean {
    return this.#isWatching;
  }

  /** A job of this window has failed whose result may still be had: a reason to watch. */
  get onDidPark(): Event<void> {
    return this.#options.jobs.onDidPark;
  }

  /**
   * One round: claims the jobs of windows that are gone, and ends each as far as its server lets it. Returns when all of
   * them have ended, however long they run.
   * @throws Fault 'io' when the records cannot be used; 'cancelled'
   */
  async recover(signal: AbortSignal): Promise<readonly RecoveredJob[]> {
    const ended: RecoveredJob[] = [];
    await Promise.all(await this.#claim((job) => ended.push(job), signal));
    throwIfAborted(signal);
    return ended;
  }

  /**
   * Round after round, until every job of windows that are gone has ended: when a lease ends, when a server is healthy
   * again, and a few times in growing intervals. Ends at once, without a timer, when there is no unfinished job, and when
   * somebody watches already.
   */
  async watch(onEnd: (job: RecoveredJob) => void, signal: AbortSignal): Promise<void> {
    this.#listeners.add(onEnd);
    if (this.#isWatching) return this.#wake();
    this.#isWatching = true;
    try {
      await this.#rounds((job) => this.#listeners.forEach((listener) => listener(job)), signal);
    } finally {
      this.#isWatching = false;
      this.#listeners.clear();
    }
  }

  async #rounds(onEnd: (job: RecoveredJob) => void, signal: AbortSignal): Promise<void> {
    const { store, clock, log } = this.#options;
    const listening = this.#watchHealth(signal);
    try {
      for (;;) {
        this.#isDirty = false;
        let next = await store.nextClaimAt();
        if (next !== undefined) {
          for (const work of await this.#claim(onEnd, signal)) this.#track(work);
          next = await store.nextClaimAt();
        }
        if (next === undefined && this.#atWork.size === 0) return;
        const ms = Math.min(pauseMs.most, Math.max(pauseMs.least, (next ?? Infinity) - clock.now()));
        await this.#pause(ms, signal);
      }
    } catch (error) {
      if (!signal.aborted) log.warn(`Unfinished jobs could not be looked for: ${toFault(error).message}`);
    } finally {
      listening.dispose();
    }
  }

  async #claim(onEnd: (job: RecoveredJob) => void, signal: AbortSignal): Promise<readonly Promise<void>[]> {
    const { store, clock } = this.#options;
    throwIfAborted(signal);
    return (await store.claimAbandoned(clock.now())).map((record) => this.#end(record, onEnd, signal));
  }

  async #end(record: JobRecord, onEnd: (job: RecoveredJob) => void, signal: AbortSignal): Promise<void> {
    const { jobs, log } = this.#options;
    const tries = this.#tries.get(record.id) ?? 0;
    try {
      const job = await jobs.resume(record, retryMs[tries] ?? nextStartMs, signal);
      if (job.state === 'later') this.#tries.set(record.id, tries + 1);
      else this.#tries.delete(record.id);
      onEnd(job);
    } catch (error) {
      if (!signal.aborted) log.error(`${record.label} could not be looked for`, error);
    }
  }

  #track(work: Promise<unknown>): void {
    const tracked = work.finally(() => {
      this.#atWork.delete(tracked);
      this.#wake();
    });
    this.#atWork.add(tracked);
  }

  /** A backend that has just become healthy can tell what it could not tell before. */
  #watchHealth(signal: AbortSignal): Disposable {
    const { backends, store, log } = this.#options;
    const healthy = new Set<string>();
    return backends.onDidChange((id) => {
      const status = backends.statuses().find(({ backend }) => backend.id === id);
      const health = status?.health;
      // An endpoint that answers is enough: it has no worker up while nobody has a job for it.
      const isBad = (state: Health['state']): boolean =>
        status?.backend.workers === undefined ? state !== 'healthy' : state === 'unhealthy' || state === 'off';
      if (health?.known !== true || isBad(health.value.state)) return void healthy.delete(id);
      if (healthy.has(id) || signal.aborted) return;
      healthy.add(id);
      // A pod that was chosen since is recorded under its own name.
      const names = [id, status?.backend.alias?.()].filter((name) => name !== undefined);
      Promise.all(names.map(async (name) => store.unpark(name))).then(
        (some) => some.includes(true) && this.#wake(),
        (error: unknown) => log.debug(`Waiting jobs could not be looked up: ${toFault(error).message}`),
      );
    });
  }

  #wake(): void {
    this.#isDirty = true;
    this.#endPause();
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const nap = new AbortController();
    this.#endPause = () => nap.abort();
    if (this.#isDirty) nap.abort();
    await this.#options.clock.sleep(ms, AbortSignal.any([signal, nap.signal])).catch(() => undefined);
    throwIfAborted(signal);
  }
}
