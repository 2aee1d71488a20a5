import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { ServerTrouble } from './graph/promptError.ts';
import { BodyTooLarge, MAX_BODY_BYTES } from './http/body.ts';
import { isForeignOrigin } from './http/originRule.ts';
import { Reply, type Spoil } from './http/reply.ts';
import { Call, matchPath, type Route } from './http/route.ts';
import type { ServerState } from './serverState.ts';

const HTML_PAGE =
  '<!DOCTYPE html>\n<html><head><title>Please wait</title></head><body><h1>Please wait</h1></body></html>\n';

/** A request as the log has it. */
export interface LoggedRequest {
  method: string;
  /** With its query */
  path: string;
  headers: IncomingMessage['headers'];
}

const LOG_LIMIT = 10_000;

/** Takes requests and upgrades, applies the faults in force, and finds the route. */
export class ComfyServer {
  readonly requests: LoggedRequest[] = [];
  /** Every connection that came by, so that a dying process can take them along */
  readonly #connections = new Set<Duplex>();
  readonly #state: ServerState;
  readonly #routes: readonly Route[];
  /** The process is down: connections are cut at once. */
  isDown = false;

  constructor(state: ServerState, routes: readonly Route[]) {
    this.#state = state;
    this.#routes = routes;
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    this.#remember(request);
    if (this.isDown) {
      request.socket.destroy();
      return;
    }
    const { faults, time } = this.#state;
    const url = new URL(request.url ?? '/', 'http://sim');
    const path = url.pathname.replace(/^\/api(?=\/)/, '');
    const method = request.method ?? 'GET';
    if (faults.onRequest('hang', method, path)) return;
    const serve = (): void => {
      const httpError = faults.onRequest('httpError', method, path);
      const page = faults.onRequest('html200', method, path);
      if (httpError && faults.current.httpError) {
        const { status, contentType, body } = faults.current.httpError;
        new Reply(response).bytes(status, contentType, Buffer.from(body, 'utf8'));
      } else if (page) {
        new Reply(response).bytes(200, 'text/html; charset=utf-8', Buffer.from(HTML_PAGE, 'utf8'));
      } else {
        void this.#dispatch(request, new Reply(response, this.#spoil(method, path)), url, path);
      }
    };
    const slowMs = faults.current.slowMs ?? 0;
    if (slowMs > 0) time.after(slowMs, serve);
    else serve();
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#remember(request);
    socket.on('error', () => socket.destroy());
    const url = new URL(request.url ?? '/', 'http://sim');
    if (this.isDown) {
      socket.destroy();
    } else if (url.pathname !== '/ws' && url.pathname !== '/api/ws') {
      refuseUpgrade(socket, '404 Not Found');
    } else if (
      this.#state.faults.current.wsReject ||
      isForeignOrigin(request.headers, this.#state.traits.refusesCrossSite)
    ) {
      refuseUpgrade(socket, '403 Forbidden');
    } else {
      this.#state.hub.accept(request, socket, head, url.searchParams.get('clientId') ?? '');
    }
  }

  /** Cuts all connections, as a killed process does. */
  cutConnections(): void {
    for (const connection of this.#connections) connection.destroy();
    this.#connections.clear();
  }

  #remember(request: IncomingMessage): void {
    this.requests.push({ method: request.method ?? 'GET', path: request.url ?? '/', headers: request.headers });
    if (this.requests.length > LOG_LIMIT) this.requests.shift();
    const { socket } = request;
    if (this.#connections.has(socket)) return;
    // No listener on the socket: behind RunPod's proxy one connection leads to any number of servers.
    for (const other of this.#connections) if (other.destroyed) this.#connections.delete(other);
    this.#connections.add(socket);
  }

  #spoil(method: string, path: string): Spoil {
    const { faults } = this.#state;
    if (faults.onRequest('resetMidBody', method, path)) return 'reset';
    return faults.onRequest('truncateJson', method, path) ? 'truncate' : 'none';
  }

  async #dispatch(request: IncomingMessage, reply: Reply, url: URL, path: string): Promise<void> {
    const method = request.method ?? 'GET';
    if (isForeignOrigin(request.headers, this.#state.traits.refusesCrossSite)) return reply.empty(403);
    if (method === 'OPTIONS') return reply.empty();
    const isApi = url.pathname !== path;
    const candidates = this.#routes.flatMap((route) => {
      if (route.reach === 'api' ? !isApi : route.reach === 'bare' && isApi) return [];
      const params = matchPath(route.path, path);
      return params ? [{ route, params }] : [];
    });
    const match = candidates.find(({ route }) => route.method === (method === 'HEAD' ? 'GET' : method));
    if (match === undefined) {
      const isRead = method === 'GET' || method === 'HEAD';
      if (isRead) return reply.unknownPath();
      return reply.methodNotAllowed(allowed(candidates.map(({ route }) => route.method)));
    }
    try {
      await match.route.handle(new Call(request, reply, path, url.searchParams, match.params));
    } catch (failure) {
      answerFailure(reply, failure);
    }
  }
}

/** GET and HEAD are always allowed: a static handler takes every path. */
function allowed(methods: string[]): string {
  return [...new Set([...methods, 'GET', 'HEAD'])].sort().join(',');
}

function answerFailure(reply: Reply, failure: unknown): void {
  if (reply.response.headersSent || reply.response.destroyed) return;
  if (failure instanceof BodyTooLarge) {
    reply.text(413, `Maximum request body size ${MAX_BODY_BYTES} exceeded.`, { Connection: 'close' });
  } else if (failure instanceof ServerTrouble) {
    reply.trouble();
  } else if (failure instanceof Error && 'code' in failure && failure.code === 'ECONNRESET') {
    reply.response.destroy();
  } else {
    reply.trouble();
  }
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
