import type { BackendManager } from '../backends/backendManager.ts';
import type { JobRunner } from '../jobs/jobRunner.ts';
import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { Fault, throwIfAborted, toFault } from '../kernel/fault.ts';
import { Lifetime } from '../kernel/lifetime.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { JobRecord } from '../store/jobStore.ts';
import type { Given, QueueLook, ScheduleStore } from '../store/scheduleStore.ts';
import type { SecondRunStore } from '../store/secondRuns.ts';
import { afterFault } from './afterFault.ts';
import { beginSecondRun } from './beginSecondRun.ts';
import { BackendChecks } from './backendChecks.ts';
import type { LeaderLease } from './leaderLease.ts';
import { placeJobs } from './placeJobs.ts';
import type { Placement } from './placeJobs.ts';
import type { QueuePolicy, QueueScene } from './queueScene.ts';
import { Rests } from './rests.ts';
import { workingSince } from './secondRun.ts';
import type { RunTimes } from './runTimes.ts';

export interface SchedulerOptions {
  readonly store: ScheduleStore;
  readonly secondRuns: SecondRunStore;
  readonly lease: LeaderLease;
  readonly jobs: Pick<JobRunner, 'runClaimed'>;
  readonly backends: BackendManager;
  readonly runTimes: RunTimes;
  readonly clock: Clock;
  readonly log: Log;
  /** Read at every decision. */
  readonly policy: () => QueuePolicy;
  readonly priceOf: QueueScene['priceOf'];
  /** False in a window that may look and must not run anything. */
  readonly mayRun: () => boolean;
  /** What the backends need before they are asked. */
  readonly prepare: () => Promise<void>;
  /** This window leads from now on: what a former leader has left is to be brought to its end. */
  readonly onLead: () => void;
}

/** Jobs that are looked at in one step; more when those leave places free. */
const lookAt = 200;
const lookAtMost = 2_000;
/** Between two looks for what other windows have changed, while the file system does not tell; and while it is paused. */
const pollMs = 1_000;
const pausedPollMs = 4_000;
/** Never sooner than so, however close the end of another window's lead is. */
const leastPauseMs = 20;
const mostPauseMs = 15_000;
const insistMs = 5_000;

/**
 * Gives queued jobs to backends while this window leads. It works only while jobs are queued: otherwise it has no lead and
 * no timer. A step looks at the queue and the backends, decides (placeJobs.ts), claims, and runs what it got.
 */
