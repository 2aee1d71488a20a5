import { throwIfAborted, toFault } from '../kernel/fault.ts';
import { known, unknown } from '../kernel/observed.ts';
import type { Observed } from '../kernel/observed.ts';
import type { Clock } from '../kernel/ports.ts';
import type { EndpointClient } from './endpointClient.ts';
import type { EndpointStatus } from './endpointStatus.ts';
import type { JobClient } from './jobClient.ts';

export interface EndpointReadsOptions {
  readonly endpoints: Pick<EndpointClient, 'workers'>;
  readonly jobs: Pick<JobClient, 'health'>;
  readonly clock: Clock;
}

/** Asks for workers and queue of those that were looked at longest ago: an account may have very many, and RunPod a limit. */
export async function readDetails(
  options: EndpointReadsOptions,
  statuses: readonly EndpointStatus[],
  most: number,
  signal: AbortSignal,
): Promise<readonly EndpointStatus[]> {
  const oldest = [...statuses].sort((a, b) => seenAt(a) - seenAt(b)).slice(0, most);
  return Promise.all(oldest.map((status) => withDetails(options, status, signal)));
}

/** What cannot be had is unknown. */
export async function withDetails(
  options: EndpointReadsOptions,
  status: EndpointStatus,
  signal: AbortSignal,
): Promise<EndpointStatus> {
  const { endpoints, jobs, clock } = options;
  const { id, kind } = status.endpoint;
  const [workers, health] = await Promise.all([
    observe(clock, endpoints.workers(id, signal), status.workers, signal),
    // A load balancer has no queue to ask.
    kind === 'loadBalancer' ? status.health : observe(clock, jobs.health(id, signal), status.health, signal),
  ]);
  return { ...status, workers, health };
}

async function observe<T>(
  clock: Clock,
  asked: Promise<T>,
  before: Observed<T>,
  signal: AbortSignal,
): Promise<Observed<T>> {
  try {
    return known(await asked, clock.now());
  } catch (error) {
    throwIfAborted(signal);
    return unknown(before.known ? clock.now() : before.since, toFault(error));
  }
}

function seenAt({ workers }: EndpointStatus): number {
  return workers.known ? workers.at : workers.why === undefined ? 0 : workers.since;
}
