import { newPodName } from '../fleet/podName.ts';
import { Fault, throwIfAborted, toFault } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { Endpoint } from './endpoint.ts';
import type { CreateEndpointRequest, EndpointClient } from './endpointClient.ts';

/** What a person chooses of a new endpoint. */
export interface EndpointWish {
  /** In the order of preference. */
  readonly pools: readonly string[];
  readonly image: string;
  readonly maxWorkers: number;
}

export interface CreateEndpointDeps {
  readonly client: EndpointClient;
  readonly clock: Clock;
  readonly log: Log;
  /** Between two looks for an endpoint whose create was not answered. */
  readonly pollMs: number;
  /** How long such an endpoint is looked for. */
  readonly adoptWithinMs: number;
}

/** Seconds that a worker stays up for the next job: each is billed. */
export const idleSeconds = 10;

/**
 * What RunPod is asked for: workers come with the jobs and go with them. Disk, CUDA and start-up are what worker-comfyui's
 * own listing asks for (RunPod docs, serverless/endpoints; worker-comfyui, .runpod/hub.json).
 */
export function endpointRequest({ pools, image, maxWorkers }: EndpointWish, name: string): CreateEndpointRequest {
  return {
    name,
    type: 'QUEUE',
    image,
    gpu: { pools, count: 1, minCudaVersion: '12.6' },
    disk: 20,
    env: { REFRESH_WORKER: 'false' },
    workers: { min: 0, max: maxWorkers, idleTimeout: idleSeconds },
    scaling: { type: 'QUEUE_DELAY', queueDelay: 4 },
    timeout: 600_000,
    flashboot: 'FLASHBOOT',
  };
}

/** @throws Fault; with `delivered` 'maybe' when there may be an endpoint that was not seen yet */
export async function createEndpoint(
  deps: CreateEndpointDeps,
  wish: EndpointWish,
  signal: AbortSignal,
): Promise<Endpoint> {
  const name = newPodName();
  try {
    return await deps.client.create(endpointRequest(wish, name), signal);
  } catch (error) {
    throwIfAborted(signal);
    const fault = toFault(error);
    if (fault.facts.delivered === 'no' || fault.kind === 'bug' || isRefusal(fault)) throw fault;
    const found = await findByName(deps, name, signal);
    if (found !== undefined) return found;
    const nextStep = `RunPod may have made the endpoint ${name} all the same: it costs nothing without jobs. Refresh the pods later.`;
    throw new Fault(fault.kind, fault.message, { ...fault.facts, nextStep, delivered: 'maybe' }, { cause: fault });
  }
}

/** RunPod has answered that it made nothing. */
function isRefusal({ facts: { status } }: Fault): boolean {
  return status !== undefined && status >= 400 && status < 500 && status !== 408;
}

async function findByName(
  { client, clock, log, pollMs, adoptWithinMs }: CreateEndpointDeps,
  name: string,
  signal: AbortSignal,
): Promise<Endpoint | undefined> {
  const until = clock.now() + adoptWithinMs;
  for (;;) {
    try {
      // RunPod's console appends what it has switched on to a name.
      const found = (await client.list(signal)).find((endpoint) => endpoint.name.startsWith(name));
      if (found !== undefined) return found;
    } catch (error) {
      throwIfAborted(signal);
      log.debug(`Endpoint ${name} could not be looked for: ${toFault(error).message}`);
    }
    if (clock.now() + pollMs > until) return undefined;
    await clock.sleep(pollMs, signal);
  }
}

/** The other limit gives way. */
export type WorkersWish = { readonly min: number } | { readonly max: number };

/** Sent once: after a lost answer the endpoint is read. */
export async function changeWorkers(
  client: EndpointClient,
  endpointId: string,
  wish: WorkersWish,
  signal: AbortSignal,
): Promise<Endpoint> {
  const { minWorkers, maxWorkers } = await client.get(endpointId, signal);
  const workers =
    'max' in wish
      ? { max: wish.max, ...(minWorkers > wish.max ? { min: wish.max } : {}) }
      : { min: wish.min, ...(maxWorkers < wish.min ? { max: wish.min } : {}) };
  try {
    return await client.update(endpointId, { workers }, signal);
  } catch (error) {
    throwIfAborted(signal);
    const fault = toFault(error);
    if (fault.facts.delivered === 'no' || isRefusal(fault)) throw fault;
    const now = await client.get(endpointId, signal).catch(() => undefined);
    if (now !== undefined && ('max' in wish ? now.maxWorkers === wish.max : now.minWorkers === wish.min)) return now;
    throw fault;
  }
}
