import { once } from '../kernel/late.ts';
import type { Lifetime } from '../kernel/lifetime.ts';
import type { NetworkSettings, Transport } from './transport.ts';

/** The HTTP library is loaded at the first request. */
export function lazyTransport(network: () => NetworkSettings, life: Lifetime): () => Promise<Transport> {
  return once(async () => {
    const { createDispatcher } = await import('./dispatcher.ts');
    const transport = createDispatcher(network);
    life.own({ dispose: () => void transport.close() });
    return transport;
  });
}
