/**
 * The catalogue. Ids, names, memory and pools as RunPod's docs list them (references/gpu-types); prices and stock are
 * FIXTURES of the simulator: RunPod publishes none, and the live catalogue is the only source.
 */
export type Cloud = 'SECURE' | 'COMMUNITY';
export type Level = 'NONE' | 'LOW' | 'MEDIUM' | 'HIGH';

export interface GpuEntry {
  readonly id: string;
  readonly name: string;
  readonly pool: string | null;
  readonly manufacturer: 'NVIDIA' | 'AMD' | 'UNKNOWN';
  readonly memoryGb: number;
  readonly secure: boolean;
  readonly community: boolean;
  /** micro-dollars per hour and card; a price of a tier that is not offered is a placeholder, as in live data */
  readonly priceMicros: { readonly secure: number; readonly community: number };
  readonly serverlessMicros?: number;
  readonly maxCount: { readonly secure: number; readonly community: number };
  readonly cudaVersions: readonly string[];
  /** data centre → level, per cloud; changed by {@link Catalog.setStock} */
  readonly stock: Record<Cloud, Record<string, Level>>;
}

export interface DataCenterEntry {
  readonly id: string;
  readonly name: string;
  readonly region: string;
  readonly country: string;
  readonly networkVolumeTypes: readonly ('STANDARD' | 'HIGH_PERFORMANCE')[];
  readonly compliance: readonly string[];
  readonly globalNetwork: boolean;
}

export interface CpuEntry {
  readonly id: string;
  readonly name: string;
  readonly group: string;
  readonly vcpu: { readonly min: number; readonly max: number };
  readonly ramGbPerVcpu: number;
  readonly microsPerVcpuHour: number;
}

export const dataCenters: readonly DataCenterEntry[] = [
  dataCenter('EU-RO-1', 'EU Romania 1', 'EUROPE', 'RO', ['STANDARD', 'HIGH_PERFORMANCE'], ['GDPR', 'ISO_IEC_27001']),
  dataCenter('EU-SE-1', 'EU Sweden 1', 'EUROPE', 'SE', ['STANDARD'], ['GDPR', 'RENEWABLE']),
  dataCenter('EU-CZ-1', 'EU Czechia 1', 'EUROPE', 'CZ', ['STANDARD'], ['GDPR']),
  dataCenter('US-KS-2', 'US Kansas 2', 'NORTH_AMERICA', 'US', ['STANDARD'], ['SOC_2_TYPE_2', 'HIPAA']),
  dataCenter('US-TX-3', 'US Texas 3', 'NORTH_AMERICA', 'US', ['STANDARD'], ['SOC_2_TYPE_2']),
  dataCenter('CA-MTL-3', 'CA Montreal 3', 'NORTH_AMERICA', 'CA', [], ['ISO_IEC_27001'], false),
  // A region that no client knows must not break one.
  dataCenter('AP-XX-9', 'Unlisted 9', 'UNKNOWN', 'XX', [], [], false),
];

function dataCenter(
  id: string,
  name: string,
  region: string,
  country: string,
  networkVolumeTypes: DataCenterEntry['networkVolumeTypes'],
  compliance: readonly string[],
  globalNetwork = true,
): DataCenterEntry {
  return { id, name, region, country, networkVolumeTypes, compliance, globalNetwork };
}

export const cpuEntries: readonly CpuEntry[] = [
  cpu('cpu3c', 'Compute-Optimized', 2, 15_000),
  cpu('cpu3g', 'General Purpose', 4, 20_000),
  cpu('cpu5c', 'Compute-Optimized 5 GHz', 2, 17_500),
];

function cpu(id: string, name: string, ramGbPerVcpu: number, microsPerVcpuHour: number): CpuEntry {
  return { id, name, group: name, vcpu: { min: 2, max: 32 }, ramGbPerVcpu, microsPerVcpuHour };
}

const ampere = ['12.1', '12.4', '12.8'];
const modern = ['12.4', '12.8', '12.11'];
const blackwell = ['12.8', '12.11'];

