import type * as z from 'zod/mini';
import { timeMs } from './pod.ts';
import type { billingReply, podBillingReply } from './wire.ts';

/** The last N buckets with the running one, or a span of RFC 3339 times; RunPod refuses both together. */
export type BillingQuery = {
  readonly bucketSize: 'hour' | 'day' | 'week' | 'month' | 'year';
} & ({ readonly lastN: number } | { readonly startTime: string; readonly endTime: string });

/** Spend of one bucket in micro-dollars. RunPod's figures lag by some minutes. */
export interface BillingRecord {
  readonly startAtMs: number | undefined;
  readonly endAtMs: number | undefined;
  readonly totalMicros: number;
  /** Undefined parts were not told. */
  readonly podGpuMicros: number | undefined;
  readonly podCpuMicros: number | undefined;
  readonly podDiskMicros: number | undefined;
  readonly networkVolumeMicros: number | undefined;
}

export interface PodBillingRecord {
  readonly podId: string;
  readonly startAtMs: number | undefined;
  readonly endAtMs: number | undefined;
  readonly totalMicros: number;
  readonly gpuMicros: number | undefined;
  readonly cpuMicros: number | undefined;
  readonly diskMicros: number | undefined;
}

export function toBillingRecord(reply: z.infer<typeof billingReply>['records'][number]): BillingRecord {
  const standard = toMicros(reply.storageStandardAmount);
  const fast = toMicros(reply.storageHighPerformanceAmount);
  return {
    startAtMs: timeMs(reply.startTime),
    endAtMs: timeMs(reply.endTime),
    totalMicros: Math.round(reply.totalAmount * 1_000_000),
    podGpuMicros: toMicros(reply.podGpuAmount),
    podCpuMicros: toMicros(reply.podCpuAmount),
    podDiskMicros: toMicros(reply.podDiskAmount),
    networkVolumeMicros: standard === undefined || fast === undefined ? undefined : standard + fast,
  };
}

export function toPodBillingRecord(reply: z.infer<typeof podBillingReply>['records'][number]): PodBillingRecord {
  return {
    podId: reply.podId,
    startAtMs: timeMs(reply.startTime),
    endAtMs: timeMs(reply.endTime),
    totalMicros: Math.round(reply.totalAmount * 1_000_000),
    gpuMicros: toMicros(reply.gpuAmount),
    cpuMicros: toMicros(reply.cpuAmount),
    diskMicros: toMicros(reply.diskAmount),
  };
}

function toMicros(usd: number | null | undefined): number | undefined {
  return typeof usd === 'number' ? Math.round(usd * 1_000_000) : undefined;
}
