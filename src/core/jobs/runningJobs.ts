import type { Backend, JobProgress, JobRequest, RunContext, Tier } from '../backends/backend.ts';
import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { Fault } from '../kernel/fault.ts';
import type { Clock } from '../kernel/ports.ts';
import type { SavedOutput } from '../outputs/saveOutput.ts';
import type { JobRecorder } from './jobRecorder.ts';

export interface RunningJob {
  readonly id: string;
  readonly label: string;
  /** ms since the epoch */
  readonly startedAt: number;
  /** Id of the backend; undefined while none is chosen. */
  readonly backend: string | undefined;
  readonly tier: Tier | undefined;
  /** The backend as a person knows it. */
  readonly backendLabel: string | undefined;
  readonly progress: JobProgress;
  cancel(): void;
}

/** One job at work: what is known of it until it ends. */
export interface JobTask extends Disposable {
  readonly request: JobRequest;
  readonly startedAt: number;
  /** Aborts when a person cancels the job, its caller does, or the window ends. */
  readonly signal: AbortSignal;
  /** Files of this job that are saved. */
  saved: readonly SavedOutput[];
  /** The backend has made the result; only its files are to be fetched. */
  isFinished: boolean;
  /** It failed here, and what was sent may end there all the same. */
  mayStillEnd: boolean;
  /** What was sent last may have been made and billed, and nobody can be asked. */
  isUnclear: boolean;
  /** How often something was about to be sent. */
  readonly intents: number;
  /** What was sent last has an id to ask for. */
  readonly canBeAsked: boolean;
  update(backend: Backend | undefined, progress: JobProgress): void;
  /** For a backend: tells progress on, and writes down what is about to be sent. */
  context(backend: Backend | undefined, recorder: JobRecorder): RunContext;
}

/** The jobs at work in this window. */
export class RunningJobs implements Disposable {
  readonly #clock: Clock;
  readonly #life: AbortSignal;
  readonly #jobs = new Map<string, RunningJob>();
  readonly #changed = new Emitter<string>();

  constructor(clock: Clock, life: AbortSignal) {
    this.#clock = clock;
    this.#life = life;
  }

  readonly onDidChange: Event<string> = (listener) => this.#changed.event(listener);

  list(): readonly RunningJob[] {
    return [...this.#jobs.values()];
  }

  open(
    request: JobRequest,
    onProgress: (progress: JobProgress) => void,
    outer: AbortSignal,
    startedAt = this.#clock.now(),
  ): JobTask {
    const own = new AbortController();
    const cancel = (): void => own.abort(new Fault('cancelled', 'Cancelled'));
    const { id, label } = request;
    let intents = 0;
    let canBeAsked = false;
    const update = (backend: Backend | undefined, progress: JobProgress): void => {
      const where = { backend: backend?.id, tier: backend?.tier, backendLabel: backend?.label };
      this.#jobs.set(id, { id, label, startedAt, ...where, progress, cancel });
      this.#changed.fire(id);
      onProgress(progress);
    };
    const task: JobTask = {
      request,
      startedAt,
      signal: AbortSignal.any([outer, own.signal, this.#life]),
      saved: [],
      isFinished: false,
      mayStillEnd: false,
      isUnclear: false,
      get intents() {
        return intents;
      },
      get canBeAsked() {
        return canBeAsked;
      },
      update,
      context: (backend, recorder) => ({
        onProgress: (progress) => update(backend, progress),
        onIntent: async (remote) => {
          if (backend !== undefined) await recorder.intend(backend, remote);
          intents += 1;
          canBeAsked = remote.promptId !== undefined;
          task.mayStillEnd = false;
        },
        onSend: () => recorder.maySend(),
        onAccepted: () => recorder.accepted(),
      }),
      dispose: () => {
        this.#jobs.delete(id);
        this.#changed.fire(id);
      },
    };
    return task;
  }

  dispose(): void {
    this.#changed.dispose();
  }
}
