import type { ComfyClient } from '../comfy/comfyClient.ts';
import { machineQuote } from '../cost/price.ts';
import { isActive } from '../fleet/podFilter.ts';
import type { PodService } from '../fleet/podService.ts';
import type { Disposable } from '../kernel/event.ts';
import { withDeadline } from '../kernel/clock.ts';
import { Fault, isPassing, throwIfAborted, toFault } from '../kernel/fault.ts';
import { late } from '../kernel/late.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { isZeroGpu } from '../runpod/pod.ts';
import type { Pod } from '../runpod/pod.ts';
import type { Backend, BackendResult, Health, JobRequest, Standing } from './backend.ts';
import { inventoryOf } from './inventory.ts';
import { comfyDepth, gpuName, probeComfy } from './comfyBackend.ts';

const { resumeOnComfy } = late(() => import('./resumeOnComfy.ts'));
const { missingClasses, runOnComfy } = late(() => import('./runOnComfy.ts'));
const { findPodAt, whilePodRuns } = late(() => import('./podAtWork.ts'));

export interface PodBackendServices {
  readonly pods: PodService;
  readonly comfyAt: (baseUrl: string) => ComfyClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
  readonly enabled: () => boolean;
  readonly readyTimeoutMs: () => number;
  readonly checkpoint: () => string | undefined;
  readonly hasKey: () => boolean;
  /** All pods of the account, as they were listed less than a moment ago: one list serves a job's whole way. */
  readonly listed: (signal: AbortSignal) => Promise<readonly Pod[]>;
  /** Until it is disposed, the pod has a job of this window, or is waited for by one. */
  readonly use: (podId: string) => Disposable;
  /** It is about to be stopped: it takes no further job. */
  readonly isRetired: (podId: string) => boolean;
  /** The agent on the pod is told of its use until it is disposed. */
  readonly hold?: (address: string) => Disposable;
  /** Of such a job on such a GPU, by what was measured; undefined = nothing that tells. */
  readonly secondsOn?: (gpu: string, job: JobRequest) => number | undefined;
}

export interface PodBackendOptions extends PodBackendServices {
  readonly id: string;
  /** The pod now; undefined when none is configured. */
  readonly podId: () => string | undefined;
  /** May a job start the pod? A health check never does. */
  readonly autoStart: () => boolean;
  /** Are pods started for queued jobs? */
  readonly comesByItself: () => boolean;
  readonly alias?: () => string | undefined;
}

