import { commonFault, retryWaitMs } from '../http/httpClient.ts';
import type { Transport, TransportReply } from '../http/transport.ts';
import { Fault } from '../kernel/fault.ts';
import type { Clock } from '../kernel/ports.ts';
import { classifyGeminiError, hideKeys } from './geminiFault.ts';

export interface Download {
  readonly mimeType: string;
  /** As told beforehand; undefined when it was not. */
  readonly sizeBytes: number | undefined;
  /** Read it to the end or leave the loop. It throws a Fault when the connection is cut or the file is too large. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface DownloadOptions {
  /** The only origin that gets the key */
  readonly origin: string;
  /** Further origins that a redirect may lead to, beside Google's storage */
  readonly storageOrigins: readonly string[];
  readonly credentials: () => Promise<Readonly<Record<string, string>>>;
  readonly transport: () => Promise<Transport>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly userAgent: string;
  readonly headersTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly retries: number;
}

/** The id in a file's address or name: hyphens belong to it. */
export function fileIdOf(uri: string): string {
  const id = /\bfiles\/([^/:?#]+)/.exec(uri)?.[1];
  if (id === undefined) {
    throw new Fault('jobFailed', 'The address of the video names no file', { raw: hideKeys(uri), delivered: 'yes' });
  }
  return decodeURIComponent(id);
}

/**
 * Opens a file's bytes. The address must be on our own origin; one redirect is followed, without the key, to Google's
 * storage only. Being a GET, it is sent again when no reply came.
 */
export async function downloadFile(
  options: DownloadOptions,
  uri: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Download> {
  const url = ownUrl(uri, options.origin);
  for (let attempt = 0; ; attempt++) {
    try {
      return limited(await open(options, url, signal), maxBytes);
    } catch (error) {
      if (!(error instanceof Fault) || signal.aborted || attempt >= options.retries) throw error;
      const waitMs = retryWaitMs(error, true, attempt, options.random());
      if (waitMs === undefined) throw error;
      await options.clock.sleep(waitMs, signal);
    }
  }
}

async function open(options: DownloadOptions, url: URL, signal: AbortSignal): Promise<TransportReply> {
  const first = await get(options, url, await options.credentials(), signal);
  if (first.status < 300 || first.status > 399) return await expectOk(first, options);
  first.discard();
  const target = redirectUrl(first.headers.location, url, options.storageOrigins);
  const second = await get(options, target, {}, signal);
  if (second.status >= 300 && second.status <= 399) {
    second.discard();
    throw new Fault('protocol', 'The download is redirected twice', { status: second.status });
  }
  return await expectOk(second, options);
}

async function get(
  options: DownloadOptions,
  url: URL,
  credentials: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<TransportReply> {
  const transport = await options.transport();
  const { headersTimeoutMs, bodyTimeoutMs } = options;
  const headers = { 'user-agent': options.userAgent, ...credentials };
  return await transport.request({ method: 'GET', url, headers, headersTimeoutMs, bodyTimeoutMs }, signal);
}

async function expectOk(reply: TransportReply, options: DownloadOptions): Promise<TransportReply> {
  if (reply.status === 200) {
    if (!/json|html/.test(reply.headers['content-type'] ?? '')) return reply;
    const raw = hideKeys((await reply.text()).slice(0, 4_000));
    throw new Fault('protocol', 'The download is text, not a file', { status: 200, raw });
  }
  const text = await reply.text();
  const error = { status: reply.status, headers: reply.headers, text, json: parseJson(text), repeatable: true };
  const nowMs = options.clock.now();
  throw classifyGeminiError(error, 'file', nowMs) ?? commonFault(error, nowMs);
}

function limited(reply: TransportReply, maxBytes: number): Download {
  const told = Number(reply.headers['content-length'] ?? Number.NaN);
  if (told > maxBytes) {
    reply.discard();
    throw tooLarge(maxBytes);
  }
  return {
    mimeType: reply.headers['content-type'] ?? 'application/octet-stream',
    sizeBytes: Number.isFinite(told) ? told : undefined,
    body: counted(reply, maxBytes),
  };
}

async function* counted(reply: TransportReply, maxBytes: number): AsyncIterable<Uint8Array> {
  let seen = 0;
  for await (const piece of reply.body) {
    seen += piece.byteLength;
    if (seen > maxBytes) {
      reply.discard();
      throw tooLarge(maxBytes);
    }
    yield piece;
  }
}

function tooLarge(maxBytes: number): Fault {
  return new Fault('protocol', `The file is larger than ${maxBytes} bytes`);
}

function ownUrl(uri: string, origin: string): URL {
  const url = parseUrl(uri, undefined);
  if (url.origin !== origin) {
    throw new Fault('protocol', `The file is said to be at ${url.origin}, which is not Google's address for it`);
  }
  url.searchParams.delete('key');
  if (!url.pathname.endsWith(':download')) url.pathname += ':download';
  url.searchParams.set('alt', 'media');
  return url;
}

function redirectUrl(location: string | undefined, from: URL, storageOrigins: readonly string[]): URL {
  if (location === undefined) throw new Fault('protocol', 'The download is redirected to nowhere');
  const url = parseUrl(location, from);
  const isGoogles =
    url.protocol === 'https:' && /(^|\.)(googleapis|googleusercontent)\.com$/.test(url.hostname) && url.port === '';
  if (!isGoogles && !storageOrigins.includes(url.origin)) {
    throw new Fault('protocol', `The download is redirected to ${url.origin}, which is refused`);
  }
  return url;
}

function parseUrl(text: string, base: URL | undefined): URL {
  if (!URL.canParse(text, base?.href))
    throw new Fault('protocol', 'The file has no valid address', { raw: hideKeys(text) });
  return new URL(text, base);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
