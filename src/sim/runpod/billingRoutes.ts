import type { RunpodBehaviour } from './behaviour.ts';
import { amounts, volumeAmounts } from './billing.ts';
import { bucketShift, bucketSizes, bucketStart, type BucketSize } from './buckets.ts';
import { integerQuery, timeQuery, wordsQuery, type Call, type Route } from './call.ts';
import type { Operation } from './faults.ts';
import { timeStamp } from './podRecord.ts';
import type { Pods } from './pods.ts';
import { Refusal } from './problem.ts';
import type { Volumes } from './volumes.ts';

interface Period {
  readonly from: number;
  readonly to: number;
  readonly size: BucketSize;
}

type Spent = Readonly<Record<string, number>>;
/** What each resource cost in `[from, to)`; resources that cost nothing are left out. */
type Meter = (from: number, to: number) => { readonly id: string; readonly usd: Spent }[];

const thirtyDaysMs = 30 * 86_400_000;

/** Billing history in buckets: half-open, snapped, late by `billingLagMs`; pods that are gone are still in it. */
export function billingRoutes(deps: {
  readonly pods: Pods;
  readonly volumes: Volumes;
  readonly behaviour: RunpodBehaviour;
  /** What each endpoint cost, by the names of the API. */
  readonly serverless: Meter;
  now(): number;
}): Route[] {
  const { behaviour } = deps;

  const podMeter: Meter = (from, to) =>
    deps.pods.billed().flatMap((pod) => {
      const spent = amounts(pod, from, to, behaviour.gpuBillsFrom);
      const disk = spent.containerDisk + spent.volumeDisk + spent.stoppedVolumeDisk;
      if (spent.compute + disk === 0) return [];
      const [gpu, cpu] = pod.kind === 'gpu' ? [spent.compute, 0] : [0, spent.compute];
      return [
        {
          id: pod.id,
          usd: {
            totalAmount: (spent.compute + disk) / 1e6,
            gpuAmount: gpu / 1e6,
            cpuAmount: cpu / 1e6,
            diskAmount: disk / 1e6,
          },
        },
      ];
    });

  const volumeMeter: Meter = (from, to) =>
    deps.volumes.everyVolume().flatMap((volume) => {
      const usd = volumeAmounts(volume, from, to) / 1e6;
      if (usd === 0) return [];
      const standard = volume.type === 'STANDARD' ? usd : 0;
      return [
        {
          id: volume.id,
          usd: { totalAmount: usd, standardAmount: standard, highPerformanceAmount: usd - standard },
        },
      ];
    });

  const nothing: Meter = () => [];

  const totalMeter: Meter = (from, to) => {
    const pods = sum(podMeter(from, to).map(({ usd }) => usd));
    const volumes = sum(volumeMeter(from, to).map(({ usd }) => usd));
    const serverless = sum(deps.serverless(from, to).map(({ usd }) => usd));
    const [podTotal = 0, storageTotal = 0] = [pods['totalAmount'], volumes['totalAmount']];
    const serverlessTotal = serverless['totalAmount'] ?? 0;
    if (podTotal + storageTotal + serverlessTotal === 0) return [];
    return [
      {
        id: '',
        usd: {
          totalAmount: podTotal + storageTotal + serverlessTotal,
          podGpuAmount: pods['gpuAmount'] ?? 0,
          podCpuAmount: pods['cpuAmount'] ?? 0,
          podDiskAmount: pods['diskAmount'] ?? 0,
          serverlessGpuAmount: serverless['gpuAmount'] ?? 0,
          serverlessDiskAmount: serverless['diskAmount'] ?? 0,
          storageStandardAmount: volumes['standardAmount'] ?? 0,
          storageHighPerformanceAmount: volumes['highPerformanceAmount'] ?? 0,
        },
      },
    ];
  };

  const route = (family: Family, meter: Meter): Route => ({
    method: 'GET',
    path: `/v2/billing${family.path}`,
    operation: family.operation,
    run: (call) => {
      const period = periodOf(call, deps.now());
      const only = family.filter === undefined ? null : call.query.get(family.filter);
      const known = deps.now() - behaviour.billingLagMs;
      const empty: Spent = Object.fromEntries(family.amounts.map((name) => [name, 0]));
      const records: ({ readonly usd: Spent } & object)[] = [];
      const ids = new Set<string>();
      for (let from = period.from; from < period.to; from = bucketShift(from, period.size, 1)) {
        const to = bucketShift(from, period.size, 1);
        for (const { id, usd } of meter(from, Math.min(to, known))) {
          if (only !== null && id !== only) continue;
          ids.add(id);
          const stamp = { startTime: timeStamp(from), endTime: timeStamp(to) };
          records.push({ ...stamp, ...(family.filter ? { [family.filter]: id } : {}), usd: { ...empty, ...usd } });
        }
      }
      const query = {
        startTime: timeStamp(period.from),
        endTime: timeStamp(period.to),
        bucketSize: period.size,
        ...(family.filter ? { [family.filter]: only } : {}),
      };
      return {
        status: 200,
        body: {
          records: records.map(({ usd, ...rest }) => ({ ...rest, ...usd })),
          metadata: {
            query,
            recordCount: records.length,
            ...(family.unique ? { [family.unique]: ids.size } : {}),
            totals: { ...empty, ...sum(records.map(({ usd }) => usd)) },
          },
        },
      };
    },
  });

  return [
    route(families.all, totalMeter),
    route(families.pods, podMeter),
    route(families.volumes, volumeMeter),
    // Public endpoints, not serverless ones: the names invite the mistake.
    route(families.endpoints, nothing),
    route(families.serverless, deps.serverless),
    route(families.clusters, nothing),
  ];
}

