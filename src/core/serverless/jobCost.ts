import type { BackendResult } from '../backends/backend.ts';
import { formatUsdPerHour } from '../cost/price.ts';
import type { Endpoint, GpuPrice } from './endpoint.ts';
import { pricesOf } from './workerCost.ts';
import type { Worker } from './endpointClient.ts';
import type { RemoteJob } from './remoteJob.ts';

export type JobCost = Pick<BackendResult, 'micros' | 'costBasis' | 'gpu'> & {
  readonly basis: NonNullable<BackendResult['basis']>;
};

export interface CostFacts {
  readonly endpoint: Endpoint | undefined;
  readonly prices: readonly GpuPrice[];
  /** The worker that ran it, as it was listed; undefined when it was not seen. */
  readonly worker: Pick<Worker, 'gpuId' | 'gpuCount'> | undefined;
}

/** The price of one worker, and the card when it is the only possible one. Undefined = not known. */
export function workerPrice({ endpoint, prices, worker }: CostFacts):
  | {
      readonly usdPerHourMicros: number;
      readonly gpu: string | undefined;
      readonly isExact: boolean;
    }
  | undefined {
  const placed = worker?.gpuId === undefined ? undefined : prices.find(({ gpuId }) => gpuId === worker.gpuId);
  if (placed !== undefined) {
    const usdPerHourMicros = placed.usdPerHourMicros * (worker?.gpuCount ?? 1);
    return { usdPerHourMicros, gpu: placed.name, isExact: true };
  }
  const possible = endpoint === undefined ? [] : pricesOf(endpoint, prices);
  if (possible.length === 0) return undefined;
  // The dearest: what a job cost is never told too low.
  const dearest = Math.max(...possible.map(({ usdPerHourMicros }) => usdPerHourMicros));
  const isExact = possible.every(({ usdPerHourMicros }) => usdPerHourMicros === dearest);
  const usdPerHourMicros = dearest * (endpoint?.gpuCount ?? 1);
  return { usdPerHourMicros, gpu: possible.length === 1 ? possible[0]?.name : undefined, isExact };
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

/**
 * What a job's run cost: its time on the worker at the worker's list price. RunPod bills the worker's start and idle time
 * too, which belong to no single job: the wait is told apart, and the account's bill has the whole.
 */
export function jobCost(job: Pick<RemoteJob, 'executionMs' | 'delayMs'>, facts: CostFacts): JobCost {
  const price = workerPrice(facts);
  const gpu = price?.gpu === undefined ? {} : { gpu: price.gpu };
  const { executionMs, delayMs } = job;
  if (executionMs === undefined || price === undefined) {
    const what = executionMs === undefined ? 'the time that it took' : "the worker's price";
    return { micros: 0, costBasis: `${what} is not known`, basis: 'unknown', ...gpu };
  }
  const { usdPerHourMicros, isExact } = price;
  const rate = formatUsdPerHour(usdPerHourMicros);
  const wait = delayMs === undefined ? '' : `; ${seconds(delayMs)} of queue and worker start apart`;
  return {
    micros: Math.round((executionMs * usdPerHourMicros) / 3_600_000),
    costBasis: `${seconds(executionMs)} at ${isExact ? rate : `up to ${rate}`}${wait}`,
    basis: isExact ? 'measured' : 'estimated',
    ...gpu,
  };
}
