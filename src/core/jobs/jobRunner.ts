import type { Attempt, BackendManager } from '../backends/backendManager.ts';
import type { BackendResult, JobProgress, JobRequest, Tier } from '../backends/backend.ts';
import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { Fault, throwIfAborted, toFault } from '../kernel/fault.ts';
import { late } from '../kernel/late.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { SavedOutput } from '../outputs/saveOutput.ts';

const { saveOutput } = late(() => import('../outputs/saveOutput.ts'));

export interface JobOutcome {
  readonly request: JobRequest;
  readonly backend: Tier;
  readonly outputs: readonly SavedOutput[];
  readonly micros: number;
  readonly costBasis: string;
  readonly gpu: string | undefined;
  readonly attempts: readonly Attempt[];
  readonly dropped: readonly string[];
  /** ms since the epoch */
  readonly startedAt: number;
  readonly ms: number;
}

export interface RunningJob {
  readonly id: string;
  readonly label: string;
  readonly startedAt: number;
  readonly backend: Tier | undefined;
  readonly progress: JobProgress;
  cancel(): void;
}

export interface JobRunnerOptions {
  readonly backends: BackendManager;
  readonly clock: Clock;
  readonly log: Log;
  readonly outputFolder: () => string;
  /** Called once a job has its files, before it counts as done. */
  readonly onDone: (outcome: JobOutcome) => Promise<void>;
}

/** Times that one file is fetched before the job fails: the result is made and paid for, so we do not give up at once. */
const downloadTries = 3;
const downloadPauseMs = 500;

/** Runs jobs to their files. Several may run at once. */
export class JobRunner implements Disposable {
  readonly #options: JobRunnerOptions;
  readonly #running = new Map<string, RunningJob>();
  readonly #changed = new Emitter<string>();
  readonly #stop = new AbortController();

  constructor(options: JobRunnerOptions) {
    this.#options = options;
  }

  readonly onDidChange: Event<string> = (listener) => this.#changed.event(listener);

  running(): readonly RunningJob[] {
    return [...this.#running.values()];
  }

  /** @throws Fault; a fault of kind 'cancelled' when the signal was aborted */
  async run(request: JobRequest, onProgress: (progress: JobProgress) => void, outer: AbortSignal): Promise<JobOutcome> {
    const { backends, clock, log } = this.#options;
    const own = new AbortController();
    const signal = AbortSignal.any([outer, own.signal, this.#stop.signal]);
    const startedAt = clock.now();
    const update = (backend: Tier | undefined, progress: JobProgress): void => {
      const cancel = (): void => own.abort(new Fault('cancelled', 'Cancelled'));
      this.#running.set(request.id, { id: request.id, label: request.label, startedAt, backend, progress, cancel });
      this.#changed.fire(request.id);
      onProgress(progress);
    };
    update(undefined, { phase: 'Choosing a backend' });
    try {
      const execution = await backends.executeWithFallback(
        request,
        async (backend, at) => {
          update(backend.id, { phase: `Asking ${backend.label}` });
          const reasons = await backend.refusals(request, at);
          if (reasons.length > 0) throw new Fault('mismatch', reasons.join('; '), { delivered: 'no' });
          const result = await backend.run(request, { onProgress: (progress) => update(backend.id, progress) }, at);
          update(backend.id, { phase: 'Fetching the result', fraction: 0.99 });
          return { result, outputs: await this.#fetchAll(result, at) };
        },
        signal,
      );
      const { result, outputs } = execution.value;
      const outcome: JobOutcome = {
        request,
        backend: execution.backend,
        outputs,
        micros: result.micros,
        costBasis: result.costBasis,
        gpu: result.gpu,
        attempts: execution.attempts,
        dropped: result.dropped,
        startedAt,
        ms: clock.now() - startedAt,
      };
      await this.#options.onDone(outcome);
      log.info(`${request.label}: done on ${outcome.backend} in ${outcome.ms} ms, ${outputs.length} file(s)`);
      return outcome;
    } finally {
      this.#running.delete(request.id);
      this.#changed.fire(request.id);
    }
  }

  dispose(): void {
    this.#stop.abort(new Fault('cancelled', 'The window was closed'));
    this.#changed.dispose();
  }

  async #fetchAll(result: BackendResult, signal: AbortSignal): Promise<readonly SavedOutput[]> {
    const saved: SavedOutput[] = [];
    for (const file of result.files) saved.push(await this.#fetch(file, signal));
    return saved;
  }

  async #fetch(file: BackendResult['files'][number], signal: AbortSignal): Promise<SavedOutput> {
    const { clock, log } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        const body = await file.open(signal);
        return await saveOutput({ folder: this.#options.outputFolder(), serverName: file.name, body }, signal);
      } catch (error) {
        throwIfAborted(signal);
        const fault = toFault(error);
        if (fault.kind === 'io' || attempt >= downloadTries) throw fault;
        log.warn(`Fetching ${file.name} failed (${fault.message}): trying again`);
        await clock.sleep(downloadPauseMs * attempt, signal);
      }
    }
  }
}
