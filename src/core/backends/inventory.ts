import type { ObjectInfo } from '../comfy/wire.ts';
import { toFault } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { checkpointNames } from './fillCheckpoint.ts';
import type { Inventory } from './backend.ts';
import type { BackendStatus } from './backendManager.ts';

/** Counts what a whole `/object_info` tells (comfyui.md 4.2). */
export function inventoryOf(info: ObjectInfo): Inventory {
  const modules = Object.values(info).map((node) => /^custom_nodes\.([^.]+)/.exec(node.python_module ?? '')?.[1]);
  const loras = info.LoraLoader?.input?.required?.lora_name;
  return {
    checkpoints: checkpointNames(info).length,
    loras: checkpointNames({
      CheckpointLoaderSimple: { input: { required: { ckpt_name: loras } } },
    }).length,
    nodePacks: new Set(modules.filter((name) => name !== undefined)).size,
    nodeTypes: Object.keys(info).length,
  };
}

/** The list takes megabytes, so it is fetched rarely: after so long, or when the server is another version. */
const freshMs = 10 * 60_000;

/** What each healthy ComfyUI has, as far as somebody looked. */
export class Inventories {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #known = new Map<string, { inventory: Inventory | undefined; version: string | undefined; at: number }>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  of(backendId: string): Inventory | undefined {
    return this.#known.get(backendId)?.inventory;
  }

  /** Asks the healthy ones that were not asked lately. True when something new is known; never throws. */
  async learn(statuses: readonly BackendStatus[], signal: AbortSignal): Promise<boolean> {
    const news = await Promise.all(
      statuses.map(async ({ backend, ready, health }) => {
        if (backend.inventory === undefined || !ready.ok) return false;
        if (!health.known || health.value.state !== 'healthy') return false;
        const { version } = health.value;
        const before = this.#known.get(backend.id);
        if (before?.version === version && before !== undefined && this.#clock.now() - before.at < freshMs)
          return false;
        try {
          const inventory = await backend.inventory(signal);
          this.#known.set(backend.id, { inventory, version, at: this.#clock.now() });
          return true;
        } catch (error) {
          const fault = toFault(error);
          if (fault.kind === 'cancelled') return false;
          this.#log.debug(`What ${backend.label} has is not known: ${fault.message}`);
          this.#known.set(backend.id, { inventory: undefined, version, at: this.#clock.now() });
          return before?.inventory !== undefined;
        }
      }),
    );
    return news.includes(true);
  }
}
