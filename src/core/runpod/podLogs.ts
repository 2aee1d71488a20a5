import { Fault, throwIfAborted, toFault } from '../kernel/fault.ts';
import type { Clock } from '../kernel/ports.ts';
import type { HttpClient, StreamCall } from '../http/httpClient.ts';
import { isNotFound } from './isNotFound.ts';
import { timeMs } from './pod.ts';
import { createSseParser } from './sseParser.ts';
import type { SseEvent } from './sseParser.ts';
import { logLineReply } from './wire.ts';

export interface PodLogLine {
  /** 'container' (its output), 'system' (pulls, creates, errors of the host) or what else RunPod names. */
  readonly source: string;
  readonly atMs: number | undefined;
  readonly text: string;
}

export interface PodLogQuery {
  /** Both when omitted. */
  readonly source?: 'container' | 'system';
  /** Past lines to begin with, 0 to 5000 (RunPod's default: 100). */
  readonly tail?: number;
}

export interface PodLogOptions {
  readonly http: HttpClient;
  readonly clock: Clock;
  /** 0 to 1 */
  readonly random: () => number;
  /** Longest silence before the stream is taken for dead and resumed. */
  readonly silenceMs: number;
  /** Until then the machine was created so lately that RunPod may not know it yet; ms since the epoch. */
  readonly newUntilMs?: number | undefined;
}

/** Connections in a row that may bring nothing before the stream ends. */
const fruitlessLimit = 6;
/** A stated wait is kept up to this: nobody looks at a log for longer. */
const longestWaitMs = 5 * 60_000;

/**
 * The log of a pod or a serverless worker, past lines first, then as they come. It resumes after a cut where it was, and
 * ends by itself when the machine is gone. Lines may hold secrets (a root password, for one): do not store them. Throws a
 * Fault when RunPod refuses. `path`: 'pods/<id>/logs'.
 */
export async function* streamLogs(
  options: PodLogOptions,
  path: string,
  query: PodLogQuery,
  signal: AbortSignal,
): AsyncGenerator<PodLogLine, void, undefined> {
  let last: SseEvent | undefined;
  /** The time of the last line, and all lines of that time, where lines have no ids: a resume begins with them again. */
  let moment: { readonly at: string; readonly data: string[] } | undefined;
  let fruitless = 0;
  for (;;) {
    const resuming = last;
    const shown = [...(moment?.data ?? [])];
    const since = moment?.at;
    let connected = false;
    let fault: Fault | undefined;
    try {
      const from = resuming === undefined ? { tail: query.tail } : { id: resuming.id, since };
      for await (const event of connect(options, path, query.source, from, () => (connected = true), signal)) {
        if (repeats(event, resuming, last)) continue;
        const at = event.id === '' ? timeOf(event) : undefined;
        if (shown.length > 0 && at === since) {
          if (shown[0] === event.data) shown.shift();
          continue;
        }
        if (at === undefined) moment = undefined;
        else if (at === moment?.at) moment.data.push(event.data);
        else moment = { at, data: [event.data] };
        fruitless = 0;
        last = event;
        yield toLine(event);
      }
    } catch (error) {
      throwIfAborted(signal);
      fault = toFault(error);
      if (isNotFound(fault) && last !== undefined) return;
      // RunPod's list lags after a create: asked again at a steady pace.
      if (isNotFound(fault) && options.clock.now() < (options.newUntilMs ?? 0)) fruitless = -1;
      else if (!['unreachable', 'timeout', 'unavailable', 'rateLimited'].includes(fault.kind)) throw fault;
    }
    // A quiet pod is no failure: only connections that end or fail count.
    const quiet = connected && fault?.kind === 'timeout';
    if (!quiet) fruitless += 1;
    if (fruitless > fruitlessLimit) {
      if (fault !== undefined) throw fault;
      return;
    }
    const backoffMs = Math.min(30_000, 1_000 * 2 ** Math.max(0, fruitless - 1)) * (0.5 + options.random() / 2);
    const statedMs = Math.min(longestWaitMs, fault?.facts.retryAfterMs ?? 0);
    await options.clock.sleep(Math.max(backoffMs, statedMs), signal);
  }
}

/** A resume may begin with the event it resumes after. */
function repeats(event: SseEvent, resuming: SseEvent | undefined, last: SseEvent | undefined): boolean {
  if (resuming === undefined || last !== resuming || event.id === '') return false;
  return event.id === resuming.id && event.data === resuming.data;
}

/** Where a connection begins: with past lines, or after what was shown; `since` is told where lines have no ids. */
type From = { readonly tail: number | undefined } | { readonly id: string; readonly since: string | undefined };

function whereFrom(from: From): Pick<StreamCall, 'query' | 'headers'> {
  if ('tail' in from) return { query: { tail: from.tail } };
  if (from.id !== '') return { headers: { 'last-event-id': from.id } };
  return { query: from.since === undefined ? { tail: 0 } : { since: from.since } };
}

async function* connect(
  { http, silenceMs }: PodLogOptions,
  path: string,
  source: PodLogQuery['source'],
  from: From,
  onConnected: () => void,
  signal: AbortSignal,
): AsyncGenerator<SseEvent, void, undefined> {
  const { query, headers } = whereFrom(from);
  const reply = await http.stream(
    {
      path,
      query: { source, ...query },
      headers: { accept: 'text/event-stream', ...headers },
      bodyTimeoutMs: silenceMs,
    },
    signal,
  );
  const type = reply.headers['content-type'] ?? '';
  if (!type.startsWith('text/event-stream')) {
    reply.discard();
    throw new Fault('protocol', `The log came as '${type}' instead of an event stream`, { status: reply.status });
  }
  onConnected();
  const parser = createSseParser();
  try {
    for await (const bytes of reply.body) yield* parser.feed(bytes);
  } finally {
    reply.discard();
  }
}

function timeOf(event: SseEvent): string | undefined {
  const parsed = logLineReply.safeParse(parseJson(event.data));
  return parsed.data?.ts ?? undefined;
}

function toLine(event: SseEvent): PodLogLine {
  const parsed = logLineReply.safeParse(parseJson(event.data));
  if (!parsed.success) {
    return { source: 'container', atMs: undefined, text: event.cut ? `${event.data.slice(0, 2_000)} …` : event.data };
  }
  return { source: parsed.data.source ?? 'container', atMs: timeMs(parsed.data.ts), text: parsed.data.line };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
