// The only file that imports undici. It is loaded by a dynamic import at the first request, never by activation.
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { Agent, EnvHttpProxyAgent, FormData as UndiciFormData, WebSocket, request } from 'undici';
import type { Dispatcher } from 'undici';
import { systemClock } from '../kernel/clock.ts';
import { Fault, abortFault } from '../kernel/fault.ts';
import { chooseProxy } from './proxy.ts';
import type { NetworkSettings, Transport, TransportReply, TransportRequest } from './transport.ts';

/** How long a WebSocket that is being closed may take. */
const closeWithinMs = 1_000;

/**
 * A transport of its own: it neither reads nor sets the process-wide dispatcher that other extensions use. Each request
 * looks whether the settings have changed; what is under way ends as it began.
 */
export function createDispatcher(network: NetworkSettings | (() => NetworkSettings)): Transport {
  const read = typeof network === 'function' ? network : () => network;
  const agents = new Set<Dispatcher>();
  const connections = new Set<Duplex>();
  let current: { readonly agent: Dispatcher; readonly settings: string } | undefined;
  const now = (): Dispatcher => {
    const wanted = read();
    const settings = JSON.stringify(wanted);
    if (current?.settings === settings) return current.agent;
    const old = current?.agent;
    if (old !== undefined)
      void old
        .close()
        .finally(() => agents.delete(old))
        .catch(() => undefined);
    const agent = openAgent(wanted);
    agents.add(agent);
    current = { agent, settings };
    return agent;
  };
  return {
    request: (call, signal) => send(now(), call, signal),
    socket(url, handlers, headers = {}) {
      const gone = new AbortController();
      let connection: Duplex | undefined;
      const dispatcher = withUpgrades(now(), (upgraded) => {
        connection = upgraded;
        connections.add(upgraded);
        upgraded.once('close', () => {
          connections.delete(upgraded);
          gone.abort();
        });
      });
      const socket = new WebSocket(url, { dispatcher, headers });
      socket.binaryType = 'arraybuffer';
      let closed = false;
      const close = (code: number, reason: string): void => {
        if (closed) return;
        closed = true;
        handlers.onClose(code, reason);
      };
      socket.addEventListener('open', () => handlers.onOpen());
      socket.addEventListener('message', (event) => {
        const data: unknown = event.data;
        if (typeof data === 'string') handlers.onText(data);
        else if (data instanceof ArrayBuffer) handlers.onBytes(new Uint8Array(data));
      });
      socket.addEventListener('error', () => close(1006, 'The WebSocket could not be kept open'));
      socket.addEventListener('close', (event) => close(event.code, event.reason));
      return {
        send: (text) => {
          if (socket.readyState === WebSocket.OPEN) socket.send(text);
        },
        close: () => {
          socket.close();
          // A server that hangs does not answer a close, and undici would wait for it for ever.
          systemClock.sleep(closeWithinMs, gone.signal).then(
            () => connection?.destroy(),
            () => undefined,
          );
        },
      };
    },
    close: async () => {
      for (const connection of connections) connection.destroy();
      await Promise.all([...agents].map((agent) => agent.destroy()));
    },
  };
}

function openAgent(network: NetworkSettings): Dispatcher {
  const connect = { rejectUnauthorized: network.strictTls, timeout: 5_000, ca: systemCertificates() };
  const options = { connect, requestTls: connect, keepAliveTimeout: 4_000, allowH2: false };
  const proxy = chooseProxy(network, process.env);
  if (proxy === undefined) return new Agent(options);
  const { proxyAuthorization: token } = network;
  const through = (url: string, more: Partial<EnvHttpProxyAgent.Options> = {}): Dispatcher =>
    new EnvHttpProxyAgent({
      ...options,
      ...(token === undefined ? {} : { token }),
      ...more,
      ...{ httpProxy: url, httpsProxy: url, noProxy: proxy.noProxy },
    });
  try {
    return through(proxy.url);
  } catch {
    // The address is not told: a password may stand in it. What needs no proxy is reached all the same.
    const wrong = new Fault('unreachable', `The address of the proxy cannot be used: see ${proxy.from}`, {
      delivered: 'no',
      nextStep: `Correct ${proxy.from}.`,
    });
    const refuse = (): Dispatcher => Object.assign(new Agent(), { connect: () => Promise.reject(wrong) });
    return through('http://proxy.invalid', { clientFactory: refuse });
  }
}

