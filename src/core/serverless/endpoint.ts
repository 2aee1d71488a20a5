import type { EndpointReply } from './wire.ts';

/** A serverless endpoint: a queue with workers that come and go. */
export interface Endpoint {
  readonly id: string;
  readonly name: string;
  /** Only a queue has the job API. Undefined = not told. */
  readonly kind: 'queue' | 'loadBalancer' | undefined;
  readonly image: string | undefined;
  /** GPU pools in the order of preference; empty = a CPU endpoint. */
  readonly gpuPools: readonly string[];
  /** GPU type ids that are taken out of the pools. */
  readonly excludedGpus: readonly string[];
  /** Per worker. */
  readonly gpuCount: number;
  readonly minWorkers: number;
  /** 0 = the endpoint takes jobs and runs none. */
  readonly maxWorkers: number;
  readonly idleSeconds: number | undefined;
  /** Of one job; undefined = RunPod's own limit. */
  readonly timeoutMs: number | undefined;
  readonly flashboot: boolean;
  /** A network volume, where more models may lie. */
  readonly hasVolume: boolean;
  /** ms since the epoch */
  readonly createdAtMs: number | undefined;
}

export function toEndpoint(reply: EndpointReply): Endpoint {
  const created = Date.parse(reply.createdAt ?? '');
  return {
    id: reply.id,
    name: reply.name,
    kind: reply.type === 'QUEUE' ? 'queue' : reply.type === 'LOAD_BALANCER' ? 'loadBalancer' : undefined,
    image: reply.image ?? undefined,
    gpuPools: reply.gpu?.pools ?? [],
    excludedGpus: reply.gpu?.excludedTypes ?? [],
    gpuCount: reply.gpu?.count ?? 1,
    minWorkers: reply.workers.min,
    maxWorkers: reply.workers.max,
    idleSeconds: reply.workers.idleTimeout ?? undefined,
    timeoutMs: reply.timeout === 0 ? undefined : (reply.timeout ?? undefined),
    flashboot: reply.flashboot !== undefined && reply.flashboot !== null && reply.flashboot !== 'OFF',
    hasVolume: (reply.networkVolumes ?? []).length > 0,
    createdAtMs: Number.isNaN(created) ? undefined : created,
  };
}

/** List price of one GPU type in a serverless worker. */
export interface GpuPrice {
  readonly gpuId: string;
  readonly name: string;
  readonly pool: string;
  /** Micro-dollars of one GPU. */
  readonly usdPerHourMicros: number;
}
