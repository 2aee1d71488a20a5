import { Fault, throwIfAborted, toFault } from '../kernel/fault.ts';
import type { FaultKind } from '../kernel/fault.ts';
import { isNotFound } from '../runpod/isNotFound.ts';
import { isZeroGpu } from '../runpod/pod.ts';
import type { Pod } from '../runpod/pod.ts';
import { tokenUnknown } from './agentDoors.ts';
import type { ComfyProbe } from './comfyProbe.ts';
import type { PodActionDeps } from './podActions.ts';
import { comfyPort, proxyAddress } from './proxyAddress.ts';

export type ReadyPhase = 'allocation' | 'container' | 'comfyui' | 'ready';

export interface ReadyProgress {
  readonly phase: ReadyPhase;
  /** For a person, e.g. 'Starting the container'. */
  readonly text: string;
  readonly waitedMs: number;
}

export interface ReadyPod {
  readonly pod: Pod;
  /** Where its ComfyUI answers, without a trailing slash. */
  readonly url: string;
  readonly comfyVersion: string | undefined;
}

export interface ReadyDeps extends PodActionDeps {
  readonly probe: ComfyProbe;
  /** See proxyAddress.ts. */
  readonly proxyTemplate: string;
  /** Ends with the owner: the clean-up after a cancelled wait still runs under it. */
  readonly life: AbortSignal;
}

export interface ReadyOptions {
  readonly podId: string;
  /** A first boot of a ComfyUI image takes minutes, and up to 30 (RunPod docs, tutorials/pods/comfyui). */
  readonly readyTimeoutMs: number;
  /** Stops the pod when the wait fails: given by whoever started it. */
  readonly stop?: () => Promise<unknown>;
  /** Given for a pod that was just made, on which nothing is: where it cannot be stopped. */
  readonly terminate?: () => Promise<unknown>;
  readonly onProgress: (progress: ReadyProgress) => void;
}

const phaseTexts: Readonly<Record<ReadyPhase, string>> = {
  allocation: 'Waiting for a machine',
  container: 'Starting the container',
  comfyui: 'Waiting for ComfyUI',
  ready: 'ComfyUI answers',
};

/** A single odd reading proves nothing: RunPod's readings may lag behind an action. */
const readingsToBelieve = 2;

/**
 * Follows a pod from its allocation to a ComfyUI that answers. RUNNING is not enough: it means that the container is up.
 * A Fault ends it when the pod fails, is stopped, is gone, has no GPU, or takes too long ('timeout'); a cancelled wait
 * leaves the pod as it is, for the caller to decide.
 */
export async function waitUntilReady(deps: ReadyDeps, options: ReadyOptions, signal: AbortSignal): Promise<ReadyPod> {
  const { clock } = deps;
  const { podId, onProgress } = options;
  const url = proxyAddress(deps.proxyTemplate, podId, comfyPort);
  const startedAt = clock.now();
  let phase: ReadyPhase = 'allocation';
  let lastWhy = '';
  let endings = 0;
  const report = (next: ReadyPhase): void => {
    phase = next;
    onProgress({ phase, text: phaseTexts[phase], waitedMs: clock.now() - startedAt });
  };

  for (;;) {
    const pod = await readPod(deps, podId, signal);
    const ending = pod instanceof Fault ? endingOf(pod, clock.now() - startedAt, deps) : failureOf(pod);
    if (ending !== undefined) {
      endings += 1;
      if (endings >= readingsToBelieve) throw await giveUp(options, ending, pod);
      lastWhy = ending.message;
    } else {
      endings = 0;
      report(pod instanceof Fault ? phase : phaseOf(pod));
    }
    if (!(pod instanceof Fault) && pod.status === 'RUNNING' && ending === undefined) {
      const answer = await deps.probe(url, signal);
      if (answer.ready) {
        report('ready');
        return { pod, url, comfyVersion: answer.version };
      }
      // Its agent answers and does not know our token: it never will.
      if (answer.why.kind === 'unauthorized') throw await giveUp(options, tokenUnknown(pod.name), pod);
      lastWhy = answer.why.message;
    }
    if (clock.now() - startedAt >= options.readyTimeoutMs) {
      const minutes = minutesText(options.readyTimeoutMs);
      const at = lastWhy === '' ? '' : `; last: ${lastWhy}`;
      const fault = new Fault('timeout', `The pod was not ready within ${minutes} (${phaseTexts[phase]}${at})`);
      throw await giveUp(options, fault, pod);
    }
    await clock.sleep(deps.pollMs, signal);
  }
}

