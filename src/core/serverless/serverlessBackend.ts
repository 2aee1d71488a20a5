import type { Backend } from '../backends/backend.ts';
import { machineQuote } from '../cost/price.ts';
import type { ServerlessWorker, ServerlessWorkerOptions } from './serverlessWorker.ts';

export interface ServerlessBackendOptions extends ServerlessWorkerOptions {
  readonly enabled: () => boolean;
  readonly hasKey: () => boolean;
}

/**
 * One RunPod Serverless endpoint that runs worker-comfyui: a queue of its own, workers that come and go, a price per job.
 * The module that does it is loaded at first use.
 */
export function createServerlessBackend(options: ServerlessBackendOptions): Backend {
  let worker: ServerlessWorker | undefined;
  const load = async (): Promise<ServerlessWorker> => {
    const { ServerlessWorker: Loaded } = await import('./serverlessWorker.ts');
    return (worker ??= new Loaded(options));
  };
  return {
    id: `endpoint:${options.endpointId}`,
    tier: 'cloud',
    get label() {
      return `RunPod endpoint ${worker?.name ?? options.endpointId}`;
    },
    get name() {
      return worker?.name ?? options.endpointId;
    },
    billing: 'job',
    get depth() {
      return worker?.depth ?? 1;
    },
    get workers() {
      const { maxWorkers = 1, flashboot = false } = worker?.endpoint ?? {};
      return { most: Math.max(1, maxWorkers), startSeconds: flashboot ? 20 : 60 };
    },
    ready: () => {
      if (!options.enabled()) return { ok: false, why: 'Switched off' };
      if (!options.hasKey()) return { ok: false, why: 'No RunPod API key is set' };
      return { ok: true };
    },
    probe: async (signal) => (await load()).probe(signal),
    refusals: async (job, signal) => (await load()).refusals(job, signal),
    quote: (job) => worker?.quote(job) ?? machineQuote(job.media),
    run: async (job, context, signal) => (await load()).run(job, context, signal),
    resume: async (remote, job, context, signal) => (await load()).resume(remote, job, context, signal),
  };
}
