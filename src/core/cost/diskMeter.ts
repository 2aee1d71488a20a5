import type { DiskMeter, LedgerEntry } from '../store/ledgerStore.ts';
import { isBilled } from './podMeter.ts';
import type { PodSight } from './podMeter.ts';
import { podTimeMicros } from './price.ts';

export interface DiskStep {
  readonly meter: DiskMeter;
  readonly entries: readonly LedgerEntry[];
}

/** A pod is seen first within its boot; the life of an older one is not known. */
const youngMs = 30 * 60_000;
/** When a pod is gone, nobody saw since when: its disks are taken to have cost for so long after the last look. */
const longestUnseenMs = 24 * 3_600_000;
/** A watermark so far ahead comes from a wrong clock. */
const clockErrorMs = 10 * 60_000;

/**
 * One step of the account of a pod's own disks: they bill as long as the pod exists, at another price while it is stopped.
 * RunPod states no price of them, so all of it is an estimate. `sight` is undefined when a complete listing no longer has
 * the pod. Undefined when there is nothing to store.
 */
export function stepDisk(
  meter: DiskMeter | undefined,
  sight: PodSight | undefined,
  nowMs: number,
): DiskStep | undefined {
  const rate = sight === undefined ? 0 : sight.diskMicrosPerHour;
  if (rate === undefined) return undefined;
  if (meter === undefined) {
    if (sight === undefined || rate === 0) return undefined;
    const ageMs = nowMs - (sight.createdAtMs ?? nowMs);
    return started(sight, rate, ageMs > 0 && ageMs <= youngMs ? nowMs - ageMs : nowMs, nowMs);
  }
  if (rate === 0 && meter.microsPerHour === 0) return undefined;
  if (nowMs <= meter.untilMs) {
    if (meter.untilMs - nowMs <= clockErrorMs) return undefined;
    return { meter: { ...meter, segmentFromMs: nowMs, untilMs: nowMs }, entries: closed(meter) };
  }
  if (sight !== undefined && rate > 0 && meter.microsPerHour === 0) return started(sight, rate, nowMs, nowMs);
  if (sight !== undefined && rate === meter.microsPerHour) {
    return { meter: { ...meter, name: sight.name, untilMs: nowMs }, entries: [] };
  }
  const toMs = changedAt(meter, sight, nowMs);
  const next = { podId: meter.podId, name: sight?.name ?? meter.name, microsPerHour: rate, untilMs: nowMs };
  const segmentFromMs = sight === undefined ? nowMs : toMs;
  return { meter: { ...next, segmentFromMs }, entries: closed({ ...meter, untilMs: toMs }) };
}

/** When the price became another: told by the pod's start, else by the time after which it stops itself. */
function changedAt({ untilMs }: DiskMeter, sight: PodSight | undefined, nowMs: number): number {
  if (sight === undefined) return Math.min(nowMs, untilMs + longestUnseenMs);
  const { startedAtMs, stoppedAtMs, idleStopMs = nowMs - untilMs } = sight;
  const at = isBilled(sight) ? (startedAtMs ?? nowMs) : (stoppedAtMs ?? untilMs + idleStopMs);
  return at >= untilMs && at <= nowMs ? at : nowMs;
}

/** What the disks cost up to now and is not an entry yet; undefined when that is nothing. */
export function openDiskEntry(meter: DiskMeter, nowMs: number): LedgerEntry | undefined {
  const latest = Math.min(nowMs, meter.untilMs + longestUnseenMs);
  return closed({ ...meter, untilMs: Math.max(meter.untilMs, latest) })[0];
}

function started(sight: PodSight, microsPerHour: number, segmentFromMs: number, untilMs: number): DiskStep {
  return { meter: { podId: sight.id, name: sight.name, microsPerHour, segmentFromMs, untilMs }, entries: [] };
}

function closed({ podId, name, microsPerHour, segmentFromMs, untilMs }: DiskMeter): readonly LedgerEntry[] {
  const micros = podTimeMicros(microsPerHour, untilMs - segmentFromMs);
  if (micros <= 0) return [];
  const span = { fromMs: segmentFromMs, toMs: untilMs, micros };
  const note = "By RunPod's prices of disks";
  return [
    { kind: 'pod', subject: podId, label: name, ...span, basis: 'estimated', inPodTime: false, note, part: 'disk' },
  ];
}
