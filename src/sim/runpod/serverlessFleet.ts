import { listen } from '../listener.ts';
import type { SimTime } from '../mount.ts';
import type { Catalog, Level } from './catalog.ts';
import { compareCuda } from './catalog.ts';
import type { FaultBook } from './faults.ts';
import type { CreatePodServer } from './pods.ts';
import type { Seeded } from './seeded.ts';
import type { ServerlessBehaviour } from './serverlessBehaviour.ts';
import type { EndpointRecord, WorkerPlace, WorkerRecord } from './serverlessEndpoint.ts';
import { readyLines, tellReaders, writeWorkerLog } from './serverlessWorkerLog.ts';

/** The workers of all endpoints: started and stopped by the queue's length, booting, idling, crashing. */
export interface Fleet {
  /** Starts and stops workers as the endpoint's scaling says now. */
  scale(endpoint: EndpointRecord): void;
  /** The worker has ended its job. */
  release(worker: WorkerRecord): void;
  stop(worker: WorkerRecord): void;
  dispose(): void;
}

const rank: Readonly<Record<Level, number>> = { NONE: 0, LOW: 1, MEDIUM: 2, HIGH: 3 };
/** Endpoints that scale on the request count have no idle timeout of their own. */
const idleWithoutSetting = 5;

export function createFleet(deps: {
  readonly time: SimTime;
  readonly chance: Seeded;
  readonly behaviour: ServerlessBehaviour;
  readonly catalog: Catalog;
  readonly faults: FaultBook;
  readonly createServer: CreatePodServer;
  /** A worker polls for a job. */
  onIdle(worker: WorkerRecord): void;
}): Fleet {
  const { time, behaviour, faults } = deps;
  let disposed = false;

  const plan = (worker: WorkerRecord, ms: number, work: () => void): void => {
    worker.timer?.cancel();
    worker.timer = time.after(ms, () => {
      if (worker.state !== 'GONE' && !disposed) work();
    });
  };

  const note = (worker: WorkerRecord, source: 'container' | 'system', ...lines: readonly string[]): void =>
    writeWorkerLog(worker, time.now(), source, ...lines);

  const stopBilling = (worker: WorkerRecord): void => {
    const open = worker.billed.at(-1);
    if (open && open.to === undefined) open.to = time.now();
  };

  const endComfy = (worker: WorkerRecord): void => {
    worker.comfyOrigin = undefined;
    for (const end of worker.endComfy) end();
    worker.endComfy.clear();
  };

  const start = (endpoint: EndpointRecord): void => {
    const worker: WorkerRecord = {
      id: deps.chance.id(14),
      endpoint,
      version: endpoint.version,
      image: endpoint.spec.image,
      diskGb: endpoint.spec.disk,
      state: 'THROTTLED',
      bootingSince: time.now(),
      place: undefined,
      startedAt: undefined,
      billed: [],
      job: undefined,
      crashes: 0,
      looksRunning: false,
      comfyOrigin: undefined,
      endComfy: new Set(),
      log: [],
      readers: new Set(),
      timer: undefined,
    };
    endpoint.workers.push(worker);
    endpoint.everyWorker.push(worker);
    seekPlace(worker);
  };

  function seekPlace(worker: WorkerRecord): void {
    const place = findPlace(worker.endpoint, deps.catalog, faults);
    if (!place) {
      worker.state = 'THROTTLED';
      plan(worker, behaviour.placeAgainMs, () => seekPlace(worker));
      return;
    }
    worker.place = place;
    worker.bootingSince = time.now();
    worker.state = 'PULLING';
    const cached = worker.endpoint.pulled.has(worker.version);
    worker.endpoint.pulled.add(worker.version);
    note(worker, 'system', cached ? `Image is up to date for ${worker.image}` : `pulling image ${worker.image}`);
    plan(worker, cached ? 0 : behaviour.firstPullMs, () => boot(worker));
  }

  function boot(worker: WorkerRecord): void {
    const { endpoint } = worker;
    worker.state = 'STARTING';
    note(worker, 'system', 'start container');
    const trouble = faults.strike(['crashLoop', 'neverReady', 'looksRunning'], ['startWorker'], endpoint.id)?.kind;
    worker.looksRunning = trouble === 'looksRunning';
    if (trouble === 'neverReady') return;
    if (trouble !== undefined) {
      plan(worker, behaviour.crashAfterMs, () => {
        worker.crashes++;
        worker.state = 'CRASHED';
        note(worker, 'container', 'RuntimeError: No CUDA GPUs are available');
        note(worker, 'system', 'container exited with code 1');
        plan(worker, behaviour.crashAfterMs, () => boot(worker));
      });
      return;
    }
    worker.startedAt = time.now();
    worker.billed.push({ from: time.now(), to: undefined });
    const warm = endpoint.spec.flashboot !== 'OFF' && time.now() - endpoint.lastStopAt < behaviour.flashbootKeepsMs;
    plan(worker, warm ? behaviour.flashbootStartMs : behaviour.coldStartMs, () => void openComfy(worker));
  }

  async function openComfy(worker: WorkerRecord): Promise<void> {
    const { endpoint, place } = worker;
    const { id = '', name = '', memoryGb = 0 } = place?.gpu ?? {};
    const env = { ...endpoint.spec.env, RUNPOD_POD_ID: worker.id, RUNPOD_ENDPOINT_ID: endpoint.id };
    const service = deps.createServer({ id: worker.id, gpu: { id, name, memoryGb }, env, ...modelsIn(worker.image) });
    const listener = await listen(service);
    if (worker.state === 'GONE' || disposed) return void listener.dispose();
    worker.endComfy.add(() => void listener.dispose());
    worker.comfyOrigin = listener.origin;
    worker.crashes = 0;
    note(worker, 'container', ...readyLines);
    idle(worker);
  }

  function idle(worker: WorkerRecord): void {
    const { endpoint } = worker;
    worker.state = 'IDLE';
    worker.job = undefined;
    if (worker.version !== endpoint.version) {
      stop(worker);
      scale(endpoint);
      return;
    }
    const { min, idleTimeout = idleWithoutSetting } = endpoint.spec.workers;
    plan(worker, idleTimeout * 1000, () => {
      if (endpoint.workers.length > min) stop(worker);
    });
    deps.onIdle(worker);
  }

  function stop(worker: WorkerRecord): void {
    if (worker.state === 'GONE') return;
    const { endpoint } = worker;
    worker.timer?.cancel();
    worker.state = 'GONE';
    stopBilling(worker);
    endComfy(worker);
    tellReaders(worker);
    if (worker.startedAt !== undefined) endpoint.lastStopAt = time.now();
    endpoint.workers = endpoint.workers.filter((one) => one !== worker);
  }

  function scale(endpoint: EndpointRecord): void {
    if (disposed) return;
    const { min, max } = endpoint.spec.workers;
    const target = Math.min(max, Math.max(min, wanted(endpoint, time.now())));
    while (endpoint.workers.length < target) start(endpoint);
    for (const worker of endpoint.workers.filter(({ state }) => state !== 'RUNNING')) {
      if (endpoint.workers.length > max) stop(worker);
    }
  }

  return {
    scale,
    stop,
    release: (worker) => {
      if (worker.state === 'GONE') return;
      if (worker.endpoint.spec.env['REFRESH_WORKER'] === 'true') {
        stop(worker);
        scale(worker.endpoint);
      } else idle(worker);
    },
    dispose: () => {
      disposed = true;
    },
  };
}

