/** JSON as Python writes and reads it: spaced, ASCII only, integers of any size. */
export type Json = null | boolean | number | bigint | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json | undefined;
}

type Reviver = (this: unknown, key: string, value: unknown, context?: { source?: string }) => unknown;

/**
 * Parses a request body. Integers beyond 2^53 become bigints: seeds go up to 18446744073709551615 and come back
 * unrounded from history (comfyui.md 1.1). Throws SyntaxError.
 */
export function parsePyJson(text: string): Json {
  const revive: Reviver = (_key, value, context) => {
    if (typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '')) {
      return BigInt(context?.source ?? '0');
    }
    return value;
  };
  return JSON.parse(text, revive) as Json;
}

/** Serialises with Python's `json.dumps` spacing and escapes. Undefined members are left out. */
export function pyJson(value: Json | undefined): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : nonFinite(value);
  if (typeof value === 'string') return quote(value);
  if (Array.isArray(value)) return `[${value.map(pyJson).join(', ')}]`;
  const members: string[] = [];
  for (const [key, member] of Object.entries(value)) {
    if (member !== undefined) members.push(`${quote(key)}: ${pyJson(member)}`);
  }
  return `{${members.join(', ')}}`;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Python's `repr` of a value, as it appears in validation messages. */
export function pyRepr(value: Json | undefined): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'string') {
    const escaped = value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
    return escaped.includes("'") && !escaped.includes('"') ? `"${escaped}"` : `'${escaped.replaceAll("'", "\\'")}'`;
  }
  if (Array.isArray(value)) return `[${value.map(pyRepr).join(', ')}]`;
  if (typeof value === 'object') {
    return `{${Object.entries(value)
      .map(([key, member]) => `${pyRepr(key)}: ${pyRepr(member)}`)
      .join(', ')}}`;
  }
  return String(value);
}

/** Python's `str`: like `repr`, but a string is itself. */
export function pyStr(value: Json | undefined): string {
  return typeof value === 'string' ? value : pyRepr(value);
}

function nonFinite(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  return value > 0 ? 'Infinity' : '-Infinity';
}

function quote(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
