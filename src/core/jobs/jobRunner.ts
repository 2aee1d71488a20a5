import { mayBePaid } from '../backends/attempt.ts';
import { JobFault } from '../backends/backendManager.ts';
import type { Attempt, BackendManager } from '../backends/backendManager.ts';
import type { Backend, BackendResult, JobProgress, JobRequest } from '../backends/backend.ts';
import type { JobBudgets } from '../cost/budgets.ts';
import type { JobCost } from '../cost/ledger.ts';
import { markedLocalOnly } from '../generate/markedLocalOnly.ts';
import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { Fault, isPassing, isShutdown, toFault } from '../kernel/fault.ts';
import { late } from '../kernel/late.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { SavedOutput } from '../outputs/saveOutput.ts';
import type { JobRecord, JobStore } from '../store/jobStore.ts';
import type { ScheduleStore } from '../store/scheduleStore.ts';
import { JobLease } from './jobLease.ts';
import { JobRecorder, detailsOf } from './jobRecorder.ts';
import type { ClaimedEnd, JobOutcome, RecoveredJob } from './jobOutcome.ts';
import { RunningJobs } from './runningJobs.ts';
import type { JobTask, RunningJob } from './runningJobs.ts';

const { collectFiles, removeFiles } = late(() => import('./collectFiles.ts'));
const { tellStories } = late(() => import('./jobStory.ts'));
const { requestOf, resumeThere } = late(() => import('./resumeJob.ts'));
const { endOfClaim, putLostBack } = late(() => import('./claimedJob.ts'));

export type { JobOutcome, RunningJob };

export interface JobRunnerOptions {
  readonly backends: BackendManager;
  readonly store: JobStore;
  /** As the store was told. */
  readonly leaseMs: number;
  readonly ledger: { recordJob(cost: JobCost): Promise<void> };
  readonly budgets: JobBudgets;
  readonly clock: Clock;
  readonly log: Log;
  readonly outputFolder: () => string;
  /** Called once a job has its files, before it counts as done. */
  readonly onDone: (outcome: JobOutcome) => Promise<void>;
  /** Adds to a failure what a person can do about it; may ask around for a moment. */
  readonly explain?: (fault: Fault, request: JobRequest, signal: AbortSignal) => Promise<Fault>;
  /** True when the simulator makes the pictures: their stories say so. */
  readonly simulated?: boolean;
  /** Gives a job back to the queue; false when it is not this window's any more. */
  readonly putBack?: ScheduleStore['putBack'];
}

const staysHere = "It is marked 'local only' and never leaves this machine";
/** After a failure to fetch a finished job, it is looked for again no sooner. */
const firstRetryMs = 15_000;

/** Runs jobs to their files, and keeps a record of each from before it is sent until it has ended. Several may run at once. */
export class JobRunner implements Disposable {
  readonly #options: JobRunnerOptions;
  readonly #running: RunningJobs;
  readonly #lease: JobLease;
  readonly #parked = new Emitter<void>();
  readonly #stop = new AbortController();

  constructor(options: JobRunnerOptions) {
    this.#options = options;
    this.#running = new RunningJobs(options.clock, this.#stop.signal);
    this.#lease = new JobLease(options.store, options.clock, options.log, options.leaseMs);
  }

  get onDidChange(): Event<string> {
    return this.#running.onDidChange;
  }

  /** A job has failed here whose result may still be had: see recoverJobs.ts. */
  get onDidPark(): Event<void> {
    return this.#parked.event;
  }

  running(): readonly RunningJob[] {
    return this.#running.list();
  }

