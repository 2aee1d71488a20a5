import type { Clock } from '../kernel/ports.ts';
import { Fault, toFault } from '../kernel/fault.ts';
import { late } from '../kernel/late.ts';
import type { ComfyClient } from '../comfy/comfyClient.ts';
import { inventoryOf } from './inventory.ts';
import type { Backend, Health } from './backend.ts';
import type { ComfyRunOptions } from './runOnComfy.ts';

const { missingClasses, runOnComfy } = late(() => import('./runOnComfy.ts'));
const { resumeOnComfy } = late(() => import('./resumeOnComfy.ts'));

/** Health of any ComfyUI, by `/system_stats` and `/prompt`: there is no `/health` (comfyui.md 1.2). */
export async function probeComfy(client: ComfyClient, clock: Clock, signal: AbortSignal): Promise<Health> {
  const startedAt = clock.now();
  try {
    const [stats, queueLength] = await Promise.all([client.systemStats(signal), client.queueRemaining(signal)]);
    const device = stats.devices[0];
    const version = stats.system.comfyui_version ?? undefined;
    const onGpu = device !== undefined && device.type !== 'cpu';
    return {
      state: 'healthy',
      why: `ComfyUI ${version ?? '(version unknown)'} answers`,
      latencyMs: clock.now() - startedAt,
      queueLength,
      ...(version === undefined ? {} : { version }),
      ...(device === undefined ? {} : { gpu: onGpu ? gpuName(device.name) : 'CPU' }),
      ...(onGpu && typeof device.vram_total === 'number' ? { vramTotalBytes: device.vram_total } : {}),
      ...(onGpu && typeof device.vram_free === 'number' ? { vramFreeBytes: device.vram_free } : {}),
    };
  } catch (error) {
    const fault = toFault(error);
    if (fault.kind === 'cancelled') throw fault;
    return { state: 'unhealthy', why: fault.message, fault };
  }
}

/** `cuda:0 NVIDIA GeForce RTX 4090 : cudaMallocAsync` → `RTX 4090` */
export function gpuName(deviceName: string): string {
  const plain = deviceName.replace(/^cuda:\d+\s+/, '').replace(/\s*:\s*\S+$/, '');
  return plain.replace(/^NVIDIA\s+(GeForce\s+)?/, '');
}

export interface LocalBackendOptions extends Omit<ComfyRunOptions, 'client' | 'checkpoint'> {
  /** Undefined when no address is set. */
  readonly client: () => ComfyClient | undefined;
  readonly enabled: () => boolean;
  /** Of any address: a job may have been sent before the address was changed. */
  readonly comfyAt: (baseUrl: string) => ComfyClient;
  readonly checkpoint: () => string | undefined;
}

/** One runs, one is prepared: files sent, or its result fetched. */
export const comfyDepth = 2;

const free = { micros: 0, costBasis: 'your own machine', basis: 'measured' } as const;

/** The ComfyUI on the person's own machine or network. It costs nothing. */
export function createLocalBackend(options: LocalBackendOptions): Backend {
  const client = (): ComfyClient => {
    const own = options.client();
    if (own === undefined) throw new Fault('unreachable', 'No address is set', { delivered: 'no' });
    return own;
  };
  return {
    id: 'local',
    tier: 'local',
    label: 'Local ComfyUI',
    billing: 'free',
    depth: comfyDepth,
    ready: () => {
      if (!options.enabled()) return { ok: false, why: 'Switched off' };
      if (options.client() === undefined) return { ok: false, why: 'No address is set' };
      return { ok: true };
    },
    probe: (signal) => probeComfy(client(), options.clock, signal),
    refusals: async (job, signal) => missingClasses(client(), job.workflow, signal),
    quote: () => ({ micros: 0, basis: 'your own machine' }),
    inventory: async (signal) => inventoryOf(await client().allObjectInfo(signal)),
    async run(job, context, signal) {
      const run = await runOnComfy(
        { ...options, client: client(), checkpoint: options.checkpoint() },
        job,
        context,
        signal,
      );
      return { ...run, ...free, dropped: [] };
    },
    async resume(remote, job, context, signal) {
      const resumed = await resumeOnComfy(
        { ...options, client: options.comfyAt(remote.address) },
        remote,
        job,
        context,
        signal,
      );
      return resumed.is === 'files'
        ? { is: 'result', result: { files: resumed.files, ...free, dropped: [] } }
        : resumed;
    },
  };
}