function gpuEntries(): GpuEntry[] {
  const nvidia = (
    entry: Omit<GpuEntry, 'manufacturer' | 'secure' | 'community' | 'maxCount'> & Partial<GpuEntry>,
  ): GpuEntry => ({
    manufacturer: 'NVIDIA',
    secure: true,
    community: true,
    maxCount: { secure: 8, community: 4 },
    ...entry,
  });
  const community = (levels: Record<string, Level>): Record<string, Level> => levels;
  return [
    nvidia({
      id: 'NVIDIA RTX A4000',
      name: 'RTX A4000',
      pool: 'AMPERE_16',
      memoryGb: 16,
      priceMicros: { secure: 250_000, community: 170_000 },
      serverlessMicros: 576_000,
      cudaVersions: ampere,
      stock: { SECURE: { 'EU-RO-1': 'MEDIUM', 'EU-SE-1': 'HIGH' }, COMMUNITY: community({ 'EU-CZ-1': 'HIGH' }) },
    }),
    nvidia({
      id: 'NVIDIA GeForce RTX 3090',
      name: 'RTX 3090',
      pool: 'AMPERE_24',
      memoryGb: 24,
      priceMicros: { secure: 430_000, community: 240_000 },
      serverlessMicros: 684_000,
      cudaVersions: ampere,
      stock: { SECURE: { 'EU-CZ-1': 'LOW', 'US-TX-3': 'MEDIUM' }, COMMUNITY: { 'EU-CZ-1': 'HIGH', 'US-TX-3': 'HIGH' } },
    }),
    nvidia({
      id: 'NVIDIA RTX A5000',
      name: 'RTX A5000',
      pool: 'AMPERE_24',
      memoryGb: 24,
      priceMicros: { secure: 290_000, community: 210_000 },
      serverlessMicros: 684_000,
      cudaVersions: ampere,
      stock: { SECURE: { 'EU-RO-1': 'HIGH', 'US-KS-2': 'MEDIUM' }, COMMUNITY: { 'EU-SE-1': 'MEDIUM' } },
    }),
    nvidia({
      id: 'NVIDIA GeForce RTX 4090',
      name: 'RTX 4090',
      pool: 'ADA_24',
      memoryGb: 24,
      priceMicros: { secure: 690_000, community: 340_000 },
      serverlessMicros: 1_116_000,
      cudaVersions: modern,
      stock: {
        SECURE: { 'EU-RO-1': 'HIGH', 'US-TX-3': 'MEDIUM', 'CA-MTL-3': 'LOW' },
        COMMUNITY: { 'EU-CZ-1': 'MEDIUM' },
      },
    }),
    nvidia({
      id: 'NVIDIA GeForce RTX 5090',
      name: 'RTX 5090',
      pool: 'ADA_32_PRO',
      memoryGb: 32,
      priceMicros: { secure: 940_000, community: 690_000 },
      cudaVersions: blackwell,
      stock: { SECURE: { 'EU-RO-1': 'LOW', 'US-KS-2': 'LOW' }, COMMUNITY: { 'EU-CZ-1': 'LOW' } },
    }),
    nvidia({
      id: 'NVIDIA RTX A6000',
      name: 'RTX A6000',
      pool: 'AMPERE_48',
      memoryGb: 48,
      priceMicros: { secure: 490_000, community: 330_000 },
      serverlessMicros: 1_224_000,
      cudaVersions: ampere,
      stock: { SECURE: { 'EU-SE-1': 'MEDIUM', 'US-KS-2': 'MEDIUM' }, COMMUNITY: { 'EU-SE-1': 'LOW' } },
    }),
    nvidia({
      id: 'NVIDIA L40S',
      name: 'L40S',
      pool: 'ADA_48_PRO',
      memoryGb: 48,
      priceMicros: { secure: 860_000, community: 790_000 },
      serverlessMicros: 1_908_000,
      cudaVersions: modern,
      stock: { SECURE: { 'EU-RO-1': 'HIGH', 'US-TX-3': 'HIGH' }, COMMUNITY: { 'EU-SE-1': 'LOW' } },
    }),
    nvidia({
      id: 'NVIDIA A100 80GB PCIe',
      name: 'A100 PCIe',
      pool: 'AMPERE_80',
      memoryGb: 80,
      priceMicros: { secure: 1_390_000, community: 1_190_000 },
      serverlessMicros: 2_736_000,
      cudaVersions: modern,
      stock: { SECURE: { 'EU-RO-1': 'MEDIUM', 'CA-MTL-3': 'HIGH' }, COMMUNITY: { 'CA-MTL-3': 'LOW' } },
    }),
    nvidia({
      id: 'NVIDIA H100 80GB HBM3',
      name: 'H100 SXM',
      pool: 'ADA_80_PRO',
      memoryGb: 80,
      priceMicros: { secure: 2_690_000, community: 2_490_000 },
      serverlessMicros: 4_176_000,
      cudaVersions: modern,
      stock: { SECURE: { 'US-KS-2': 'HIGH', 'CA-MTL-3': 'MEDIUM' }, COMMUNITY: { 'US-KS-2': 'LOW' } },
    }),
    nvidia({
      // Offered in one tier only: the other price is the placeholder that live data carries.
      id: 'NVIDIA H200 NVL',
      name: 'H200 NVL',
      pool: null,
      memoryGb: 143,
      community: false,
      priceMicros: { secure: 3_790_000, community: 500_000 },
      maxCount: { secure: 8, community: 0 },
      cudaVersions: modern,
      stock: { SECURE: { 'US-KS-2': 'LOW' }, COMMUNITY: {} },
    }),
    nvidia({
      // Offered, and priced 0: nobody may take it for free.
      id: 'NVIDIA L4',
      name: 'L4',
      pool: 'AMPERE_24',
      memoryGb: 24,
      priceMicros: { secure: 0, community: 0 },
      serverlessMicros: 684_000,
      cudaVersions: modern,
      stock: { SECURE: {}, COMMUNITY: {} },
    }),
    nvidia({
      id: 'NVIDIA GeForce RTX 3070',
      name: 'RTX 3070',
      pool: null,
      memoryGb: 8,
      secure: false,
      priceMicros: { secure: 500_000, community: 130_000 },
      maxCount: { secure: 0, community: 2 },
      cudaVersions: ampere,
      stock: { SECURE: {}, COMMUNITY: { 'EU-CZ-1': 'MEDIUM' } },
    }),
    nvidia({
      id: 'AMD Instinct MI300X OAM',
      name: 'MI300X',
      pool: null,
      manufacturer: 'AMD',
      memoryGb: 192,
      community: false,
      priceMicros: { secure: 2_390_000, community: 500_000 },
      maxCount: { secure: 8, community: 0 },
      cudaVersions: [],
      stock: { SECURE: { 'EU-RO-1': 'LOW' }, COMMUNITY: {} },
    }),
    nvidia({
      // A card newer than any client.
      id: 'Lumen X1 96GB',
      name: 'Lumen X1',
      pool: null,
      manufacturer: 'UNKNOWN',
      memoryGb: 96,
      community: false,
      priceMicros: { secure: 1_990_000, community: 500_000 },
      maxCount: { secure: 2, community: 0 },
      cudaVersions: [],
      stock: { SECURE: { 'AP-XX-9': 'LOW' }, COMMUNITY: {} },
    }),
    nvidia({
      // The sentinel of live data.
      id: 'unknown',
      name: 'unknown',
      pool: null,
      manufacturer: 'UNKNOWN',
      memoryGb: 0,
      secure: false,
      community: false,
      priceMicros: { secure: 500_000, community: 500_000 },
      maxCount: { secure: 0, community: 0 },
      cudaVersions: [],
      stock: { SECURE: {}, COMMUNITY: {} },
    }),
  ];
}

export interface Catalog {
  readonly gpus: readonly GpuEntry[];
  gpu(id: string): GpuEntry | undefined;
  /** `dataCenterId` '*' sets every data centre that the entry lists. */
  setStock(gpuId: string, cloud: Cloud, dataCenterId: string, level: Level): void;
}

export function createCatalog(): Catalog {
  const gpus = gpuEntries();
  const gpu = (id: string): GpuEntry | undefined => gpus.find((entry) => entry.id === id);
  return {
    gpus,
    gpu,
    setStock: (gpuId, cloud, dataCenterId, level) => {
      const stock = gpu(gpuId)?.stock[cloud];
      if (!stock) throw new Error(`no GPU '${gpuId}' in the catalogue`);
      for (const id of dataCenterId === '*' ? Object.keys(stock) : [dataCenterId]) stock[id] = level;
    },
  };
}

/** Compares 'major.minor' as numbers: 12.11 is newer than 12.2. */
export function compareCuda(left: string, right: string): number {
  const [leftMajor = 0, leftMinor = 0] = left.split('.').map(Number);
  const [rightMajor = 0, rightMinor = 0] = right.split('.').map(Number);
  return leftMajor - rightMajor || leftMinor - rightMinor;
}
