import type { PodService } from '../fleet/podService.ts';
import { Fault, abortFault, isPassing, throwIfAborted, toFault } from '../kernel/fault.ts';
import type { Clock } from '../kernel/ports.ts';
import { isNotFound } from '../runpod/isNotFound.ts';
import type { Pod } from '../runpod/pod.ts';
import type { Resumed } from './backend.ts';

export interface PodDeps {
  readonly pods: PodService;
  readonly clock: Clock;
}

export type FoundPod = { readonly is: 'pod'; readonly pod: Pod } | Exclude<Resumed, { readonly is: 'result' }>;

/** Between two listings that lack a pod, before it is believed: a single one has been wrong. */
const secondListingMs = 1_000;

/** The pod whose ComfyUI is at this address, if it still runs. It is never started for a result: ComfyUI forgets its jobs when it ends. */
export async function findPodAt(deps: PodDeps, address: string, signal: AbortSignal): Promise<FoundPod> {
  try {
    const pod = await lookTwice(deps, ({ id }) => deps.pods.address(id) === address, signal);
    if (pod === undefined || pod.status === 'TERMINATED') {
      return { is: 'lost', why: 'The pod that ran it has been terminated', end: 'withMachine' };
    }
    if (pod.status === 'RUNNING') return { is: 'pod', pod };
    if (pod.status === 'EXITED' || pod.status === 'ERROR') {
      return { is: 'lost', why: 'The pod that ran it was stopped before the result was fetched', end: 'withMachine' };
    }
    return { is: 'later', why: `The pod that ran it is ${pod.status.toLowerCase()}` };
  } catch (error) {
    throwIfAborted(signal);
    return { is: 'later', why: `RunPod cannot be asked: ${toFault(error).message}` };
  }
}

/**
 * Work on a pod, which ends when the pod does: somebody may stop or terminate it meanwhile, or its machine may fail.
 * What was sent is gone then, with all that it had made.
 * @throws Fault 'unavailable' that says what became of the pod; else what the work throws
 */
export async function whilePodRuns<T>(
  deps: PodDeps,
  podId: string,
  work: (signal: AbortSignal) => Promise<T>,
  outer: AbortSignal,
): Promise<T> {
  const { pods } = deps;
  const over = new AbortController();
  let isAsking = false;
  const ask = async (): Promise<void> => {
    const seen = pods.pods.known ? pods.pods.value.find(({ id }) => id === podId) : undefined;
    if (isAsking || !pods.pods.known || !hasEnded(seen)) return;
    isAsking = true;
    const why = await endOf(deps, podId, over.signal).catch(() => undefined);
    isAsking = false;
    if (why !== undefined) over.abort(why);
  };
  const listening = pods.onDidChange(() => void ask());
  try {
    return await work(AbortSignal.any([outer, over.signal]));
  } catch (error) {
    throwIfAborted(outer);
    if (over.signal.aborted) throw abortFault(over.signal);
    const fault = toFault(error);
    if (!isPassing(fault) && !isNotFound(fault)) throw fault;
    throw (await endOf(deps, podId, outer).catch(() => undefined)) ?? fault;
  } finally {
    listening.dispose();
    over.abort(new Fault('cancelled', 'The work has ended'));
  }
}

/** What ended the pod, by RunPod's account; undefined while it runs. @throws Fault when RunPod cannot be asked */
async function endOf(deps: PodDeps, podId: string, signal: AbortSignal): Promise<Fault | undefined> {
  const pod = await lookTwice(deps, ({ id }) => id === podId, signal);
  if (!hasEnded(pod)) return undefined;
  const end = pod === undefined || pod.status === 'TERMINATED' ? 'terminated' : 'stopped';
  const how = pod?.status === 'ERROR' ? 'has failed' : `was ${end}`;
  return new Fault('unavailable', `The pod ${how} while it ran the job`, { delivered: 'no' });
}

/** A state that we do not know is not an end. */
function hasEnded(pod: Pod | undefined): boolean {
  return pod === undefined || pod.status === 'EXITED' || pod.status === 'ERROR' || pod.status === 'TERMINATED';
}

/** Lists the pods again when the first list lacks it. */
async function lookTwice(
  { pods, clock }: PodDeps,
  isIt: (pod: Pod) => boolean,
  signal: AbortSignal,
): Promise<Pod | undefined> {
  const find = async (): Promise<Pod | undefined> => (await pods.refresh(signal)).find(isIt);
  const first = await find();
  if (first !== undefined) return first;
  await clock.sleep(secondListingMs, signal);
  return find();
}
