import type { CostKind, JobRequest, Tier } from '../backends/backend.ts';
import type { Attempt } from '../backends/backendManager.ts';
import type { Workflow } from '../comfy/workflow.ts';
import type { Fault } from '../kernel/fault.ts';
import type { SavedOutput } from '../outputs/saveOutput.ts';

export interface JobOutcome {
  readonly request: JobRequest;
  /** Id of the backend. */
  readonly backend: string;
  readonly tier: Tier;
  /** The backend as a person knows it. */
  readonly backendLabel: string;
  readonly outputs: readonly SavedOutput[];
  readonly micros: number;
  readonly costBasis: string;
  readonly basis: CostKind;
  readonly gpu: string | undefined;
  /** On the GPU, without waiting; undefined = not observed. */
  readonly ranMs?: number | undefined;
  /** The graph that ran; undefined when the backend ran none (Gemini). */
  readonly workflow: Workflow | undefined;
  readonly attempts: readonly Attempt[];
  readonly dropped: readonly string[];
  /** What went wrong beside the job, as sentences: a story that could not be written, a record that could not be kept. */
  readonly warnings: readonly string[];
  /** ms since the epoch */
  readonly startedAt: number;
  readonly ms: number;
}

/** What became of a job of the queue on the one backend that it was given to. */
export type ClaimedEnd =
  | { readonly is: 'done'; readonly outcome: JobOutcome }
  /** It has ended on record, it is looked for again later, or it is another window's by now. */
  | { readonly is: 'over'; readonly fault: Fault }
  /** Nothing of it can end there any more, and its record is as it was: for the queue to decide. */
  | {
      readonly is: 'again';
      readonly fault: Fault;
      /** All of the job so far. */
      readonly attempts: readonly Attempt[];
      /** Something may have been sent. */
      readonly wasSent: boolean;
    };

/** How a job ended whose window had gone. */
export type RecoveredJob =
  | { readonly request: JobRequest; readonly state: 'done'; readonly outcome: JobOutcome }
  | {
      readonly request: JobRequest;
      /** 'later': its server does not answer now. 'queued': it is the queue's again. */
      readonly state: 'failed' | 'cancelled' | 'lost' | 'later' | 'queued';
      readonly why: string;
      /** Its own window has told a failure already, without knowing the end. */
      readonly isTold: boolean;
    };
