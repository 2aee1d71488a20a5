import { createComfySim } from './comfy/comfySim.ts';
import type { ComfySim, ComfySimOptions } from './comfy/comfySim.ts';
import { createGeminiSim } from './gemini/geminiSim.ts';
import type { GeminiSim } from './gemini/geminiSim.ts';
import { listen } from './listener.ts';
import type { Listener } from './listener.ts';
import { withAgentDoor } from './runpod/agentDoor.ts';
import { createRunpodSim } from './runpod/runpodSim.ts';
import type { RunpodSim, RunpodSimOptions } from './runpod/runpodSim.ts';
import { createSimTime } from './simTime.ts';

export interface SimulatorOptions {
  /** 20 = twenty times faster than life */
  readonly timeScale: number;
  readonly seed: number;
  readonly comfyProfile?: ComfySimOptions['profile'];
  /** What the local ComfyUI has installed; absent = as a bare server. */
  readonly localShelf?: Shelf;
  /** The same of every pod's ComfyUI. */
  readonly podShelf?: Shelf;
  readonly runpodPresets?: RunpodSimOptions['presets'];
}

export type Shelf = Pick<ComfySimOptions, 'models' | 'nodePacks'>;

/** Exactly what a person would put into the settings to use the real services. */
export interface SimulatorAddresses {
  readonly localComfyUrl: string;
  /** Ends in '/v2'. */
  readonly runpodApiUrl: string;
  /** With '{podId}' and '{port}' in it. */
  readonly podProxyUrl: string;
  readonly geminiUrl: string;
  /** The job API of serverless endpoints; ends in '/v2'. */
  readonly serverlessUrl: string;
}

export interface Simulator {
  readonly addresses: SimulatorAddresses;
  readonly runpodApiKey: string;
  readonly geminiApiKey: string;
  readonly local: ComfySim;
  readonly runpod: RunpodSim;
  readonly gemini: GeminiSim;
  /** The ComfyUI behind a pod, once the pod has one. */
  podComfy(podId: string): ComfySim | undefined;
  /** Refuses connections to the local ComfyUI, as when the program is closed, or accepts them again. */
  setLocalOpen(open: boolean): Promise<void>;
  dispose(): Promise<void>;
}

const gib = 1024 ** 3;
/** How fast a card runs a diffusion step, an RTX 3090 being 1: round figures of the simulator's own. */
const gpuSpeeds: readonly (readonly [RegExp, number])[] = [
  [/H100|H200|B200|5090/, 4],
  [/4090|L40|A100|6000/, 2],
  [/3090|A5000|A6000|A40\b/, 1],
];

/** All services on loopback ports that the system chose. Nothing leaves this machine. */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const time = createSimTime(options.timeScale);
  const { seed, comfyProfile = '0.33.0' } = options;
  const runpodApiKey = `rpa_SIMULATED${seed.toString(36).toUpperCase()}KEY`;
  const geminiApiKey = `AQ.simulated-${seed.toString(36)}`;
  const podComfies = new Map<string, ComfySim>();

  const local = createComfySim({
    profile: comfyProfile,
    time,
    seed,
    gpu: { name: 'NVIDIA GeForce RTX 3060', vramBytes: 12 * gib, speed: 0.5 },
    ...options.localShelf,
  });
  const runpod = createRunpodSim({
    time,
    seed,
    apiKey: runpodApiKey,
    ...(options.runpodPresets === undefined ? {} : { presets: options.runpodPresets }),
    createPodServer: (pod) => {
      const speed = gpuSpeeds.find(([name]) => name.test(pod.gpu.name))?.[1] ?? 0.7;
      const comfy = createComfySim({
        profile: comfyProfile,
        time,
        seed: seed + podComfies.size + 1,
        gpu: { name: pod.gpu.id, vramBytes: pod.gpu.memoryGb * gib, speed },
        ...(pod.models === undefined ? options.podShelf : { ...options.podShelf, models: pod.models }),
      });
      podComfies.set(pod.id, comfy);
      const queueLength = (): number => {
        const { running, pending } = comfy.state();
        return pending.length + (running === undefined ? 0 : 1);
      };
      return withAgentDoor(comfy, { podId: pod.id, env: pod.env, time, queueLength });
    },
  });
  const gemini = createGeminiSim({ time, seed, apiKey: geminiApiKey });

  const listeners: Listener[] = [];
  try {
    for (const service of [local, runpod.api, runpod.proxy, gemini, runpod.jobs]) listeners.push(await listen(service));
  } catch (error) {
    await Promise.all(listeners.map((listener) => listener.dispose()));
    throw error;
  }
  const [localListener, api, proxy, geminiListener, jobs] = listeners as [
    Listener,
    Listener,
    Listener,
    Listener,
    Listener,
  ];

  return {
    addresses: {
      localComfyUrl: localListener.origin,
      runpodApiUrl: `${api.origin}/v2`,
      podProxyUrl: `${proxy.origin}/{podId}-{port}`,
      geminiUrl: geminiListener.origin,
      serverlessUrl: `${jobs.origin}/v2`,
    },
    runpodApiKey,
    geminiApiKey,
    local,
    runpod,
    gemini,
    podComfy: (podId) => podComfies.get(podId),
    setLocalOpen: (open) => (open ? localListener.reopen() : localListener.shut()),
    async dispose() {
      await Promise.all(listeners.map((listener) => listener.dispose()));
      runpod.dispose();
      for (const comfy of podComfies.values()) comfy.dispose();
    },
  };
}
