import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import type { Transport, TransportSocket } from '../http/transport.ts';
import { readBinaryFrame, readTextFrame } from './frames.ts';
import type { ComfyEvent } from './frames.ts';

/**
 * One WebSocket to one ComfyUI. A client id is used for one socket only: a second socket with the same id is silenced
 * by the server when the first one closes (comfyui.md 2.7, race C). The socket is a hint; HTTP is the truth.
 */
export class ComfySocket implements Disposable {
  readonly #events = new Emitter<ComfyEvent>();
  readonly #closed = new Emitter<void>();
  readonly #socket: TransportSocket;
  #open = true;
  #greeted = false;

  constructor(transport: Transport, baseUrl: string, clientId: string, headers: Readonly<Record<string, string>> = {}) {
    const url = new URL(baseUrl.endsWith('/') ? `${baseUrl}ws` : `${baseUrl}/ws`);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    url.searchParams.set('clientId', clientId);
    this.#socket = transport.socket(
      url,
      {
        // Must be the first message of a socket, or the server ignores it (comfyui.md 2.3).
        onOpen: () =>
          this.#socket.send(JSON.stringify({ type: 'feature_flags', data: { supports_preview_metadata: true } })),
        onText: (text) => this.#deliver(readTextFrame(text)),
        onBytes: (bytes) => this.#deliver(readBinaryFrame(bytes)),
        onClose: () => {
          this.#open = false;
          this.#closed.fire();
        },
      },
      headers,
    );
  }

  readonly onEvent: Event<ComfyEvent> = (listener) => this.#events.event(listener);
  readonly onDidClose: Event<void> = (listener) => this.#closed.event(listener);

  /** True once the server has greeted us by our id; false for good after a close. */
  get live(): boolean {
    return this.#open && this.#greeted;
  }

  get open(): boolean {
    return this.#open;
  }

  dispose(): void {
    this.#events.dispose();
    this.#closed.dispose();
    this.#socket.close();
  }

  #deliver(event: ComfyEvent | undefined): void {
    if (event === undefined) return;
    if (event.is === 'status' && event.sid !== undefined) this.#greeted = true;
    this.#events.fire(event);
  }
}