  /**
   * @throws Fault; a fault of kind 'cancelled' when the signal was aborted: then its prompt, and no other, is cancelled
   * and its files are removed, unless it was the window that ended: what was sent goes on and is collected later
   */
  async run(wanted: JobRequest, onProgress: (progress: JobProgress) => void, outer: AbortSignal): Promise<JobOutcome> {
    const request = markedLocalOnly(wanted);
    const { backends, outputFolder } = this.#options;
    const folder = outputFolder();
    const recorder = this.#recorder(request.id);
    const written = recorder.begin(request, folder);
    const held = this.#lease.hold();
    const task = this.#running.open(request, onProgress, outer);
    task.update(undefined, { phase: 'Choosing a backend' });
    try {
      const execution = await backends.executeWithFallback(
        request,
        async (backend, at) => {
          task.update(backend, { phase: `Asking ${backend.label}` });
          const reasons = await backend.refusals(request, at);
          if (reasons.length > 0) throw new Fault('mismatch', reasons.join('; '), { delivered: 'no' });
          await written;
          recorder.mayBegin(backend);
          await this.#dropPartial(task, recorder);
          return this.#runOn(backend, task, recorder, folder, at);
        },
        task.signal,
      );
      const { result, outputs, backend } = execution.value;
      return await this.#done(task, recorder, result, outputs, backend, execution.attempts);
    } catch (error) {
      await written;
      throw await this.#failed(task, recorder, await this.#explained(error, request, task.signal));
    } finally {
      held.dispose();
      task.dispose();
    }
  }

  /** Runs a job of the queue, which this window has claimed, on this backend and no other. Never throws. */
  async runClaimed(record: JobRecord, backendId: string, outer: AbortSignal): Promise<ClaimedEnd> {
    const { backends, outputFolder } = this.#options;
    const recorder = this.#recorder(record.id);
    const held = this.#lease.hold();
    const request = await requestOf(record);
    const task = this.#running.open(request, () => undefined, outer);
    const folder = detailsOf(record).outputFolder || outputFolder();
    // Written by an earlier attempt of ours.
    const before = record.attempts as readonly Attempt[];
    task.update(backends.find(backendId), { phase: 'Beginning' });
    try {
      const execution = await backends.executeOn(
        backendId,
        async (backend, at) => {
          task.update(backend, { phase: `Asking ${backend.label}` });
          if (request.localOnly && backend.tier !== 'local')
            throw new Fault('mismatch', staysHere, { delivered: 'no' });
          const reasons = await backend.refusals(request, at);
          // What a pod refuses unasked is its own state, not what the job needs.
          const kind = backend.billing === 'podTime' ? 'noCapacity' : 'mismatch';
          if (reasons.length > 0) throw new Fault(kind, reasons.join('; '), { delivered: 'no' });
          return this.#runOn(backend, task, recorder, folder, at);
        },
        task.signal,
      );
      const { result, outputs, backend } = execution.value;
      const attempts = [...before, ...execution.attempts];
      return { is: 'done', outcome: await this.#done(task, recorder, result, outputs, backend, attempts) };
    } catch (error) {
      const again = await endOfClaim(error, before, task, backends.find(backendId));
      if (again === undefined) {
        const explained = await this.#explained(error, request, task.signal);
        return { is: 'over', fault: await this.#failed(task, recorder, explained, before) };
      }
      await this.#dropPartial(task, recorder);
      return again;
    } finally {
      held.dispose();
      task.dispose();
    }
  }

  /**
   * Ends a job of a window that is gone, which this window has claimed: collects its files, follows it, or tells that it
   * is lost. Sends nothing again.
   * @throws Fault 'cancelled' when this window ends meanwhile
   */
  async resume(record: JobRecord, retryMs: number, outer: AbortSignal): Promise<RecoveredJob> {
    const { backends, clock, log, store, putBack } = this.#options;
    const recorder = this.#recorder(record.id);
    const request = await requestOf(record);
    const held = this.#lease.hold();
    const task = this.#running.open(request, () => undefined, outer, record.requestedAt);
    const backend = record.backend === undefined ? undefined : backends.find(record.backend, record.remote?.address);
    task.update(backend, { phase: 'Looking for the result' });
    const isTold = record.fault !== undefined;
    const later = async (why: string, withinMs = retryMs): Promise<RecoveredJob> => {
      await recorder.park(clock.now() + Math.min(retryMs, withinMs), undefined);
      return { request, state: 'later', why, isTold };
    };
    try {
      const sentBefore = record.queue === undefined ? [] : await store.sentBefore(record);
      const resumed = await resumeThere(
        backend,
        record,
        sentBefore,
        task.context(backend, recorder),
        clock,
        task.signal,
      );
      log.info(`${record.label}: ${resumed.is === 'result' ? 'found' : `${resumed.is}: ${resumed.why}`}`);
      if (resumed.is === 'later') return await later(resumed.why, resumed.withinMs);
      if (resumed.is !== 'result') {
        if (putBack !== undefined && (await putLostBack(record, resumed, backend, putBack, clock.now()))) {
          if (backend !== undefined) await this.#options.budgets.release(request, backend.id);
          return { request, state: 'queued', why: resumed.why, isTold };
        }
        if (backend?.billing === 'job') await this.#options.budgets.settleUnknown(request, backend.id);
        await recorder.end({ state: 'lost', fault: new Fault('unavailable', resumed.why) });
        return { request, state: 'lost', why: resumed.why, isTold };
      }
      task.isFinished = true;
      task.saved = record.outputs;
      const folder = detailsOf(record).outputFolder || this.#options.outputFolder();
      const outputs = await this.#collect(task, recorder, resumed, folder, task.signal, record);
      const { result, backend: at } = resumed;
      const ms = clock.now() - record.requestedAt;
      const attempts: readonly Attempt[] = [{ backend: at.id, label: at.label, outcome: 'done', ms }];
      const outcome = await this.#done(task, recorder, result, outputs, at, attempts);
      return { request, state: 'done', outcome };
    } catch (error) {
      const fault = toFault(error);
      if (isShutdown(task.signal)) throw fault;
      if (isPassing(fault) || (task.isFinished && fault.kind === 'io')) return await later(fault.message);
      const told = await this.#failed(task, recorder, error);
      const state = told.kind === 'cancelled' ? 'cancelled' : 'failed';
      return { request, state, why: told.message, isTold };
    } finally {
      held.dispose();
      task.dispose();
    }
  }

  /** A failed explanation must not hide the failure. */
  async #explained(error: unknown, request: JobRequest, signal: AbortSignal): Promise<unknown> {
    const { explain, log } = this.#options;
    if (explain === undefined || signal.aborted) return error;
    return explain(toFault(error), request, signal).catch((failure: unknown) => {
      log.debug(`The failure could not be explained: ${toFault(failure).message}`);
      return error;
    });
  }

  dispose(): void {
    this.#stop.abort(new Fault('cancelled', 'The window was closed', { by: 'shutdown' }));
    this.#running.dispose();
    this.#parked.dispose();
  }

  #recorder(id: string): JobRecorder {
    const { store, leaseMs, clock, log } = this.#options;
    return new JobRecorder(store, clock, log, id, leaseMs);
  }

