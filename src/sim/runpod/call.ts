import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Caller } from './auth.ts';
import type { Operation } from './faults.ts';
import { invalid, type Reply } from './problem.ts';

/** A request to the management API that has passed the door. */
export interface Call {
  readonly params: Readonly<Record<string, string | undefined>>;
  readonly query: URLSearchParams;
  readonly body: string;
  readonly req: IncomingMessage;
  readonly caller: Caller;
}

/** A reply that takes its time: the handler writes it itself, after the headers that every reply has. */
export interface Stream {
  readonly stream: (res: ServerResponse) => void;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly operation: Operation;
  run(call: Call): Reply | Stream;
}

export const idOf = (call: Call): string => call.params['id'] ?? '';

/** @throws Refusal 422 */
export function integerQuery(
  query: URLSearchParams,
  name: string,
  range: { readonly least: number; readonly most: number; readonly otherwise: number },
): number {
  const text = query.get(name);
  if (text === null) return range.otherwise;
  const value = /^-?\d+$/.test(text) ? Number(text) : NaN;
  if (!(value >= range.least && value <= range.most)) {
    throw invalid([`query parameter '${name}': must be an integer from ${range.least} to ${range.most}`]);
  }
  return value;
}

/** A comma list of known words. @throws Refusal 422 */
export function wordsQuery(query: URLSearchParams, name: string, words: readonly string[]): string[] | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const given = text.split(',').filter((word) => word !== '');
  const strange = given.filter((word) => !words.includes(word));
  if (strange.length > 0 || given.length === 0) {
    throw invalid([`query parameter '${name}': value must be one of ${words.map((word) => `'${word}'`).join(', ')}`]);
  }
  return given;
}

/** A comma list of words of one form. @throws Refusal 422 */
export function patternQuery(query: URLSearchParams, name: string, pattern: RegExp): string[] | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const given = text.split(',');
  if (given.some((word) => !pattern.test(word))) {
    throw invalid([`query parameter '${name}': '${text}' does not match pattern '${pattern.source}'`]);
  }
  return given;
}

/** ms since the epoch. @throws Refusal 422 */
export function timeQuery(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(ms)) throw invalid([`query parameter '${name}': '${text}' is not an RFC 3339 time`]);
  return ms;
}
