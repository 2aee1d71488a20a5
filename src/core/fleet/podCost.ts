import type { Pod } from '../runpod/pod.ts';

/** Micro-dollars per GB and month (RunPod docs, pods/pricing). A month is 730 hours, as RunPod's own tools count. */
const diskMicrosPerGbMonth = { running: 100_000, volumeStopped: 200_000 };
const hoursPerMonth = 730;

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
