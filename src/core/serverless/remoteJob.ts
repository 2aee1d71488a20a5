import type { JobReply } from './wire.ts';

/** 'unknown' = a word that RunPod has added since: not an end. */
export type JobStatus = 'queued' | 'running' | 'completed' | 'failed' | 'cancelled' | 'timedOut' | 'unknown';

/** One request to an endpoint, as RunPod tells of it. Only its id and status are sure. */
export interface RemoteJob {
  readonly id: string;
  readonly status: JobStatus;
  /** Wait in the queue, the start of a worker included. */
  readonly delayMs: number | undefined;
  readonly executionMs: number | undefined;
  readonly workerId: string | undefined;
  /** Whatever the worker returned; a worker's progress message while it runs. */
  readonly output: unknown;
  readonly error: unknown;
}

const statuses: Readonly<Record<string, JobStatus>> = {
  IN_QUEUE: 'queued',
  IN_PROGRESS: 'running',
  RUNNING: 'running',
  COMPLETED: 'completed',
  FAILED: 'failed',
  CANCELLED: 'cancelled',
  TIMED_OUT: 'timedOut',
};

export function statusOf(word: string | null | undefined): JobStatus {
  return statuses[word ?? ''] ?? 'unknown';
}

export function toRemoteJob(id: string, reply: JobReply): RemoteJob {
  return {
    id,
    status: statusOf(reply.status),
    delayMs: reply.delayTime,
    executionMs: reply.executionTime,
    workerId: reply.workerId,
    output: reply.output,
    error: reply.error,
  };
}

export function hasEnded({ status }: Pick<RemoteJob, 'status'>): boolean {
  return status !== 'queued' && status !== 'running' && status !== 'unknown';
}
