import type { CostBasis, LedgerEntry, PodMeter } from '../store/ledgerStore.ts';
import { podTimeMicros } from './price.ts';

/** What a listing says of one pod. Times are ms since the epoch, by this machine's clock. */
export interface PodSight {
  readonly id: string;
  readonly name: string;
  /** RunPod's status. */
  readonly status: string;
  /** Micro-dollars per hour; RunPod says 0 of a stopped pod. */
  readonly usdPerHourMicros: number;
  readonly createdAtMs?: number | undefined;
  readonly startedAtMs?: number | undefined;
  /** When we know it: we stopped it ourselves. */
  readonly stoppedAtMs?: number | undefined;
  /** False = its ComfyUI is not known to answer in this run: it boots. Undefined = nobody asks it. */
  readonly answered?: boolean | undefined;
  /** After so long without work the pod's own watchdog stops it; bounds the estimate for what nobody saw. */
  readonly idleStopMs?: number | undefined;
  /** Micro-dollars per hour of its own disks, which cost while it is stopped too; undefined = not known. */
  readonly diskMicrosPerHour?: number | undefined;
}

export interface MeterStep {
  readonly meter: PodMeter;
  readonly entries: readonly LedgerEntry[];
}

/** Up to here two sights of a billing pod are one run, whatever else they say: the longest polling interval, doubled. */
const continuousMs = 120_000;
/** A stop seen so soon after the last sight of the running pod is as good as measured. */
const exactStopMs = 10_000;
/** The longest boot that is taken for one: a first start of a ComfyUI template (RunPod docs, tutorials/pods/comfyui). */
const longestBootMs = 30 * 60_000;
/** A watermark so far ahead comes from a wrong clock, and would keep the pod free of charge until then. */
const clockErrorMs = 10 * 60_000;

/**
 * Does this pod cost GPU time? RunPod bills by the second while it is provisioning, starting and running; a state that
 * we do not know is taken to cost what it says (reference: RunPod API v2, pod status and `cost`).
 */
export function isBilled(pod: Pick<PodSight, 'status' | 'usdPerHourMicros'>): boolean {
  return pod.status !== 'EXITED' && pod.status !== 'TERMINATED' && (pod.status !== 'ERROR' || pod.usdPerHourMicros > 0);
}

/**
 * One step of one pod's meter: what the sight at `nowMs` adds to what was known. `sight` is undefined when a complete
 * listing no longer has the pod. Undefined when there is nothing to store, as with a sight that is older than the last.
 */
export function stepMeter(
  meter: PodMeter | undefined,
  sight: PodSight | undefined,
  nowMs: number,
): MeterStep | undefined {
  const billed = sight !== undefined && isBilled(sight);
  if (meter === undefined) return sight === undefined ? undefined : firstSight(sight, nowMs);
  if (nowMs <= meter.untilMs) return meter.untilMs - nowMs > clockErrorMs ? afterClockError(meter, nowMs) : undefined;
  if (owes(meter)) return billed ? stillBilled(meter, sight, nowMs) : hasStopped(meter, sight, nowMs);
  if (billed) return startedAgain(meter, sight, nowMs);
  const state = sight === undefined ? 'gone' : 'stopped';
  return meter.state === state ? undefined : { meter: { ...meter, state }, entries: [] };
}

/** The part of a meter that is owed and not an entry yet, as an entry; undefined when there is none. */
export function openEntry(meter: PodMeter): LedgerEntry | undefined {
  if (!owes(meter) || meter.untilMs <= meter.segmentFromMs) return undefined;
  return entryOf(meter, meter.segmentFromMs, meter.untilMs, 'measured');
}

/** The same up to now, by the reading that {@link stepMeter} gives to a pod that nobody sees any more. */
export function owedEntry(meter: PodMeter, nowMs: number): LedgerEntry | undefined {
  if (!owes(meter)) return undefined;
  const latest = meter.untilMs + (meter.idleStopMs ?? Number.POSITIVE_INFINITY);
  return openEntry({ ...meter, untilMs: Math.max(meter.untilMs, Math.min(nowMs, latest)) });
}

function owes(meter: PodMeter): boolean {
  return meter.state === 'booting' || meter.state === 'running';
}

function firstSight(sight: PodSight, nowMs: number): MeterStep {
  const since = Math.min(nowMs, billedSince(sight) ?? nowMs);
  const inBoot = isBooting(sight, nowMs - since);
  const meter = meterOf(sight, isBilled(sight) ? since : nowMs, nowMs, sight.usdPerHourMicros, inBoot);
  if (!owes(meter) || sight.status !== 'RUNNING') return { meter, entries: [] };
  // Nobody saw the boot, which was paid for; a much older pod was started again, and its earlier life is unknown.
  const bootMs = since - (sight.createdAtMs ?? since);
  const boot = bootMs > 0 && bootMs <= longestBootMs;
  const note = 'Boot, before the first look at the pod';
  const unseenBoot = { ...meter, inBoot: true };
  return { meter, entries: boot ? [entryOf(unseenBoot, since - bootMs, since, 'estimated', note)] : [] };
}

/** `startedAt` is of the last start until the container runs: while booting it says nothing about this run. */
function billedSince(sight: PodSight): number | undefined {
  if (sight.status === 'RUNNING') return sight.startedAtMs;
  return sight.startedAtMs === undefined ? sight.createdAtMs : undefined;
}

