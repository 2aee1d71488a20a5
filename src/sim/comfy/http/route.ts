import type { IncomingMessage } from 'node:http';
import { parsePyJson, type Json } from '../pyJson.ts';
import { ServerTrouble } from '../graph/promptError.ts';
import { readBody } from './body.ts';
import type { Reply } from './reply.ts';

/** A request on its way through a route. */
export class Call {
  readonly request: IncomingMessage;
  readonly reply: Reply;
  /** Without the `/api` twin */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Decoded path parameters, in order */
  readonly params: readonly string[];

  constructor(request: IncomingMessage, reply: Reply, path: string, query: URLSearchParams, params: readonly string[]) {
    this.request = request;
    this.reply = reply;
    this.path = path;
    this.query = query;
    this.params = params;
  }

  param(index: number): string {
    return this.params[index] ?? '';
  }

  body(): Promise<Buffer> {
    return readBody(this.request);
  }

  /** The body as JSON. Throws ServerTrouble on anything else, which is a 500. */
  async json(): Promise<Json> {
    const text = (await this.body()).toString('utf8');
    try {
      return parsePyJson(text);
    } catch {
      throw new ServerTrouble('the body is not JSON');
    }
  }
}

/** Where a route exists: as itself and under `/api`, only bare, or only under `/api` (comfyui.md 1.1). */
export type Reach = 'both' | 'bare' | 'api';

export interface Route {
  method: 'GET' | 'POST' | 'DELETE' | 'PATCH';
  /** Segments; `*` takes one segment, URL-encoded slashes included */
  path: string;
  reach: Reach;
  handle(call: Call): void | Promise<void>;
}

export function route(method: Route['method'], path: string, handle: Route['handle'], reach: Reach = 'both'): Route {
  return { method, path, reach, handle };
}

/** The parameters of a path that a route takes; undefined when it does not take it. */
export function matchPath(pattern: string, path: string): string[] | undefined {
  const wanted = pattern.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return undefined;
  const params: string[] = [];
  for (let i = 0; i < wanted.length; i++) {
    const part = given[i] ?? '';
    if (wanted[i] === '*') {
      if (part === '') return undefined;
      params.push(decode(part));
    } else if (wanted[i] !== part) return undefined;
  }
  return params;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
