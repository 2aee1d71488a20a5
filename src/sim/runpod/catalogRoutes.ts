import {
  compareCuda,
  cpuEntries,
  dataCenters,
  type Catalog,
  type Cloud,
  type GpuEntry,
  type Level,
} from './catalog.ts';
import { idOf, integerQuery, patternQuery, wordsQuery, type Call, type Route } from './call.ts';
import type { FaultBook } from './faults.ts';
import { Refusal, type Reply } from './problem.ts';
import { templates } from './templates.ts';

const levels: readonly Level[] = ['NONE', 'LOW', 'MEDIUM', 'HIGH'];
const best = (found: readonly Level[]): Level =>
  levels[Math.max(0, ...found.map((level) => levels.indexOf(level)))] ?? 'NONE';
const usd = (micros: number): number => micros / 1e6;

/** What a catalogue request wants to know about stock. */
interface StockQuery {
  readonly products: readonly string[];
  readonly count: number;
  readonly cloud: Cloud;
  readonly countries: readonly string[] | undefined;
  readonly cudaVersions: readonly string[] | undefined;
  readonly minCuda: string | undefined;
}

/** @throws Refusal 400 for rules between parameters, 422 for malformed values */
function stockQuery(query: URLSearchParams): StockQuery | undefined {
  const include = wordsQuery(query, 'include', ['AVAILABILITY']);
  const products = wordsQuery(query, 'product', ['POD', 'CLUSTER', 'SERVERLESS']);
  const count = integerQuery(query, 'count', { least: 1, most: 1024, otherwise: 1 });
  const cloud = wordsQuery(query, 'cloud', ['SECURE', 'COMMUNITY']);
  const countries = patternQuery(query, 'countryCodes', /^[A-Z]{2}$/);
  const cudaVersions = patternQuery(query, 'cudaVersions', /^\d+\.\d+$/);
  const minCuda = patternQuery(query, 'minCudaVersion', /^\d+(\.\d+)?$/);
  if (cudaVersions && minCuda) throw new Refusal(400, 'cudaVersions and minCudaVersion are mutually exclusive');
  if (!include) {
    const only = ['product', 'count', 'cloud', 'countryCodes', 'cudaVersions', 'minCudaVersion'];
    const given = only.find((name) => query.has(name));
    if (given !== undefined) throw new Refusal(400, `${given} is valid only with include=AVAILABILITY`);
    return undefined;
  }
  if (!products) throw new Refusal(400, 'product is required with include=AVAILABILITY');
  return {
    products,
    count,
    cloud: (cloud?.[0] ?? 'SECURE') as Cloud,
    countries,
    cudaVersions,
    minCuda: minCuda?.[0],
  };
}

