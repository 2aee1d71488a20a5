import { podTimeMicros } from '../cost/price.ts';
import type { Pod } from '../runpod/pod.ts';
import { diskMicrosPerHour } from './podCost.ts';

/** A stopped pod whose disk costs more than it is worth. Money in micro-dollars. */
export interface IdleDisk {
  readonly podId: string;
  readonly name: string;
  readonly microsPerDay: number;
  readonly stoppedSinceMs: number;
  /** Its disk, since it was stopped. */
  readonly spentMicros: number;
}

/** What the records tell of a pod. Times are ms since the epoch. */
export interface PodHistory {
  /** Automation has created it. */
  readonly isCreated: boolean;
  /** What automation did with it last. */
  readonly last: { readonly what: 'start' | 'create' | 'stop'; readonly atMs: number };
  /** Since then its disk has cost what it costs now; undefined = not known. */
  readonly diskSinceMs: number | undefined;
}

export interface DiskFacts {
  readonly nowMs: number;
  readonly histories: ReadonlyMap<string, PodHistory>;
  /** The pod that a person has chosen for jobs. */
  readonly chosenPodId: string | undefined;
  /** From the start to the first answer: of a new pod, and of a stopped one. */
  readonly bootSeconds: { readonly first: number; readonly again: number };
  /** Micro-dollars per hour of a pod while it runs. */
  readonly usdPerHourMicros: (podId: string) => number;
  /** What a person would wait to save a dollar: their setting. 0 = time is not weighed against money. */
  readonly secondsPerUsd: number;
  /** A start of automation is told by RunPod as the pod's own within so long. */
  readonly bootMs: number;
}

/**
 * Pods that automation has created and stopped, and whose disks have cost more since then than the next boot with them
 * would save: image and models need not be loaded anew, in the pod's paid time and in a person's. That is the break-even:
 * who keeps to it pays at most twice what who knows the next job's time does. Only a person ends such a pod, since what
 * is on its disk goes with it; a pod that a person has started, locked, chosen or given a network volume is never told.
 * Dearest first. Pure.
 */
export function idleDisks(pods: readonly Pod[], facts: DiskFacts): readonly IdleDisk[] {
  return pods
    .flatMap((pod): readonly IdleDisk[] => {
      const history = facts.histories.get(pod.id);
      const perHour = diskMicrosPerHour(pod);
      if (history === undefined || perHour === 0 || !isAutomations(pod, history, facts)) return [];
      // The records may have missed the stop: the later of the two is sure.
      const since = Math.max(history.diskSinceMs ?? 0, history.last.atMs);
      const spentMicros = podTimeMicros(perHour, facts.nowMs - since);
      if (spentMicros < worthMicros(pod.id, facts)) return [];
      const { id: podId, name } = pod;
      return [{ podId, name, microsPerDay: perHour * 24, stoppedSinceMs: since, spentMicros }];
    })
    .sort((a, b) => b.microsPerDay - a.microsPerDay || a.stoppedSinceMs - b.stoppedSinceMs);
}

/** Created by automation, and no person has had it in hand since. */
function isAutomations(pod: Pod, { isCreated, last }: PodHistory, { chosenPodId, bootMs }: DiskFacts): boolean {
  if (!isCreated || pod.status !== 'EXITED' || pod.locked) return false;
  if (pod.networkVolumeIds.length > 0 || pod.id === chosenPodId) return false;
  const latestMs = last.what === 'stop' ? last.atMs : last.atMs + bootMs;
  return (pod.startedAtMs ?? 0) <= latestMs;
}

/** Of a disk that has image and models, at the next start. */
function worthMicros(podId: string, { bootSeconds, usdPerHourMicros, secondsPerUsd }: DiskFacts): number {
  const seconds = Math.max(0, bootSeconds.first - bootSeconds.again);
  const waited = secondsPerUsd > 0 ? (seconds / secondsPerUsd) * 1_000_000 : 0;
  return podTimeMicros(usdPerHourMicros(podId), seconds * 1_000) + waited;
}