/** Tells of the connection of each request that was upgraded: undici gives it to its own WebSocket only. */
function withUpgrades(dispatcher: Dispatcher, onUpgrade: (connection: Duplex) => void): Dispatcher {
  return dispatcher.compose((dispatch) => (options, handler) => {
    const upgrade = handler.onRequestUpgrade?.bind(handler);
    handler.onRequestUpgrade = (controller, status, headers, connection) => {
      onUpgrade(connection);
      upgrade?.(controller, status, headers, connection);
    };
    return dispatch(options, handler);
  });
}

/** The system's certificates beside Node's own: a company's proxy signs with one that only the system knows. */
function systemCertificates(): string[] | undefined {
  const read = (tls as { getCACertificates?: (type: 'default' | 'system') => string[] }).getCACertificates;
  return read === undefined ? undefined : [...read('default'), ...read('system')];
}

async function send(dispatcher: Dispatcher, call: TransportRequest, signal: AbortSignal): Promise<TransportReply> {
  try {
    const reply = await request(call.url, {
      dispatcher,
      method: call.method,
      headers: call.headers,
      body: call.body instanceof FormData ? ownForm(call.body) : (call.body ?? null),
      signal,
      headersTimeout: call.headersTimeoutMs,
      bodyTimeout: call.bodyTimeoutMs,
    });
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(reply.headers)) {
      headers[name] = Array.isArray(value) ? value.join(', ') : (value ?? '');
    }
    return {
      status: reply.statusCode,
      headers,
      body: guarded(reply.body as AsyncIterable<Uint8Array>, signal),
      text: async () => {
        try {
          return await reply.body.text();
        } catch (error) {
          throw networkFault(error, signal);
        }
      },
      discard: () => reply.body.on('error', () => undefined).destroy(),
    };
  } catch (error) {
    throw networkFault(error, signal);
  }
}

/** undici knows its own FormData only: Node's global one belongs to another copy of the library. */
function ownForm(form: FormData): UndiciFormData {
  const own = new UndiciFormData();
  for (const [name, value] of form) {
    if (typeof value === 'string') own.append(name, value);
    else own.append(name, value, value.name);
  }
  return own;
}

async function* guarded(body: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncIterable<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    throw networkFault(error, signal);
  }
}

/** Codes of Node and undici that prove that no byte of the request was sent. */
const neverSent = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

function networkFault(error: unknown, signal: AbortSignal): Fault {
  if (signal.aborted) return abortFault(signal);
  if (error instanceof Fault) return error;
  const code = codeOf(error);
  const text = error instanceof Error && error.message !== '' ? error.message : code;
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
    return new Fault('timeout', 'No answer in time', { delivered: 'maybe' }, { cause: error });
  }
  if (neverSent.has(code)) {
    const what = code === 'ECONNREFUSED' ? 'Connection refused' : `No connection (${code})`;
    return new Fault('unreachable', what, { delivered: 'no' }, { cause: error });
  }
  return new Fault('unreachable', `Connection lost (${text})`, { delivered: 'maybe' }, { cause: error });
}

/** Node gives an AggregateError when every address of a name refused. */
function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  const { code, errors, cause } = error as { code?: unknown; errors?: unknown[]; cause?: unknown };
  if (typeof code === 'string') return code;
  if (Array.isArray(errors) && errors.length > 0) return codeOf(errors[0]);
  return cause === undefined ? '' : codeOf(cause);
}
