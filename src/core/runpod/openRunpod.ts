import type { Transport } from '../http/transport.ts';
import { late, once } from '../kernel/late.ts';
import type { RunpodClient, RunpodClientOptions } from './runpodClient.ts';

export type OpenRunpodOptions = Omit<RunpodClientOptions, 'baseUrl' | 'transport' | 'apiKey'> & {
  readonly addresses: { readonly runpodApiUrl: string };
};

/** RunPod's account, whose client is loaded at the first call. */
export function openRunpod(
  options: OpenRunpodOptions,
  transport: () => Promise<Transport>,
  apiKey: () => Promise<string | undefined>,
): RunpodClient {
  const client = once(async () => {
    const { createRunpodClient } = await import('./runpodClient.ts');
    return createRunpodClient({ ...options, baseUrl: options.addresses.runpodApiUrl, transport, apiKey });
  });
  return late(client, {
    async *streamLogs(...args) {
      yield* (await client()).streamLogs(...args);
    },
  });
}
