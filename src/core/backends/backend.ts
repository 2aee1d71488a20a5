import type { Fault } from '../kernel/fault.ts';
import type { Workflow } from '../comfy/workflow.ts';
import type { RemoteRun } from '../store/jobStore.ts';

export const tiers = ['local', 'cloud', 'gemini'] as const;
/** What a person ranks. A tier may have several backends. */
export type Tier = (typeof tiers)[number];

/** What a person asked for, ready to run. */
export interface JobRequest {
  readonly id: string;
  /** How often the queue has given it away: each run is paid for by itself. Absent = it did not come from there. */
  readonly run?: number;
  /** Shown while it runs. */
  readonly label: string;
  readonly workflow: Workflow;
  readonly media: 'image' | 'video';
  /** Never leaves this machine: it fails instead. */
  readonly localOnly: boolean;
  /** The backend that a dispatcher has chosen: tried first while it may be used at all, and then the chain. */
  readonly first?: string;
  /** Where the input files that the graph names are looked for: the folder of the workflow's own file. */
  readonly inputFolder?: string;
}

export type JobRun = Pick<JobRequest, 'id' | 'run'>;

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
  /** The job will not cost more: so much is held against budgets. Absent = as predicted. */
  readonly mostMicros?: number;
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
  /** All files of the job are in place and it is done on record: the service need not keep it. Never throws. */
  onSaved?(): Promise<void>;
}

export interface BackendResult {
  readonly files: readonly RemoteFile[];
  /** Micro-dollars; measured or the provider's own figure. */
  readonly micros: number;
  readonly costBasis: string;
  /** What `micros` is: absent = an estimate; 'unknown' = `micros` says nothing. */
  readonly basis?: CostKind;
  readonly gpu?: string;
  /** On the GPU, without the wait in its line; absent = not observed. */
  readonly ranMs?: number;
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
  /** What was intended is about to be sent. @throws Fault 'cancelled' when the job is another window's by now */
  onSend?(): Promise<void>;
  /** The service has said that it has it. */
  onAccepted?(): void;
}

/** What became of a run that an earlier window sent. */
export type Resumed =
  | { readonly is: 'result'; readonly result: BackendResult }
  /** It will never be known; a sentence. */
  | { readonly is: 'lost'; readonly why: string; readonly end?: LostEnd }
  /** Nobody can say now; a sentence. */
  | {
      readonly is: 'later';
      readonly why: string;
      /** Its result is not kept for long: it is asked for again after so many ms at most. */
      readonly withinMs?: number;
    };

/**
 * What is certain of a lost run all the same: it never came to the server, or it ended with its machine. 'unknown': the
 * server answers and does not know it.
 */
export type LostEnd = 'neverSent' | 'withMachine' | 'unknown';

/** What is known of a backend without asking it. */
export type Standing = 'ready' | 'unknown' | 'starting' | 'stopped';

/** What a job costs: nothing, a share of a pod's time (which that pod's account holds in full), or its own price. */
export type Billing = 'free' | 'podTime' | 'job';

/** What a ComfyUI has. */
export interface Inventory {
  readonly checkpoints: number;
  readonly loras: number;
  /** Folders of custom nodes. */
  readonly nodePacks: number;
  readonly nodeTypes: number;
}

export interface Backend {
  /** 'local', 'cloud' (the configured pod), 'gemini', 'pod:<pod id>', 'endpoint:<endpoint id>'. */
  readonly id: string;
  readonly tier: Tier;
  /** For a person: 'RunPod pod podrelay-x'. */
  readonly label: string;
  /** Within its tier: 'podrelay-x'. Absent = there is but one such, or it is not known. */
  readonly name?: string | undefined;
  readonly billing: Billing;
  /** Jobs that it holds at once at best: more than one, so that its GPU does not wait for a download. */
  readonly depth: number;
  /**
   * Its workers come with the jobs and go by themselves: it is never started for a job, and works on several at once.
   * Absent = one machine.
   */
  readonly workers?: {
    readonly most: number;
    /** Until a worker is up, while none is; seconds. */
    readonly startSeconds: number;
  };
  /** Another id that means this backend now: of the pod that is the configured one. */
  readonly alias?: () => string | undefined;
  /** Asked at every decision: costs nothing. Absent = as its health says. */
  readonly standing?: () => Standing;
  /** False = switched off or not configured: `why` says which. Asked before anything else; costs nothing. */
  ready(): { readonly ok: true } | { readonly ok: false; readonly why: string };
  /** Cheap, at most 5 s; never starts a pod, never spends. */
  probe(signal: AbortSignal): Promise<Health>;
  /** Why this backend cannot run this job, each reason a sentence; empty = it can, as far as is known without asking. */
  refusals(job: JobRequest, signal: AbortSignal): Promise<readonly string[]>;
  quote(job: JobRequest): Quote;
  /** What a ComfyUI has; megabytes, so asked rarely. Absent = the question makes no sense there. */
  inventory?(signal: AbortSignal): Promise<Inventory>;
  /** @throws Fault */
  run(job: JobRequest, context: RunContext, signal: AbortSignal): Promise<BackendResult>;
  /**
   * Asks for what an earlier window sent, and follows it to its end. Sends, starts and pays nothing. Absent = what was
   * sent there cannot be asked for.
   * @throws Fault when the job has failed there
   */
  resume?(remote: RemoteRun, job: JobRequest, context: RunContext, signal: AbortSignal): Promise<Resumed>;
}
