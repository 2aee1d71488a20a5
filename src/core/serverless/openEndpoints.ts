import { late, once } from '../kernel/late.ts';
import type { EndpointClient, EndpointClientOptions } from './endpointClient.ts';
import { EndpointService } from './endpointService.ts';

export interface OpenEndpointsOptions extends Omit<EndpointClientOptions, 'baseUrl'> {
  readonly addresses: { readonly runpodApiUrl: string; readonly serverlessUrl: string };
}

/** The endpoints of the account. Their clients are loaded at the first question. */
export function openEndpoints(options: OpenEndpointsOptions): EndpointService {
  const { addresses, clock, log } = options;
  const client = once(async () => {
    const { createEndpointClient } = await import('./endpointClient.ts');
    return createEndpointClient({ ...options, baseUrl: addresses.runpodApiUrl });
  });
  const endpoints = late(client, {
    async *workerLogs(...args: Parameters<EndpointClient['workerLogs']>) {
      yield* (await client()).workerLogs(...args);
    },
  });
  const jobs = late(async () => {
    const { createJobClient } = await import('./jobClient.ts');
    return createJobClient({ ...options, baseUrl: addresses.serverlessUrl });
  });
  return new EndpointService({ endpoints, jobs, clock, log, watchEveryMs: 15_000 });
}