interface Family {
  readonly path: string;
  readonly operation: Operation;
  readonly filter?: string;
  readonly unique?: string;
  readonly amounts: readonly string[];
}

const families = {
  all: {
    path: '',
    operation: 'listBilling',
    amounts: [
      'totalAmount',
      'podGpuAmount',
      'podCpuAmount',
      'podDiskAmount',
      'serverlessGpuAmount',
      'serverlessCpuAmount',
      'serverlessDiskAmount',
      'serverlessFeeAmount',
      'storageStandardAmount',
      'storageHighPerformanceAmount',
      'endpointAmount',
      'clusterGpuAmount',
      'clusterDiskAmount',
      'clusterNetworkingAmount',
    ],
  },
  pods: {
    path: '/pods',
    operation: 'listPodBilling',
    filter: 'podId',
    unique: 'uniquePodCount',
    amounts: ['totalAmount', 'gpuAmount', 'cpuAmount', 'diskAmount'],
  },
  volumes: {
    path: '/network-volumes',
    operation: 'listNetworkVolumeBilling',
    filter: 'networkVolumeId',
    unique: 'uniqueNetworkVolumeCount',
    amounts: ['totalAmount', 'standardAmount', 'highPerformanceAmount'],
  },
  endpoints: { path: '/endpoints', operation: 'listBilling', amounts: ['totalAmount'] },
  serverless: {
    path: '/serverless',
    operation: 'listServerlessBilling',
    filter: 'serverlessId',
    unique: 'uniqueServerlessCount',
    amounts: ['totalAmount', 'gpuAmount', 'cpuAmount', 'diskAmount', 'feeAmount'],
  },
  clusters: {
    path: '/clusters',
    operation: 'listBilling',
    filter: 'clusterId',
    unique: 'uniqueClusterCount',
    amounts: ['totalAmount', 'gpuAmount', 'diskAmount', 'networkingAmount'],
  },
} as const satisfies Record<string, Family>;

function sum(spent: readonly Spent[]): Spent {
  const total: Record<string, number> = {};
  for (const one of spent) for (const [name, usd] of Object.entries(one)) total[name] = (total[name] ?? 0) + usd;
  return total;
}

/** @throws Refusal 400 for a range together with lastN, or a range that ends before it begins; 422 for malformed values */
function periodOf(call: Call, now: number): Period {
  const size = (wordsQuery(call.query, 'bucketSize', bucketSizes)?.[0] ?? 'day') as BucketSize;
  const start = timeQuery(call.query, 'startTime');
  const end = timeQuery(call.query, 'endTime');
  if (call.query.has('lastN')) {
    const lastN = integerQuery(call.query, 'lastN', { least: 1, most: 100_000, otherwise: 1 });
    if (start !== undefined || end !== undefined) {
      throw new Refusal(400, 'lastN and startTime/endTime are mutually exclusive');
    }
    const current = bucketStart(now, size);
    return { from: bucketShift(current, size, 1 - lastN), to: bucketShift(current, size, 1), size };
  }
  const until = end ?? now;
  const from = bucketStart(start ?? now - thirtyDaysMs, size);
  const last = bucketStart(until, size);
  const to = last === until ? until : bucketShift(last, size, 1);
  if (to < from) throw new Refusal(400, 'endTime must not be before startTime');
  return { from, to, size };
}