  async #runOn(
    backend: Backend,
    task: JobTask,
    recorder: JobRecorder,
    folder: string,
    signal: AbortSignal,
  ): Promise<{ result: BackendResult; outputs: readonly SavedOutput[]; backend: Backend }> {
    const intents = task.intents;
    const { budgets } = this.#options;
    await budgets.reserve(task.request, backend);
    try {
      const result = await backend.run(task.request, task.context(backend, recorder), signal);
      task.isFinished = true;
      const outputs = await this.#collect(task, recorder, { result, backend }, folder, signal);
      return { result, outputs, backend };
    } catch (error) {
      // Only what this attempt has sent can still be found where the record says.
      const fault = toFault(error);
      if (task.intents > intents) task.mayStillEnd = endsPerhaps(fault, task);
      // What is reserved for a run that another window follows is that window's to settle.
      if (task.mayStillEnd || isShutdown(signal) || fault.facts.by === 'takeover') throw error;
      task.isUnclear = task.intents > intents && mayBePaid(fault, backend);
      await budgets[task.isUnclear ? 'settleUnknown' : 'release'](task.request, backend.id);
      throw error;
    }
  }

  async #collect(
    task: JobTask,
    recorder: JobRecorder,
    { result, backend }: { readonly result: BackendResult; readonly backend: Backend },
    folder: string,
    signal: AbortSignal,
    earlier?: JobRecord,
  ): Promise<readonly SavedOutput[]> {
    const { clock, log } = this.#options;
    task.update(backend, { phase: 'Fetching the result', fraction: 0.99 });
    await recorder.holdsIt();
    const onSaved = async (outputs: readonly SavedOutput[]): Promise<void> => {
      task.saved = outputs;
      await recorder.note({ outputs });
    };
    const hasOther = earlier?.queue?.hasOther ?? false;
    const before = earlier === undefined ? {} : { before: earlier.outputs, hasOther };
    const what = { jobId: task.request.id, files: result.files, ...before };
    return collectFiles({ ...what, folder, clock, log, onSaved }, signal);
  }

  /** Another backend makes all files anew. */
  async #dropPartial(task: JobTask, recorder: JobRecorder): Promise<void> {
    task.isFinished = false;
    if (task.saved.length === 0) return;
    await removeFiles(task.saved);
    task.saved = [];
    await recorder.note({ outputs: [] });
  }

  /** From here on nothing stops the job from being done: its files are there. */
  async #done(
    task: JobTask,
    recorder: JobRecorder,
    result: BackendResult,
    outputs: readonly SavedOutput[],
    { id: backend, tier, label: backendLabel, billing }: Backend,
    attempts: readonly Attempt[],
  ): Promise<JobOutcome> {
    const { clock, log, ledger, budgets, onDone, simulated = false } = this.#options;
    const { request, startedAt } = task;
    const { micros, costBasis, basis = 'estimated' } = result;
    const finishedAt = clock.now();
    const warnings: string[] = [];
    const attempt = async (what: string, work: () => Promise<unknown>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        warnings.push(`${what}: ${toFault(error).message}`);
        log.error(`${request.label}: ${what}`, error);
      }
    };
    const ran = result.workflow ?? (tier === 'gemini' ? undefined : request.workflow);
    const outcome = (): JobOutcome => ({
      ...{ request, backend, tier, backendLabel, outputs, micros, costBasis, basis, gpu: result.gpu, attempts },
      ranMs: result.ranMs,
      workflow: ran,
      dropped: result.dropped,
      warnings: [...recorder.warnings, ...warnings],
      startedAt,
      ms: finishedAt - startedAt,
    });
    await attempt('The story of an output could not be written beside it', () =>
      tellStories(outcome(), { finishedAt, simulated }),
    );
    if (basis === 'unknown') {
      if (billing === 'job') await budgets.settleUnknown(request, backend);
      else await budgets.release(request, backend);
    } else {
      await attempt('The cost could not be recorded', () =>
        ledger.recordJob({
          jobId: request.id,
          run: request.run,
          backend,
          micros,
          basis,
          at: finishedAt,
          inPodTime: billing === 'podTime',
        }),
      );
    }
    await attempt('What follows a job failed', () => onDone(outcome()));
    const cost = { micros, basis: costBasis, kind: basis };
    await attempt('The job is not on record as done', async () => {
      await recorder.end({ state: 'done', backend, attempts, outputs, cost });
      await Promise.all(result.files.map(async (file) => file.onSaved?.()));
    });
    log.info(`${request.label}: done on ${backend} in ${finishedAt - startedAt} ms, ${outputs.length} file(s)`);
    return outcome();
  }

  /** Writes down how the job ended, and gives the fault to be thrown. */
  async #failed(task: JobTask, recorder: JobRecorder, error: unknown, before: readonly Attempt[] = []): Promise<Fault> {
    const { clock } = this.#options;
    const fault = toFault(error);
    const attempts = [...before, ...(error instanceof JobFault ? error.attempts : [])];
    // Taken over, it is whose it is now to end it: perhaps this window's again, which has claimed it since.
    if (isShutdown(task.signal) || fault.facts.by === 'takeover') return fault;
    if (fault.kind === 'cancelled') {
      if (task.signal.aborted || fault.facts.by === 'secondRun') await removeFiles(task.saved);
      await recorder.end({ state: 'cancelled', attempts, fault }).catch(() => undefined);
      return fault;
    }
    if (task.mayStillEnd && (await recorder.park(clock.now() + firstRetryMs, fault))) {
      this.#parked.fire();
      return toBeContinued(fault);
    }
    await recorder.end({ state: task.isUnclear ? 'lost' : 'failed', attempts, fault }).catch(() => undefined);
    return fault;
  }
}

/** The server has the result, or may make it yet, although it could not be had now. */
function endsPerhaps(fault: Fault, task: JobTask): boolean {
  if (!task.canBeAsked) return false;
  if (task.isFinished) return isPassing(fault) || fault.kind === 'io';
  return (isPassing(fault) || fault.kind === 'noCapacity') && fault.facts.delivered === 'maybe';
}

function toBeContinued(fault: Fault): Fault {
  const said = fault.facts.nextStep;
  const nextStep = `${said === undefined ? '' : `${said} `}The result may still be there: PodRelay fetches it when it can.`;
  return new Fault(fault.kind, fault.message, { ...fault.facts, nextStep }, { cause: fault });
}
