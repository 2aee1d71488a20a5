import { newestQuantile, predict, remainingSeconds } from '../queue/measurements.ts';
import type { SpeedBook } from '../queue/measurements.ts';
import { gpuKey } from '../queue/gpuSpeed.ts';
import { isOurs, isZeroGpu } from '../runpod/pod.ts';
import type { Pod } from '../runpod/pod.ts';
import type { FleetLoad, FleetLook } from '../store/fleetStore.ts';
import type { FleetPod, PodPhase } from './fleetScene.ts';
import { isStopped } from './podFilter.ts';
import { comfyPort } from './proxyAddress.ts';

/** From the start to the first answer, while nothing is measured: with the download of the image, and without. */
const assumedBootSeconds = { first: 240, again: 90 } as const;
/** A boot is planned with what three of four stay under. */
const bootShare = 0.75;

/** What is known of one pod beside what RunPod says. Times are ms since the epoch. */
export interface PodSigns {
  readonly answers: boolean;
  /** It does not let us in: another computer deployed it and may be using it. */
  readonly isClosed: boolean;
  /** Start of the phase. */
  readonly sinceMs: number;
  /** When it was seen at work last, or began to answer. */
  readonly usedAtMs: number;
  /** Jobs of this window there, and prompts in its ComfyUI, whichever are more. */
  readonly jobs: number;
}

export interface FleetFacts {
  readonly nowMs: number;
  readonly look: FleetLook;
  readonly book: SpeedBook;
  /** What jobs on the pod are recorded under. */
  readonly backendOf: (podId: string) => string;
  /** Of a GPU in the catalogue, micro-dollars per hour. */
  readonly priceOf: (gpu: string) => number;
}

export function phaseOf(pod: Pod, answers: boolean): PodPhase {
  if (isZeroGpu(pod)) return 'zeroGpu';
  if (pod.status === 'ERROR') return 'failed';
  if (isStopped(pod)) return 'stopped';
  return pod.status === 'RUNNING' && answers ? 'ready' : 'booting';
}

/**
 * When the boot of a pod began: by the records of who started it and by RunPod, so that a reload of the window does not
 * begin it anew. `seenMs` is when it was first seen to boot; what is told later than that is of another start.
 */
export function bootingSinceMs(pod: Pod, { launched }: FleetLook, nowMs: number, seenMs: number | undefined): number {
  const launchedMs = launched.get(pod.id) ?? Number.NEGATIVE_INFINITY;
  // RunPod tells a start once its container runs; until then it is that of the run before (RunPod API v2, `startedAt`).
  const startedMs = pod.startedAtMs ?? pod.createdAtMs ?? Number.NEGATIVE_INFINITY;
  const isOfThisStart = pod.status === 'RUNNING' || pod.startedAtMs === undefined || launchedMs > startedMs;
  const toldMs = isOfThisStart ? Math.max(launchedMs, startedMs) : Number.NEGATIVE_INFINITY;
  // A time ahead is of another clock.
  const sinceMs = Math.max(toldMs <= nowMs ? toldMs : Number.NEGATIVE_INFINITY, seenMs ?? Number.NEGATIVE_INFINITY);
  return Number.isFinite(sinceMs) ? sinceMs : nowMs;
}

/** Another port than ComfyUI's is another's use of the machine: no job of ours goes there. */
export function isForJobs({ ports }: Pod): boolean {
  return ports.includes(`${String(comfyPort)}/http`);
}

/** A pod of the account as the plan sees it. Pure. */
export function toFleetPod(pod: Pod, signs: PodSigns, facts: FleetFacts): FleetPod {
  const { look, book, nowMs } = facts;
  const gpu = gpuKey(pod.gpu?.id);
  const own = look.atWork.filter(({ backend }) => backend === facts.backendOf(pod.id));
  const inFlight = Math.max(own.length, signs.jobs);
  const jobSeconds = predict(book, look.waiting[0]?.fingerprint ?? own[0]?.fingerprint ?? '', gpu).seconds;
  const lastPrice = pod.usdPerHourMicros || look.lastPrices.get(pod.id);
  return {
    id: pod.id,
    name: pod.name,
    ours: isOurs(pod) && !signs.isClosed,
    // What a person has started stays for as long as any idle pod may.
    keep: pod.locked || !look.launched.has(pod.id) || !isForJobs(pod),
    mayStart: isForJobs(pod) && !pod.locked && pod.gpu !== undefined,
    phase: phaseOf(pod, signs.answers),
    gpu,
    usdPerHourMicros: lastPrice ?? facts.priceOf(gpu),
    sinceMs: signs.sinceMs,
    bootSeconds: bootSecondsOf(look, pod.id),
    idleSinceMs: inFlight > 0 ? undefined : signs.usedAtMs,
    inFlight,
    busySeconds: busySeconds(own, gpu, book, nowMs) + (inFlight - own.length) * jobSeconds,
    jobSeconds,
  };
}

/** A create whose effect is not known counts as a pod that boots, so that no limit is passed. */
export function unseenPod(name: string, nowMs: number, usdPerHourMicros: number, look: FleetLook): FleetPod {
  return {
    id: name,
    name,
    ours: true,
    keep: true,
    mayStart: false,
    phase: 'booting',
    gpu: gpuKey(undefined),
    usdPerHourMicros,
    sinceMs: nowMs,
    bootSeconds: bootSecondsOf(look, undefined),
    idleSinceMs: undefined,
    inFlight: 0,
    busySeconds: 0,
    jobSeconds: 0,
  };
}

/** Of this pod's next start; undefined = of a new pod. */
export function bootSecondsOf({ boots }: FleetLook, podId: string | undefined): number {
  const quantile = (some: FleetLook['boots'], fallback: number): number =>
    newestQuantile(
      some.map(({ seconds }) => seconds),
      bootShare,
      fallback,
    );
  if (podId === undefined) {
    return quantile(
      boots.filter(({ isFirst }) => isFirst),
      assumedBootSeconds.first,
    );
  }
  const again = boots.filter(({ isFirst }) => !isFirst);
  const own = again.filter((boot) => boot.podId === podId);
  return quantile(own.length > 0 ? own : again, assumedBootSeconds.again);
}

function busySeconds(own: readonly FleetLoad[], gpu: string, book: SpeedBook, nowMs: number): number {
  const inLine = [...own].sort((a, b) => a.givenAt - b.givenAt);
  return inLine.reduce((sum, { fingerprint, givenAt }, place) => {
    const { seconds } = predict(book, fingerprint, gpu);
    return sum + (place === 0 ? remainingSeconds(seconds, (nowMs - givenAt) / 1_000) : seconds);
  }, 0);
}
