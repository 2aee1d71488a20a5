import type { Graph } from '../graph/graph.ts';
import type { Json, JsonObject } from '../pyJson.ts';
import { Heap } from './heap.ts';

/** One accepted prompt. */
export interface QueueItem {
  number: number;
  /** The number as it is shown: a float when the client sent one (Python prints 5 as 5.0; JSON readers see 5) */
  promptId: string;
  graph: Graph;
  extraData: JsonObject;
  outputIds: string[];
}

export interface HistoryEntry {
  item: QueueItem;
  outputs: JsonObject;
  meta: JsonObject;
  status: { status_str: 'success' | 'error'; completed: boolean; messages: Json[] };
}

/** At most this many entries are kept (comfyui.md 1.4). */
const HISTORY_LIMIT = 10_000;

/** Two pending prompts with equal number and id: Python goes on to compare the graphs, which fails (8.3 F20). */
export class IncomparableItems extends Error {}

/** Pending, running and finished prompts of one server process. Nothing of it survives a restart. */
export class PromptQueue {
  readonly #pending = new Heap<QueueItem>((a, b) => {
    if (a.number !== b.number) return a.number < b.number;
    if (a.promptId !== b.promptId) return a.promptId < b.promptId;
    throw new IncomparableItems();
  });
  #running: QueueItem | undefined;
  readonly #history = new Map<string, HistoryEntry>();
  readonly #changed: () => void;

  /** `changed` is called after each change of the number of prompts: that is the `status` broadcast. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get remaining(): number {
    return this.#pending.items.length + (this.#running ? 1 : 0);
  }

  get running(): QueueItem | undefined {
    return this.#running;
  }

  /** In heap order, not in the order of execution. */
  get pending(): readonly QueueItem[] {
    return this.#pending.items;
  }

  get history(): ReadonlyMap<string, HistoryEntry> {
    return this.#history;
  }

  put(item: QueueItem): void {
    this.#pending.push(item);
    this.#changed();
  }

  /** Moves the next prompt to running. */
  take(): QueueItem | undefined {
    const item = this.#pending.pop();
    if (item === undefined) return undefined;
    this.#running = item;
    this.#changed();
    return item;
  }

  finish(entry: HistoryEntry): void {
    this.#running = undefined;
    // A repeated id moves to the end, as it does in Python after deletion and insertion.
    this.#history.delete(entry.item.promptId);
    this.#history.set(entry.item.promptId, entry);
    for (const id of this.#history.keys()) {
      if (this.#history.size <= HISTORY_LIMIT) break;
      this.#history.delete(id);
    }
    this.#changed();
  }

  deletePending(promptId: string): boolean {
    if (this.#pending.remove((item) => item.promptId === promptId) === undefined) return false;
    this.#changed();
    return true;
  }

  clearPending(): void {
    this.#pending.items.length = 0;
    this.#changed();
  }

  clearHistory(): void {
    this.#history.clear();
  }

  deleteHistory(promptId: string): void {
    this.#history.delete(promptId);
  }
}

/** A queue entry as `/queue` and history show it. */
export function entryJson(item: QueueItem): Json[] {
  return [item.number, item.promptId, item.graph, item.extraData, item.outputIds];
}
