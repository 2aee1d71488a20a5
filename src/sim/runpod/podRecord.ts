import type { Mounted } from '../mount.ts';
import type { RunpodBehaviour } from './behaviour.ts';
import type { LogLine } from './logs.ts';
import type { Place } from './placement.ts';
import { actionsOf, phaseAt, startedAt, statusAt, type Phase } from './podMachine.ts';
import type { PodSpec } from './podRequest.ts';

/** A pod as the simulator keeps it. */
export interface PodRecord {
  readonly id: string;
  readonly createdAt: number;
  /** from then on it is found by its id and in lists */
  readonly visibleAt: number;
  readonly place: Place;
  readonly microsPerHour: number;
  readonly inCluster: boolean;
  spec: PodSpec;
  phases: readonly Phase[];
  boots: number;
  zeroGpu: boolean;
  /** ComfyUI listens on the pod's own loopback only */
  loopbackBind: boolean;
  locked: boolean;
  log: LogLine[];
  tcpPorts: { current: number; previous: number };
  /** what answers on port 8188; made at the first request to a ready pod */
  server: Mounted | undefined;
}

export const disksOf = (spec: PodSpec): { containerGb: number; volumeGb: number } => ({
  containerGb: spec.diskGb,
  volumeGb: spec.mounts.persistent?.size ?? 0,
});

/** ComfyUI on the pod's port 8188 answers now. */
export function isReady(pod: PodRecord, now: number): boolean {
  const phase = phaseAt(pod.phases, now);
  return phase?.status === 'RUNNING' && (phase.readyAt ?? Infinity) <= now && !pod.zeroGpu && !pod.loopbackBind;
}

export const timeStamp = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z');

/** The environment inside the container: the user's and what RunPod adds (RunPod docs, templates/environment-variables). */
export function containerEnv(pod: PodRecord, podKey: string): Record<string, string> {
  const volumeId = pod.spec.mounts.network?.[0]?.volumeId;
  return {
    ...pod.spec.env,
    RUNPOD_POD_ID: pod.id,
    RUNPOD_POD_HOSTNAME: `${pod.id}-64410f21`,
    RUNPOD_DC_ID: pod.place.dataCenterId,
    RUNPOD_GPU_COUNT: String(pod.zeroGpu ? 0 : (pod.spec.gpu?.count ?? 0)),
    RUNPOD_CPU_COUNT: String(pod.place.vcpuCount),
    RUNPOD_PUBLIC_IP: publicIp,
    RUNPOD_TCP_PORT_22: String(pod.tcpPorts.current),
    RUNPOD_API_KEY: podKey,
    ...(volumeId === undefined ? {} : { RUNPOD_VOLUME_ID: volumeId }),
  };
}

/** TEST-NET-3: nobody's. */
const publicIp = '203.0.113.39';

/** The pod as API v2 shows it at `now`; `skewMs` is how far RunPod's clock is ahead. */
export function podView(pod: PodRecord, now: number, behaviour: RunpodBehaviour, skewMs: number): object {
  const { spec, place } = pod;
  const status = statusAt(pod.phases, now);
  const started = startedAt(pod.phases, now);
  const running = status === 'RUNNING';
  const sshPort = shownTcpPort(pod, now, behaviour);
  const sshUser = `${pod.id}-64410f21`;
  const hasSsh = spec.ports.includes('22/tcp');
  return {
    id: pod.id,
    name: spec.name,
    status: running ? behaviour.runningShownAs : status,
    actions: actionsOf[status],
    image: spec.image,
    args: spec.args,
    ...(spec.entrypoint ? { entrypoint: spec.entrypoint } : {}),
    ...(spec.cmd ? { cmd: spec.cmd } : {}),
    disk: spec.diskGb,
    mounts: spec.mounts,
    ports: spec.ports,
    env: spec.env,
    registry: spec.registry,
    ...(spec.gpu
      ? { gpu: { id: spec.gpu.id, count: spec.gpu.count, vcpuCount: place.vcpuCount, memory: place.memoryGb } }
      : {}),
    ...(spec.cpu ? { cpu: { id: spec.cpu.id, vcpuCount: place.vcpuCount, memory: place.memoryGb } } : {}),
    ...(pod.inCluster ? { cluster: { id: 'cl0000sim', rank: 1, role: 'RAY_WORKER' } } : {}),
    cloud: spec.cloud,
    dataCenterId: status === 'PROVISIONING' ? null : place.dataCenterId,
    cudaVersion: place.cudaVersion,
    ssh: {
      proxy: { host: 'ssh.runpod.io', port: 22, username: sshUser, command: `ssh ${sshUser}@ssh.runpod.io` },
      direct:
        running && hasSsh
          ? { host: publicIp, port: sshPort, username: 'root', command: `ssh root@${publicIp} -p ${sshPort}` }
          : null,
    },
    template: null,
    cost: status === 'EXITED' || status === 'TERMINATED' ? 0 : pod.microsPerHour / 1e6,
    locked: pod.locked,
    globalNetworking: spec.globalNetworking
      ? { enabled: true, ip: '10.65.0.7', internalDns: `${pod.id}.runpod.internal` }
      : { enabled: false },
    runtime:
      running && started !== null
        ? runtimeView(pod, now - started, behaviour, sshPort)
        : behaviour.runtimeWhenNotRunning === 'null'
          ? null
          : {},
    createdAt: timeStamp(pod.createdAt + skewMs),
    startedAt: started === null ? null : timeStamp(started + skewMs),
  };
}

function shownTcpPort(pod: PodRecord, now: number, behaviour: RunpodBehaviour): number {
  const phase = phaseAt(pod.phases, now);
  const stale = phase !== undefined && pod.boots > 1 && now - phase.from < behaviour.stalePortMs;
  return stale ? pod.tcpPorts.previous : pod.tcpPorts.current;
}

function runtimeView(pod: PodRecord, uptimeMs: number, behaviour: RunpodBehaviour, tcpPort: number): object {
  const { load } = behaviour;
  const cards = pod.zeroGpu ? 0 : (pod.spec.gpu?.count ?? 0);
  return {
    uptime: Math.floor(uptimeMs / 1000),
    gpus: Array.from({ length: cards }, () => ({ util: load.gpu, memoryUtil: load.gpuMemory })),
    cpu: { util: load.cpu },
    memory: { util: load.memory },
    ports: pod.spec.ports.map((port, index) => {
      const [inner, type] = port.split('/');
      return type === 'tcp'
        ? { private: Number(inner), public: tcpPort + (inner === '22' ? 0 : index + 1), type, ip: publicIp }
        : { private: Number(inner), public: 60_021 + index, type, ip: '100.65.0.7' };
    }),
  };
}
