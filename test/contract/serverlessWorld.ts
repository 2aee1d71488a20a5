import { createDispatcher } from '../../src/core/http/dispatcher.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import type { Log } from '../../src/core/kernel/ports.ts';
import { createEndpointClient } from '../../src/core/serverless/endpointClient.ts';
import type { EndpointClient, EndpointClientOptions } from '../../src/core/serverless/endpointClient.ts';
import { createJobClient } from '../../src/core/serverless/jobClient.ts';
import type { JobClient, JobClientOptions } from '../../src/core/serverless/jobClient.ts';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';

/** The simulator and our clients of Serverless, over real sockets. */
export interface ServerlessWorld {
  readonly sim: Simulator;
  readonly base: Pick<JobClientOptions, 'transport' | 'clock' | 'log' | 'random' | 'userAgent' | 'apiKey'>;
  readonly endpoints: EndpointClient;
  readonly jobs: JobClient;
  readonly logged: string[];
  readonly signal: AbortSignal;
  key: string | undefined;
  newJobs(change?: Partial<JobClientOptions>): JobClient;
  newEndpoints(change?: Partial<EndpointClientOptions>): EndpointClient;
  /** An endpoint of the simulator; its id. */
  endpoint(more?: object): string;
  close(): Promise<void>;
}

let names = 0;

export async function openServerlessWorld(timeScale = 200): Promise<ServerlessWorld> {
  const sim = await startSimulator({ timeScale, seed: 5, runpodPresets: { change: { rateLimit: 'exempt' } } });
  // A cold start of half a minute, where life takes a minute and a half: still long enough to be seen.
  sim.runpod.serverless.configure({ firstPullMs: 20_000, coldStartMs: 10_000 });
  const transport = createDispatcher({ proxyUrl: undefined, noProxy: [], strictTls: true });
  const logged: string[] = [];
  const note = (text: string): void => void logged.push(text);
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const stop = new AbortController();
  const base: ServerlessWorld['base'] = {
    transport: () => Promise.resolve(transport),
    clock: systemClock,
    log,
    random: () => 0,
    userAgent: 'PodRelay-test',
    apiKey: () => Promise.resolve(world.key),
  };
  const newJobs: ServerlessWorld['newJobs'] = (change) =>
    createJobClient({
      ...base,
      baseUrl: sim.addresses.serverlessUrl,
      timeoutMs: 3_000,
      transferTimeoutMs: 3_000,
      ...change,
    });
  const newEndpoints: ServerlessWorld['newEndpoints'] = (change) =>
    createEndpointClient({ ...base, baseUrl: sim.addresses.runpodApiUrl, timeoutMs: 3_000, ...change });
  const world: ServerlessWorld = {
    sim,
    base,
    key: sim.runpodApiKey,
    endpoints: newEndpoints(),
    jobs: newJobs(),
    logged,
    signal: stop.signal,
    newJobs,
    newEndpoints,
    endpoint: (more = {}) => sim.runpod.serverless.seedEndpoint({ name: `endpoint-${++names}`, ...more }).id,
    close: async () => {
      stop.abort();
      await transport.close();
      await sim.dispose();
    },
  };
  return world;
}

type Graph = Record<string, { class_type: string; inputs: Record<string, unknown> }>;

/** A picture in one colour: no model. */
export function plain(color = 0x3366cc, prefix = 'test'): Graph {
  return {
    '1': { class_type: 'EmptyImage', inputs: { width: 64, height: 48, batch_size: 1, color } },
    '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: prefix } },
  };
}

/** A sampler graph that names its checkpoint, which is in the image of the simulator's endpoints. */
export function painting(seed = 5, steps = 4): Graph {
  return {
    '1': {
      class_type: 'CheckpointLoaderSimple',
      inputs: { ckpt_name: 'sd_xl_base_1.0.safetensors' },
    },
    '2': { class_type: 'CLIPTextEncode', inputs: { text: 'a lighthouse at dawn', clip: ['1', 1] } },
    '3': { class_type: 'EmptyLatentImage', inputs: { width: 128, height: 128, batch_size: 1 } },
    '5': {
      class_type: 'KSampler',
      inputs: {
        seed,
        steps,
        cfg: 7,
        sampler_name: 'euler',
        scheduler: 'normal',
        denoise: 1,
        model: ['1', 0],
        positive: ['2', 0],
        negative: ['2', 0],
        latent_image: ['3', 0],
      },
    },
    '6': { class_type: 'VAEDecode', inputs: { samples: ['5', 0], vae: ['1', 2] } },
    '7': { class_type: 'SaveImage', inputs: { images: ['6', 0], filename_prefix: 'sampled' } },
  };
}

export const body = (workflow: object = plain(), more: object = {}): { readonly json: string } => ({
  json: JSON.stringify({ input: { workflow }, ...more }),
});
