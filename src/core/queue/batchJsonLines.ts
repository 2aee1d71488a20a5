import { parseExactly } from '../comfy/workflow.ts';

export type JsonLine =
  | { readonly line: number; readonly values: ReadonlyMap<string, unknown> }
  /** A sentence. */
  | { readonly line: number; readonly problem: string };

/** The objects of a JSON Lines text, one at a time. Integers beyond 2^53 keep their digits; empty lines are left out. */
export function* readJsonLines(text: string): Generator<JsonLine> {
  let line = 0;
  for (let at = 0; at < text.length;) {
    const found = text.indexOf('\n', at);
    const end = found === -1 ? text.length : found;
    const content = text.slice(at, end).trim();
    line += 1;
    at = end + 1;
    if (content !== '') yield readLine(line, content);
  }
}

function readLine(line: number, content: string): JsonLine {
  let json: unknown;
  try {
    json = parseExactly(content);
  } catch (error) {
    const why = (error as Error).message.replace(/ \(line \d+ column \d+\)$/, '');
    return { line, problem: `this is not JSON: ${why}` };
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    return { line, problem: 'every line must be one object, such as {"prompt": "a lighthouse"}' };
  }
  return { line, values: new Map(Object.entries(json)) };
}
