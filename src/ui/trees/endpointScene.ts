import type { Observed } from '../../core/kernel/observed.ts';
import type { GpuPrice } from '../../core/serverless/endpoint.ts';
import type { EndpointListing, EndpointStatus } from '../../core/serverless/endpointService.ts';

/** What the group 'Serverless' of the Pods view is drawn from. */
export interface EndpointScene {
  readonly endpoints: Observed<readonly EndpointStatus[]>;
  readonly lastSeen: EndpointListing | undefined;
  /** Undefined = not known. */
  readonly prices: readonly GpuPrice[] | undefined;
  readonly hasKey: boolean;
  /** Ids of the endpoints that get jobs. */
  readonly used: readonly string[];
  readonly nowMs: number;
}
