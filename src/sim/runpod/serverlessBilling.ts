import type { InvoiceLine } from './billing.ts';
import type { EndpointRecord, WorkerRecord } from './serverlessEndpoint.ts';

const hourMs = 3_600_000;
/** USD per GB-month of container disk, as for pods; a month is 730 hours. */
const diskMicrosPerGbHour = 100_000 / 730;

/** Seconds of a worker that are billed in `[from, to)`: each run is rounded up to a whole second (RunPod docs, serverless/pricing). */
export function billedSeconds(worker: WorkerRecord, from: number, to: number, now: number): number {
  return worker.billed.reduce((sum, span) => {
    const end = span.from + Math.ceil(((span.to ?? now) - span.from) / 1000) * 1000;
    return sum + Math.max(0, Math.min(end, to) - Math.max(span.from, from)) / 1000;
  }, 0);
}

interface WorkerAmounts {
  /** micro-dollars, not rounded */
  readonly compute: number;
  readonly disk: number;
  readonly seconds: number;
}

function amountsOf(worker: WorkerRecord, from: number, to: number, now: number): WorkerAmounts {
  const seconds = billedSeconds(worker, from, to, now);
  const hours = (seconds * 1000) / hourMs;
  const price = worker.place?.microsPerHour ?? 0;
  return { compute: hours * price, disk: hours * worker.diskGb * diskMicrosPerGbHour, seconds };
}

/** One line per worker that ever ran; `podId` is the worker's. */
export function workerLines(endpoints: readonly EndpointRecord[], now: number): InvoiceLine[] {
  return endpoints.flatMap((endpoint) =>
    endpoint.everyWorker
      .filter((worker) => worker.billed.length > 0)
      .map((worker): InvoiceLine => {
        const { compute, disk, seconds } = amountsOf(worker, -Infinity, Infinity, now);
        const [computeMicros, containerDiskMicros] = [Math.round(compute), Math.round(disk)];
        return {
          podId: worker.id,
          serverlessId: endpoint.id,
          name: endpoint.spec.name,
          computeMicros,
          containerDiskMicros,
          volumeDiskMicros: 0,
          stoppedVolumeDiskMicros: 0,
          networkVolumeMicros: 0,
          totalMicros: computeMicros + containerDiskMicros,
          computeSeconds: seconds,
          stoppedSeconds: 0,
        };
      }),
  );
}

/** What each endpoint cost in `[from, to)`, in USD, by the names of `/v2/billing/serverless`. */
export function endpointAmounts(
  endpoints: readonly EndpointRecord[],
  from: number,
  to: number,
  now: number,
): { readonly id: string; readonly usd: Readonly<Record<string, number>> }[] {
  return endpoints.flatMap((endpoint) => {
    const spent = endpoint.everyWorker.map((worker) => amountsOf(worker, from, to, now));
    const gpu = spent.reduce((sum, { compute }) => sum + compute, 0) / 1e6;
    const disk = spent.reduce((sum, one) => sum + one.disk, 0) / 1e6;
    if (gpu + disk === 0) return [];
    const usd = { totalAmount: gpu + disk, gpuAmount: gpu, cpuAmount: 0, diskAmount: disk, feeAmount: 0 };
    return [{ id: endpoint.id, usd }];
  });
}
