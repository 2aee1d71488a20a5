import { createHash } from 'node:crypto';
import { readGraph } from '../comfy/workflow.ts';
import type { Workflow } from '../comfy/workflow.ts';

/**
 * Graphs of one batch differ in a few values: the first is kept whole, of the others what differs. JSON texts; the digits
 * of integers beyond 2^53 stay.
 */
export interface PackedGraph {
  /** The whole graph that `text` is about; undefined = `text` is the whole graph. */
  readonly base: GraphBase | undefined;
  readonly text: string;
}

export interface GraphBase {
  /** Equal for graphs that may differ in values only. */
  readonly shape: string;
  readonly text: string;
  readonly graph: Workflow;
}

/** By node id and input, the values that differ. */
type Patch = Record<string, Record<string, unknown>>;

/** Packs graph after graph against the last ones of the same shape. */
export class GraphPacker {
  readonly #find: (shape: string) => string | undefined;
  readonly #bases = new Map<string, GraphBase>();
  #last: GraphBase | undefined;

  /** `find` gives a graph of a shape that is on record already. */
  constructor(find: (shape: string) => string | undefined = () => undefined) {
    this.#find = find;
  }

  /** JSON text that is no usual graph stays whole. */
  pack(graph: Workflow): PackedGraph {
    if (!isUsual(graph)) return { base: undefined, text: JSON.stringify(graph) };
    const like = this.#last === undefined ? undefined : patchOf(this.#last.graph, graph);
    if (like !== undefined) return { base: this.#last, text: JSON.stringify(like) };
    const shape = shapeOf(graph);
    const base = this.#bases.get(shape) ?? this.#found(shape) ?? { shape, text: JSON.stringify(graph), graph };
    this.#bases.set(shape, base);
    this.#last = base;
    const patch = patchOf(base.graph, graph);
    return patch === undefined
      ? { base: undefined, text: JSON.stringify(graph) }
      : { base, text: JSON.stringify(patch) };
  }

  #found(shape: string): GraphBase | undefined {
    const text = this.#find(shape);
    return text === undefined ? undefined : { shape, text, graph: readGraph(text) };
  }
}

/** The text of the whole graph. */
export function unpackGraph(base: string, text: string): string {
  const graph = readGraph(base);
  for (const [id, inputs] of Object.entries(readGraph(text) as unknown as Patch)) {
    Object.assign(graph[id]?.inputs ?? {}, inputs);
  }
  return JSON.stringify(graph);
}

/** Has nodes with classes and inputs, and no name that means something to JavaScript. */
function isUsual(graph: Workflow): boolean {
  if (typeof graph !== 'object' || graph === null || Array.isArray(graph)) return false;
  return Object.entries(graph).every(([id, node]: readonly [string, Partial<Workflow[string]> | null]) => {
    const inputs = node?.inputs;
    if (typeof inputs !== 'object' || inputs === null || Array.isArray(inputs)) return false;
    return id !== '__proto__' && !Object.hasOwn(inputs, '__proto__');
  });
}

function shapeOf(graph: Workflow): string {
  const nodes = Object.entries(graph).map(([id, node]) => [id, node.class_type, Object.keys(node.inputs)]);
  return createHash('sha256').update(JSON.stringify(nodes)).digest('hex').slice(0, 32);
}

/** What makes `graph` out of `base`; undefined when more than values of inputs differs. */
function patchOf(base: Workflow, graph: Workflow): Patch | undefined {
  const patch: Patch = {};
  const ids = Object.keys(graph);
  const baseIds = Object.keys(base);
  if (ids.length !== baseIds.length) return undefined;
  for (const [at, id] of ids.entries()) {
    const [from, to] = [base[id], graph[id]];
    if (baseIds[at] !== id || from === undefined || to === undefined || !isAlike(from, to)) return undefined;
    for (const [name, value] of Object.entries(to.inputs)) {
      if (!isSame(value, from.inputs[name])) (patch[id] ??= {})[name] = value;
    }
  }
  return patch;
}

function isAlike(from: Workflow[string], to: Workflow[string]): boolean {
  if (from.class_type !== to.class_type) return false;
  const [before, after] = [Object.keys(from.inputs), Object.keys(to.inputs)];
  if (before.length !== after.length || after.some((name, at) => before[at] !== name)) return false;
  const { inputs: _before, ...restBefore } = from;
  const { inputs: _after, ...restAfter } = to;
  return isSame(restAfter, restBefore);
}

function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== 'object' || typeof other !== 'object') return false;
  return JSON.stringify(one) === JSON.stringify(other);
}
