import { isBilled } from '../cost/podMeter.ts';
import { throwIfAborted, toFault } from '../kernel/fault.ts';
import { isOurs } from '../runpod/pod.ts';
import type { Pod } from '../runpod/pod.ts';
import { startedForJobs } from './jobStarts.ts';
import type { JobStartDeps } from './jobStarts.ts';

export interface Reconciled {
  /** Pods of creates whose answers were lost, in this run or an earlier one. */
  readonly adopted: readonly Pod[];
  /** Every pod that costs money now and that we deployed, or a job has started: to be shown, and offered to be stopped. */
  readonly running: readonly Pod[];
  /** The same once more, when every pod that was asked for until now must be listed; undefined = none is missing. */
  readonly again: Promise<Reconciled> | undefined;
}

export interface ReconcileDeps extends JobStartDeps {
  readonly life: AbortSignal;
}

/** Puts our records beside the account: `list` is read after them. */
export async function reconcilePods(deps: ReconcileDeps, list: () => Promise<readonly Pod[]>): Promise<Reconciled> {
  const { records, clock, log, visibleWithinMs, life } = deps;
  const open = await records.open();
  const pods = await list();
  const adopted: Pod[] = [];
  let openUntil = 0;
  for (const { name, requestedAtMs } of open) {
    const pod = pods.find((one) => (one.name === name || one.mark === name) && one.status !== 'TERMINATED');
    if (pod !== undefined) {
      await records.own(name, pod.id);
      adopted.push(pod);
      log.info(`Pod ${pod.name} was asked for, and the answer was lost: it is ours`);
    } else if (clock.now() - requestedAtMs > visibleWithinMs) await records.forget(name);
    else openUntil = Math.max(openUntil, requestedAtMs + visibleWithinMs);
  }
  const started = await startedForJobs(deps, pods);
  const again = openUntil === 0 ? undefined : lookAgain();
  // It is done whether anyone waits for it or not.
  again?.catch(() => undefined);
  return { adopted, again, running: pods.filter((pod) => isBilled(pod) && (isOurs(pod) || started.has(pod.id))) };

  async function lookAgain(): Promise<Reconciled> {
    // A clock that was set back does not make it wait for longer than RunPod needs.
    for (let waitMs = Math.min(openUntil - clock.now(), visibleWithinMs) + 1; ; waitMs = visibleWithinMs) {
      await clock.sleep(waitMs, life);
      try {
        return await reconcilePods(deps, list);
      } catch (error) {
        throwIfAborted(life);
        log.debug(`The second look at the pods has failed: ${toFault(error).message}`);
      }
    }
  }
}
