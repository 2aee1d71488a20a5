import { createHash } from 'node:crypto';
import type { FileStore } from '../files/fileStore.ts';
import { isLink, type Graph } from '../graph/graph.ts';
import type { NodeType } from '../nodes/nodeType.ts';
import { isObject, pyJson, type Json } from '../pyJson.ts';

/** What a node left behind for the next prompt. */
export interface CachedResult {
  outputs: unknown[];
  ui: Record<string, Json[]> | undefined;
}

/** Python would raise while computing the keys, outside of any handler: the worker thread dies (8.3 F1). */
export class WorkerDeath extends Error {}

/**
 * Results by class, input values and ancestors; ids, order of keys and `_meta` do not matter (comfyui.md 8.1 E2).
 * Only what the previous prompt used survives.
 */
export class OutputCache {
  #results = new Map<string, CachedResult>();
  #keys = new Map<string, string>();

  /** Computes the keys of all nodes, reachable or not, and forgets what this graph does not use. */
  begin(graph: Graph, types: ReadonlyMap<string, NodeType>, files: FileStore): void {
    for (const id of Object.keys(graph)) {
      if (!isObject(graph[id]?.inputs)) throw new WorkerDeath(`node ${id} has no inputs`);
    }
    this.#keys = new Map();
    for (const id of Object.keys(graph)) keyOf(id, { graph, types, files, keys: this.#keys });
    const used = new Set(this.#keys.values());
    for (const key of this.#results.keys()) if (!used.has(key)) this.#results.delete(key);
  }

  /** Adds nodes that were created at run time. */
  extend(added: Graph, graph: Graph, types: ReadonlyMap<string, NodeType>, files: FileStore): void {
    for (const id of Object.keys(added)) keyOf(id, { graph, types, files, keys: this.#keys });
  }

  /** Whether these nodes of a graph that has not begun yet would come from the cache. */
  holds(ids: readonly string[], graph: Graph, types: ReadonlyMap<string, NodeType>, files: FileStore): boolean {
    const keys = new Map<string, string>();
    return ids.every((id) => this.#results.has(keyOf(id, { graph, types, files, keys })));
  }

  get(id: string): CachedResult | undefined {
    const key = this.#keys.get(id);
    return key === undefined ? undefined : this.#results.get(key);
  }

  set(id: string, result: CachedResult): void {
    const key = this.#keys.get(id);
    if (key !== undefined) this.#results.set(key, result);
  }

  clear(): void {
    this.#results.clear();
  }
}

interface Keying {
  graph: Graph;
  types: ReadonlyMap<string, NodeType>;
  files: FileStore;
  /** Filled as a side effect */
  keys: Map<string, string>;
}

function keyOf(id: string, keying: Keying): string {
  const known = keying.keys.get(id);
  if (known !== undefined) return known;
  // Set before the ancestors are asked: a cycle among unreachable nodes must not recurse for ever.
  keying.keys.set(id, `cycle:${id}`);
  const node = keying.graph[id];
  const inputs = isObject(node?.inputs) ? node.inputs : {};
  const parts = Object.keys(inputs)
    .sort()
    .map((name): Json => {
      const value = inputs[name] ?? null;
      if (!isLink(value)) return [name, value];
      const [source, slot] = value;
      return [name, { from: source in keying.graph ? keyOf(source, keying) : `missing:${id}`, slot }];
    });
  const classType = node?.class_type ?? '';
  const fingerprint = keying.types.get(classType)?.fingerprint?.(inputs, keying.files) ?? null;
  const key = createHash('sha256')
    .update(pyJson([classType, fingerprint, parts]))
    .digest('hex');
  keying.keys.set(id, key);
  return key;
}
