import { toFault } from '../kernel/fault.ts';
import { isNotFound } from '../runpod/isNotFound.ts';
import type { Pod } from '../runpod/pod.ts';
import type { PodActionDeps } from './podActions.ts';

/** Pods that we have made and RunPod's list has not shown yet: until when a 404 is no proof that one is gone, by id. */
export type YoungPods = Map<string, number>;

/**
 * A list with the pods that it lacks as yet, though they run and are billed. One that it lacks for too long is asked for by
 * itself, and goes when both say that it is not there.
 */
export async function withYoungPods(
  { client, clock }: Pick<PodActionDeps, 'client' | 'clock'>,
  young: YoungPods,
  listed: readonly Pod[],
  lastSeen: (podId: string) => Pod | undefined,
  signal: AbortSignal,
): Promise<readonly Pod[]> {
  const missing: Pod[] = [];
  for (const [podId, until] of young) {
    if (listed.some(({ id }) => id === podId)) {
      young.delete(podId);
      continue;
    }
    const pod = await client.getPod(podId, signal).catch((error: unknown) => {
      const isGone = isNotFound(toFault(error)) && clock.now() >= until;
      return isGone ? undefined : lastSeen(podId);
    });
    if (pod === undefined || pod.status === 'TERMINATED') young.delete(podId);
    else missing.push(pod);
  }
  return [...missing, ...listed];
}
