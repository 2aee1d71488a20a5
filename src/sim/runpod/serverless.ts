import type { Mounted, SimTime } from '../mount.ts';
import type { Keys } from './auth.ts';
import type { InvoiceLine } from './billing.ts';
import type { Route } from './call.ts';
import type { Catalog } from './catalog.ts';
import type { FaultBook } from './faults.ts';
import type { LogSource } from './logsRoutes.ts';
import type { CreatePodServer } from './pods.ts';
import { invalid } from './problem.ts';
import type { Recorder } from './requests.ts';
import { seeded } from './seeded.ts';
import { serverlessBehaviourOf, type ServerlessBehaviour, type serverlessPresets } from './serverlessBehaviour.ts';
import { endpointAmounts, workerLines } from './serverlessBilling.ts';
import { createBucket } from './serverlessBucket.ts';
import { workerStatus, type EndpointRecord, type WorkerStatus } from './serverlessEndpoint.ts';
import { createFleet } from './serverlessFleet.ts';
import { createJobApi } from './serverlessJobApi.ts';
import type { JobStatus } from './serverlessJob.ts';
import { createQueue } from './serverlessQueue.ts';
import { parseCreateEndpoint, type EndpointSpec } from './serverlessRequest.ts';
import { serverlessRoutes } from './serverlessRoutes.ts';
import { workerLogSource } from './serverlessWorkerLog.ts';

/** What differs from a worker-comfyui endpoint on a 4090 without minimum workers. */
export type SeedEndpoint = Partial<Omit<EndpointSpec, 'name' | 'gpu'>> & {
  readonly name: string;
  readonly gpu?: { readonly pools: readonly string[]; readonly count?: number };
};

export interface EndpointState {
  readonly id: string;
  readonly name: string;
  readonly workers: readonly { readonly id: string; readonly status: WorkerStatus }[];
  readonly jobs: readonly { readonly id: string; readonly status: JobStatus; readonly workerId: string | undefined }[];
}

/** What the demo and tests may do to Serverless and see of it. */
export interface ServerlessControl {
  configure(change: Partial<ServerlessBehaviour>): void;
  seedEndpoint(endpoint: SeedEndpoint): { readonly id: string };
  state(): readonly EndpointState[];
}

export interface Serverless extends ServerlessControl {
  readonly routes: readonly Route[];
  /** The job API; paths begin with /v2. */
  readonly jobs: Mounted;
  /** Undefined when it is not there, or no more. */
  workerLog(endpointId: string, workerId: string): LogSource | undefined;
  invoiceLines(): InvoiceLine[];
  amounts(from: number, to: number): ReturnType<typeof endpointAmounts>;
}

/** RunPod Serverless: endpoints with their workers and queues. */
export function createServerless(deps: {
  readonly time: SimTime;
  readonly seed: number;
  readonly preset: keyof typeof serverlessPresets;
  readonly catalog: Catalog;
  readonly faults: FaultBook;
  readonly createServer: CreatePodServer;
  readonly keys: Keys;
  readonly record: Recorder;
  requestId(): string;
  skewMs(): number;
}): Serverless {
  const { time, catalog, faults, seed } = deps;
  const behaviour = serverlessBehaviourOf(deps.preset);
  const chance = seeded(seed ^ 0x5e55);
  const records: EndpointRecord[] = [];
  const now = (): number => time.now();
  const living = (): EndpointRecord[] => records.filter(({ deleted }) => !deleted);
  const bucket = createBucket(now, seed);
  const queue = createQueue({ time, chance, behaviour, faults, bucket, fleet: () => fleet });
  const fleet = createFleet({
    time,
    chance,
    behaviour,
    catalog,
    faults,
    createServer: deps.createServer,
    onIdle: ({ endpoint }) => queue.dispatch(endpoint),
  });

  const create = (spec: EndpointSpec): EndpointRecord => {
    const endpoint: EndpointRecord = {
      id: chance.id(14),
      createdAt: now(),
      spec,
      version: 1,
      releases: [{ id: chance.id(12), version: 1, at: now(), diff: [] }],
      deleted: false,
      workers: [],
      everyWorker: [],
      jobs: new Map(),
      counts: { completed: 0, failed: 0, retried: 0 },
      pulled: new Set(),
      lastStopAt: -Infinity,
    };
    records.push(endpoint);
    fleet.scale(endpoint);
    return endpoint;
  };

  const change = (endpoint: EndpointRecord, spec: EndpointSpec): void => {
    const before = endpoint.spec;
    endpoint.spec = spec;
    const diff = releaseFields
      .filter((field) => JSON.stringify(before[field]) !== JSON.stringify(spec[field]))
      .map((field) => ({ field: `template.${field}`, old: before[field], new: spec[field] }));
    if (diff.length > 0) {
      endpoint.version++;
      endpoint.releases.push({ id: chance.id(12), version: endpoint.version, at: now(), diff });
      // Workers without a job are replaced at once; the others when they have ended theirs.
      for (const worker of endpoint.workers.filter(({ state }) => state !== 'RUNNING')) fleet.stop(worker);
    }
    fleet.scale(endpoint);
  };

  const remove = (endpoint: EndpointRecord): void => {
    endpoint.deleted = true;
    for (const job of endpoint.jobs.values()) queue.cancel(endpoint, job);
    for (const worker of [...endpoint.workers]) fleet.stop(worker);
  };

  const jobs = createJobApi({
    ...deps,
    endpoint: (id) => living().find((endpoint) => endpoint.id === id),
    queue,
    bucket,
    behaviour,
  });
  return {
    routes: serverlessRoutes({ ...deps, endpoints: living, behaviour, create, change, remove, now }),
    jobs: {
      ...jobs,
      dispose: () => {
        fleet.dispose();
        jobs.dispose();
        queue.dispose();
        for (const endpoint of records) for (const worker of [...endpoint.workers]) fleet.stop(worker);
      },
    },
    workerLog: (endpointId, workerId) => {
      const worker = living()
        .find(({ id }) => id === endpointId)
        ?.workers.find(({ id }) => id === workerId);
      return worker === undefined ? undefined : workerLogSource(worker, now);
    },
    configure: (wish) => void Object.assign(behaviour, wish),
    seedEndpoint: (wish) => {
      const body = {
        type: 'QUEUE',
        image: 'runpod/worker-comfyui:5.8.5-sdxl',
        scaling: { type: 'QUEUE_DELAY', queueDelay: 4 },
        timeout: 600_000,
        ...wish,
        gpu: { pools: ['ADA_24'], count: 1, ...wish.gpu },
      };
      const spec = parseCreateEndpoint(JSON.stringify(body), catalog);
      if (living().some(({ spec: { name } }) => name === spec.name)) throw invalid([`'${spec.name}' exists`]);
      return { id: create(spec).id };
    },
    state: () =>
      living().map((endpoint) => ({
        id: endpoint.id,
        name: endpoint.spec.name,
        workers: endpoint.workers.map((worker) => ({ id: worker.id, status: workerStatus(worker, now(), behaviour) })),
        jobs: [...endpoint.jobs.values()].map(({ id, status, workerId }) => ({ id, status, workerId })),
      })),
    invoiceLines: () => workerLines(records, now()),
    amounts: (from, to) => endpointAmounts(records, from, to, now()),
  };
}

/** Changes of these are rolled out as a new release; the others act at once. */
const releaseFields = ['image', 'args', 'disk', 'ports', 'env', 'registry'] as const;
