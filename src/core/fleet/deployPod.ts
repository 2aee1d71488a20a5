import { Fault, abortFault, throwIfAborted, toFault } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { podMarkVariable } from '../runpod/pod.ts';
import type { Pod } from '../runpod/pod.ts';
import type { CreatePodRequest } from '../runpod/runpodClient.ts';
import type { PodRecords as StoredRecords } from '../store/podRecords.ts';
import { agentFields } from './agentFields.ts';
import type { PodDoors } from './agentDoors.ts';
import { stopPod, terminatePod } from './podActions.ts';
import type { PodActionDeps } from './podActions.ts';
import { usdText } from './rankGpus.ts';
import type { GpuCandidate } from './rankGpus.ts';
import { watchdogFields } from './watchdog.ts';
import type { WatchdogSettings } from './watchdog.ts';

export interface IntendedPod {
  readonly name: string;
  /** ms since the epoch */
  readonly requestedAtMs: number;
}

/** The durable record of pods and runs that are ours, or may be. A record outlives the process before the request is sent. */
export interface PodRecords extends Pick<StoredRecords, 'noteStart' | 'forgetStart' | 'starts'> {
  /** Resolves once it is on the disk. */
  intend(pod: IntendedPod): Promise<void>;
  /** It is asked for again now: no other window may take it for never made. */
  renew(name: string): Promise<void>;
  /** RunPod has made the pod of that name, for this quote when it is known. */
  own(name: string, podId: string, quoteUsdPerHourMicros?: number): Promise<void>;
  /** RunPod has certainly made none, or the pod is gone. */
  forget(name: string): Promise<void>;
  /** Intended, and neither owned nor forgotten. */
  open(): Promise<readonly IntendedPod[]>;
}

export interface DeployRequest {
  /** In the order to try them: see rankGpus. */
  readonly candidates: readonly GpuCandidate[];
  readonly image: string;
  readonly containerDiskGb: number;
  /** What survives a stop. Without it, models and results are lost at every stop. */
  readonly storage:
    | { readonly kind: 'volume'; readonly sizeGb: number; readonly path: string }
    | { readonly kind: 'network'; readonly volumeId: string; readonly path: string }
    | { readonly kind: 'none' };
  readonly dataCenterIds?: readonly string[];
  readonly minCudaVersion?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly watchdog: WatchdogSettings;
}

export interface DeployDeps extends PodActionDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly records: PodRecords;
  /** Without it, pods get a watchdog, but anyone may use their ComfyUI. */
  readonly doors?: PodDoors;
  readonly newName: () => string;
  /** RunPod has made the pod, or shows it so: it is to be seen whatever comes next, since it costs money. */
  readonly onPod: (pod: Pod) => void;
  readonly onGone: (podId: string) => void;
  /** After a lost answer: how long the list is asked for the name before a pod of that name is taken for never made. */
  readonly adoptWithinMs: number;
  /** A create is not cut short by a cancelled command, or its pod would run unseen; only the end of the owner does. */
  readonly life: AbortSignal;
}

export interface Deployed {
  readonly pod: Pod;
  readonly candidate: GpuCandidate;
  /** Candidates before it, with their refusals. */
  readonly refused: readonly { readonly candidate: GpuCandidate; readonly why: Fault }[];
}

/** Over this share of the quote the pod is stopped and the person asked. */
const toleratedShare = 1.1;

/**
 * Creates one pod on the first candidate that RunPod has. The returned pod is recorded as ours and on its way, not ready.
 * Faults: 'noCapacity' when nobody has stock; 'overBudget' when the pod is dearer than quoted (it is stopped then);
 * whatever RunPod refuses. A cancelled call terminates the pod that it made.
 */
