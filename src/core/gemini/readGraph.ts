/** A ComfyUI graph in API format. */
export type WorkflowGraph = Readonly<
  Record<
    string,
    {
      readonly class_type: string;
      readonly inputs: Readonly<Record<string, unknown>>;
      readonly _meta?: { readonly title?: string };
    }
  >
>;

export type GraphNode = WorkflowGraph[string];

export interface Link {
  readonly id: string;
  readonly slot: number;
}

export interface Use {
  /** The node that takes it, and under which name */
  readonly by: string;
  readonly input: string;
  readonly slot: number;
}

/** `["4", 0]`: the node and which of its outputs. */
export function linkOf(value: unknown): Link | undefined {
  if (!Array.isArray(value) || value.length !== 2) return undefined;
  const [id, slot] = value as unknown[];
  return (typeof id === 'string' || typeof id === 'number') && typeof slot === 'number'
    ? { id: String(id), slot }
    : undefined;
}

export function linksOf(node: GraphNode): readonly (Link & { readonly input: string })[] {
  return Object.entries(node.inputs).flatMap(([input, value]) => {
    const link = linkOf(value);
    return link === undefined ? [] : [{ ...link, input }];
  });
}

/** The nodes that `from` needs, itself first, nearest first. A graph that loops ends all the same. */
export function upstreamOf(graph: WorkflowGraph, from: readonly string[]): readonly string[] {
  const seen = new Set<string>(from.filter((id) => graph[id] !== undefined));
  for (const id of seen) {
    const node = graph[id];
    if (node === undefined) continue;
    for (const link of linksOf(node)) if (graph[link.id] !== undefined) seen.add(link.id);
  }
  return [...seen];
}

/** Who uses a node's outputs, among `active`. */
export function usesOf(graph: WorkflowGraph, id: string, active: readonly string[]): readonly Use[] {
  return active.flatMap((by) => {
    const node = graph[by];
    if (node === undefined) return [];
    return linksOf(node)
      .filter((link) => link.id === id)
      .map(({ input, slot }) => ({ by, input, slot }));
  });
}

const valueNames = ['value', 'int', 'float', 'number', 'seed', 'noise_seed', 'Number'];
/** Chains of nodes that only pass a number on are short. */
const deepest = 6;

/** A number that stands in the input or in a node that only holds one. */
export function numberOf(graph: WorkflowGraph, value: unknown, depth = 0): number | undefined {
  const exact = exactInteger(value);
  if (exact !== undefined) return Number(exact);
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  const node = graph[linkOf(value)?.id ?? ''];
  if (node === undefined || depth > deepest) return undefined;
  for (const name of valueNames) {
    const found = name in node.inputs ? numberOf(graph, node.inputs[name], depth + 1) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** As {@link numberOf} for integers beyond 2^53, which a workflow file may hold as JSON.rawJSON. */
export function integerOf(graph: WorkflowGraph, value: unknown, depth = 0): bigint | undefined {
  const exact = exactInteger(value);
  if (exact !== undefined) return exact;
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value);
  const node = graph[linkOf(value)?.id ?? ''];
  if (node === undefined || depth > deepest) return undefined;
  for (const name of valueNames) {
    const found = name in node.inputs ? integerOf(graph, node.inputs[name], depth + 1) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function exactInteger(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value !== 'object' || value === null || !('rawJSON' in value)) return undefined;
  const { rawJSON } = value;
  return typeof rawJSON === 'string' && /^-?\d+$/.test(rawJSON) ? BigInt(rawJSON) : undefined;
}

const textNames = ['text', 'prompt', 'value', 'string', 'string_a', 'string_b', 'text_a', 'text_b', 'text1', 'text2'];

/** Visits of nodes until the reading of one text is given up: joins of joins grow without bound. */
const textVisits = 200;

/** Words that stand in the input, or in nodes that hold or join them. Undefined = there are none to be read. */
export function textOf(graph: WorkflowGraph, value: unknown, left = { visits: textVisits }): string | undefined {
  if (typeof value === 'string') return value;
  const node = graph[linkOf(value)?.id ?? ''];
  if (node === undefined || left.visits-- <= 0) return undefined;
  const { delimiter } = node.inputs;
  const parts = textNames.flatMap((name) => {
    const found = name in node.inputs ? textOf(graph, node.inputs[name], left) : undefined;
    return found === undefined ? [] : [found];
  });
  return parts.length === 0 ? undefined : parts.join(typeof delimiter === 'string' ? delimiter : ' ');
}
