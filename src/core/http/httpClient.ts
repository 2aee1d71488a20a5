import type * as z from 'zod/mini';
import { withDeadline } from '../kernel/clock.ts';
import { Fault, throwIfAborted, treatments } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { keptText } from './keptText.ts';
import { retryAfterMs } from './rateLimit.ts';
import type { Transport, TransportReply } from './transport.ts';

export interface Call<T> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Appended to the base address; already percent-encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. A string is sent as it is. */
  readonly body?: unknown;
  readonly form?: FormData;
  /** An empty reply is parsed as `undefined`. */
  readonly reply: z.ZodMiniType<T>;
  /** True when sending it twice does what sending it once does. Only such a call is sent again after 'maybe delivered'. */
  readonly repeatable: boolean;
  /** The whole call, reply included. */
  readonly timeoutMs?: number;
}

export interface StreamCall {
  readonly path: string;
  readonly query?: Call<never>['query'];
  readonly headers?: Readonly<Record<string, string>>;
  readonly headersTimeoutMs?: number;
  /** Longest silence. */
  readonly bodyTimeoutMs?: number;
}

/** A reply that was not what was asked for, as text, for the service's own classification. */
export interface ErrorReply {
  /** What was asked with; absent = not told. */
  readonly method?: Call<never>['method'];
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** The parsed body, or undefined when it is no JSON. */
  readonly json: unknown;
  readonly repeatable: boolean;
}

export interface HttpClientOptions {
  /** Origin and path prefix. Credentials never go anywhere else: redirects are not followed. */
  readonly baseUrl: string;
  readonly transport: () => Promise<Transport>;
  readonly clock: Clock;
  readonly log: Log;
  /** 0 to 1; jitter of the waits */
  readonly random: () => number;
  readonly userAgent: string;
  /** Asked before every request; may throw an 'unauthorized' fault. */
  readonly credentials?: () => Promise<Readonly<Record<string, string>>>;
  /** Reads the text of a reply, or throws; undefined = JSON.parse. */
  readonly parse?: (text: string) => unknown;
  /** A service's own reading of an error reply; undefined = the common one. */
  readonly classify?: (reply: ErrorReply, nowMs: number) => Fault | undefined;
  /** Times a call is sent again at most. */
  readonly retries: number;
  readonly timeoutMs: number;
  /** The date that a reply was sent at by the service's clock, as its header says. */
  readonly onDate?: (date: string | undefined) => void;
}

export interface HttpClient {
  readonly baseUrl: string;
  /** Every failure is a Fault. A reply that the schema refuses is 'protocol', with the raw text in its facts. */
  send<T>(call: Call<T>, signal: AbortSignal): Promise<T>;
  /** A successful reply as a stream, for downloads and server-sent events; the caller reads or discards it. */
  stream(call: StreamCall, signal: AbortSignal): Promise<TransportReply>;
}

/** A stated wait over this is the person's to know, not ours to sleep through (RunPod SDK: 60 s). */
const longestSilentWaitMs = 60_000;

