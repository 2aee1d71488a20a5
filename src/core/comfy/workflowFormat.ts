/** What a text is to us. 'editor': of ComfyUI's own editor, which servers cannot run. 'broken': it may be one, once it is JSON. */
export type WorkflowFormat = 'api' | 'editor' | 'broken' | 'none';

/** The largest workflows have a tenth of it. */
export const longestWorkflow = 4_000_000;

/** Told without reading most texts that are none. Pure. */
export function workflowFormat(text: string): WorkflowFormat {
  if (text.length > longestWorkflow || !/"(class_type|nodes)"\s*:/.test(text)) return 'none';
  let json: unknown;
  try {
    json = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch {
    return 'broken';
  }
  if (!isObject(json)) return 'none';
  // ComfyUI's editor writes down where each node stands; other graphs in JSON have nodes, too.
  const isNode = (node: unknown): boolean => isObject(node) && typeof node.type === 'string' && 'pos' in node;
  if (Array.isArray(json.nodes) && json.nodes.some(isNode)) return 'editor';
  return isGraph(json) || isGraph(json.prompt) ? 'api' : 'none';
}

function isGraph(json: unknown): boolean {
  return isObject(json) && Object.values(json).some((node) => isObject(node) && typeof node.class_type === 'string');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