export class Scheduler implements Disposable {
  readonly #options: SchedulerOptions;
  readonly #life = new Lifetime();
  readonly #changed = this.#life.own(new Emitter<void>());
  readonly #checks: BackendChecks;
  readonly #rests: Rests;
  /** ms since the epoch: when a backend was last done with a job of ours. */
  readonly #freeSince = new Map<string, number>();
  readonly #atWork = new Set<string>();
  #workingSince: ReadonlyMap<string, number> = new Map();
  #isOn = false;
  #isDirty = false;
  #isPaused = false;
  #endPause: () => void = () => undefined;
  #placement: Placement | undefined;
  #foretoldAt = Number.NEGATIVE_INFINITY;
  /** What the last step saw, and when the next is due though nothing changes. */
  #seen = '';
  #dueAt = Number.NEGATIVE_INFINITY;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#checks = new BackendChecks(options, this.#life.signal);
    this.#rests = new Rests(options.clock);
    this.#life.own(options.backends.onDidChange(() => this.#isOn && this.#stir()));
  }

  /** Jobs were given away, have ended or wait for something else. */
  readonly onDidChange: Event<void> = (listener) => this.#changed.event(listener);

  get leads(): boolean {
    return this.#options.lease.leads;
  }

  /** As of the last step; undefined while this window does not lead. */
  get placement(): Placement | undefined {
    return this.leads ? this.#placement : undefined;
  }

  /** There may be something to do. */
  wake(): void {
    this.#stir();
    if (this.#isOn || this.#life.signal.aborted || !this.#options.mayRun()) return;
    this.#isOn = true;
    this.#rounds(this.#life.signal)
      .catch((error: unknown) => {
        if (!this.#life.signal.aborted) this.#options.log.error('The queue has stopped', error);
      })
      .finally(() => {
        this.#isOn = false;
        this.#changed.fire();
        // It was woken after its last look.
        if (this.#isDirty) this.wake();
      });
  }

  /** Some window has written: perhaps it is something new. */
  nudge(): void {
    if (this.#isOn) this.#endPause();
    else this.wake();
  }

  dispose(): void {
    this.#life.dispose();
  }

  #stir(): void {
    this.#isDirty = true;
    this.#endPause();
  }

  async #rounds(signal: AbortSignal): Promise<void> {
    const { lease, clock, log } = this.#options;
    for (let failures = 0; ;) {
      throwIfAborted(signal);
      const isStirred = this.#isDirty;
      this.#isDirty = false;
      try {
        const didLead = lease.leads;
        const lead = await lease.keep();
        if (lead.queued === 0 && !(await this.#mayRunAgain())) return await lease.letGo();
        if (lead.is === 'others') {
          const ms = lead.untilMs - clock.now() + leastPauseMs;
          await this.#pause(Math.min(mostPauseMs, Math.max(leastPauseMs, ms)), signal);
        } else {
          if (!didLead) await this.#begin();
          const seen = `${lead.version} ${lead.queued} ${lead.atWork}`;
          const now = clock.now();
          const isDue = now >= this.#dueAt || this.#dueAt - now > mostPauseMs;
          if (!didLead || isStirred || isDue || seen !== this.#seen) {
            this.#seen = seen;
            this.#dueAt = clock.now() + (await this.#step(signal));
          }
          const untilDueMs = Math.max(leastPauseMs, this.#dueAt - clock.now());
          await this.#pause(Math.min(untilDueMs, this.#isPaused ? pausedPollMs : pollMs), signal);
        }
        failures = 0;
      } catch (error) {
        throwIfAborted(signal);
        // The records cannot be used: tried again, ever more rarely, as long as the window is open.
        if (failures === 0) log.warn(`The queue waits: ${toFault(error).message}`);
        failures += 1;
        await this.#pause(Math.min(60_000, 1_000 * 2 ** failures), signal);
      }
    }
  }

  async #begin(): Promise<void> {
    const { runTimes, log, prepare, onLead } = this.#options;
    log.info('This window gives the queued jobs to the backends');
    await Promise.all([runTimes.refresh(), prepare()]);
    onLead();
  }

  /** One look, one decision. How long nothing is to be done, in ms, unless something changes. */
  async #step(signal: AbortSignal): Promise<number> {
    const { store, clock } = this.#options;
    const now = clock.now();
    let look = await store.look(now, lookAt);
    this.#isPaused = look.paused;
    if (look.paused) {
      this.#placement = undefined;
      return mostPauseMs;
    }
    const models = new Map<string, readonly string[]>();
    let placement = await this.#place(look, models);
    if (placement.hasPlaces && look.waiting.length === lookAt) {
      look = await store.look(now, lookAtMost);
      placement = await this.#place(look, models);
    }
    this.#placement = placement;
    this.#checks.begin(placement.leavesMachine);
    for (const { id, why } of placement.never) {
      await store.refuse(id, { kind: 'mismatch', message: `No backend could do it (${why.join('; ')})` }, now);
    }
    await this.#explain(look, placement);
    const given = await this.#claim(placement.given, signal);
    await this.#foretell(look, placement);
    if (given > 0 || placement.never.length > 0) this.#changed.fire();
    // Others were quicker than the look: at once again.
    if (given < placement.given.length) return leastPauseMs;
    const lateAt = await this.#runLateOnesAgain(look);
    // After that: it may have asked for more.
    const nexts = [look.nextAt, this.#rests.nextAt, this.#checks.nextAt, lateAt];
    const next = Math.min(...nexts.map((at) => at ?? Infinity));
    return Math.min(mostPauseMs, Math.max(leastPauseMs, next - clock.now()));
  }

  async #mayRunAgain(): Promise<boolean> {
    const { policy, secondRuns } = this.#options;
    return policy().secondRunMostMicros !== undefined && (await secondRuns.areThere());
  }

  /** Only where no job waits for the place. When there may be something to do again. */
  async #runLateOnesAgain(look: QueueLook): Promise<number | undefined> {
    const mostMicros = this.#options.policy().secondRunMostMicros;
    if (mostMicros === undefined) return undefined;
    const scene = this.#scene(look);
    this.#workingSince = workingSince(scene, this.#workingSince);
    if (look.queued > 0) return undefined;
    const begun = await beginSecondRun(this.#options, scene, this.#workingSince, mostMicros);
    const { record, nextAt, leavesMachine } = begun;
    if (leavesMachine) this.#checks.begin(true);
    if (record === undefined) return nextAt;
    throwIfAborted(this.#life.signal);
    void this.#run(record);
    return this.#options.clock.now();
  }

  async #place(look: QueueLook, models: Map<string, readonly string[]>): Promise<Placement> {
    const { store } = this.#options;
    const fresh = new Set(look.waiting.map(({ fingerprint }) => fingerprint).filter((one) => !models.has(one)));
    for (const [key, files] of await store.models([...fresh])) models.set(key, files);
    return placeJobs(look.waiting, (fingerprint) => models.get(fingerprint) ?? [], this.#scene(look));
  }

  #scene({ atWork }: QueueLook): QueueScene {
    const { backends, runTimes, clock, policy, priceOf } = this.#options;
    return {
      nowMs: clock.now(),
      statuses: backends.statuses(),
      policy: policy(),
      atWork,
      book: runTimes.book,
      loadedOn: (backend) => runTimes.loadedOn(backend),
      loadSeconds: (gpu) => runTimes.loadSeconds(gpu),
      priceOf,
      resting: this.#rests.now(),
      freeSince: this.#freeSince,
    };
  }

  async #claim(given: readonly Given[], signal: AbortSignal): Promise<number> {
    if (given.length === 0) return 0;
    const records = await this.#options.store.claim(given, this.#options.clock.now());
    throwIfAborted(signal);
    for (const record of records) void this.#run(record);
    return records.length;
  }

  async #run(record: JobRecord): Promise<void> {
    const { jobs, clock, log } = this.#options;
    const backend = record.backend ?? '';
    this.#atWork.add(record.id);
    try {
      const end = await jobs.runClaimed(record, backend, this.#life.signal);
      if (end.is === 'again') await this.#putBack(record, backend, end);
      else if (end.is === 'done') this.#rests.end(backend);
    } catch (error) {
      if (!this.#life.signal.aborted) log.error(`${record.label} could not be run`, error);
    } finally {
      this.#atWork.delete(record.id);
      this.#freeSince.set(backend, clock.now());
      this.#changed.fire();
      this.wake();
    }
  }

  async #putBack(
    record: JobRecord,
    backend: string,
    end: { readonly fault: Fault; readonly attempts: readonly unknown[]; readonly wasSent: boolean },
  ): Promise<void> {
    const { store, clock, log } = this.#options;
    const { fault, wasSent } = end;
    const verdict = afterFault(fault, backend, wasSent, record.queue?.excluded ?? []);
    if (verdict.is === 'fail') throw new Fault('bug', `A '${fault.kind}' came back to the queue`);
    const now = clock.now();
    if (verdict.rest !== undefined) {
      this.#rests.begin(verdict.rest.of === 'all' ? everyBackend : backend, fault.message, verdict.rest.ms);
    }
    // Nothing was tried where nothing was sent and nobody refused the job itself.
    const isAttempt = wasSent || verdict.excluded.some((one) => one.backend === backend && one.for === 'ever');
    const change = {
      attempts: isAttempt ? end.attempts : record.attempts,
      excluded: verdict.excluded,
      waitsFor: fault.message,
      notBefore: verdict.waitMs === 0 ? 0 : now + verdict.waitMs,
    };
    log.info(`${record.label}: back in the queue (${backend}: ${fault.message})`);
    await this.#insist(() => store.putBack(record.id, change, now));
  }

  /** As long as the window is open: what is not written down would look like a job at work. */
  async #insist(write: () => Promise<unknown>): Promise<void> {
    const { clock, log } = this.#options;
    for (;;) {
      try {
        await write();
        return;
      } catch (error) {
        throwIfAborted(this.#life.signal);
        log.warn(`A job could not go back to the queue yet: ${toFault(error).message}`);
        await clock.sleep(insistMs, this.#life.signal);
      }
    }
  }

  /** Written only where it is other than before. */
  async #explain(look: QueueLook, { waits, given }: Placement): Promise<void> {
    const gone = new Set(given.map(({ jobId }) => jobId));
    const changed = look.waiting
      .filter(({ id, waitsFor }) => !gone.has(id) && waits.get(id) !== waitsFor)
      .map(({ id }): [string, string | undefined] => [id, waits.get(id)]);
    if (changed.length === 0) return;
    await this.#options.store.explain(new Map(changed));
    this.#changed.fire();
  }

  /** For the other windows; about once a second. */
  async #foretell(look: QueueLook, placement: Placement): Promise<void> {
    const now = this.#options.clock.now();
    if (Math.abs(now - this.#foretoldAt) < 1_000) return;
    this.#foretoldAt = now;
    await this.#options.store.foretell(placement.finishAt(look.queued, now));
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const nap = new AbortController();
    this.#endPause = () => nap.abort();
    if (this.#isDirty) return;
    await this.#options.clock.sleep(ms, AbortSignal.any([signal, nap.signal])).catch(() => undefined);
    throwIfAborted(signal);
  }
}

const everyBackend = '*';