export async function deployPod(deps: DeployDeps, request: DeployRequest, signal: AbortSignal): Promise<Deployed> {
  throwIfAborted(signal);
  const name = deps.newName();
  const refused: { candidate: GpuCandidate; why: Fault }[] = [];
  const search: Search = { lost: false };
  const tokenSha256 = await deps.doors?.make(name);
  await deps.records.intend({ name, requestedAtMs: deps.clock.now() });
  for (const candidate of request.candidates) {
    if (signal.aborted) break;
    let pod: Pod;
    try {
      pod = await createOnce(deps, createRequest(name, candidate, request, tokenSha256), search);
    } catch (error) {
      const why = toFault(error);
      // What another GPU cannot cure ends the search. Only a proven 'no' may be forgotten.
      if (!passesOn(why)) {
        if (why.facts.delivered === 'no' && !search.lost) await deps.records.forget(name);
        throw why;
      }
      deps.log.info(`${candidate.name} (${candidate.cloud}): ${why.message}`);
      refused.push({ candidate, why });
      continue;
    }
    deps.onPod(pod);
    try {
      await deps.records.own(name, pod.id, candidate.usdPerHourMicros);
    } catch (error) {
      throw await unrecorded(deps, pod, toFault(error));
    }
    if (search.lost) void removeTwins(deps, name, pod);
    if (signal.aborted) {
      await discard(deps, pod);
      await deps.records.forget(name);
      throw abortFault(signal);
    }
    await assertQuoted(deps, pod, candidate);
    return { pod, candidate, refused };
  }
  if (!search.lost) await deps.records.forget(name);
  throwIfAborted(signal);
  throw allRefused(request, refused);
}

async function discard(deps: DeployDeps, { id }: Pod): Promise<void> {
  await terminatePod(deps, id, { young: true }, deps.life);
  deps.onGone(id);
}

/** Nothing is on it yet: a pod that cannot be put on record is not kept. The name stays on record as asked for. */
async function unrecorded(deps: DeployDeps, pod: Pod, { kind, facts, message }: Fault): Promise<Fault> {
  const what = `The pod ${pod.name} was made and could not be put on record (${message})`;
  try {
    await discard(deps, pod);
    return new Fault(kind, `${what}; it was terminated`, { ...facts, delivered: 'no' });
  } catch (error) {
    const price = `$${usdText(pod.usdPerHourMicros)}/h`;
    const why = `terminating it failed (${toFault(error).message}): it still runs and costs ${price}`;
    return new Fault(kind, `${what}, and ${why}`, { ...facts, delivered: 'maybe', nextStep: 'Terminate it.' });
  }
}

/** Set once an answer was lost and no pod has shown up: one may still do so. */
interface Search {
  lost: boolean;
}

/** One POST per certain outcome: an answer that was lost is looked for by name before anything is sent again. */
async function createOnce(deps: DeployDeps, request: CreatePodRequest, search: Search): Promise<Pod> {
  for (let sent = 1; ; sent++) {
    await deps.records.renew(request.name);
    try {
      return await deps.client.createPod(request, deps.life);
    } catch (error) {
      throwIfAborted(deps.life);
      const fault = toFault(error);
      if (fault.facts.delivered === 'no') throw fault;
      deps.log.warn(`The answer to creating ${request.name} was lost (${fault.message}); looking for the pod`);
      const pod = await findByName(deps, request.name);
      if (pod !== undefined) return pod;
      search.lost = true;
      if (sent === 2) throw fault;
    }
  }
}

/** Lists until a pod of that name shows, or the time is over. A list that fails is asked again. */
async function findByName(deps: DeployDeps, name: string): Promise<Pod | undefined> {
  const until = deps.clock.now() + deps.adoptWithinMs;
  for (;;) {
    let failure: Fault | undefined;
    try {
      const pods = await deps.client.listPods(deps.life);
      const pod = pods.find((one) => one.name === name && one.status !== 'TERMINATED');
      if (pod !== undefined) return pod;
    } catch (error) {
      throwIfAborted(deps.life);
      failure = toFault(error);
    }
    if (deps.clock.now() >= until) {
      // Not having seen the list is not 'it is not there'.
      if (failure !== undefined)
        throw new Fault(failure.kind, failure.message, { ...failure.facts, delivered: 'maybe' });
      return undefined;
    }
    await deps.clock.sleep(deps.pollMs, deps.life);
  }
}

/**
 * The create whose answer was lost may have taken effect after all, and its pod may show up late: it has our unique name,
 * and nobody has used it. Runs beside the deploy, until no such pod can appear any more.
 */
