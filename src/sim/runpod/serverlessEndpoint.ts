import type { GpuEntry } from './catalog.ts';
import type { LogLine } from './logs.ts';
import { timeStamp } from './podRecord.ts';
import type { ServerlessBehaviour } from './serverlessBehaviour.ts';
import type { Job } from './serverlessJob.ts';
import type { EndpointSpec } from './serverlessRequest.ts';

/** Where a worker is on its way: looking for a machine, pulling its image, booting, ready, at work, crashed, gone. */
export type WorkerState = 'THROTTLED' | 'PULLING' | 'STARTING' | 'IDLE' | 'RUNNING' | 'CRASHED' | 'GONE';

export interface WorkerPlace {
  readonly gpu: GpuEntry;
  readonly dataCenterId: string;
  /** all cards of the worker */
  readonly microsPerHour: number;
}

/** A stretch of time that is billed; open while `to` is undefined. Simulated ms since the epoch. */
export interface BilledSpan {
  readonly from: number;
  to: number | undefined;
}

export interface WorkerRecord {
  readonly id: string;
  readonly endpoint: EndpointRecord;
  readonly version: number;
  readonly image: string;
  readonly diskGb: number;
  state: WorkerState;
  /** since when it has tried to become ready */
  bootingSince: number;
  place: WorkerPlace | undefined;
  startedAt: number | undefined;
  readonly billed: BilledSpan[];
  job: Job | undefined;
  crashes: number;
  /** crashes all the time, and yet is shown RUNNING, as some are (reference: only its log decides) */
  looksRunning: boolean;
  /** what answers on the worker's own 127.0.0.1:8188 */
  comfyOrigin: string | undefined;
  readonly endComfy: Set<() => void>;
  readonly log: LogLine[];
  /** Of the log: called when there may be more. */
  readonly readers: Set<() => void>;
  timer: { cancel(): void } | undefined;
}

export interface EndpointRecord {
  readonly id: string;
  readonly createdAt: number;
  spec: EndpointSpec;
  version: number;
  readonly releases: Release[];
  deleted: boolean;
  /** Living ones. */
  workers: WorkerRecord[];
  /** All there ever were, for the bill. */
  readonly everyWorker: WorkerRecord[];
  readonly jobs: Map<string, Job>;
  readonly counts: { completed: number; failed: number; retried: number };
  readonly pulled: Set<number>;
  lastStopAt: number;
}

export interface Release {
  readonly id: string;
  readonly version: number;
  readonly at: number;
  readonly diff: readonly { readonly field: string; readonly old: unknown; readonly new: unknown }[];
}

export type WorkerStatus = 'RUNNING' | 'IDLE' | 'INITIALIZING' | 'THROTTLED' | 'UNHEALTHY';

export function workerStatus(worker: WorkerRecord, now: number, behaviour: ServerlessBehaviour): WorkerStatus {
  switch (worker.state) {
    case 'RUNNING':
    case 'IDLE':
    case 'THROTTLED':
      return worker.state;
    case 'PULLING':
    case 'STARTING':
    case 'CRASHED':
    case 'GONE':
      if (worker.looksRunning) return 'RUNNING';
      if (worker.crashes > 0 || worker.state === 'CRASHED') return 'UNHEALTHY';
      return now - worker.bootingSince > behaviour.unhealthyAfterMs ? 'UNHEALTHY' : 'INITIALIZING';
  }
}

