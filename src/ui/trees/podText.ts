import type { Observed } from '../../core/kernel/observed.ts';
import { isZeroGpu } from '../../core/runpod/pod.ts';
import type { Pod, PodStatus } from '../../core/runpod/pod.ts';
import type { RowIcon } from './row.ts';

interface StatusLook {
  readonly name: string;
  readonly icon: RowIcon;
}

/** In the order of the list: what costs money is on top. */
const looks: Readonly<Record<string, StatusLook>> = {
  RUNNING: { name: 'Running', icon: { id: 'vm-running', color: 'testing.iconPassed' } },
  STARTING: { name: 'Starting', icon: { id: 'loading~spin', color: 'charts.blue' } },
  PROVISIONING: { name: 'Waiting for a machine', icon: { id: 'sync~spin', color: 'charts.blue' } },
  ERROR: { name: 'Failed', icon: { id: 'error', color: 'list.errorForeground' } },
  EXITED: { name: 'Stopped', icon: { id: 'vm-outline', color: 'descriptionForeground' } },
  TERMINATED: { name: 'Terminated', icon: { id: 'trash', color: 'disabledForeground' } },
};
const statuses = Object.keys(looks);

/** The statuses that RunPod documents, in the order of the list. */
export const podStatuses: readonly PodStatus[] = statuses;

/** One that we do not know is shown as RunPod names it. */
export function podStatusName(status: PodStatus): string {
  return looks[status]?.name ?? status;
}

export function podIcon(pod: Pod): RowIcon {
  if (isZeroGpu(pod)) return { id: 'warning', color: 'list.warningForeground' };
  return looks[pod.status]?.icon ?? { id: 'question', color: 'list.warningForeground' };
}

/** Unknown ones stand with those that may cost money. */
export function statusRank(status: PodStatus): number {
  const at = statuses.indexOf(status);
  return at === -1 ? statuses.indexOf('ERROR') : at;
}

export function statusOrder(a: PodStatus, b: PodStatus): number {
  return statusRank(a) - statusRank(b) || a.localeCompare(b);
}

/** Since the container started, in ms; undefined when RunPod does not tell. RunPod's own count needs no common clock. */
export function upMs(
  pod: Pod,
  { pods, nowMs }: { readonly pods: Observed<unknown>; readonly nowMs: number },
): number | undefined {
  if (pod.status !== 'RUNNING') return undefined;
  const seconds = pod.runtime?.uptimeSeconds;
  if (seconds !== undefined) return seconds * 1_000 + (pods.known ? Math.max(0, nowMs - pods.at) : 0);
  return pod.startedAtMs === undefined || !pods.known ? undefined : Math.max(0, nowMs - pod.startedAtMs);
}

/** '45 s', '12 m', '1 h 12 m', '3 d 4 h' */
export function upText(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} m` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** As declared: '8188/http'. */
export function readPort(declared: string): { readonly port: number; readonly protocol: string } | undefined {
  const [, port, protocol] = /^(\d{1,5})\/(\w+)$/.exec(declared) ?? [];
  return port === undefined || protocol === undefined ? undefined : { port: Number(port), protocol };
}

/** The port that ComfyUI's images open. */
const comfyHttpPort = '8188/http';

/** Is ComfyUI's port open to the outside now? Whether ComfyUI answers there, nobody has asked. */
export function isRunningComfy(pod: Pod): boolean {
  return pod.status === 'RUNNING' && pod.ports.includes(comfyHttpPort);
}

export function podConsoleUrl(podId: string): string {
  return `https://console.runpod.io/pods?id=${encodeURIComponent(podId)}`;
}
