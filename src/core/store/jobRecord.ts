import type { Exclusion } from '../queue/afterFault.ts';

/** 'lost': what became of it cannot be found out. */
export type JobState = 'running' | 'done' | 'failed' | 'cancelled' | 'lost';

/** Where a run can be asked for again. Stored before the prompt is sent, wherever the id is ours. */
export interface RemoteRun {
  /** Base URL of the ComfyUI, or of the service. */
  readonly address: string;
  /** Of the prompt, or of the service's own job; absent = there is none, or it is not known yet. */
  readonly promptId?: string;
  readonly clientId?: string;
  /** Prompts that had been done there before this one was sent; not stored. */
  readonly sentBefore?: readonly string[];
}

export interface OutputRow {
  readonly path: string;
  readonly bytes: number;
  readonly kind: 'image' | 'video' | 'other';
}

export interface NewJob {
  readonly id: string;
  readonly label: string;
  /** JSON text of the graph. */
  readonly workflow: string;
  /** What else the runner wants to find again: JSON values by name. */
  readonly details: Readonly<Record<string, unknown>>;
  /** ms since the epoch */
  readonly requestedAt: number;
}

export interface JobRecord extends NewJob {
  readonly state: 'queued' | JobState;
  readonly backend: string | undefined;
  readonly remote: RemoteRun | undefined;
  readonly attempts: readonly unknown[];
  readonly outputs: readonly OutputRow[];
  /** Undefined = not known, which is not zero. */
  readonly cost: { readonly micros: number; readonly basis: string } | undefined;
  readonly fault: { readonly kind: string; readonly message: string } | undefined;
  /** ms since the epoch */
  readonly changedAt: number;
  /** Only of jobs that came through the queue. */
  readonly queue?: QueuedBefore;
}

/** What the queue knows of a job beside its record. */
export interface QueuedBefore {
  /** The server has said that it took the prompt. */
  readonly accepted: boolean;
  /** It was put back once already since nobody knew of it. */
  readonly resent: boolean;
  /** It has had a second run, or is one: another run makes the same files. */
  readonly hasOther: boolean;
  /** How often it was given to a backend. */
  readonly run: number;
  readonly fingerprint: string;
  readonly excluded: readonly Exclusion[];
  /** ms since the epoch: given to its backend; undefined = never. */
  readonly givenAt: number | undefined;
}