export function catalogRoutes(catalog: Catalog, faults: FaultBook): Route[] {
  /** Stock as the catalogue shows it: scarcer for clusters, plentier for serverless. */
  const shownStock = (gpu: GpuEntry, wish: StockQuery): { id: string; name: string; availability: Level }[] => {
    const closed = faults.holds('noCapacity');
    const none = closed?.inCatalogue === true && (closed.gpuIds?.includes(gpu.id) ?? true);
    const most = gpu.maxCount[wish.cloud === 'SECURE' ? 'secure' : 'community'];
    return dataCenters
      .filter(({ country }) => wish.countries?.includes(country) ?? true)
      .flatMap(({ id, name }) => {
        const stock = gpu.stock[wish.cloud][id];
        if (stock === undefined) return [];
        const shift = wish.products.includes('POD') ? 0 : wish.products.includes('SERVERLESS') ? 1 : -1;
        const shifted = levels[Math.min(3, Math.max(0, levels.indexOf(stock) + shift))] ?? 'NONE';
        const enough = wish.count <= most && cudaOf(gpu, wish).some(({ available }) => available);
        const unfiltered = gpu.cudaVersions.length === 0 && !wish.cudaVersions && wish.minCuda === undefined;
        const availability = none || stock === 'NONE' || !(enough || unfiltered) ? 'NONE' : shifted;
        return [{ id, name, availability }];
      });
  };

  const gpuView = (gpu: GpuEntry, wish: StockQuery | undefined): object => {
    const plain = {
      id: gpu.id,
      name: gpu.name,
      pool: gpu.pool,
      manufacturer: gpu.manufacturer,
      memory: gpu.memoryGb,
      secure: gpu.secure,
      community: gpu.community,
      price: {
        secure: usd(gpu.priceMicros.secure),
        community: usd(gpu.priceMicros.community),
        ...(gpu.serverlessMicros === undefined ? {} : { serverless: usd(gpu.serverlessMicros) }),
      },
      maxCount: gpu.maxCount,
    };
    if (!wish) return plain;
    const stock = shownStock(gpu, wish);
    return {
      ...plain,
      availability: best(stock.map(({ availability }) => availability)),
      ...(stock.length > 0 ? { dataCenters: stock } : {}),
      ...(gpu.manufacturer === 'NVIDIA' && gpu.cudaVersions.length > 0 ? { cudaVersions: cudaOf(gpu, wish) } : {}),
    };
  };

  const listGpus = (call: Call): Reply => {
    const wish = stockQuery(call.query);
    const shown = catalog.gpus.filter((gpu) => !wish?.countries || shownStock(gpu, wish).length > 0);
    return { status: 200, body: { gpus: shown.map((gpu) => gpuView(gpu, wish)) } };
  };

  const dataCenterView = (id: string, include: readonly string[]): object | undefined => {
    const entry = dataCenters.find((one) => one.id === id);
    if (!entry) return undefined;
    const { country: _country, ...plain } = entry;
    return {
      ...plain,
      ...(include.includes('GPU_AVAILABILITY')
        ? {
            gpuAvailability: catalog.gpus.flatMap((gpu) => {
              const stock = gpu.stock.SECURE[id];
              return stock === undefined ? [] : [{ id: gpu.id, name: gpu.name, availability: stock }];
            }),
          }
        : {}),
      ...(include.includes('CPU_AVAILABILITY')
        ? { cpuAvailability: cpuEntries.map((cpu) => ({ id: cpu.id, name: cpu.name, availability: 'HIGH' })) }
        : {}),
    };
  };

  const includeOf = (call: Call): readonly string[] =>
    wordsQuery(call.query, 'include', ['GPU_AVAILABILITY', 'CPU_AVAILABILITY']) ?? [];

  const listDataCenters = (call: Call): Reply => {
    const regions = wordsQuery(call.query, 'regions', regionNames);
    const types = wordsQuery(call.query, 'networkVolumeTypes', ['STANDARD', 'HIGH_PERFORMANCE']);
    const compliance = wordsQuery(call.query, 'compliance', complianceNames);
    const globalNetwork = wordsQuery(call.query, 'globalNetwork', ['true', 'false'])?.[0];
    const include = includeOf(call);
    const shown = dataCenters.filter(
      (entry) =>
        (regions?.includes(entry.region) ?? true) &&
        (types?.every((type) => (entry.networkVolumeTypes as readonly string[]).includes(type)) ?? true) &&
        (compliance?.every((name) => entry.compliance.includes(name)) ?? true) &&
        (globalNetwork === undefined || String(entry.globalNetwork) === globalNetwork),
    );
    return { status: 200, body: { dataCenters: shown.map(({ id }) => dataCenterView(id, include)) } };
  };

  return [
    { method: 'GET', path: '/v2/catalog/gpus', operation: 'listGpuTypes', run: listGpus },
    {
      method: 'GET',
      path: '/v2/catalog/gpus/:id',
      operation: 'getGpuType',
      run: (call) => {
        const wish = stockQuery(call.query);
        const gpu = catalog.gpu(idOf(call));
        if (!gpu) throw new Refusal(404, 'GPU type not found');
        return { status: 200, body: gpuView(gpu, wish) };
      },
    },
    {
      method: 'GET',
      path: '/v2/catalog/cpus',
      operation: 'listCpuTypes',
      run: (call) => ({ status: 200, body: { cpus: cpuEntries.map((cpu) => cpuView(cpu.id, cpuQuery(call.query))) } }),
    },
    {
      method: 'GET',
      path: '/v2/catalog/cpus/:id',
      operation: 'getCpuType',
      run: (call) => {
        const found = cpuView(idOf(call), cpuQuery(call.query));
        if (!found) throw new Refusal(404, 'CPU type not found');
        return { status: 200, body: found };
      },
    },
    { method: 'GET', path: '/v2/catalog/datacenters', operation: 'listDataCenters', run: listDataCenters },
    {
      method: 'GET',
      path: '/v2/catalog/datacenters/:id',
      operation: 'getDataCenter',
      run: (call) => {
        const found = dataCenterView(idOf(call), includeOf(call));
        if (!found) throw new Refusal(404, 'data center not found');
        return { status: 200, body: found };
      },
    },
    {
      method: 'GET',
      path: '/v2/catalog/templates',
      operation: 'listPublicTemplates',
      run: (call) => {
        wordsQuery(call.query, 'source', ['official', 'verified', 'community']);
        return { status: 200, body: { templates, pagination: { nextCursor: null, hasNextPage: false } } };
      },
    },
  ];
}

