import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import type { FaultBox } from '../faults.ts';
import { isObject, parsePyJson, pyJson, type Json, type JsonObject } from '../pyJson.ts';

/** Messages larger than this close the socket, as aiohttp's default does. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

export interface HubQuestions {
  queueRemaining(): number;
  features(): JsonObject;
  /** The node that runs for this client right now, if any. */
  nodeRunningFor(clientId: string): string | undefined;
}

/** The WebSocket side of the server: who is registered under which id, and what reaches whom. */
export class SocketHub {
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: true });
  readonly #byId = new Map<string, WebSocket>();
  readonly #flags = new WeakMap<WebSocket, JsonObject>();
  /** Sockets that were told `status` once; a muted server says no more. */
  readonly #greeted = new WeakSet<WebSocket>();
  readonly #open = new Set<WebSocket>();
  readonly #faults: FaultBox;
  readonly #ask: HubQuestions;

  constructor(faults: FaultBox, ask: HubQuestions) {
    this.#faults = faults;
    this.#ask = ask;
  }

  /** Sockets that are open, whether or not the server still knows them. */
  get openSockets(): number {
    return this.#open.size;
  }

  get registeredIds(): string[] {
    return [...this.#byId.keys()];
  }

  accept(request: IncomingMessage, socket: Duplex, head: Buffer, clientId: string): void {
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      this.#register(webSocket, clientId === '' ? randomBytes(16).toString('hex') : clientId);
    });
  }

  /** To one client, or to all when `clientId` is undefined. Frames for a client that is away are dropped. */
  send(type: string, data: JsonObject, clientId: string | undefined): void {
    const text = pyJson({ type, data });
    for (const socket of this.#addressed(clientId)) this.#deliver(socket, text);
  }

  sendBinary(frame: Buffer, clientId: string | undefined, accepts?: (flags: JsonObject) => boolean): void {
    for (const socket of this.#addressed(clientId)) {
      if (accepts === undefined || accepts(this.#flags.get(socket) ?? {})) this.#deliver(socket, frame);
    }
  }

  broadcastStatus(): void {
    this.send('status', statusOf(this.#ask.queueRemaining()), undefined);
  }

  /** Breaks all sockets without a closing handshake: clients see 1006. */
  destroyAll(): void {
    for (const socket of this.#open) socket.terminate();
    this.#byId.clear();
  }

  #register(socket: WebSocket, clientId: string): void {
    // Registration is by id: a second socket replaces the first (comfyui.md 2.7, race C).
    this.#byId.set(clientId, socket);
    this.#open.add(socket);
    let firstMessage = true;
    socket.on('message', (data, isBinary) => {
      if (isBinary) return;
      const message = parseMessage(rawText(data));
      if (message === undefined) return;
      if (firstMessage) this.#negotiate(socket, message);
      firstMessage = false;
    });
    socket.on('error', () => {
      // Broken frames and resets end in 'close'.
    });
    socket.on('close', () => {
      this.#open.delete(socket);
      // Whoever closes takes the id along, even when a newer socket has it by now: race C.
      this.#byId.delete(clientId);
    });
    this.#deliver(socket, pyJson({ type: 'status', data: { ...statusOf(this.#ask.queueRemaining()), sid: clientId } }));
    this.#greeted.add(socket);
    const node = this.#ask.nodeRunningFor(clientId);
    if (node !== undefined) this.#deliver(socket, pyJson({ type: 'executing', data: { node } }));
  }

  #negotiate(socket: WebSocket, message: Json): void {
    if (!isObject(message) || message['type'] !== 'feature_flags') return;
    const flags = message['data'];
    this.#flags.set(socket, isObject(flags) ? flags : {});
    this.#deliver(socket, pyJson({ type: 'feature_flags', data: this.#ask.features() }));
  }

  #addressed(clientId: string | undefined): WebSocket[] {
    if (clientId === undefined) return [...this.#byId.values()];
    const socket = this.#byId.get(clientId);
    return socket ? [socket] : [];
  }

  #deliver(socket: WebSocket, frame: string | Buffer): void {
    const { wsMute, wsGarbage } = this.#faults.current;
    if (wsMute && this.#greeted.has(socket)) return;
    if (socket.readyState !== socket.OPEN) return;
    if (wsGarbage) {
      socket.send(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x00, 0x01]));
      socket.send('{"type": "status", "data"');
    }
    socket.send(frame);
  }
}

function statusOf(queueRemaining: number): JsonObject {
  return { status: { exec_info: { queue_remaining: queueRemaining } } };
}

function parseMessage(text: string): Json | undefined {
  try {
    return parsePyJson(text);
  } catch {
    return undefined;
  }
}

function rawText(data: Buffer | ArrayBuffer | Buffer[]): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString('utf8');
  return Buffer.isBuffer(data) ? data.toString('utf8') : Buffer.from(data).toString('utf8');
}
