import { toFault } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { Pod } from '../runpod/pod.ts';
import type { JobStart } from '../store/podRecords.ts';
import type { PodRecords } from './deployPod.ts';
import { isStopped } from './podFilter.ts';

export interface JobStartDeps {
  readonly records: PodRecords;
  readonly clock: Clock;
  readonly log: Log;
  /** A list may be so old. */
  readonly visibleWithinMs: number;
}

/** A first start that downloads the image (RunPod docs, tutorials/pods/comfyui), and clocks that differ. */
const longestBootMs = 60 * 60_000;

/**
 * Is what runs the run that the job has started? 'over': it has ended, and what may run now is its owner's. 'unsure': RunPod may
 * not show it yet. Pure.
 */
export function standingOf(
  { at, beforeMs, runMs }: JobStart,
  pod: Pod | undefined,
  nowMs: number,
  visibleWithinMs: number,
): 'ours' | 'over' | 'unsure' {
  if (pod === undefined || isStopped(pod)) {
    return runMs !== undefined || nowMs - at > visibleWithinMs ? 'over' : 'unsure';
  }
  if (pod.status !== 'RUNNING') return 'ours';
  if (runMs !== undefined) return pod.runMs === runMs ? 'ours' : 'over';
  if (pod.startedAtMs === undefined || pod.runMs === beforeMs) return 'unsure';
  return Math.abs(pod.startedAtMs - at) <= longestBootMs ? 'ours' : 'over';
}

/** Ids of pods that we did not deploy and a job has started; what the list tells of their runs is put on record. */
export async function startedForJobs(deps: JobStartDeps, listed: readonly Pod[]): Promise<ReadonlySet<string>> {
  const { records, clock, log, visibleWithinMs } = deps;
  const ours = new Set<string>();
  try {
    for (const start of await records.starts()) {
      const pod = listed.find(({ id }) => id === start.podId);
      const standing = standingOf(start, pod, clock.now(), visibleWithinMs);
      if (standing !== 'over') ours.add(start.podId);
      if (standing === 'over') await records.forgetStart(start.podId);
      // Its container runs: from now on the run has a name.
      if (standing === 'ours' && start.runMs === undefined && pod?.status === 'RUNNING') {
        await records.noteStart({ ...start, runMs: pod.runMs });
      }
    }
  } catch (error) {
    log.warn(`Which pods were started for jobs is not known: ${toFault(error).message}`);
  }
  return ours;
}

/** Starts a pod that we did not deploy, on record before the request is sent. @throws Fault 'io', or as `start` */
export async function startForJob(
  { records, clock }: JobStartDeps,
  { id: podId, runMs: beforeMs }: Pod,
  start: () => Promise<Pod>,
): Promise<Pod> {
  await records.noteStart({ podId, at: clock.now(), beforeMs, runMs: undefined });
  try {
    return await start();
  } catch (error) {
    if (toFault(error).facts.delivered !== 'maybe') await records.forgetStart(podId);
    throw error;
  }
}