/** The ComfyUI of one RunPod pod: of the configured one, or of another that runs. */
export function createPodBackend(options: PodBackendOptions): Backend {
  const { pods, clock } = options;

  const podIdNow = (): string => {
    const podId = options.podId();
    if (podId === undefined) throw new Fault('unreachable', 'No pod is configured', { delivered: 'no' });
    return podId;
  };
  const lastSeen = (podId = options.podId()): Pod | undefined => pods.lastSeen?.pods.find(({ id }) => id === podId);
  const podOf = async (list: Promise<readonly Pod[]>): Promise<Pod> => {
    const podId = podIdNow();
    const pod = (await list).find((one) => one.id === podId);
    if (pod !== undefined) return pod;
    throw new Fault('mismatch', `The pod ${podId} is not in this RunPod account`, {
      delivered: 'no',
      nextStep: 'Deploy a pod, or choose another one.',
    });
  };
  /** RunPod's silence says nothing of a pod that ran when last seen: its ComfyUI can be asked itself. */
  const orLastSeen = (error: unknown): Pod => {
    const fault = toFault(error);
    const pod = lastSeen();
    if (pod?.status !== 'RUNNING' || !isPassing(fault) || fault.kind === 'unauthorized') throw fault;
    return pod;
  };

  return {
    id: options.id,
    tier: 'cloud',
    billing: 'podTime',
    depth: comfyDepth,
    get label() {
      const name = lastSeen()?.name;
      return name === undefined ? 'RunPod pod' : `RunPod pod ${name}`;
    },
    get name() {
      return lastSeen()?.name ?? options.podId();
    },
    ...(options.alias === undefined ? {} : { alias: options.alias }),
    standing: () => standingOf(pods, lastSeen()),
    ready: () => {
      if (!options.enabled()) return { ok: false, why: 'Switched off' };
      if (!options.hasKey()) return { ok: false, why: 'No RunPod API key is set' };
      const podId = options.podId();
      if (podId === undefined) {
        return {
          ok: false,
          why: options.comesByItself() ? 'None runs; queued jobs start one' : 'No pod is configured',
        };
      }
      if (options.isRetired(podId)) return { ok: false, why: aboutToStop };
      return { ok: true };
    },
    async probe(signal) {
      let silence: Fault | undefined;
      const patience = withDeadline(signal, listPatienceMs, () => new Fault('timeout', 'No answer within 3 s'));
      const pod = await podOf(pods.refresh(patience.signal))
        .catch((error: unknown) => {
          throwIfAborted(signal);
          silence = toFault(error);
          return orLastSeen(error);
        })
        .finally(() => patience.done());
      const gpu = pod.gpu === undefined ? {} : { gpu: gpuName(pod.gpu.id) };
      if (isZeroGpu(pod)) return { state: 'unhealthy', why: noGpu, ...gpu };
      if (pod.status === 'RUNNING') {
        const health = await probeComfy(options.comfyAt(pods.address(pod.id)), clock, signal);
        if (health.state === 'healthy') pods.noteAnswer(pod);
        if (silence !== undefined) return { ...withoutRunpod(health, silence), ...gpu };
        return { ...(pods.hasAnswered(pod) ? health : bootingHealth(health)), ...gpu };
      }
      if (isActive(pod)) return { state: 'starting', why: `The pod is ${pod.status.toLowerCase()}`, ...gpu };
      if (pod.status === 'EXITED' || pod.status === 'ERROR') {
        const why = options.autoStart()
          ? 'Stopped; it is started when a job needs it'
          : 'Stopped; automatic start is off';
        return { state: 'stopped', why, ...gpu };
      }
      return { state: 'unhealthy', why: `The pod is ${pod.status.toLowerCase()}`, ...gpu };
    },
    // A stopped pod cannot be asked; it is asked in `run`, once it answers.
    async refusals(_job, signal) {
      const pod = await podOf(options.listed(signal)).catch((error: unknown) => {
        throwIfAborted(signal);
        return orLastSeen(error);
      });
      if (isZeroGpu(pod)) return [noGpu];
      if (isActive(pod) || options.autoStart()) return [];
      return ['the pod is stopped and automatic start is off'];
    },
    inventory: async (signal) => {
      const podId = options.podId() ?? '';
      return inventoryOf(await options.comfyAt(pods.address(podId)).allObjectInfo(signal));
    },
    quote: (job) => {
      const pod = lastSeen();
      const seconds = pod?.gpu === undefined ? undefined : options.secondsOn?.(gpuName(pod.gpu.id), job);
      // RunPod says 0 of a stopped pod.
      return machineQuote(job.media, pod?.usdPerHourMicros || undefined, seconds);
    },
    async run(job, context, signal) {
      const podId = podIdNow();
      const use = options.use(podId);
      let lease: Disposable | undefined;
      try {
        // Who stops it looks at its uses after it is retired: one of the two sees the other.
        if (options.isRetired(podId)) throw new Fault('unavailable', aboutToStop, { delivered: 'no' });
        await pods.ensureReady(
          podId,
          {
            readyTimeoutMs: options.readyTimeoutMs(),
            mayStart: options.autoStart(),
            forJob: true,
            onProgress: (at) => context.onProgress({ phase: at.text }),
          },
          signal,
        );
        const address = pods.address(podId);
        const client = options.comfyAt(address);
        lease = options.hold?.(address);
        const missing = await missingClasses(client, job.workflow, signal);
        if (missing.length > 0) throw new Fault('mismatch', missing.join('; '), { delivered: 'no' });
        const startedAt = clock.now();
        const run = await whilePodRuns(
          options,
          podId,
          (at) => runOnComfy({ ...options, client, checkpoint: options.checkpoint() }, job, context, at),
          signal,
        );
        return { ...run, ...podShare(lastSeen(podId), run.ranMs ?? clock.now() - startedAt), dropped: [] };
      } finally {
        lease?.dispose();
        use.dispose();
      }
    },
    async resume(remote, job, context, signal) {
      const found = await findPodAt(options, remote.address, signal);
      if (found.is !== 'pod') return found;
      const client = options.comfyAt(remote.address);
      const use = options.use(found.pod.id);
      const lease = options.hold?.(remote.address);
      const resumed = await resumeOnComfy({ ...options, client }, remote, job, context, signal).finally(() => {
        lease?.dispose();
        use.dispose();
      });
      if (resumed.is !== 'files') return resumed;
      const { files, ranMs } = resumed;
      return { is: 'result', result: { files, ...podShare(found.pod, ranMs), dropped: [] } };
    },
  };
}

/** Of the time that a health check has: the rest is for ComfyUI itself. */
const listPatienceMs = 3_000;
const aboutToStop = 'The pod is being stopped, since it had no work';
const noGpu = 'The pod came back without a GPU: someone else rents it';

function standingOf(pods: PodService, pod: Pod | undefined): Standing {
  if (pod === undefined) return 'unknown';
  if (pod.status === 'RUNNING') return pods.hasAnswered(pod) ? 'ready' : 'unknown';
  return isActive(pod) ? 'starting' : 'stopped';
}

type PodCost = Pick<BackendResult, 'micros' | 'costBasis' | 'basis' | 'gpu'>;

/** The share of the pod's time that a job took; unknown when its price or the time is. */
function podShare(pod: Pod | undefined, ms: number | undefined): PodCost {
  const gpu = pod?.gpu === undefined ? {} : { gpu: gpuName(pod.gpu.id) };
  if (pod === undefined || pod.usdPerHourMicros <= 0 || ms === undefined) {
    const what = ms === undefined ? 'the time that it took' : "the pod's price";
    return { micros: 0, costBasis: `${what} is not known`, basis: 'unknown', ...gpu };
  }
  const costBasis = `${(ms / 1_000).toFixed(1)} s of the pod's hourly price`;
  return { micros: Math.round((pod.usdPerHourMicros * ms) / 3_600_000), costBasis, basis: 'measured', ...gpu };
}

/** RunPod's API does not answer; what the pod does is known from the pod alone. */
function withoutRunpod(health: Health, silence: Fault): Health {
  const why = `RunPod cannot be asked (${silence.message})`;
  return health.state === 'healthy'
    ? { ...health, state: 'degraded', why: `ComfyUI answers; ${why}` }
    : { ...health, why: `${health.why}; ${why}`, fault: silence };
}

/** A pod that runs but whose ComfyUI does not answer is booting, by all we can know from outside. */
function bootingHealth(health: Health): Health {
  return { state: 'starting', why: `The pod runs, ComfyUI does not answer yet (${health.why})` };
}
