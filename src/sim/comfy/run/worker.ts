import type { FaultBox } from '../faults.ts';
import type { SimTime } from '../../mount.ts';
import type { Lists, NodeContext, NodeType } from '../nodes/nodeType.ts';
import type { Hardware } from '../nodes/nodeType.ts';
import type { FileStore } from '../files/fileStore.ts';
import type { SocketHub } from '../sockets/socketHub.ts';
import { isObject, type JsonObject } from '../pyJson.ts';
import { Execution, type ExecutionWorld } from './execution.ts';
import { WorkerGone } from './nodeFailure.ts';
import { OutputCache, WorkerDeath } from './outputCache.ts';
import { IncomparableItems } from './promptQueue.ts';
import type { HistoryEntry, PromptQueue, QueueItem } from './promptQueue.ts';
import { RunEvents } from './runEvents.ts';

export interface WorkerParts {
  time: SimTime;
  types: ReadonlyMap<string, NodeType>;
  lists: Lists;
  files: FileStore;
  faults: FaultBox;
  hub: SocketHub;
  queue: PromptQueue;
  hardware: Hardware;
  random(): number;
  /** Whether the server was started with previews on */
  previews: boolean;
}

/** The only thread that runs prompts, one at a time. It lives as long as its process; a restart makes a new one. */
export class Worker {
  readonly #parts: WorkerParts;
  readonly #cache = new OutputCache();
  readonly #world: ExecutionWorld;
  readonly #waits = new Set<{ cancel(): void; gone(): void }>();
  readonly executedNodes: { promptId: string; nodeId: string; classType: string }[] = [];
  #execution: Execution | undefined;
  #busy = false;
  #dead = false;
  #gone = false;
  #freeMemory = false;
  #unloadModels = false;