async function removeTwins(deps: DeployDeps, name: string, kept: Pod): Promise<void> {
  const until = deps.clock.now() + deps.visibleWithinMs;
  while (!deps.life.aborted && deps.clock.now() < until) {
    try {
      await deps.clock.sleep(deps.pollMs * 3, deps.life);
      const pods = await deps.client.listPods(deps.life);
      for (const pod of pods) {
        if (pod.name !== name || pod.id === kept.id || pod.status === 'TERMINATED') continue;
        deps.log.warn(`Terminating ${pod.id}, made by a request whose answer was lost`);
        await terminatePod(deps, pod.id, { young: true }, deps.life);
      }
    } catch (error) {
      if (!deps.life.aborted) deps.log.warn(`Looking for a twin of ${kept.id}: ${toFault(error).message}`);
    }
  }
}

async function assertQuoted(deps: DeployDeps, pod: Pod, candidate: GpuCandidate): Promise<void> {
  if (pod.usdPerHourMicros <= candidate.usdPerHourMicros * toleratedShare) return;
  const prices = `$${usdText(pod.usdPerHourMicros)}/h instead of the quoted $${usdText(candidate.usdPerHourMicros)}/h`;
  let done = 'it was stopped';
  try {
    const stopped = await stopPod(deps, pod.id, { young: true }, deps.life);
    if (stopped !== undefined) deps.onPod(stopped);
  } catch (error) {
    done = `stopping it failed (${toFault(error).message}): it still costs money`;
  }
  throw new Fault('overBudget', `The pod ${pod.name} costs ${prices}; ${done}`, {
    nextStep: 'Start it if the price is right for you, or terminate it.',
  });
}

/** Is another GPU type worth trying? */
function passesOn(fault: Fault): boolean {
  if (fault.kind === 'noCapacity') return true;
  // 403: not allowed in that pool; 400: a rule, which may concern that candidate only.
  return fault.facts.status === 403 ? fault.kind === 'unauthorized' : fault.facts.status === 400;
}

function allRefused(request: DeployRequest, refused: Deployed['refused']): Fault {
  const last = refused.at(-1)?.why;
  if (last === undefined) {
    return new Fault('noCapacity', 'No GPU type fits', { nextStep: 'Raise the price limit or lower the VRAM needed.' });
  }
  // A broken rule fails the same way everywhere, so it is told instead of 'no stock'.
  if (refused.every(({ why }) => why.kind !== 'noCapacity')) return last;
  const names = [...new Set(refused.map(({ candidate }) => candidate.name))].join(', ');
  const narrow = (request.dataCenterIds?.length ?? 0) > 0 ? ' in the chosen data centres' : '';
  return new Fault('noCapacity', `RunPod has no free GPU${narrow} (tried: ${names})`, {
    delivered: 'no',
    nextStep:
      narrow === '' ? 'Try again later, or allow dearer GPUs.' : 'Allow other data centres, or try again later.',
  });
}

export function createRequest(
  name: string,
  candidate: GpuCandidate,
  request: DeployRequest,
  tokenSha256?: string,
): CreatePodRequest {
  const { storage, dataCenterIds, minCudaVersion } = request;
  const beside =
    tokenSha256 === undefined ? watchdogFields(request.watchdog) : agentFields(request.watchdog, tokenSha256);
  return {
    name,
    image: request.image,
    gpu: {
      id: candidate.gpuId,
      count: candidate.count,
      ...(minCudaVersion === undefined ? {} : { minCudaVersion }),
    },
    cloud: candidate.cloud,
    ...(dataCenterIds === undefined || dataCenterIds.length === 0 ? {} : { dataCenterIds }),
    disk: request.containerDiskGb,
    ...(storage.kind === 'volume' ? { mounts: { persistent: { size: storage.sizeGb, path: storage.path } } } : {}),
    ...(storage.kind === 'network'
      ? { mounts: { network: [{ volumeId: storage.volumeId, path: storage.path }] as const } }
      : {}),
    // Only ComfyUI: the image's file browser and notebook have a published password or none.
    ports: ['8188/http'],
    env: { ...request.env, ...beside.env, [podMarkVariable]: name },
    args: beside.args,
  };
}
