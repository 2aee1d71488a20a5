import type { ServerResponse } from 'node:http';
import { pyJson, type Json } from '../pyJson.ts';

const SERVER = 'Python/3.12 aiohttp/3.14.1';

/** How a fault spoils the answer. */
export type Spoil = 'none' | 'truncate' | 'reset';

/** The answer to one request, in the forms that aiohttp gives it (comfyui.md 1.1). */
export class Reply {
  readonly response: ServerResponse;
  readonly #spoil: Spoil;

  constructor(response: ServerResponse, spoil: Spoil = 'none') {
    this.response = response;
    this.#spoil = spoil;
  }

  json(value: Json, status = 200): void {
    this.bytes(status, 'application/json; charset=utf-8', Buffer.from(pyJson(value), 'utf8'));
  }

  text(status: number, text: string, headers: Record<string, string> = {}): void {
    this.bytes(status, 'text/plain; charset=utf-8', Buffer.from(text, 'utf8'), headers);
  }

  /** No body, no content type. */
  empty(status = 200): void {
    this.#send(status, { 'Content-Length': '0' }, Buffer.alloc(0));
  }

  noContent(): void {
    this.response.writeHead(204, { Server: SERVER });
    this.response.end();
  }

  /** What an exception in a handler becomes. */
  trouble(): void {
    this.text(500, '500 Internal Server Error\n\nServer got itself in trouble');
  }

  /** An unknown path: the static handler's 404, with no body and an odd type. */
  unknownPath(): void {
    this.response.writeHead(404, { Server: SERVER, 'Content-Type': 'application/octet-stream' });
    this.response.end();
  }

  methodNotAllowed(allow: string): void {
    this.text(405, '405: Method Not Allowed', { Allow: allow });
  }

  bytes(status: number, type: string, body: Buffer, headers: Record<string, string> = {}): void {
    this.#send(status, { 'Content-Type': type, 'Content-Length': String(body.length), ...headers }, body);
  }

  #send(status: number, headers: Record<string, string>, body: Buffer): void {
    const half = body.subarray(0, Math.floor(body.length / 2));
    if (this.#spoil === 'truncate') {
      this.response.writeHead(status, { Server: SERVER, ...headers, 'Content-Length': String(half.length) });
      this.response.end(half);
      return;
    }
    this.response.writeHead(status, { Server: SERVER, ...headers });
    if (this.#spoil === 'reset') {
      this.response.write(half, () => this.response.destroy());
      if (half.length === 0) this.response.destroy();
      return;
    }
    this.response.end(body);
  }
}