  constructor(parts: WorkerParts) {
    this.#parts = parts;
    this.#world = {
      types: parts.types,
      lists: parts.lists,
      files: parts.files,
      cache: this.#cache,
      faults: parts.faults,
      contextOf: (execution, nodeId) => this.#contextOf(execution, nodeId),
      breathe: () => this.#breathe(),
      unloadModels: () => parts.hardware.loaded.clear(),
      ran: (nodeId, classType) =>
        this.executedNodes.push({ promptId: this.#execution?.item.promptId ?? '', nodeId, classType }),
    };
  }

  get isAlive(): boolean {
    return !this.#dead;
  }

  /** The client and node of the running prompt, for a socket that comes back in the middle. */
  nodeRunningFor(clientId: string): string | undefined {
    const events = this.#execution?.events;
    return events?.clientId === clientId ? events.lastNodeId : undefined;
  }

  /** Starts on the queue if idle. Resolves when there is nothing left to do. */
  async wake(): Promise<void> {
    if (this.#busy || this.#dead || this.#gone) return;
    this.#busy = true;
    try {
      for (let first = true; ; first = false) {
        if (!first) await this.#breathe();
        this.#applyFlags();
        const item = this.#parts.queue.take();
        if (item === undefined) return;
        if (this.#parts.faults.current.zombieWorker) {
          this.#dead = true;
          return;
        }
        await this.#runOne(item);
      }
    } catch (failure) {
      // Python's heap compares as the worker takes the next: outside of any handler as well (8.3 F1, F20).
      if (failure instanceof WorkerDeath || failure instanceof IncomparableItems) this.#dead = true;
      else if (!(failure instanceof WorkerGone)) throw failure;
    } finally {
      this.#busy = false;
    }
  }

  /** True when every output of this graph would come from the cache, so the run takes no time. */
  wouldBeCached(item: QueueItem): boolean {
    const { types, files } = this.#parts;
    return !this.#busy && this.#cache.holds(item.outputIds, item.graph, types, files);
  }

  /** Ends the running prompt at its next step; only this one, when an id is given. True if it was running. */
  interrupt(promptId?: string): boolean {
    const execution = this.#execution;
    if (execution === undefined || (promptId !== undefined && execution.item.promptId !== promptId)) return false;
    execution.interrupted = true;
    return true;
  }

  /** `POST /free`: flags that take effect when the running prompt has ended. */
  free(unloadModels: boolean, freeMemory: boolean): void {
    this.#unloadModels ||= unloadModels;
    this.#freeMemory ||= freeMemory;
    if (!this.#busy) this.#applyFlags();
  }

  /** The process ends: nothing of this worker happens any more. */
  kill(): void {
    this.#gone = true;
    for (const wait of this.#waits) {
      wait.cancel();
      wait.gone();
    }
    this.#waits.clear();
  }

  #applyFlags(): void {
    if (this.#unloadModels || this.#freeMemory) this.#parts.hardware.loaded.clear();
    if (this.#freeMemory) this.#cache.clear();
    this.#unloadModels = false;
    this.#freeMemory = false;
  }

  async #runOne(item: QueueItem): Promise<void> {
    const clientId = item.extraData['client_id'];
    const origins: Execution['originMap'] = new Map();
    for (const id of Object.keys(item.graph)) origins.set(id, { displayId: id, parentId: null });
    const events = new RunEvents(
      this.#parts.hub,
      item.promptId,
      typeof clientId === 'string' ? clientId : undefined,
      (id) => origins.get(id) ?? { displayId: id, parentId: null },
      () => this.#parts.time.now(),
    );
    const execution = new Execution(item, events, this.#world, origins);
    this.#execution = execution;
    const outcome = await execution.run();
    const delayMs = this.#parts.faults.current.historyDelayMs ?? 0;
    if (delayMs > 0) await this.#sleep(delayMs);
    events.lastNodeId = undefined;
    this.#execution = undefined;
    const entry: HistoryEntry = {
      item,
      outputs: outcome.outputs,
      meta: outcome.meta,
      status: {
        status_str: outcome.success ? 'success' : 'error',
        completed: outcome.success,
        messages: events.messages,
      },
    };
    this.#parts.queue.finish(entry);
    events.end();
  }

  #contextOf(execution: Execution, nodeId: string): NodeContext {
    const { extraData, graph } = execution.item;
    const pngInfo = isObject(extraData['extra_pnginfo']) ? extraData['extra_pnginfo'] : {};
    const wantsPreviews = this.#wantsPreviews(extraData);
    return {
      nodeId,
      traits: this.#parts.lists.traits,
      files: this.#parts.files,
      lists: this.#parts.lists,
      prompt: graph,
      extraPngInfo: pngInfo,
      hardware: this.#parts.hardware,
      random: () => this.#parts.random(),
      now: () => this.#parts.time.now(),
      sleep: (ms) => this.#sleep(ms),
      progress: (value, max, preview) => {
        execution.progress(nodeId, value, max, wantsPreviews ? preview?.() : undefined);
      },
      text: (text) => execution.events.text(nodeId, text),
      throwIfInterrupted: () => execution.throwIfInterrupted(),
    };
  }

  #wantsPreviews(extraData: JsonObject): boolean {
    const method = this.#parts.lists.traits.perPromptPreviews ? extraData['preview_method'] : undefined;
    if (typeof method !== 'string' || method === 'default') return this.#parts.previews;
    return method !== 'none';
  }

  /** Lets sockets and requests in between two nodes. */
  async #breathe(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (this.#gone) throw new WorkerGone();
  }

  #sleep(ms: number): Promise<void> {
    if (this.#gone) return Promise.reject(new WorkerGone());
    return new Promise((resolve, reject) => {
      const timer = this.#parts.time.after(ms, () => {
        this.#waits.delete(wait);
        resolve();
      });
      const wait = { cancel: () => timer.cancel(), gone: () => reject(new WorkerGone()) };
      this.#waits.add(wait);
    });
  }
}
