import type { Fault } from '../kernel/fault.ts';
import type { Workflow } from '../comfy/workflow.ts';
import type { RemoteRun } from '../store/jobStore.ts';

export const tiers = ['local', 'cloud', 'gemini'] as const;
/** Also the id of the backend: this version has one backend a tier. */
export type Tier = (typeof tiers)[number];

/** What a person asked for, ready to run. */
export interface JobRequest {
  readonly id: string;
  /** Shown while it runs. */
  readonly label: string;
  readonly workflow: Workflow;
  readonly media: 'image' | 'video';
  /** Never leaves this machine: it fails instead. */
  readonly localOnly: boolean;
  /** Where the input files that the graph names are looked for: the folder of the workflow's own file. */
  readonly inputFolder?: string;
}

export interface Health {
  readonly state: 'healthy' | 'degraded' | 'starting' | 'stopped' | 'unhealthy' | 'off';
  /** One sentence: why it is not simply healthy, or what it is. */
  readonly why: string;
  readonly latencyMs?: number;
  readonly version?: string;
  readonly gpu?: string;
  readonly vramTotalBytes?: number;
  readonly vramFreeBytes?: number;
  /** Prompts that run or wait there. */
  readonly queueLength?: number;
  readonly fault?: Fault;
}

/** Predicted cost, with what the prediction stands on. */
export interface Quote {
  readonly micros: number;
  readonly basis: string;
}

export interface JobProgress {
  readonly phase: string;
  /** 0 to 1 */
  readonly fraction?: number;
  readonly node?: string;
  readonly preview?: { readonly mimeType: string; readonly bytes: Uint8Array };
}

/** A file that the backend made, not fetched yet. */
export interface RemoteFile {
  readonly name: string;
  open(signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
}

export interface BackendResult {
  readonly files: readonly RemoteFile[];
  /** Micro-dollars; measured or the provider's own figure. */
  readonly micros: number;
  readonly costBasis: string;
  /** What `micros` is: absent = an estimate; 'unknown' = `micros` says nothing. */
  readonly basis?: CostKind;
  readonly gpu?: string;
  /** The graph that ran; absent = the one of the request, or none (Gemini). */
  readonly workflow?: Workflow;
  /** What was asked for and could not be honoured. */
  readonly dropped: readonly string[];
}

export type CostKind = 'measured' | 'estimated' | 'unknown';

export interface RunContext {
  onProgress(progress: JobProgress): void;
  /**
   * To be awaited before anything is sent: on disk when it returns, so that the run can be found again after a crash.
   * Where the service chooses the id, it is called again once that is known.
   * @throws Fault 'io' when it cannot be written down and would be paid for
   */
  onIntent(remote: RemoteRun): Promise<void>;
}

/** What became of a run that an earlier window sent. */
export type Resumed =
  | { readonly is: 'result'; readonly result: BackendResult }
  /** It will never be known; a sentence. */
  | { readonly is: 'lost'; readonly why: string }
  /** Nobody can say now; a sentence. */
  | { readonly is: 'later'; readonly why: string };

export interface Backend {
  readonly id: Tier;
  readonly label: string;
  /** False = switched off or not configured: `why` says which. Asked before anything else; costs nothing. */
  ready(): { readonly ok: true } | { readonly ok: false; readonly why: string };
  /** Cheap, at most 5 s; never starts a pod, never spends. */
  probe(signal: AbortSignal): Promise<Health>;
  /** Why this backend cannot run this job, each reason a sentence; empty = it can, as far as is known without asking. */
  refusals(job: JobRequest, signal: AbortSignal): Promise<readonly string[]>;
  quote(job: JobRequest): Quote;
  /** @throws Fault */
  run(job: JobRequest, context: RunContext, signal: AbortSignal): Promise<BackendResult>;
  /**
   * Asks for what an earlier window sent, and follows it to its end. Sends, starts and pays nothing. Absent = what was
   * sent there cannot be asked for.
   * @throws Fault when the job has failed there
   */
  resume?(remote: RemoteRun, job: JobRequest, context: RunContext, signal: AbortSignal): Promise<Resumed>;
}
