import type { Phase } from './podMachine.ts';
import type { KeptVolume } from './volumes.ts';

/** USD per GB-month (RunPod docs, pods/pricing); a month is 730 hours. */
const containerMicrosPerGbHour = 100_000 / 730;
const volumeMicrosPerGbHour = 100_000 / 730;
const stoppedVolumeMicrosPerGbHour = 200_000 / 730;
/** USD per GB-month: 0.07 up to 1 TB, 0.05 beyond (RunPod docs, pods/pricing). The faster tier's price is a fixture. */
const networkMicrosPerGbHour = { first: 70_000 / 730, beyond: 50_000 / 730, highPerformance: 140_000 / 730 };
const hourMs = 3_600_000;

export interface BilledPod {
  readonly id: string;
  readonly name: string;
  readonly phases: readonly Phase[];
  /** GPU price × count, or vCPUs, of the whole pod */
  readonly microsPerHour: number;
  readonly kind: 'gpu' | 'cpu';
}

/** Micro-dollars, not rounded. */
export interface Amounts {
  readonly compute: number;
  readonly containerDisk: number;
  readonly volumeDisk: number;
  readonly stoppedVolumeDisk: number;
}

export interface InvoiceLine {
  /** of the pod, or of the worker of an endpoint; '' = it is of a network volume */
  readonly podId: string;
  /** of the endpoint that the worker belongs to */
  readonly serverlessId?: string;
  readonly networkVolumeId?: string;
  readonly name: string;
  readonly computeMicros: number;
  readonly containerDiskMicros: number;
  readonly volumeDiskMicros: number;
  /** the volume disk while stopped: twice the price */
  readonly stoppedVolumeDiskMicros: number;
  readonly networkVolumeMicros: number;
  readonly totalMicros: number;
  readonly computeSeconds: number;
  readonly stoppedSeconds: number;
}

export interface Invoice {
  readonly at: number;
  readonly lines: readonly InvoiceLine[];
  readonly totalMicros: number;
}

type BillsFrom = 'PROVISIONING' | 'RUNNING';

const bills = (phase: Phase, billsFrom: BillsFrom): boolean =>
  phase.status === 'RUNNING' ||
  phase.status === 'ERROR' ||
  ((phase.status === 'PROVISIONING' || phase.status === 'STARTING') && billsFrom === 'PROVISIONING');

function overlaps(phases: readonly Phase[], from: number, to: number): { phase: Phase; ms: number }[] {
  return phases.map((phase, index) => {
    const end = Math.min(phases[index + 1]?.from ?? Infinity, to);
    return { phase, ms: Math.max(0, end - Math.max(phase.from, from)) };
  });
}

/**
 * What a pod cost in `[from, to)`. ERROR bills as RUNNING does (not documented; the dearer reading); EXITED bills only the
 * volume disk, at twice its price.
 */
export function amounts(pod: BilledPod, from: number, to: number, billsFrom: BillsFrom): Amounts {
  let compute = 0;
  let containerDisk = 0;
  let volumeDisk = 0;
  let stoppedVolumeDisk = 0;
  for (const { phase, ms } of overlaps(pod.phases, from, to)) {
    const hours = ms / hourMs;
    if (bills(phase, billsFrom)) compute += hours * pod.microsPerHour;
    if (phase.status === 'EXITED') stoppedVolumeDisk += hours * phase.volumeGb * stoppedVolumeMicrosPerGbHour;
    else if (phase.status !== 'TERMINATED') {
      containerDisk += hours * phase.containerGb * containerMicrosPerGbHour;
      volumeDisk += hours * phase.volumeGb * volumeMicrosPerGbHour;
    }
  }
  return { compute, containerDisk, volumeDisk, stoppedVolumeDisk };
}

/** Seconds that bill the GPU, and seconds stopped, in `[from, to)`. */
export function seconds(
  pod: BilledPod,
  from: number,
  to: number,
  billsFrom: BillsFrom,
): { compute: number; stopped: number } {
  let compute = 0;
  let stopped = 0;
  for (const { phase, ms } of overlaps(pod.phases, from, to)) {
    if (bills(phase, billsFrom)) compute += ms / 1000;
    if (phase.status === 'EXITED') stopped += ms / 1000;
  }
  return { compute, stopped };
}

/** The truth about the money of pods until `now`: one line for each that ever was, rounded once per amount. */
export function podLines(pods: readonly BilledPod[], now: number, billsFrom: BillsFrom): InvoiceLine[] {
  return pods.map((pod) => {
    const spent = amounts(pod, -Infinity, now, billsFrom);
    const time = seconds(pod, -Infinity, now, billsFrom);
    const rounded = {
      computeMicros: Math.round(spent.compute),
      containerDiskMicros: Math.round(spent.containerDisk),
      volumeDiskMicros: Math.round(spent.volumeDisk),
      stoppedVolumeDiskMicros: Math.round(spent.stoppedVolumeDisk),
      networkVolumeMicros: 0,
    };
    return {
      podId: pod.id,
      name: pod.name,
      ...rounded,
      totalMicros: Object.values(rounded).reduce((sum, micros) => sum + micros, 0),
      computeSeconds: time.compute,
      stoppedSeconds: time.stopped,
    };
  });
}

/** The same of network volumes, which bill from their creation to their end, whatever uses them. */
export function volumeLines(volumes: readonly KeptVolume[], now: number): InvoiceLine[] {
  return volumes.map((volume) => {
    const networkVolumeMicros = Math.round(volumeAmounts(volume, -Infinity, now));
    return {
      podId: '',
      networkVolumeId: volume.id,
      name: volume.name,
      computeMicros: 0,
      containerDiskMicros: 0,
      volumeDiskMicros: 0,
      stoppedVolumeDiskMicros: 0,
      networkVolumeMicros,
      totalMicros: networkVolumeMicros,
      computeSeconds: 0,
      stoppedSeconds: 0,
    };
  });
}

/** Micro-dollars, not rounded, of a network volume in `[from, to)`. */
export function volumeAmounts(
  volume: { readonly size: number; readonly type: string; readonly from: number; readonly to: number },
  from: number,
  to: number,
): number {
  const hours = Math.max(0, Math.min(to, volume.to) - Math.max(from, volume.from)) / hourMs;
  const { first, beyond, highPerformance } = networkMicrosPerGbHour;
  if (volume.type === 'HIGH_PERFORMANCE') return hours * volume.size * highPerformance;
  return hours * (Math.min(volume.size, 1000) * first + Math.max(0, volume.size - 1000) * beyond);
}
