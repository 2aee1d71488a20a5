import type { Addresses } from '../core/createCore.ts';
import type { PodTokens } from '../core/fleet/agentToken.ts';
import type { Secrets } from '../core/kernel/ports.ts';

/** Where a session works: the real services, or the demo's. The two differ in this record alone. */
export interface Place {
  readonly addresses: Addresses;
  readonly secrets: Secrets;
  readonly podTokens: PodTokens;
  /** Folder of the database; the demo has its own. */
  readonly storeFolder: string;
  /** The pod that runs jobs; undefined = none is configured. */
  readonly podId: () => string | undefined;
  choosePod(podId: string | undefined): Promise<void>;
  /** Serverless endpoints that run jobs. */
  readonly endpointIds: () => readonly string[];
  chooseEndpoints(endpointIds: readonly string[]): Promise<void>;
}
