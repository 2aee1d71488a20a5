import type { Cloud, GpuType, Stock } from '../runpod/gpuType.ts';

export interface GpuNeeds {
  /** Per GPU: ComfyUI uses one. */
  readonly minVramGb: number;
  readonly count: number;
  /** Upper limit for the whole pod, micro-dollars per hour. */
  readonly maxUsdPerHourMicros: number;
  /** Only these types, when given. */
  readonly gpuIds?: readonly string[];
  /** Only types with stock there, when given: RunPod refuses a create elsewhere. */
  readonly dataCenterIds?: readonly string[];
}

export interface GpuCandidate {
  readonly gpuId: string;
  readonly name: string;
  readonly memoryGb: number;
  readonly count: number;
  readonly cloud: Cloud;
  /** The quote: micro-dollars per hour of the whole pod by the catalogue. */
  readonly usdPerHourMicros: number;
  readonly stock: Stock | undefined;
}

export interface GpuRanking {
  /** Cheapest first. */
  readonly candidates: readonly GpuCandidate[];
  readonly refused: readonly { readonly gpuId: string; readonly cloud: Cloud; readonly why: string }[];
}

/** The catalogue as read for one cloud tier: stock differs between them. */
export interface GpuCatalogue {
  readonly cloud: Cloud;
  readonly gpus: readonly GpuType[];
}

const stockRank: Readonly<Record<Stock, number>> = { HIGH: 0, MEDIUM: 1, LOW: 2, NONE: 4 };

/** GPUs that can do the work, in stock and within the price, in the order to try them. Every other has its reason. */
export function rankGpus(catalogues: readonly GpuCatalogue[], needs: GpuNeeds): GpuRanking {
  const candidates: GpuCandidate[] = [];
  const refused: { gpuId: string; cloud: Cloud; why: string }[] = [];
  for (const { cloud, gpus } of catalogues) {
    for (const gpu of gpus) {
      const judged = judge(gpu, cloud, needs);
      if (typeof judged === 'string') refused.push({ gpuId: gpu.id, cloud, why: judged });
      else candidates.push(judged);
    }
  }
  return { candidates: candidates.sort(byPreference), refused };
}

/** The candidate, or why it is none. */
function judge(gpu: GpuType, cloud: Cloud, needs: GpuNeeds): GpuCandidate | string {
  // The live catalogue holds a sentinel entry, and placeholder prices for tiers that are not offered.
  if (gpu.id === 'unknown' || gpu.memoryGb <= 0) return 'not a real GPU type';
  if (needs.gpuIds !== undefined && !needs.gpuIds.includes(gpu.id)) return 'not among the chosen GPU types';
  if (gpu.manufacturer === 'AMD') return 'the ComfyUI image needs CUDA';
  const tier = cloud === 'SECURE' ? gpu.secure : gpu.community;
  const price = tier.usdPerHourMicros;
  if (!tier.offered || price === undefined || price <= 0) return `not offered in the ${cloud.toLowerCase()} cloud`;
  if (gpu.memoryGb < needs.minVramGb) return `${gpu.memoryGb} GB of VRAM, ${needs.minVramGb} GB needed`;
  if (tier.maxCount !== undefined && tier.maxCount < needs.count) return `at most ${tier.maxCount} GPUs on one pod`;
  if (gpu.stock === 'NONE') return 'out of stock';
  const wanted = needs.dataCenterIds ?? [];
  if (wanted.length > 0 && gpu.dataCenters.length > 0 && !gpu.dataCenters.some((at) => stocked(at, wanted))) {
    return 'no stock in the chosen data centres';
  }
  const usdPerHourMicros = price * needs.count;
  if (usdPerHourMicros > needs.maxUsdPerHourMicros) {
    return `$${usdText(usdPerHourMicros)}/h is over the limit of $${usdText(needs.maxUsdPerHourMicros)}/h`;
  }
  const { id: gpuId, name, memoryGb, stock } = gpu;
  return { gpuId, name, memoryGb, count: needs.count, cloud, usdPerHourMicros, stock };
}

function stocked(at: GpuType['dataCenters'][number], wanted: readonly string[]): boolean {
  return wanted.includes(at.id) && at.stock !== 'NONE';
}

function byPreference(a: GpuCandidate, b: GpuCandidate): number {
  return (
    a.usdPerHourMicros - b.usdPerHourMicros ||
    rankOf(a.stock) - rankOf(b.stock) ||
    b.memoryGb - a.memoryGb ||
    Number(a.cloud === 'COMMUNITY') - Number(b.cloud === 'COMMUNITY') ||
    a.gpuId.localeCompare(b.gpuId)
  );
}

/** Unknown stock is neither plenty nor none. */
function rankOf(stock: Stock | undefined): number {
  return stock === undefined ? 3 : stockRank[stock];
}

export function usdText(micros: number): string {
  return (micros / 1_000_000).toFixed(2);
}
