import { Fault, throwIfAborted, toFault } from '../kernel/fault.ts';
import type { Clock } from '../kernel/ports.ts';
import { isNotFound } from '../runpod/isNotFound.ts';
import type { Pod, PodAction } from '../runpod/pod.ts';
import type { RunpodClient } from '../runpod/runpodClient.ts';
import { isActive, isStopped } from './podFilter.ts';

export interface PodActionDeps {
  readonly client: RunpodClient;
  readonly clock: Clock;
  /** Between two readings of a pod's state. */
  readonly pollMs: number;
  /** How long an action may take to show; after it, the Fault says that the pod may still cost money. */
  readonly confirmMs: number;
  /** A pod this young may be unknown to RunPod though it runs and bills (observed: up to 3 min). */
  readonly visibleWithinMs: number;
}

/** Starts a stopped or failed pod and returns it once RunPod shows it on its way. 'noCapacity': its host has no free GPU. */
export async function startPod(deps: PodActionDeps, podId: string, signal: AbortSignal): Promise<Pod> {
  return act(deps, podId, 'start', isActive, signal);
}

/**
 * Stops a pod and returns it once RunPod shows it stopped. A pod that is gone counts as stopped: undefined. While the pod
 * is `young`, a 404 is no proof of that, and the stop is repeated.
 */
export async function stopPod(
  deps: PodActionDeps,
  podId: string,
  options: { readonly young: boolean },
  signal: AbortSignal,
): Promise<Pod | undefined> {
  const { clock } = deps;
  const giveUpAt = clock.now() + (options.young ? deps.visibleWithinMs : 0);
  for (;;) {
    try {
      return await act(deps, podId, 'stop', isStopped, signal);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      if (clock.now() >= giveUpAt) {
        if (await absent(deps, podId, signal)) return undefined;
        throw error;
      }
    }
    await clock.sleep(deps.pollMs, signal);
  }
}

/** Restarts the container and returns the pod once a new run shows: RunPod has answered OK and done nothing before. */
export async function restartPod(deps: PodActionDeps, podId: string, signal: AbortSignal): Promise<Pod> {
  const before = await deps.client.getPod(podId, signal);
  const renewed = (pod: Pod): boolean => {
    if (pod.status !== 'RUNNING') return isActive(pod);
    if (pod.startedAtMs !== before.startedAtMs) return true;
    const uptime = pod.runtime?.uptimeSeconds;
    const uptimeBefore = before.runtime?.uptimeSeconds;
    return uptime !== undefined && uptimeBefore !== undefined && uptime < uptimeBefore;
  };
  return act(deps, podId, 'restart', renewed, signal);
}

/**
 * Destroys a pod with its own disks, and resolves once RunPod no longer has it. While the pod is `young`, a 404 is no
 * proof: then the delete is repeated until it is accepted or the time of visibility has passed.
 */
export async function terminatePod(
  deps: PodActionDeps,
  podId: string,
  options: { readonly young: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { client, clock } = deps;
  const giveUpAt = clock.now() + (options.young ? deps.visibleWithinMs : 0);
  for (;;) {
    try {
      await client.deletePod(podId, signal);
      break;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      if (clock.now() >= giveUpAt) {
        if (await absent(deps, podId, signal)) return;
        throw error;
      }
    }
    await clock.sleep(deps.pollMs, signal);
  }
  const confirmUntil = clock.now() + deps.confirmMs;
  for (;;) {
    const pod = await read(deps, podId, signal);
    if (pod === undefined || pod.status === 'TERMINATED') return;
    if (clock.now() >= confirmUntil) throw unconfirmed('terminate', pod);
    await clock.sleep(deps.pollMs, signal);
  }
}

/** Two different questions have to say so. */
async function absent({ client }: PodActionDeps, podId: string, signal: AbortSignal): Promise<boolean> {
  const pods = await client.listPods(signal);
  return !pods.some((pod) => pod.id === podId && pod.status !== 'TERMINATED');
}

async function read({ client }: PodActionDeps, podId: string, signal: AbortSignal): Promise<Pod | undefined> {
  try {
    return await client.getPod(podId, signal);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/**
 * Sends the action and reads the pod until it shows. A reply that was lost is answered by reading, and the action is
 * sent again only when reading shows that it had no effect.
 */
async function act(
  deps: PodActionDeps,
  podId: string,
  action: Exclude<PodAction, 'terminate'>,
  shows: (pod: Pod) => boolean,
  signal: AbortSignal,
): Promise<Pod> {
  const { client, clock } = deps;
  const until = clock.now() + deps.confirmMs;
  let pod: Pod | undefined;
  for (let sent = 0; sent < 3;) {
    const lost = await send(deps, podId, action, signal);
    pod = await client.getPod(podId, signal);
    if (shows(pod)) return pod;
    const isForbidden = lost?.facts.status === 409;
    // A container that fails again and again can be stopped between two failures; no other state passes by itself.
    if (isForbidden && (action !== 'stop' || pod.status === 'RUNNING')) throw lost;
    if (!isForbidden) sent += 1;
    for (let reading = 0; lost === undefined || reading < (isForbidden ? 1 : 3); reading++) {
      if (clock.now() >= until) throw unconfirmed(action, pod);
      await clock.sleep(deps.pollMs, signal);
      pod = await client.getPod(podId, signal);
      if (shows(pod)) return pod;
    }
  }
  throw unconfirmed(action, pod);
}

/** Undefined when RunPod took the action; the Fault when it may have, or says that the pod's state forbids it. */
async function send(
  { client }: PodActionDeps,
  podId: string,
  action: PodAction,
  signal: AbortSignal,
): Promise<Fault | undefined> {
  try {
    await client.podAction(podId, action, signal);
    return undefined;
  } catch (error) {
    throwIfAborted(signal);
    const fault = toFault(error);
    if (fault.facts.status !== 409 && fault.facts.delivered === 'no') throw fault;
    return fault;
  }
}

function unconfirmed(action: PodAction, pod: Pod | undefined): Fault {
  const state = pod === undefined ? 'unknown' : pod.status;
  const nextStep =
    action === 'start'
      ? 'Try again.'
      : state === 'ERROR'
        ? 'Terminate it: RunPod stops no pod whose container has failed, and it may still cost money.'
        : "Look at RunPod's console: the pod may still cost money.";
  return new Fault('unavailable', `RunPod did not ${action} the pod (its state: ${state})`, {
    delivered: 'maybe',
    nextStep,
  });
}
