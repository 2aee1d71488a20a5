import type { Row } from './row.ts';

/** What a tree view holds on to: the same object for the same id as long as the row is there. */
export interface TreeNode {
  /** The row's own, which commands read. */
  readonly id: string;
  row: Row;
  children: readonly TreeNode[];
}

export type Redraw = 'all' | readonly TreeNode[];

/**
 * Keeps the nodes of a tree in step with its rows and tells which have to be drawn again: with a thousand rows and one
 * changed, that one. 'all' when rows came, went or moved.
 */
export class TreeNodes {
  #roots: readonly TreeNode[] = [];
  #byId = new Map<string, TreeNode>();

  get roots(): readonly TreeNode[] {
    return this.#roots;
  }

  update(rows: readonly Row[]): Redraw {
    const before = this.#roots;
    const known = this.#byId;
    this.#byId = new Map();
    const changed = new Set<TreeNode>();
    this.#roots = rows.map((row) => this.#renew(row, known, changed));
    if (!sameOrder(before, this.#roots)) return 'all';
    return topmost(this.#roots, changed) ?? 'all';
  }

  #renew(row: Row, known: ReadonlyMap<string, TreeNode>, changed: Set<TreeNode>): TreeNode {
    const node = known.get(row.id) ?? { id: row.id, row, children: [] };
    const children = (row.children ?? []).map((child) => this.#renew(child, known, changed));
    if (!sameOrder(node.children, children) || !sameRow(node.row, row)) changed.add(node);
    node.row = row;
    node.children = children;
    this.#byId.set(row.id, node);
    return node;
  }
}

/** A node draws its children too, so only the uppermost are named; undefined when rows moved between groups. */
function topmost(nodes: readonly TreeNode[], changed: ReadonlySet<TreeNode>): readonly TreeNode[] | undefined {
  const found: TreeNode[] = [];
  for (const node of nodes) {
    if (changed.has(node)) {
      // A group: what left it may stand in another one, which only a whole redraw can show.
      if (node.row.open) return undefined;
      found.push(node);
      continue;
    }
    const below = topmost(node.children, changed);
    if (below === undefined) return undefined;
    found.push(...below);
  }
  return found;
}

function sameOrder(before: readonly TreeNode[], after: readonly TreeNode[]): boolean {
  return before.length === after.length && before.every((node, at) => node === after[at]);
}

/** Without the children, which are compared one by one. */
function sameRow(a: Row, b: Row): boolean {
  return a === b || sameMembers(a, b, 'children');
}

/** Plain data. A thousand pods have ten thousand rows, so no copy and no text is made of them. */
function sameMembers(a: object, b: object, besides?: string): boolean {
  const one = a as Record<string, unknown>;
  const other = b as Record<string, unknown>;
  const keys = Object.keys(one);
  if (keys.length !== Object.keys(other).length) return false;
  for (const key of keys) {
    const left = one[key];
    const right = other[key];
    if (left === right || key === besides) continue;
    if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
    if (!sameMembers(left, right)) return false;
  }
  return true;
}
