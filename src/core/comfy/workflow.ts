import { Fault } from '../kernel/fault.ts';

export interface WorkflowNode {
  readonly class_type: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly _meta?: { readonly title?: string };
}

/** A ComfyUI graph in API format: node id → node. */
export type Workflow = Readonly<Record<string, WorkflowNode>>;

const exportHint = 'In ComfyUI choose Workflow → Export (API) and run the exported file.';

/**
 * Reads a workflow file. Integers beyond 2^53 (ComfyUI seeds go up to 2^64) keep their digits.
 * @throws Fault 'rejected' that says what the text is instead, with a next step
 */
export function parseWorkflow(text: string): Workflow {
  let json: unknown;
  try {
    json = parseExactly(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw reject(`This is not JSON: ${(error as Error).message}`, 'Correct the file, or export it again from ComfyUI.');
  }
  return toWorkflow(json);
}

/** A graph that was judged before, as JSON text of ours; its digits are kept too. */
export function readGraph(text: string): Workflow {
  return parseExactly(text) as Workflow;
}

/** As {@link parseWorkflow}, from parsed JSON. */
export function toWorkflow(json: unknown): Workflow {
  if (!isObject(json)) throw reject('This JSON is no ComfyUI workflow', exportHint);
  if (Array.isArray(json.nodes) && (Array.isArray(json.links) || 'last_node_id' in json || json.nodes.length > 0)) {
    throw reject(
      "This workflow is in the format of ComfyUI's editor (UI format), which servers cannot run",
      exportHint,
    );
  }
  if (isObject(json.prompt) && Object.values(json.prompt).some((node) => isObject(node) && 'class_type' in node)) {
    return toWorkflow(json.prompt);
  }
  const nodes = Object.entries(json);
  if (nodes.length === 0) throw reject('The workflow is empty', 'Add at least one node that saves an output.');
  if (!nodes.some(([, node]) => isObject(node) && 'class_type' in node)) {
    throw reject('This JSON is no ComfyUI workflow', exportHint);
  }
  for (const [id, node] of nodes) checkNode(id, node, json);
  return json as Workflow;
}

function checkNode(id: string, node: unknown, graph: Record<string, unknown>): void {
  if (!isObject(node) || typeof node.class_type !== 'string') {
    throw reject(`Node ${id} has no class_type`, exportHint, { nodeId: id });
  }
  // A node without inputs, even an unreachable one, kills ComfyUI's only worker thread (comfyui.md 8.3 F1).
  if (!isObject(node.inputs)) throw reject(`Node ${id} (${node.class_type}) has no inputs`, exportHint, { nodeId: id });
  for (const [input, value] of Object.entries(node.inputs)) {
    if (!isLink(value)) continue;
    const [source] = value;
    if (!(String(source) in graph)) {
      throw reject(
        `Node ${id} (${node.class_type}): input '${input}' is linked to node ${source}, which is not in the file`,
        'Link the input to an existing node, or export the workflow again.',
        { nodeId: id, nodeType: node.class_type, input },
      );
    }
    if (typeof source !== 'string') {
      throw reject(
        `Node ${id} (${node.class_type}): the link of input '${input}' must name its node as a string, "${source}"`,
        'Put the node id in quotes.',
        { nodeId: id, nodeType: node.class_type, input },
      );
    }
  }
}

/** A two-element list of node id and slot; a literal list is written as `{"__value__": [...]}`. */
export function isLink(value: unknown): value is readonly [string | number, number] {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    (typeof value[0] === 'string' || typeof value[0] === 'number') &&
    Number.isInteger(value[1]) &&
    // Two numbers are a literal to every version of ComfyUI only when wrapped; alone they are a broken link.
    typeof value[1] === 'number'
  );
}

/** The classes a server must have. */
export function nodeClasses(workflow: Workflow): readonly string[] {
  return [...new Set(Object.values(workflow).map((node) => node.class_type))].sort();
}

interface ExactJson {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  rawJSON(text: string): unknown;
}

/** JSON.parse that keeps integers which a double cannot hold: `JSON.stringify` writes them back digit by digit. */
export function parseExactly(text: string): unknown {
  const exact = JSON as unknown as ExactJson;
  return exact.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && /^-?\d+$/.test(source) && !Number.isSafeInteger(value)
      ? exact.rawJSON(source)
      : value,
  );
}

function reject(
  message: string,
  nextStep: string,
  facts: { nodeId?: string; nodeType?: string; input?: string } = {},
): Fault {
  return new Fault('rejected', message, { ...facts, nextStep, delivered: 'no' });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
