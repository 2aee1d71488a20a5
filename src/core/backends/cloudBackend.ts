import type { ComfyClient } from '../comfy/comfyClient.ts';
import { videoCostMicros } from '../fleet/podCost.ts';
import type { PodService } from '../fleet/podService.ts';
import type { Disposable } from '../kernel/event.ts';
import { Fault, throwIfAborted, toFault } from '../kernel/fault.ts';
import { late } from '../kernel/late.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { Pod } from '../runpod/pod.ts';
import type { Backend, BackendResult, Health, Resumed } from './backend.ts';
import { comfyDepth, gpuName, missingClasses, probeComfy, runOnComfy } from './comfyBackend.ts';

const { resumeOnComfy } = late(() => import('./resumeOnComfy.ts'));

export interface CloudBackendOptions {
  readonly pods: PodService;
  readonly comfyAt: (baseUrl: string) => ComfyClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
  readonly enabled: () => boolean;
  /** Undefined when no pod is configured. */
  readonly podId: () => string | undefined;
  readonly autoStart: () => boolean;
  readonly readyTimeoutMs: () => number;
  readonly checkpoint: () => string | undefined;
  readonly hasKey: () => boolean;
  /** The pod at that address is in use until the returned thing is disposed. */
  readonly hold?: (address: string) => Disposable;
  /** Measured micro-dollars per hour of the configured pod and videos per hour; undefined = not measured yet. */
  readonly measured?: () => { readonly usdPerHourMicros: number; readonly videosPerHour: number } | undefined;
}

/** The configured RunPod pod: started when a job needs it, and never by a health check. */
export function createCloudBackend(options: CloudBackendOptions): Backend {
  const { pods, clock } = options;

  const configured = (): string => {
    const podId = options.podId();
    if (podId === undefined) throw new Fault('unreachable', 'No pod is configured', { delivered: 'no' });
    return podId;
  };
  const podNow = async (signal: AbortSignal): Promise<Pod> => {
    const podId = configured();
    const pod = (await pods.refresh(signal)).find((one) => one.id === podId);
    if (pod !== undefined) return pod;
    throw new Fault('mismatch', `The configured pod ${podId} is not in this RunPod account`, {
      delivered: 'no',
      nextStep: 'Deploy a pod, or choose another one.',
    });
  };

  return {
    id: 'cloud',
    tier: 'cloud',
    label: 'RunPod pod',
    billing: 'podTime',
    depth: comfyDepth,
    ready: () => {
      if (!options.enabled()) return { ok: false, why: 'Switched off' };
      if (!options.hasKey()) return { ok: false, why: 'No RunPod API key is set' };
      if (options.podId() === undefined) return { ok: false, why: 'No pod is configured' };
      return { ok: true };
    },
    async probe(signal) {
      const pod = await podNow(signal);
      const gpu = pod.gpu === undefined ? {} : { gpu: gpuName(pod.gpu.id) };
      if (pod.status === 'RUNNING') {
        const health = await probeComfy(options.comfyAt(pods.address(pod.id)), clock, signal);
        return { ...(health.state === 'healthy' || pods.hasAnswered(pod) ? health : bootingHealth(health)), ...gpu };
      }
      if (pod.status === 'PROVISIONING' || pod.status === 'STARTING') {
        return { state: 'starting', why: `The pod is ${pod.status.toLowerCase()}`, ...gpu };
      }
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
      const pod = await podNow(signal);
      if (pod.status === 'RUNNING' || options.autoStart()) return [];
      return ['the pod is stopped and automatic start is off'];
    },
    quote: (job) => {
      const measured = options.measured?.();
      const micros = videoCostMicros(1, measured);
      const basis = measured === undefined ? 'RTX 3090 at $0.24/h, 12 videos an hour' : 'measured on this pod';
      return { micros: job.media === 'video' ? micros : Math.round(micros / 10), basis };
    },
    async run(job, context, signal) {
      const podId = configured();
      await pods.ensureReady(
        podId,
        {
          readyTimeoutMs: options.readyTimeoutMs(),
          onProgress: (at) => context.onProgress({ phase: at.text }),
        },
        signal,
      );
      const lease = options.hold?.(pods.address(podId));
      try {
        const client = options.comfyAt(pods.address(podId));
        const missing = await missingClasses(client, job.workflow, signal);
        if (missing.length > 0) throw new Fault('mismatch', missing.join('; '), { delivered: 'no' });
        const startedAt = clock.now();
        const run = await runOnComfy(
          { client, clock, log: options.log, newId: options.newId, checkpoint: options.checkpoint() },
          job,
          context,
          signal,
        );
        const pod = pods.lastSeen?.pods.find((one) => one.id === podId);
        return { ...run, ...podShare(pod, clock.now() - startedAt), dropped: [] };
      } finally {
        lease?.dispose();
      }
    },
    async resume(remote, job, context, signal) {
      const found = await findPod(pods, remote.address, clock, signal);
      if (found.is !== 'pod') return found;
      const client = options.comfyAt(remote.address);
      const lease = options.hold?.(remote.address);
      const resumed = await resumeOnComfy({ ...options, client }, remote, job, context, signal).finally(() =>
        lease?.dispose(),
      );
      if (resumed.is !== 'files') return resumed;
      const { files, ranMs } = resumed;
      return { is: 'result', result: { files, ...podShare(found.pod, ranMs), dropped: [] } };
    },
  };
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

type FoundPod = { readonly is: 'pod'; readonly pod: Pod } | Exclude<Resumed, { readonly is: 'result' }>;

/** Between two listings that lack a pod, before it is believed: a single one has been wrong. */
const secondListingMs = 1_000;

/** The pod whose ComfyUI is at this address, if it still runs. It is never started for a result: ComfyUI forgets its jobs when it ends. */
async function findPod(pods: PodService, address: string, clock: Clock, signal: AbortSignal): Promise<FoundPod> {
  const find = async (): Promise<Pod | undefined> =>
    (await pods.refresh(signal)).find((one) => pods.address(one.id) === address);
  try {
    let pod = await find();
    if (pod === undefined) {
      await clock.sleep(secondListingMs, signal);
      pod = await find();
    }
    if (pod === undefined || pod.status === 'TERMINATED') {
      return { is: 'lost', why: 'The pod that ran it has been terminated' };
    }
    if (pod.status === 'RUNNING') return { is: 'pod', pod };
    if (pod.status === 'EXITED' || pod.status === 'ERROR') {
      return { is: 'lost', why: 'The pod that ran it was stopped before the result was fetched' };
    }
    return { is: 'later', why: `The pod that ran it is ${pod.status.toLowerCase()}` };
  } catch (error) {
    throwIfAborted(signal);
    return { is: 'later', why: `RunPod cannot be asked: ${toFault(error).message}` };
  }
}

/** A pod that runs but whose ComfyUI does not answer is booting, by all we can know from outside. */
function bootingHealth(health: Health): Health {
  return { state: 'starting', why: `The pod runs, ComfyUI does not answer yet (${health.why})` };
}
