import type { Fault } from '../kernel/fault.ts';
import type { Workflow } from '../comfy/workflow.ts';

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
  readonly gpu?: string;
  /** What was asked for and could not be honoured. */
  readonly dropped: readonly string[];
}

export interface RunContext {
  onProgress(progress: JobProgress): void;
}

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
}