const regionNames = [
  'NORTH_AMERICA', 'SOUTH_AMERICA', 'EUROPE', 'ASIA', 'MIDDLE_EAST', 'AFRICA', 'OCEANIA', 'ANTARCTICA', 'UNKNOWN',
]; // prettier-ignore
const complianceNames = [
  'GDPR', 'ISO_IEC_27001', 'ISO_14001', 'PCI_DSS', 'HITRUST', 'SOC_1_TYPE_2', 'SOC_2_TYPE_2', 'SOC_3_TYPE_2', 'ITAR',
  'FISMA_HIGH', 'HIPAA', 'RENEWABLE',
]; // prettier-ignore

function cudaOf(gpu: GpuEntry, wish: StockQuery): { version: string; available: boolean }[] {
  const minCuda = wish.minCuda;
  return gpu.cudaVersions
    .filter((version) => wish.cudaVersions?.includes(version) ?? true)
    .filter((version) => minCuda === undefined || compareCuda(version, minCuda) >= 0)
    .map((version) => ({ version, available: true }));
}

/** The same rules as for GPUs. Returns whether stock is wanted. */
function cpuQuery(query: URLSearchParams): boolean {
  const include = wordsQuery(query, 'include', ['AVAILABILITY']);
  const product = wordsQuery(query, 'product', ['POD', 'SERVERLESS']);
  integerQuery(query, 'vcpuCount', { least: 2, most: 1024, otherwise: 2 });
  if (include && !product) throw new Refusal(400, 'product is required with include=AVAILABILITY');
  if (!include && (product ?? query.has('vcpuCount'))) {
    throw new Refusal(400, 'product and vcpuCount are valid only with include=AVAILABILITY');
  }
  return include !== undefined;
}

function cpuView(id: string, withStock: boolean): object | undefined {
  const cpu = cpuEntries.find((entry) => entry.id === id);
  return (
    cpu && {
      id: cpu.id,
      name: cpu.name,
      group: cpu.group,
      vcpu: cpu.vcpu,
      ramGbPerVcpu: cpu.ramGbPerVcpu,
      price: { securePerVcpu: usd(cpu.microsPerVcpuHour), serverlessPerVcpu: usd(cpu.microsPerVcpuHour * 1.5) },
      ...(withStock
        ? { availability: 'HIGH', dataCenters: [{ id: 'EU-RO-1', name: 'EU Romania 1', availability: 'HIGH' }] }
        : {}),
    }
  );
}
