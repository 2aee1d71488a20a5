import { Emitter } from '../../core/kernel/event.ts';
import type { Event } from '../../core/kernel/event.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { PodStatus } from '../../core/runpod/pod.ts';
import type { PodGrouping } from './podScene.ts';

/** What a workspace remembers between windows. */
export interface ViewMemory {
  get(key: string): unknown;
  update(key: string, value: unknown): Thenable<void>;
}

const filterKey = 'pods.filter';
const groupKey = 'pods.groupBy';

/** How a person wants the Pods view: which statuses, and grouped by what. The workspace remembers it. */
export class PodLayout {
  readonly #memory: ViewMemory;
  readonly #changed: Emitter<void>;

  constructor(memory: ViewMemory, life: Lifetime) {
    this.#memory = memory;
    this.#changed = life.own(new Emitter<void>());
  }

  readonly onDidChange: Event<void> = (listener) => this.#changed.event(listener);

  /** Empty = every status. */
  get filter(): readonly PodStatus[] {
    const stored = this.#memory.get(filterKey);
    return Array.isArray(stored) ? stored.filter((one) => typeof one === 'string') : [];
  }

  get groupBy(): PodGrouping {
    const stored = this.#memory.get(groupKey);
    return stored === 'status' || stored === 'gpu' ? stored : 'none';
  }

  async show(filter: readonly PodStatus[]): Promise<void> {
    await this.#memory.update(filterKey, filter.length === 0 ? undefined : filter);
    this.#changed.fire();
  }

  async group(by: PodGrouping): Promise<void> {
    await this.#memory.update(groupKey, by === 'none' ? undefined : by);
    this.#changed.fire();
  }
}
