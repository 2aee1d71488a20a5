/** Whole strings, the last one perhaps cut off, and what Python writes bare between them. */
const stringOrBare = /"[^"\\]*(?:\\.[^"\\]*)*"?|NaN|-?Infinity/gs;

/** JSON as Python writes it: NaN and Infinity, which JSON does not know, are null (comfyui.md 1.1). Throws as JSON.parse. */
export function parsePythonJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return JSON.parse(text.replace(stringOrBare, (found) => (found.startsWith('"') ? found : 'null'))) as unknown;
  }
}
