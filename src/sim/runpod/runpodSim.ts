import type { Mounted, SimTime } from '../mount.ts';
import { createApi } from './api.ts';
import { podKeyOf } from './auth.ts';
import { behaviourOf, type PresetName, type RunpodBehaviour } from './behaviour.ts';
import { podLines, volumeLines, type Invoice } from './billing.ts';
import { createCatalog, type Cloud, type Level } from './catalog.ts';
import { billingRoutes } from './billingRoutes.ts';
import { catalogRoutes } from './catalogRoutes.ts';
import { createFaults, type Faults } from './faults.ts';
import { logsRoutes } from './logsRoutes.ts';
import { statusAt, type PodStatus } from './podMachine.ts';
import { podView } from './podRecord.ts';
import { parseCreate, type CreateBody } from './podRequest.ts';
import { podRoutes } from './podRoutes.ts';
import { createPods, type CreatePodServer } from './pods.ts';
import { createProxy } from './proxy.ts';
import { createRecorder, type RequestRecord } from './requests.ts';
import { seeded } from './seeded.ts';
import { createServerless, type ServerlessControl } from './serverless.ts';
import { volumeRoutes } from './volumeRoutes.ts';
import { createVolumes, type Volume } from './volumes.ts';

export interface RunpodSimOptions {
  readonly time: SimTime;
  readonly seed: number;
  readonly apiKey: string;
  readonly readOnlyKey?: string;
  /** What answers on port 8188 of a pod once it is ready. */
  readonly createPodServer: CreatePodServer;
  /** A named set of times and modes, 'realistic' when left out, and what differs from it. */
  readonly presets?: { readonly base?: PresetName; readonly change?: Partial<RunpodBehaviour> };
}

/** A pod that is there already. `image`, `ports`, `disk` and the card have defaults of a ComfyUI pod on an RTX 3090. */
export interface SeedPod extends Partial<CreateBody> {
  readonly name: string;
  readonly id?: string;
  /** The state it is put in at once; RUNNING includes a ComfyUI that answers. RUNNING when left out. */
  readonly status?: 'RUNNING' | 'EXITED' | 'PROVISIONING';
  readonly inCluster?: boolean;
}

export interface RunpodState {
  readonly now: number;
  readonly pods: readonly {
    readonly id: string;
    readonly name: string;
    readonly status: PodStatus;
    readonly view: object;
  }[];
}

export interface RunpodSim {
  /** The management API; paths begin with /v2. */
  readonly api: Mounted;
  /** The pods' public addresses: `/{podId}-{port}/…`. */
  readonly proxy: Mounted;
  /** The job API of endpoints; paths begin with /v2. */
  readonly jobs: Mounted;
  readonly serverless: ServerlessControl;
  readonly faults: Faults;
  readonly requests: readonly RequestRecord[];
  /** Changes times and modes from now on. */
  configure(change: Partial<RunpodBehaviour>): void;
  setStock(gpuId: string, cloud: Cloud, dataCenterId: string, level: Level): void;
  seedPod(pod: SeedPod): { readonly id: string };
  seedVolume(volume: Volume): void;
  /** Appends lines to a pod's log as if its container or host had written them now. */
  writeLog(podId: string, source: 'container' | 'system', lines: readonly string[]): void;
  /** The pod-scoped key that the container finds in `RUNPOD_API_KEY`: it may read and stop that pod only. */
  podKey(podId: string): string;
  state(): RunpodState;
  /** Every billed second until now. */
  invoice(): Invoice;
  dispose(): void;
}

