import { isBilled } from '../cost/podMeter.ts';
import { isOurs } from '../runpod/pod.ts';
import type { Pod } from '../runpod/pod.ts';
import { startedForJobs } from './jobStarts.ts';
import type { JobStartDeps } from './jobStarts.ts';

export interface Reconciled {
  /** Pods of creates whose answers were lost, in this run or an earlier one. */
  readonly adopted: readonly Pod[];
  /** Every pod that costs money now and that we deployed, or a job has started: to be shown, and offered to be stopped. */
  readonly running: readonly Pod[];
}

/** Puts our records beside the account: `list` is read after them. */
export async function reconcilePods(deps: JobStartDeps, list: () => Promise<readonly Pod[]>): Promise<Reconciled> {
  const { records, clock, visibleWithinMs } = deps;
  const open = await records.open();
  const pods = await list();
  const adopted: Pod[] = [];
  for (const { name, requestedAtMs } of open) {
    const pod = pods.find((one) => (one.name === name || one.mark === name) && one.status !== 'TERMINATED');
    if (pod !== undefined) {
      await records.own(name, pod.id);
      adopted.push(pod);
    } else if (clock.now() - requestedAtMs > visibleWithinMs) await records.forget(name);
  }
  const started = await startedForJobs(deps, pods);
  return { adopted, running: pods.filter((pod) => isBilled(pod) && (isOurs(pod) || started.has(pod.id))) };
}
