/** What the core asks of an HTTP and WebSocket library. dispatcher.ts answers it with undici, loaded at the first call. */
export interface TransportRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | FormData;
  /** Until the reply's headers are there. */
  readonly headersTimeoutMs: number;
  /** Longest silence within the body. */
  readonly bodyTimeoutMs: number;
}

export interface TransportReply {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Read it to the end or call `discard`. */
  readonly body: AsyncIterable<Uint8Array>;
  text(): Promise<string>;
  discard(): void;
}

export interface SocketHandlers {
  onOpen(): void;
  onText(text: string): void;
  onBytes(bytes: Uint8Array): void;
  /** Called once, also when the socket never opened. */
  onClose(code: number, reason: string): void;
}

export interface TransportSocket {
  send(text: string): void;
  close(): void;
}

export interface Transport {
  /** Rejects with a Fault: 'unreachable' | 'timeout' | 'cancelled'. A reply of any status resolves. */
  request(request: TransportRequest, signal: AbortSignal): Promise<TransportReply>;
  /** `headers` go with the request that opens it. */
  socket(url: URL, handlers: SocketHandlers, headers?: Readonly<Record<string, string>>): TransportSocket;
  close(): Promise<void>;
}

/** How the editor is set to reach the network. */
export interface NetworkSettings {
  readonly proxyUrl: string | undefined;
  readonly noProxy: readonly string[];
  readonly strictTls: boolean;
  /** What the proxy is shown, as a header has it; undefined = what its address says. */
  readonly proxyAuthorization?: string | undefined;
  /** False = no proxy, whatever the address above or the environment says. */
  readonly useProxy?: boolean;
}
