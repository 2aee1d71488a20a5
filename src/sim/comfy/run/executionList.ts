import { isLink, type Graph } from '../graph/graph.ts';
import { isObject } from '../pyJson.ts';

/** Which nodes are left to run, and which of them may run now. */
export class ExecutionList {
  readonly #graph: Graph;
  readonly #isCached: (id: string) => boolean;
  readonly #isOutput: (id: string) => boolean;
  /** Pending node -> the nodes that wait for it */
  readonly #blocking = new Map<string, Set<string>>();
  readonly #blockers = new Map<string, number>();

  constructor(graph: Graph, isCached: (id: string) => boolean, isOutput: (id: string) => boolean) {
    this.#graph = graph;
    this.#isCached = isCached;
    this.#isOutput = isOutput;
  }

  get isEmpty(): boolean {
    return this.#blocking.size === 0;
  }

  get pendingIds(): string[] {
    return [...this.#blocking.keys()];
  }

  /** Adds a node and all that it needs, except what is cached. */
  add(id: string): void {
    if (this.#blocking.has(id)) return;
    this.#blocking.set(id, new Set());
    this.#blockers.set(id, 0);
    const inputs = this.#graph[id]?.inputs;
    for (const value of isObject(inputs) ? Object.values(inputs) : []) {
      if (isLink(value) && value[0] in this.#graph && !this.#isCached(value[0])) this.addEdge(value[0], id);
    }
  }

  /** `after` must wait for `before`. */
  addEdge(before: string, after: string): void {
    this.add(before);
    const waiting = this.#blocking.get(before);
    if (waiting === undefined || waiting.has(after)) return;
    waiting.add(after);
    this.#blockers.set(after, (this.#blockers.get(after) ?? 0) + 1);
  }

  /**
   * The next node: a ready output, else what feeds an output soonest, else the first that is ready. Undefined when
   * nothing is ready.
   */
  next(): string | undefined {
    const ready = this.pendingIds.filter((id) => this.#blockers.get(id) === 0);
    const feeds = (id: string, depth: number): boolean =>
      [...(this.#blocking.get(id) ?? [])].some(
        (waiting) => this.#isOutput(waiting) || (depth > 1 && feeds(waiting, depth - 1)),
      );
    return (
      ready.find((id) => this.#isOutput(id)) ??
      ready.find((id) => feeds(id, 1)) ??
      ready.find((id) => feeds(id, 2)) ??
      ready[0]
    );
  }

  complete(id: string): void {
    for (const waiting of this.#blocking.get(id) ?? []) {
      this.#blockers.set(waiting, (this.#blockers.get(waiting) ?? 1) - 1);
    }
    this.#blocking.delete(id);
    this.#blockers.delete(id);
  }
}
