import { randomUUID } from 'node:crypto';
import { BackendManager } from './backends/backendManager.ts';
import { createLocalBackend } from './backends/comfyBackend.ts';
import { createComfyClient } from './comfy/comfyClient.ts';
import type { ComfyClient } from './comfy/comfyClient.ts';
import type { NetworkSettings, Transport } from './http/transport.ts';
import { JobRunner } from './jobs/jobRunner.ts';
import type { JobRunnerOptions } from './jobs/jobRunner.ts';
import type { Lifetime } from './kernel/lifetime.ts';
import type { Clock, Log } from './kernel/ports.ts';
import type { RoutePolicy } from './routing/route.ts';
import type { Settings } from './settings.ts';

/** Where the services are. The demo differs from reality in these alone. */
export interface Addresses {
  /** Empty = none. */
  readonly localComfyUrl: string;
}

export interface CoreOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly userAgent: string;
  readonly settings: () => Settings;
  readonly addresses: () => Addresses;
  readonly network: () => NetworkSettings;
  readonly outputFolder: () => string;
  readonly onJobDone: JobRunnerOptions['onDone'];
}

export interface Core {
  readonly backends: BackendManager;
  readonly jobs: JobRunner;
}

/** Pure wiring: nothing is sent and no timer is set before a caller asks. */
export function createCore(options: CoreOptions, life: Lifetime): Core {
  const { clock, log } = options;
  const transport = lazyTransport(options.network, life);
  const newId = (): string => randomUUID();

  const clients = new Map<string, ComfyClient>();
  const comfyAt = (baseUrl: string): ComfyClient => {
    let client = clients.get(baseUrl);
    if (client === undefined) {
      client = createComfyClient({ ...options, baseUrl, transport });
      clients.set(baseUrl, client);
    }
    return client;
  };

  const local = createLocalBackend({
    clock,
    log,
    newId,
    enabled: () => options.settings()['local.enabled'],
    client: () => {
      const { localComfyUrl } = options.addresses();
      return localComfyUrl === '' ? undefined : comfyAt(localComfyUrl);
    },
    checkpoint: () => options.settings()['workflow.checkpoint'] || undefined,
    onIntent: () => undefined,
  });

  const backends = life.own(
    new BackendManager({ backends: [local], clock, log, policy: () => policyOf(options.settings()) }),
  );
  const jobs = life.own(
    new JobRunner({ backends, clock, log, outputFolder: options.outputFolder, onDone: options.onJobDone }),
  );
  return { backends, jobs };
}

function policyOf(settings: Settings): Omit<RoutePolicy, 'localOnly'> {
  const forced = settings['routing.forced'];
  const preferred = settings['routing.preferred'];
  return {
    priority: settings['routing.priority'],
    ...(forced === 'none' ? {} : { forced }),
    ...(preferred === 'none' ? {} : { preferred }),
  };
}

/** The HTTP library is loaded at the first request; a failed load is not remembered. */
function lazyTransport(network: () => NetworkSettings, life: Lifetime): () => Promise<Transport> {
  let loading: Promise<Transport> | undefined;
  return () => {
    loading ??= import('./http/dispatcher.ts').then(
      ({ createDispatcher }) => {
        const transport = createDispatcher(network());
        life.own({ dispose: () => void transport.close() });
        return transport;
      },
      (error: unknown) => {
        loading = undefined;
        throw error;
      },
    );
    return loading;
  };
}
