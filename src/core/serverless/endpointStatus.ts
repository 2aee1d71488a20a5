import type { Observed } from '../kernel/observed.ts';
import type { Endpoint } from './endpoint.ts';
import type { Worker } from './endpointClient.ts';
import type { EndpointHealth } from './jobClient.ts';

/** An endpoint with what its workers and its queue say. */
export interface EndpointStatus {
  readonly endpoint: Endpoint;
  readonly workers: Observed<readonly Worker[]>;
  readonly health: Observed<EndpointHealth>;
}
