import { compareCuda, cpuEntries, type Catalog, type GpuEntry } from './catalog.ts';
import type { FaultBook } from './faults.ts';
import type { PodSpec } from './podRequest.ts';
import { noStock, invalid, Refusal } from './problem.ts';

export interface Place {
  readonly dataCenterId: string;
  readonly cudaVersion: string | null;
  /** whole pod */
  readonly microsPerHour: number;
  readonly vcpuCount: number;
  readonly memoryGb: number;
  readonly gpu: GpuEntry | undefined;
}

const rank = { NONE: 0, LOW: 1, MEDIUM: 2, HIGH: 3 } as const;

/**
 * Finds a machine; every kind of missing stock has the same text.
 * @throws Refusal 400 without stock, 403 for a pool that is closed to the account, 422 for an unknown card
 */
export function place(
  spec: PodSpec,
  catalog: Catalog,
  faults: FaultBook,
  forbiddenPools: readonly string[],
  volumeDataCenter: string | undefined,
): Place {
  if (spec.cpu) return placeCpu(spec.cpu, spec.dataCenterIds, volumeDataCenter);
  const wish = spec.gpu;
  const gpu = wish && catalog.gpu(wish.id);
  if (!wish || !gpu || gpu.id === 'unknown') throw new Refusal(422, `Unknown GPU type: ${wish?.id ?? ''}`);
  if (gpu.pool !== null && forbiddenPools.includes(gpu.pool)) throw new Refusal(403, 'access denied');
  const closed = faults.strike(['noCapacity'], ['createPod'], undefined, (failure) =>
    failure.gpuIds === undefined ? true : failure.gpuIds.includes(gpu.id),
  );
  const tier = spec.cloud === 'SECURE' ? 'secure' : 'community';
  const cudaVersion = newestCuda(gpu, wish.cudaVersions);
  if (closed || !gpu[tier] || wish.count > gpu.maxCount[tier] || cudaVersion === undefined) throw noStock();
  const dataCenterId = Object.entries(gpu.stock[spec.cloud])
    .filter(([id, level]) => level !== 'NONE' && (spec.dataCenterIds.length === 0 || spec.dataCenterIds.includes(id)))
    .filter(([id]) => volumeDataCenter === undefined || id === volumeDataCenter)
    .sort(([, left], [, right]) => rank[right] - rank[left])[0]?.[0];
  if (dataCenterId === undefined) throw noStock();
  return {
    dataCenterId,
    cudaVersion,
    microsPerHour: gpu.priceMicros[tier] * wish.count,
    vcpuCount: 8 * wish.count,
    memoryGb: 31 * wish.count,
    gpu,
  };
}

/** null: the card has no CUDA and none was asked for; undefined: no host matches. */
function newestCuda(gpu: GpuEntry, wish: NonNullable<PodSpec['gpu']>['cudaVersions']): string | null | undefined {
  const fits = gpu.cudaVersions
    .filter((version) => wish.allowed.length === 0 || wish.allowed.includes(version))
    .filter((version) => wish.atLeast === undefined || compareCuda(version, wish.atLeast) >= 0)
    .sort(compareCuda);
  const asked = wish.allowed.length > 0 || wish.atLeast !== undefined;
  return fits.at(-1) ?? (asked || gpu.cudaVersions.length > 0 ? undefined : null);
}

function placeCpu(
  wish: NonNullable<PodSpec['cpu']>,
  dataCenterIds: readonly string[],
  volumeDataCenter: string | undefined,
): Place {
  const cpu = cpuEntries.find(({ id }) => id === wish.id);
  if (!cpu) throw new Refusal(422, `Unknown CPU type: ${wish.id}`);
  if (wish.vcpuCount > cpu.vcpu.max || !Number.isInteger(Math.log2(wish.vcpuCount))) {
    throw invalid([`$/cpu/vcpuCount: must be a power of two from ${cpu.vcpu.min} to ${cpu.vcpu.max}`]);
  }
  return {
    dataCenterId: volumeDataCenter ?? dataCenterIds[0] ?? 'EU-RO-1',
    cudaVersion: null,
    microsPerHour: cpu.microsPerVcpuHour * wish.vcpuCount,
    vcpuCount: wish.vcpuCount,
    memoryGb: cpu.ramGbPerVcpu * wish.vcpuCount,
    gpu: undefined,
  };
}