/** The endpoint as API v2 shows it. The job API lives elsewhere: `jobsUrl` is its base, without a slash at its end. */
export function endpointView(endpoint: EndpointRecord, jobsUrl: string, skewMs: number, timeoutReads: number): object {
  const { id, spec } = endpoint;
  const base = `${jobsUrl}/${id}`;
  const job = (verb: string): string => `${base}/${verb}/{job_id}`;
  const requestUrls =
    spec.type === 'QUEUE'
      ? {
          run: `${base}/run`,
          runSync: `${base}/runsync`,
          status: job('status'),
          stream: job('stream'),
          cancel: job('cancel'),
          retry: job('retry'),
          purgeQueue: `${base}/purge-queue`,
          health: `${base}/health`,
        }
      : { base: `https://${id}.api.runpod.ai`, health: `https://${id}.api.runpod.ai/ping` };
  return {
    id,
    name: spec.name,
    type: spec.type,
    requestUrls,
    image: spec.image,
    args: spec.args,
    disk: spec.disk,
    ports: spec.ports,
    env: spec.env,
    registry: spec.registry,
    gpu: spec.gpu,
    workers: spec.workers,
    scaling: spec.scaling,
    dataCenterIds: spec.dataCenterIds,
    networkVolumes: spec.networkVolumes,
    timeout: timeoutReads,
    flashboot: spec.flashboot,
    createdAt: timeStamp(endpoint.createdAt + skewMs),
  };
}

/** `GET …/workers`: the workers that there are, and how many of each state. */
export function workersView(
  endpoint: EndpointRecord,
  now: number,
  behaviour: ServerlessBehaviour,
  skewMs: number,
): object {
  const workers = endpoint.workers.map((worker) => ({
    id: worker.id,
    status: workerStatus(worker, now, behaviour),
    isStale: worker.version !== endpoint.version,
    version: worker.version,
    gpuCount: worker.place ? endpoint.spec.gpu.count : 0,
    image: worker.image,
    uptimeSeconds: worker.startedAt === undefined ? null : Math.floor((now - worker.startedAt) / 1000),
    gpuTypeId: worker.place?.gpu.id ?? null,
    dataCenterId: worker.place?.dataCenterId ?? null,
    startedAt: worker.startedAt === undefined ? null : timeStamp(worker.startedAt + skewMs),
  }));
  const count = (status: WorkerStatus): number => workers.filter((worker) => worker.status === status).length;
  return {
    workers,
    summary: {
      running: count('RUNNING'),
      idle: count('IDLE'),
      initializing: count('INITIALIZING'),
      throttled: count('THROTTLED'),
      unhealthy: count('UNHEALTHY'),
      total: workers.length,
    },
    endpointVersion: endpoint.version,
  };
}

export function releasesView(endpoint: EndpointRecord, skewMs: number): object {
  const onLatest = endpoint.workers.filter((worker) => worker.version === endpoint.version).length;
  const total = endpoint.workers.length;
  return {
    endpointVersion: endpoint.version,
    rollout: {
      inProgress: onLatest < total,
      workersOnLatest: onLatest,
      workersTotal: total,
      percentOnLatest: total === 0 ? 0 : Math.floor((100 * onLatest) / total),
    },
    releases: endpoint.releases.toReversed().map(({ id, version, at, diff }) => ({
      id,
      version,
      source: 'MANUAL',
      buildId: null,
      createdByUserId: null,
      workerCount: endpoint.workers.filter((worker) => worker.version === version).length,
      createdAt: timeStamp(at + skewMs),
      diff,
    })),
  };
}

/** `/health` of the job API. The short form is what RunPod's pages show, the long one what its tools read. */
export function healthView(endpoint: EndpointRecord, now: number, behaviour: ServerlessBehaviour): object {
  const jobs = [...endpoint.jobs.values()];
  const count = (status: WorkerStatus): number =>
    endpoint.workers.filter((worker) => workerStatus(worker, now, behaviour) === status).length;
  const [idle, running] = [count('IDLE'), count('RUNNING')];
  return {
    jobs: {
      ...endpoint.counts,
      inProgress: jobs.filter(({ status }) => status === 'IN_PROGRESS').length,
      inQueue: jobs.filter(({ status }) => status === 'IN_QUEUE').length,
    },
    workers:
      behaviour.healthKeys === 'short'
        ? { idle, running }
        : {
            idle,
            running,
            initializing: count('INITIALIZING'),
            // Those that have booted, busy or not.
            ready: endpoint.workers.filter(({ state }) => state === 'IDLE' || state === 'RUNNING').length,
            throttled: count('THROTTLED'),
            unhealthy: count('UNHEALTHY'),
          },
  };
}
