import type { Pod } from '../runpod/pod.ts';

/** Micro-dollars per GB and month (RunPod docs, pods/pricing). A month is 730 hours, as RunPod's own tools count. */
const diskMicrosPerGbMonth = { running: 100_000, volumeStopped: 200_000 };
const hoursPerMonth = 730;
const msPerHour = 3_600_000;

/** Micro-dollars per hour of the pod's own disks: a stopped pod's volume costs double, its container disk nothing. */
export function diskMicrosPerHour(pod: Pick<Pod, 'status' | 'volumeGb' | 'containerDiskGb'>): number {
  if (pod.status === 'TERMINATED') return 0;
  const stopped = pod.status === 'EXITED';
  const perMonth = stopped
    ? pod.volumeGb * diskMicrosPerGbMonth.volumeStopped
    : (pod.volumeGb + pod.containerDiskGb) * diskMicrosPerGbMonth.running;
  return Math.round(perMonth / hoursPerMonth);
}

/** Micro-dollars per hour now: GPU as RunPod states it, and disks. Network volumes bill apart from pods. */
export function hourlyCostMicros(pod: Pod): number {
  return pod.usdPerHourMicros + diskMicrosPerHour(pod);
}

export function spanCostMicros(microsPerHour: number, ms: number): number {
  return Math.round((microsPerHour * Math.max(0, ms)) / msPerHour);
}

/** GPU cost of the current run in micro-dollars; undefined when the pod is not running or its start is not known. */
export function currentRunMicros(pod: Pod, nowMs: number): number | undefined {
  if (pod.status !== 'RUNNING' || pod.startedAtMs === undefined) return undefined;
  return spanCostMicros(pod.usdPerHourMicros, nowMs - pod.startedAtMs);
}

/** What pods have cost since the meter saw them first. */
export interface CostMeter {
  readonly totalMicros: number;
  readonly byPod: ReadonlyMap<
    string,
    { readonly micros: number; readonly microsPerHour: number; readonly atMs: number }
  >;
}

export const emptyCostMeter: CostMeter = { totalMicros: 0, byPod: new Map() };

/** Adds one reading of all pods: each has cost its earlier rate since its earlier reading. A clock set back adds nothing. */
export function readCostMeter(meter: CostMeter, pods: readonly Pod[], atMs: number): CostMeter {
  const byPod = new Map(meter.byPod);
  let totalMicros = meter.totalMicros;
  const rates = new Map(pods.map((pod) => [pod.id, hourlyCostMicros(pod)]));
  for (const [podId, before] of meter.byPod) {
    const added = spanCostMicros(before.microsPerHour, atMs - before.atMs);
    totalMicros += added;
    byPod.set(podId, { micros: before.micros + added, microsPerHour: rates.get(podId) ?? 0, atMs });
  }
  for (const [podId, microsPerHour] of rates) {
    if (!byPod.has(podId)) byPod.set(podId, { micros: 0, microsPerHour, atMs });
  }
  return { totalMicros, byPod };
}

/** An RTX 3090 at $0.24 per hour that makes 12 videos per hour, until a rate has been measured. */
export const assumedVideoRate = { usdPerHourMicros: 240_000, videosPerHour: 12 };

export function videoCostMicros(
  videos: number,
  rate: { readonly usdPerHourMicros: number; readonly videosPerHour: number } = assumedVideoRate,
): number {
  return Math.round((videos * rate.usdPerHourMicros) / rate.videosPerHour);
}
