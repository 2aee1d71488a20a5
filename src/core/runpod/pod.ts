import type { PodClock } from './podClock.ts';
import type { PodReply } from './wire.ts';

/** The observed state of a pod; RunPod may add more, which are kept as they are. */
export type PodStatus =
  'PROVISIONING' | 'STARTING' | 'RUNNING' | 'EXITED' | 'ERROR' | 'TERMINATED' | (string & Record<never, never>);

export type PodAction = 'start' | 'stop' | 'restart' | 'terminate';

export interface PodRuntime {
  /** Since the container started. */
  readonly uptimeSeconds: number | undefined;
  /** GPUs the container sees; undefined when not told. */
  readonly gpuCount: number | undefined;
  /** One entry per GPU whose load is known, 0 to 100. */
  readonly gpuUtilPercent: readonly number[];
  readonly gpuMemoryPercent: readonly number[];
  readonly cpuPercent: number | undefined;
  readonly memoryPercent: number | undefined;
}

/** One RunPod machine. Environment variables are not kept: RunPod returns them in clear, and they may be secrets. */
export interface Pod {
  readonly id: string;
  readonly name: string;
  readonly status: PodStatus;
  /** What RunPod allows in this status; it ignores the lock, see {@link mayDo}. */
  readonly actions: readonly PodAction[];
  /** Undefined on a CPU pod. */
  readonly gpu: { readonly id: string; readonly count: number } | undefined;
  /** Micro-dollars per hour now, GPU only; 0 when stopped, while the disk still bills. */
  readonly usdPerHourMicros: number;
  readonly image: string;
  /** As declared, e.g. '8188/http'. */
  readonly ports: readonly string[];
  /** The value of our environment variable, on pods that we deployed. */
  readonly mark: string | undefined;
  readonly cloud: string | undefined;
  readonly dataCenterId: string | undefined;
  readonly locked: boolean;
  readonly runtime: PodRuntime | undefined;
  /** By the clock of this machine, as all times here; see podClock.ts. */
  readonly createdAtMs: number | undefined;
  readonly startedAtMs: number | undefined;
  /** The same by RunPod's clock: it tells one run of a pod from another, in every window alike. */
  readonly runMs?: number | undefined;
  /** Erased on stop. */
  readonly containerDiskGb: number;
  /** Host-bound disk that survives a stop and bills double meanwhile (RunPod docs, pods/pricing). */
  readonly volumeGb: number;
  readonly networkVolumeIds: readonly string[];
  /** Of the watchdog on it: the pod stops itself after so long without work. Absent when it has none. */
  readonly idleStopSeconds?: number;
  /** SHA-256 (hex) of the token that its agent asks for. Absent: whoever knows its address is let in. */
  readonly tokenSha256?: string;
}

/** Every pod that PodRelay deploys is named so, and carries the name in this variable, which a rename leaves alone. */
export const podNamePrefix = 'podrelay-';
export const podMarkVariable = 'PODRELAY_POD';
/** Read by the watchdog on the pod. */
export const idleSecondsVariable = 'PODRELAY_IDLE_SECONDS';
/** Read by the agent on the pod. */
export const tokenHashVariable = 'PODRELAY_TOKEN_SHA256';

const podActions: readonly PodAction[] = ['start', 'stop', 'restart', 'terminate'];

export function toPod(reply: PodReply, clock: PodClock): Pod {
  const time = (what: 'createdAt' | 'startedAt'): number | undefined => {
    const ms = timeMs(reply[what]);
    return ms === undefined ? undefined : clock.toOurs(`${what} ${reply.id}`, ms);
  };
  const idleStopSeconds = Number(reply.env?.[idleSecondsVariable]);
  const tokenSha256 = reply.env?.[tokenHashVariable];
  return {
    id: reply.id,
    name: reply.name,
    status: reply.status,
    actions: podActions.filter((action) => reply.actions?.includes(action)),
    gpu: reply.gpu ? { id: reply.gpu.id, count: reply.gpu.count } : undefined,
    usdPerHourMicros: Math.round(reply.cost * 1_000_000),
    image: reply.image ?? '',
    ports: reply.ports ?? [],
    mark: reply.env?.[podMarkVariable],
    cloud: reply.cloud ?? undefined,
    dataCenterId: reply.dataCenterId ?? undefined,
    locked: reply.locked ?? false,
    runtime: toRuntime(reply.runtime),
    createdAtMs: time('createdAt'),
    startedAtMs: time('startedAt'),
    runMs: timeMs(reply.startedAt),
    containerDiskGb: reply.disk ?? 0,
    volumeGb: reply.mounts?.persistent?.size ?? 0,
    networkVolumeIds: reply.mounts?.network?.map((mount) => mount.volumeId) ?? [],
    ...(idleStopSeconds > 0 ? { idleStopSeconds } : {}),
    ...(tokenSha256 === undefined ? {} : { tokenSha256 }),
  };
}

function toRuntime(runtime: PodReply['runtime']): PodRuntime | undefined {
  if (!runtime) return undefined;
  const gpus = runtime.gpus ?? undefined;
  return {
    uptimeSeconds: runtime.uptime ?? undefined,
    gpuCount: gpus?.length,
    gpuUtilPercent: (gpus ?? []).map((gpu) => gpu.util).filter((util) => typeof util === 'number'),
    gpuMemoryPercent: (gpus ?? []).map((gpu) => gpu.memoryUtil).filter((util) => typeof util === 'number'),
    cpuPercent: runtime.cpu?.util ?? undefined,
    memoryPercent: runtime.memory?.util ?? undefined,
  };
}

/** ms since the epoch of an RFC 3339 time; undefined when there is none or it is malformed. */
export function timeMs(text: string | null | undefined): number | undefined {
  const ms = text ? Date.parse(text) : NaN;
  return Number.isFinite(ms) ? ms : undefined;
}

/** Mean load of the pod's GPUs in percent; undefined when RunPod does not tell. */
export function gpuUtilizationPercent(pod: Pod): number | undefined {
  const loads = pod.runtime?.gpuUtilPercent ?? [];
  return loads.length === 0 ? undefined : loads.reduce((sum, load) => sum + load, 0) / loads.length;
}

/**
 * A stopped pod whose GPU was rented to someone else meanwhile comes back without one, for data rescue
 * (RunPod docs, pods/troubleshooting/zero-gpus). An empty runtime of the first seconds is not yet a sign.
 */
export function isZeroGpu(pod: Pod): boolean {
  if (pod.status !== 'RUNNING' || pod.gpu === undefined) return false;
  if (pod.gpu.count === 0) return true;
  return pod.runtime?.gpuCount === 0 && pod.runtime.uptimeSeconds !== undefined;
}

/** Deployed by PodRelay: only such pods are ever stopped by automation. */
export function isOurs(pod: Pod): boolean {
  return pod.mark !== undefined || pod.name.startsWith(podNamePrefix);
}

/** RunPod refuses stop, restart and terminate of a locked pod, though it lists them as allowed. */
export function mayDo(pod: Pod, action: PodAction): boolean {
  return pod.actions.includes(action) && (action === 'start' || !pod.locked);
}
