import { isBilled } from '../cost/podMeter.ts';
import { toFault } from '../kernel/fault.ts';
import type { Fault } from '../kernel/fault.ts';
import { isOurs } from '../runpod/pod.ts';
import type { Pod } from '../runpod/pod.ts';

/** Every pod that costs GPU time, only those that we deployed, or those of these ids. */
export type WhichPods = 'all' | 'ours' | readonly string[];

export interface StoppedAll {
  readonly stopped: readonly string[];
  /** Pods that may still cost money, with the reasons. */
  readonly failed: readonly { readonly pod: Pod; readonly why: Fault }[];
}

/** One that fails does not keep the others running. */
export async function stopAllPods(
  pods: readonly Pod[],
  which: WhichPods,
  stop: (podId: string) => Promise<unknown>,
): Promise<StoppedAll> {
  const isMeant = (pod: Pod): boolean => which === 'all' || (which === 'ours' ? isOurs(pod) : which.includes(pod.id));
  const stopped: string[] = [];
  const failed: { pod: Pod; why: Fault }[] = [];
  await Promise.all(
    pods
      .filter((pod) => isBilled(pod) && isMeant(pod))
      .map(async (pod) => {
        try {
          await stop(pod.id);
          stopped.push(pod.id);
        } catch (error) {
          failed.push({ pod, why: toFault(error) });
        }
      }),
  );
  return { stopped, failed };
}