function stillBilled(meter: PodMeter, sight: PodSight, nowMs: number): MeterStep {
  const usdPerHourMicros = sight.usdPerHourMicros > 0 ? sight.usdPerHourMicros : meter.usdPerHourMicros;
  if (ranOn(meter, sight, nowMs)) {
    const whole = { ...meter, untilMs: nowMs };
    const inBoot = sight.status !== 'RUNNING' || (meter.inBoot && isBooting(sight, nowMs - meter.segmentFromMs));
    if (usdPerHourMicros === meter.usdPerHourMicros && inBoot === meter.inBoot) {
      return { meter: meterOf(sight, meter.segmentFromMs, nowMs, usdPerHourMicros, inBoot), entries: [] };
    }
    return { meter: meterOf(sight, nowMs, nowMs, usdPerHourMicros, inBoot), entries: closed(whole) };
  }
  const again = Math.max(meter.untilMs, Math.min(nowMs, billedSince(sight) ?? nowMs));
  return {
    meter: meterOf(sight, again, nowMs, usdPerHourMicros, isBooting(sight, nowMs - again)),
    entries: [...closed(meter), ...unseen(meter, again)],
  };
}

function ranOn(meter: PodMeter, sight: PodSight, nowMs: number): boolean {
  if (nowMs - meter.untilMs <= continuousMs) return true;
  if (sight.status !== 'RUNNING') return meter.state === 'booting' && nowMs - meter.untilMs <= longestBootMs;
  if (sight.startedAtMs === undefined) return false;
  if (meter.state === 'running') return sight.startedAtMs === meter.startedAtMs;
  return sight.startedAtMs !== meter.startedAtMs && sight.startedAtMs - meter.untilMs <= longestBootMs;
}

function hasStopped(meter: PodMeter, sight: PodSight | undefined, nowMs: number): MeterStep {
  const stoppedAt = sight?.stoppedAtMs ?? (nowMs - meter.untilMs <= exactStopMs ? nowMs : undefined);
  const end = { state: sight === undefined ? 'gone' : 'stopped', segmentFromMs: nowMs, untilMs: nowMs } as const;
  const stopped: PodMeter = { ...meter, ...end };
  if (stoppedAt === undefined) return { meter: stopped, entries: [...closed(meter), ...unseen(meter, nowMs)] };
  const untilMs = Math.max(meter.untilMs, Math.min(nowMs, stoppedAt));
  return { meter: stopped, entries: closed({ ...meter, untilMs }) };
}

function startedAgain(meter: PodMeter, sight: PodSight, nowMs: number): MeterStep {
  const usdPerHourMicros = sight.usdPerHourMicros > 0 ? sight.usdPerHourMicros : meter.usdPerHourMicros;
  const started = sight.status === 'RUNNING' ? sight.startedAtMs : undefined;
  let from = nowMs;
  // A listing that lacked the pod was wrong: it is the run that we knew.
  if (meter.state === 'gone' && started !== undefined && started === meter.startedAtMs) from = meter.untilMs;
  else if (started !== undefined && started > meter.untilMs) from = Math.min(nowMs, started);
  else if (started !== undefined && nowMs - meter.untilMs <= continuousMs) from = meter.untilMs;
  const inBoot = isBooting(sight, nowMs - from);
  return { meter: meterOf(sight, from, nowMs, usdPerHourMicros, inBoot), entries: [] };
}

/** Paid for and of no use yet, `ms` after its start. */
function isBooting(sight: PodSight, ms: number): boolean {
  if (!isBilled(sight)) return false;
  return sight.status !== 'RUNNING' || (sight.answered === false && ms <= longestBootMs);
}

/** What was owed stays owed, marked as an estimate; counting starts again by the clock as it is now. */
function afterClockError(meter: PodMeter, nowMs: number): MeterStep {
  const owed = openEntry(meter);
  const note = 'The clock of this machine was set back meanwhile';
  const entries = owed === undefined ? [] : [{ ...owed, basis: 'estimated' as const, note }];
  return { meter: { ...meter, segmentFromMs: nowMs, untilMs: nowMs }, entries };
}

function closed(meter: PodMeter): readonly LedgerEntry[] {
  const entry = openEntry(meter);
  return entry === undefined ? [] : [entry];
}

/** Nobody saw when the pod stopped. It ran on until its watchdog stopped it at the latest, else up to the whole gap. */
function unseen(meter: PodMeter, untilMs: number): readonly LedgerEntry[] {
  const toMs = Math.min(untilMs, meter.untilMs + (meter.idleStopMs ?? Number.POSITIVE_INFINITY));
  if (toMs <= meter.untilMs) return [];
  return [entryOf(meter, meter.untilMs, toMs, 'estimated', 'The pod stopped while no window was looking')];
}

function entryOf(meter: PodMeter, fromMs: number, toMs: number, basis: CostBasis, note?: string): LedgerEntry {
  return {
    kind: 'pod',
    subject: meter.podId,
    label: meter.name,
    fromMs,
    toMs,
    micros: podTimeMicros(meter.usdPerHourMicros, toMs - fromMs),
    basis,
    inPodTime: false,
    note,
    ...(meter.inBoot ? { part: 'boot' } : {}),
  };
}

function meterOf(
  sight: PodSight,
  segmentFromMs: number,
  untilMs: number,
  usdPerHourMicros: number,
  inBoot: boolean,
): PodMeter {
  return {
    podId: sight.id,
    name: sight.name,
    usdPerHourMicros,
    state: !isBilled(sight) ? 'stopped' : sight.status === 'RUNNING' ? 'running' : 'booting',
    segmentFromMs,
    untilMs,
    startedAtMs: sight.startedAtMs,
    idleStopMs: sight.idleStopMs,
    inBoot,
  };
}
