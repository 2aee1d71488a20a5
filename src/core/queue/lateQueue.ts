import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { once } from '../kernel/late.ts';
import { unknown } from '../kernel/observed.ts';
import type { Observed } from '../kernel/observed.ts';
import type { JobQueue } from './jobQueue.ts';
import type { QueueService, QueueView } from './queueView.ts';

/** The queue, whose code is loaded at the first use. */
export class LateQueue implements QueueService, Disposable {
  readonly #load: () => Promise<JobQueue>;
  readonly #changed = new Emitter<void>();
  readonly #since: number;
  #queue: JobQueue | undefined;

  constructor(load: () => Promise<JobQueue>, now: number) {
    this.#since = now;
    this.#load = once(async () => {
      const queue = await load();
      this.#queue = queue;
      queue.onDidChange(() => this.#changed.fire());
      return queue;
    });
  }

  readonly onDidChange: Event<void> = (listener) => this.#changed.event(listener);

  get view(): Observed<QueueView> {
    return this.#queue?.view ?? unknown(this.#since);
  }

  /** See JobQueue.begin: to be called when there are records. */
  async begin(): Promise<void> {
    await (await this.#load()).begin();
  }

  async refresh(): Promise<void> {
    await (await this.#load()).refresh();
  }

  async enqueue(...args: Parameters<QueueService['enqueue']>): Promise<void> {
    await (await this.#load()).enqueue(...args);
  }

  async cancel(ids: readonly string[]): Promise<void> {
    await (await this.#load()).cancel(ids);
  }

  async retry(ids: readonly string[]): Promise<void> {
    await (await this.#load()).retry(ids);
  }

  async move(...args: Parameters<QueueService['move']>): Promise<void> {
    await (await this.#load()).move(...args);
  }

  async pause(): Promise<void> {
    await (await this.#load()).pause();
  }

  async resume(): Promise<void> {
    await (await this.#load()).resume();
  }

  async clearEnded(): Promise<void> {
    await (await this.#load()).clearEnded();
  }

  watch(): Disposable {
    let isOver = false;
    let watching: Disposable | undefined;
    this.#load().then(
      (queue) => {
        if (!isOver) watching = queue.watch();
      },
      () => undefined,
    );
    return {
      dispose: () => {
        isOver = true;
        watching?.dispose();
      },
    };
  }

  dispose(): void {
    this.#queue?.dispose();
    this.#changed.dispose();
  }
}
