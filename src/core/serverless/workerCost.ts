import type { Observed } from '../kernel/observed.ts';
import type { Endpoint, GpuPrice } from './endpoint.ts';
import type { Worker } from './endpointClient.ts';

/** A worker that costs money now. */
export interface BilledWorker {
  readonly id: string;
  readonly endpoint: string;
  readonly gpuId: string | undefined;
  readonly gpuCount: number;
  /** Micro-dollars; undefined = not known. */
  readonly usdPerHourMicros: number | undefined;
}

/**
 * RunPod bills a worker from its start until it has stopped: booting, at work, and idle until its time-out. One that has no
 * machine yet, or crashes, is not billed (RunPod docs, serverless/pricing and serverless/workers/overview; where these two
 * disagree, about the start, the dearer reading holds).
 */
export function isBilled({ status, gpuId }: Pick<Worker, 'status' | 'gpuId'>): boolean {
  return status === 'running' || status === 'idle' || (status === 'initializing' && gpuId !== undefined);
}

/** Those that the endpoint's workers may get. */
export function pricesOf(endpoint: Endpoint, prices: readonly GpuPrice[]): readonly GpuPrice[] {
  return prices.filter(({ gpuId, pool }) => endpoint.gpuPools.includes(pool) && !endpoint.excludedGpus.includes(gpuId));
}

/** Of one worker with the dearest GPU that it may get, in micro-dollars per hour; undefined = not known. */
export function workerMicrosPerHour(endpoint: Endpoint, prices: readonly GpuPrice[] | undefined): number | undefined {
  const possible = pricesOf(endpoint, prices ?? []);
  if (possible.length === 0) return undefined;
  return Math.max(...possible.map(({ usdPerHourMicros }) => usdPerHourMicros)) * endpoint.gpuCount;
}

/** The workers that cost money now, as last seen. */
export function billedWorkers(
  statuses: readonly { readonly endpoint: Endpoint; readonly workers: Observed<readonly Worker[]> }[],
  prices: readonly GpuPrice[] | undefined,
): readonly BilledWorker[] {
  return statuses.flatMap(({ endpoint, workers }) =>
    (workers.known ? workers.value : []).filter(isBilled).map(({ id, gpuId, gpuCount }) => {
      const exact = prices?.find((one) => one.gpuId === gpuId)?.usdPerHourMicros;
      const usdPerHourMicros = exact === undefined ? workerMicrosPerHour(endpoint, prices) : exact * gpuCount;
      return { id, endpoint: endpoint.name, gpuId, gpuCount, usdPerHourMicros };
    }),
  );
}
