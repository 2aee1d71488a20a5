import { Fault, throwIfAborted, toFault } from '../kernel/fault.ts';
import type { Clock } from '../kernel/ports.ts';
import type { HttpClient } from '../http/httpClient.ts';
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
  let fruitless = 0;
  for (;;) {
    const resuming = last;
    let connected = false;
    let fault: Fault | undefined;
    try {
      for await (const event of connect(options, path, query, last?.id ?? '', () => (connected = true), signal)) {
        if (repeats(event, resuming, last)) continue;
        fruitless = 0;
        last = event;
        yield toLine(event);
      }
    } catch (error) {
      throwIfAborted(signal);
      fault = toFault(error);
      if (isNotFound(fault) && last !== undefined) return;
      if (!['unreachable', 'timeout', 'unavailable', 'rateLimited'].includes(fault.kind)) throw fault;
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
  return resuming !== undefined && last === resuming && event.id === resuming.id && event.data === resuming.data;
}

async function* connect(
  { http, silenceMs }: PodLogOptions,
  path: string,
  query: PodLogQuery,
  lastEventId: string,
  onConnected: () => void,
  signal: AbortSignal,
): AsyncGenerator<SseEvent, void, undefined> {
  const reply = await http.stream(
    {
      path,
      query: { source: query.source, tail: lastEventId === '' ? query.tail : undefined },
      headers: { accept: 'text/event-stream', ...(lastEventId === '' ? {} : { 'last-event-id': lastEventId }) },
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
