import type { JobRequest } from '../backends/backend.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import type { Observed } from '../kernel/observed.ts';
import type { JobState } from '../store/jobStore.ts';

/** One row of the list. Times are ms since the epoch. */
export interface QueueJob {
  readonly id: string;
  readonly label: string;
  readonly state: 'queued' | JobState;
  /** Greater goes first. */
  readonly priority: number;
  /** Of queued jobs: 1 = next. */
  readonly position: number | undefined;
  /** Id of the backend. */
  readonly backend: string | undefined;
  /** The backend as a person knows it. */
  readonly backendLabel: string | undefined;
  /** 'Why this backend?', as it was said when the job was given to it. */
  readonly why: string | undefined;
  /** Why it does not run yet: paused, no backend can, held for a faster one, budget. */
  readonly waitsFor: string | undefined;
  /** Of jobs in other windows too, about 1 s old. */
  readonly progress: { readonly phase: string; readonly fraction?: number; readonly node?: string } | undefined;
  /** Predicted. */
  readonly finishAt: number | undefined;
  readonly requestedAt: number;
  readonly changedAt: number;
  /** Absolute paths. */
  readonly outputs: readonly string[];
  /** Micro-dollars; undefined = not known. */
  readonly micros: number | undefined;
  readonly fault: string | undefined;
  /** It runs in this window. */
  readonly here: boolean;
  /** It was sent, the connection was lost, and its server is asked for it again as soon as it answers. */
  readonly isLeft?: boolean;
  /** It runs beside the late run of this job; the first result of the two counts. */
  readonly secondOf?: string;
}

export interface QueueView {
  /** Running, then queued in order (the first 500), then ended, newest first (100). */
  readonly jobs: readonly QueueJob[];
  readonly counts: Readonly<Record<'queued' | JobState, number>>;
  readonly paused: boolean;
  readonly leader: 'here' | 'elsewhere' | 'none';
  /** Of the whole queue, predicted; ms since the epoch. */
  readonly finishAt: number | undefined;
}

/** The jobs of all windows. */
export interface QueueService {
  readonly onDidChange: Event<void>;
  readonly view: Observed<QueueView>;
  refresh(): Promise<void>;
  /** All or none. @throws Fault 'rejected' beyond 10,000 queued jobs */
  enqueue(requests: readonly (JobRequest & { readonly priority?: number })[], signal: AbortSignal): Promise<void>;
  /** Queued ones end at once; running ones also in other windows. */
  cancel(ids: readonly string[]): Promise<void>;
  /** Failed, cancelled and lost ones are queued again, as a new attempt of the same job. */
  retry(ids: readonly string[]): Promise<void>;
  move(id: string, to: 'top' | 'up' | 'down' | 'bottom'): Promise<void>;
  /** The whole queue, in all windows, also after a restart. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  clearEnded(): Promise<void>;
  /** To be called once when there are records of earlier: goes on with what is queued. Faults: 'io'. */
  begin(): Promise<void>;
  /** Somebody looks: the view follows what other windows do, within about 1 s. No timer runs otherwise. */
  watch(): Disposable;
}