/** Failures of a reading that may pass are no verdict on the pod. */
async function readPod({ client }: ReadyDeps, podId: string, signal: AbortSignal): Promise<Pod | Fault> {
  try {
    return await client.getPod(podId, signal);
  } catch (error) {
    throwIfAborted(signal);
    const fault = toFault(error);
    const passing: readonly FaultKind[] = ['timeout', 'unreachable', 'unavailable', 'rateLimited', 'protocol'];
    if (isNotFound(fault) || passing.includes(fault.kind)) return fault;
    throw fault;
  }
}

/** A pod just created may be unknown for a while, though it bills. */
function endingOf(fault: Fault, waitedMs: number, deps: ReadyDeps): Fault | undefined {
  if (!isNotFound(fault) || waitedMs < deps.visibleWithinMs) return undefined;
  return new Fault('unavailable', 'The pod is gone', { status: 404 });
}

function failureOf(pod: Pod): Fault | undefined {
  if (isZeroGpu(pod)) {
    return new Fault('noCapacity', 'The pod came back without a GPU: someone else rents it', {
      nextStep: 'Start it again later, or deploy another pod.',
    });
  }
  if (pod.status === 'EXITED') return new Fault('unavailable', 'The pod was stopped');
  if (pod.status === 'TERMINATED') return new Fault('unavailable', 'The pod was terminated');
  if (pod.status === 'ERROR') {
    return new Fault('unavailable', 'The container failed to start', { nextStep: "Look at the pod's log." });
  }
  return undefined;
}

function phaseOf(pod: Pod): ReadyPhase {
  if (pod.status === 'RUNNING') return 'comfyui';
  return pod.status === 'STARTING' ? 'container' : 'allocation';
}

/** The fault to throw, after the pod has been ended where that is ours to do; it says how. */
async function giveUp({ stop, terminate }: ReadyOptions, fault: Fault, pod: Pod | Fault): Promise<Fault> {
  const status = pod instanceof Fault ? undefined : pod.status;
  const over = status === 'EXITED' || status === 'TERMINATED' || fault.facts.status === 404;
  if (over || stop === undefined) return fault;
  // RunPod stops no pod whose container has failed.
  if (status !== 'ERROR' || terminate === undefined) {
    try {
      await stop();
      return told(fault, 'it was stopped');
    } catch (error) {
      if (terminate === undefined) return told(fault, stillCosts('stopping', error));
    }
  }
  try {
    await terminate();
    return told(fault, 'it could not be stopped and was terminated: nothing was on it', 'Deploy another pod.');
  } catch (error) {
    return told(fault, stillCosts('terminating', error));
  }
}

function stillCosts(what: string, error: unknown): string {
  return `and ${what} it failed (${toFault(error).message}): it still costs money`;
}

function told(fault: Fault, what: string, nextStep = fault.facts.nextStep): Fault {
  const facts = nextStep === undefined ? fault.facts : { ...fault.facts, nextStep };
  return new Fault(fault.kind, `${fault.message}; ${what}`, facts, { cause: fault });
}

function minutesText(ms: number): string {
  return ms >= 120_000 ? `${Math.round(ms / 60_000)} minutes` : `${Math.round(ms / 1_000)} s`;
}
