/** One request to an endpoint's queue, as the simulator keeps it. Times are simulated ms since the epoch. */
export interface Job {
  readonly id: string;
  readonly endpointId: string;
  /** sent to /runsync: kept for a shorter time */
  readonly sync: boolean;
  readonly input: unknown;
  /** where it was sent to: links to its files begin with it */
  readonly origin: string;
  readonly policy: JobPolicy;
  submittedAt: number;
  status: JobStatus;
  pickedUpAt: number | undefined;
  endedAt: number | undefined;
  workerId: string | undefined;
  output: unknown;
  error: string | undefined;
  /** workers that died under it */
  deaths: number;
  /** what a stream has not fetched yet */
  chunks: unknown[];
  /** what its worker said last while it runs */
  progress: unknown;
  /** called when there is something to stream, or it ends */
  readonly onNews: Set<() => void>;
  /** ends what runs on the worker */
  stop: AbortController;
  /** called once when it ends */
  readonly onEnd: Set<() => void>;
  /** a late progress message overwrote its end: shown IN_PROGRESS for ever */
  frozen: boolean;
}

export type JobStatus = 'IN_QUEUE' | 'IN_PROGRESS' | 'COMPLETED' | 'FAILED' | 'CANCELLED' | 'TIMED_OUT';

/** `policy` of a request, with defaults (RunPod docs, send-requests). All ms. */
export interface JobPolicy {
  readonly executionTimeout: number | undefined;
  readonly ttl: number;
  readonly lowPriority: boolean;
}

const dayMs = 86_400_000;
export const defaultTtlMs = dayMs;
export const policyRanges = {
  executionTimeout: { least: 5_000, most: 7 * dayMs },
  ttl: { least: 10_000, most: 7 * dayMs },
};

export const hasEnded = ({ status }: Job): boolean => status !== 'IN_QUEUE' && status !== 'IN_PROGRESS';

/** A job as the job API shows it; `delayTime` is the wait, cold start included. */
export function jobView(job: Job): object {
  const { id, pickedUpAt, endedAt, workerId, output, error } = job;
  const ended = hasEnded(job);
  return {
    id,
    status: ended && job.frozen ? 'IN_PROGRESS' : job.status,
    ...(pickedUpAt === undefined ? {} : { delayTime: pickedUpAt - job.submittedAt }),
    ...(pickedUpAt === undefined || endedAt === undefined ? {} : { executionTime: endedAt - pickedUpAt }),
    ...(workerId === undefined ? {} : { workerId }),
    ...(ended && output !== undefined && !job.frozen ? { output } : {}),
    ...(job.status === 'IN_PROGRESS' && job.progress !== undefined ? { output: job.progress } : {}),
    ...(ended && error !== undefined ? { error } : {}),
  };
}