/** RunPod as a real server, in simulated time: pods, catalogue, logs, billing, and the proxy of the pods. */
export function createRunpodSim(options: RunpodSimOptions): RunpodSim {
  const { time, seed } = options;
  const behaviour = behaviourOf(options.presets?.base ?? 'realistic', options.presets?.change);
  const chance = seeded(seed);
  const requestIds = seeded(seed ^ 0x5eed);
  const faults = createFaults();
  const catalog = createCatalog();
  const volumes = createVolumes(chance, () => time.now());
  const requests: RequestRecord[] = [];
  const record = createRecorder(requests, [options.apiKey], () => time.now(), 5_000);
  const pods = createPods({
    time,
    seed,
    chance,
    behaviour,
    catalog,
    faults,
    volumes,
    createPodServer: options.createPodServer,
    spentMicros: () => invoice().totalMicros,
  });
  const now = (): number => time.now();
  const skewMs = (): number => faults.holds('clockSkew')?.ms ?? 0;
  const living = (): string[] =>
    pods
      .all()
      .filter((pod) => statusAt(pod.phases, now()) !== 'TERMINATED')
      .map((pod) => pod.id);

  const keys = { apiKey: options.apiKey, readOnlyKey: options.readOnlyKey, livingPods: living };
  const requestId = (): string => requestIds.id(24);
  const serverless = createServerless({
    time,
    seed,
    preset: options.presets?.base ?? 'realistic',
    catalog,
    faults,
    createServer: options.createPodServer,
    keys,
    record,
    requestId,
    skewMs,
  });

  const invoice = (): Invoice => {
    const lines = [
      ...podLines(pods.billed(), now(), behaviour.gpuBillsFrom),
      ...volumeLines(volumes.everyVolume(), now()),
      ...serverless.invoiceLines(),
    ];
    return { at: now(), lines, totalMicros: lines.reduce((sum, line) => sum + line.totalMicros, 0) };
  };
  const logs = logsRoutes({ pods, worker: (...ids) => serverless.workerLog(...ids), time, faults, skewMs });
  const api = createApi({
    routes: [
      ...podRoutes({ pods, behaviour, now, skewMs }),
      ...logs.routes,
      ...catalogRoutes(catalog, faults),
      ...volumeRoutes(volumes),
      ...billingRoutes({ pods, volumes, behaviour, serverless: (from, to) => serverless.amounts(from, to), now }),
      ...serverless.routes,
    ],
    keys,
    seed,
    time,
    behaviour,
    faults,
    record,
    skewMs,
    requestId,
  });
  const proxy = createProxy({ pods, time, behaviour, faults, record });

  const stopCreditCheck = everyFiveMinutes(time, () => {
    const credit = pods.creditMicros();
    if (credit === null || credit > 0) return;
    for (const pod of pods.all()) if (pods.find(pod.id) && statusAt(pod.phases, now()) !== 'EXITED') pods.cutOff(pod);
  });

  return {
    api: {
      handle: (req, res) => api.handle(req, res),
      upgrade: (_req, socket) => void socket.destroy(),
      dispose: () => api.dispose(),
    },
    proxy,
    jobs: serverless.jobs,
    serverless,
    faults,
    requests,
    configure: (change) => void Object.assign(behaviour, change),
    setStock: (gpuId, cloud, dataCenterId, level) => catalog.setStock(gpuId, cloud, dataCenterId, level),
    seedPod: ({ id, status = 'RUNNING', inCluster = false, ...wish }) => {
      const body: CreateBody = {
        image: 'runpod/comfyui:latest',
        disk: 30,
        ports: ['8188/http'],
        cloud: 'COMMUNITY',
        ...(wish.cpu ? {} : { gpu: { id: 'NVIDIA GeForce RTX 3090', count: 1 } }),
        ...wish,
      };
      const spec = parseCreate(JSON.stringify(body), behaviour.createBodyLimitBytes);
      const pod = pods.create(spec, { inCluster, visibleAtOnce: true, ...(id === undefined ? {} : { id }) });
      if (status !== 'PROVISIONING') pods.putInto(pod, status);
      return { id: pod.id };
    },
    seedVolume: (volume) => volumes.add(volume),
    writeLog: (podId, source, lines) => {
      const pod = pods.find(podId);
      if (!pod) throw new Error(`no pod '${podId}'`);
      pods.writeLog(pod, source, lines);
    },
    podKey: (podId) => podKeyOf(podId, seed),
    state: () => ({
      now: now(),
      pods: pods.all().map((pod) => ({
        id: pod.id,
        name: pod.spec.name,
        status: statusAt(pod.phases, now()),
        view: podView(pod, now(), behaviour, skewMs()),
      })),
    }),
    invoice,
    dispose: () => {
      stopCreditCheck.cancel();
      logs.dispose();
      api.dispose();
      proxy.dispose();
      serverless.jobs.dispose();
      pods.dispose();
    },
  };
}

/** RunPod's billing job looks at the balance about this often (RunPod docs, accounts-billing/billing). */
function everyFiveMinutes(time: SimTime, work: () => void): { cancel(): void } {
  let timer = time.after(300_000, turn);
  function turn(): void {
    timer = time.after(300_000, turn);
    work();
  }
  return { cancel: () => timer.cancel() };
}
