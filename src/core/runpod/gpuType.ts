import type * as z from 'zod/mini';
import type { gpuListReply } from './wire.ts';

export type Cloud = 'SECURE' | 'COMMUNITY';
export type Stock = 'NONE' | 'LOW' | 'MEDIUM' | 'HIGH';

/** What RunPod offers of one GPU type in one cloud tier. */
export interface GpuTier {
  readonly offered: boolean;
  /** Micro-dollars per hour of one GPU; a placeholder when the tier is not offered. Undefined when not told. */
  readonly usdPerHourMicros: number | undefined;
  /** Most GPUs on one pod; a ceiling, not stock. */
  readonly maxCount: number | undefined;
}

export interface GpuType {
  /** What a create request names, e.g. 'NVIDIA GeForce RTX 4090'. */
  readonly id: string;
  readonly name: string;
  readonly manufacturer: string | undefined;
  readonly memoryGb: number;
  readonly secure: GpuTier;
  readonly community: GpuTier;
  /** In the cloud tier that was asked for; undefined when not told. */
  readonly stock: Stock | undefined;
  readonly dataCenters: readonly { readonly id: string; readonly stock: Stock | undefined }[];
}

type GpuReply = z.infer<typeof gpuListReply>['gpus'][number];

export function toGpuType(reply: GpuReply): GpuType {
  const tier = (name: 'secure' | 'community'): GpuTier => {
    const price = reply.price[name];
    return {
      offered: reply[name],
      usdPerHourMicros: typeof price === 'number' ? Math.round(price * 1_000_000) : undefined,
      maxCount: reply.maxCount?.[name] ?? undefined,
    };
  };
  return {
    id: reply.id,
    name: reply.name,
    manufacturer: reply.manufacturer ?? undefined,
    memoryGb: reply.memory,
    secure: tier('secure'),
    community: tier('community'),
    stock: toStock(reply.availability),
    dataCenters: (reply.dataCenters ?? []).map(({ id, availability }) => ({ id, stock: toStock(availability) })),
  };
}

function toStock(text: string | null | undefined): Stock | undefined {
  return text === 'NONE' || text === 'LOW' || text === 'MEDIUM' || text === 'HIGH' ? text : undefined;
}