export function createHttpClient(options: HttpClientOptions): HttpClient {
  const { clock, log } = options;
  const base = new URL(options.baseUrl.endsWith('/') ? options.baseUrl : `${options.baseUrl}/`);

  const parseJson = (text: string): unknown => {
    try {
      return (options.parse ?? JSON.parse)(text) as unknown;
    } catch {
      return undefined;
    }
  };

  const address = (path: string, query: Call<never>['query']): URL => {
    const url = new URL(path.replace(/^\/+/, ''), base);
    if (url.origin !== base.origin) throw new Fault('bug', 'A call left its own origin');
    for (const [name, value] of Object.entries(query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    return url;
  };

  const faultOf = (reply: ErrorReply): Fault => {
    const nowMs = clock.now();
    return options.classify?.(reply, nowMs) ?? commonFault(reply, nowMs);
  };

  const headersOf = async (own: Readonly<Record<string, string>> | undefined): Promise<Record<string, string>> => ({
    'user-agent': options.userAgent,
    ...(await options.credentials?.()),
    ...own,
  });

  async function once<T>(call: Call<T>, outer: AbortSignal): Promise<T> {
    const timeoutMs = call.timeoutMs ?? options.timeoutMs;
    const deadline = withDeadline(
      outer,
      timeoutMs,
      () => new Fault('timeout', `No answer within ${timeoutMs / 1_000} s`, { delivered: 'maybe' }),
    );
    const url = address(call.path, call.query);
    const startedAt = clock.now();
    try {
      const headers = await headersOf({ accept: 'application/json', ...call.headers });
      if (call.body !== undefined && typeof call.body !== 'string') headers['content-type'] = 'application/json';
      const body = call.form ?? (typeof call.body === 'string' ? call.body : undefined);
      const json = body ?? (call.body === undefined ? undefined : JSON.stringify(call.body));
      const transport = await options.transport();
      const reply = await transport.request(
        {
          method: call.method,
          url,
          headers,
          ...(json === undefined ? {} : { body: json }),
          headersTimeoutMs: timeoutMs + 1_000,
          bodyTimeoutMs: timeoutMs + 1_000,
        },
        deadline.signal,
      );
      options.onDate?.(reply.headers['date']);
      const text = await reply.text();
      log.debug(`${call.method} ${url.origin}${url.pathname} ${reply.status} in ${clock.now() - startedAt} ms`, {
        requestId: reply.headers['x-request-id'],
      });
      return read(call, reply, text);
    } finally {
      deadline.done();
    }
  }

  function read<T>(call: Call<T>, reply: TransportReply, text: string): T {
    const json = parseJson(text);
    if (reply.status < 200 || reply.status > 299) {
      const { method, repeatable } = call;
      const error = { method, status: reply.status, headers: reply.headers, text, json, repeatable };
      throw faultOf(error);
    }
    const parsed = call.reply.safeParse(text === '' ? undefined : json);
    if (parsed.success) return parsed.data;
    const raw = keptText(text);
    const where = parsed.error.issues[0];
    log.warn(`Unexpected reply to ${call.method} ${call.path}`, { raw, issues: parsed.error.issues.slice(0, 5) });
    throw new Fault(
      'protocol',
      json === undefined
        ? `The answer is not JSON${/<html|<!doctype/i.test(text) ? ' but a web page' : ''}`
        : `The answer has an unexpected shape (${where?.path.join('.') ?? ''}: ${where?.message ?? ''})`,
      { status: reply.status, delivered: 'yes', raw, ...requestIdOf(reply.headers) },
    );
  }

  return {
    baseUrl: options.baseUrl,
    async send(call, signal) {
      for (let attempt = 0; ; attempt++) {
        try {
          return await once(call, signal);
        } catch (error) {
          throwIfAborted(signal);
          if (!(error instanceof Fault)) throw new Fault('bug', String(error), {}, { cause: error });
          const waitMs =
            attempt < options.retries ? retryWaitMs(error, call.repeatable, attempt, options.random()) : undefined;
          if (waitMs === undefined) throw error;
          log.info(`${call.method} ${call.path}: ${error.message}; again in ${Math.ceil(waitMs)} ms`);
          await clock.sleep(waitMs, signal);
        }
      }
    },
    async stream(call, signal) {
      const transport = await options.transport();
      const url = address(call.path, call.query);
      const reply = await transport.request(
        {
          method: 'GET',
          url,
          headers: await headersOf(call.headers),
          headersTimeoutMs: call.headersTimeoutMs ?? options.timeoutMs,
          bodyTimeoutMs: call.bodyTimeoutMs ?? options.timeoutMs,
        },
        signal,
      );
      if (reply.status >= 200 && reply.status <= 299) return reply;
      if (reply.status >= 300 && reply.status <= 399) {
        reply.discard();
        throw new Fault('protocol', `Redirected to another address (${reply.status})`, { status: reply.status });
      }
      const text = await reply.text();
      const { status, headers } = reply;
      const error = { method: 'GET', status, headers, text, json: parseJson(text), repeatable: true } as const;
      throw faultOf(error);
    },
  };
}

/** The wait before the same call may be sent again, in ms; undefined = never. Exponential with full jitter, 0.5 s to 8 s. */
export function retryWaitMs(fault: Fault, repeatable: boolean, attempt: number, random: number): number | undefined {
  const safe = repeatable || fault.facts.delivered === 'no';
  if (!safe) return undefined;
  const rule = treatments[fault.kind].retry;
  if (rule === 'never') return undefined;
  const backoffMs = Math.min(8_000, 500 * 2 ** attempt) * (0.5 + random / 2);
  const statedMs = fault.facts.retryAfterMs;
  if (statedMs === undefined) return backoffMs;
  if (statedMs > longestSilentWaitMs) return undefined;
  return rule === 'afterWait' ? statedMs + 100 * random : Math.max(statedMs, backoffMs);
}

/** What an HTTP status means where the service says nothing more. */
export function commonFault(reply: ErrorReply, nowMs: number): Fault {
  const { status, headers, text } = reply;
  const raw = keptText(text);
  const base = { status, raw, ...requestIdOf(headers) };
  const page = /<html|<!doctype/i.test(text);
  const said = page || text === '' ? `HTTP ${status}` : `HTTP ${status}: ${raw.slice(0, 300).trim()}`;
  const waitMs = status === 429 || status === 503 ? retryAfterMs(headers, nowMs) : undefined;
  const stated = waitMs === undefined ? {} : { retryAfterMs: waitMs };
  if (status === 429) {
    return new Fault('rateLimited', `Too many requests (429)`, { ...base, ...stated, delivered: 'no' });
  }
  if (status === 408 || status === 524) return new Fault('timeout', said, { ...base, delivered: 'maybe' });
  if (status >= 500) return new Fault('unavailable', said, { ...base, ...stated, delivered: 'maybe' });
  if (status === 401) return new Fault('unauthorized', said, { ...base, delivered: 'no' });
  if (status === 402) return new Fault('noCredit', said, { ...base, delivered: 'no' });
  if (status >= 300 && status < 400)
    return new Fault('protocol', `Redirected (${status})`, { ...base, delivered: 'no' });
  return new Fault('rejected', said, { ...base, delivered: 'no' });
}

function requestIdOf(headers: Readonly<Record<string, string>>): { requestId?: string } {
  const id = headers['x-request-id'];
  return id === undefined ? {} : { requestId: id };
}