/** What RunPod's own images of worker-comfyui bring along (its Dockerfile), by the variant in the tag. */
const shelves: Readonly<Record<string, string>> = {
  sdxl: 'sd_xl_base_1.0.safetensors',
  sd3: 'sd3_medium_incl_clips_t5xxlfp8.safetensors',
  'flux1-dev-fp8': 'flux1-dev-fp8.safetensors',
};

function modelsIn(image: string): { models?: Record<string, string[]> } {
  const tag = /^runpod\/worker-comfyui:[^-]+-(.+)$/.exec(image)?.[1];
  if (tag === undefined) return {};
  const checkpoint = shelves[tag];
  return { models: { checkpoints: checkpoint === undefined ? [] : [checkpoint] } };
}

/** How many workers the endpoint's scaler asks for, before its limits. Low-priority jobs ask for none. */
export function wanted({ spec, jobs, workers }: EndpointRecord, now: number): number {
  const queued = [...jobs.values()].filter(({ status, policy }) => status === 'IN_QUEUE' && !policy.lowPriority);
  const running = workers.filter(({ state }) => state === 'RUNNING').length;
  if (spec.scaling.type === 'REQUEST_COUNT') return Math.ceil((queued.length + running) / spec.scaling.requestCount);
  const limitMs = spec.scaling.queueDelay * 1000;
  const late = queued.filter(({ submittedAt }) => now - submittedAt >= limitMs).length;
  const spare = workers.length - running;
  // The first worker does not wait for the delay.
  return Math.max(queued.length > 0 ? 1 : 0, workers.length + Math.max(0, late - spare));
}

/** A machine with a card of the endpoint's pools, the first pool first; undefined = no capacity now. */
function findPlace({ id, spec }: EndpointRecord, catalog: Catalog, faults: FaultBook): WorkerPlace | undefined {
  const { gpu } = spec;
  const closed = faults.strike(['noCapacity'], ['startWorker'], id);
  if (closed && closed.gpuIds === undefined) return undefined;
  for (const pool of gpu.pools) {
    const found = catalog.gpus
      .filter((one) => one.pool === pool && !gpu.excludedTypes.includes(one.id) && !closed?.gpuIds?.includes(one.id))
      .filter((one) => one.maxCount.secure >= gpu.count && fitsCuda(one.cudaVersions, gpu))
      .flatMap((one) => Object.entries(one.stock.SECURE).map(([dataCenterId, level]) => ({ one, dataCenterId, level })))
      .filter(({ dataCenterId, level }) => level !== 'NONE' && allows(spec.dataCenterIds, dataCenterId))
      .sort((left, right) => rank[right.level] - rank[left.level])[0];
    const price = found?.one.serverlessMicros;
    if (found && price !== undefined) {
      return { gpu: found.one, dataCenterId: found.dataCenterId, microsPerHour: price * gpu.count };
    }
  }
  return undefined;
}

const allows = (list: readonly string[], id: string): boolean => list.length === 0 || list.includes(id);

function fitsCuda(versions: readonly string[], gpu: EndpointRecord['spec']['gpu']): boolean {
  const { allowedCudaVersions: allowed, minCudaVersion: floor } = gpu;
  if (allowed.length === 0 && floor === null) return true;
  return versions.some((version) => allows(allowed, version) && (floor === null || compareCuda(version, floor) >= 0));
}
