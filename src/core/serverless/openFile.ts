import type { RemoteFile } from '../backends/backend.ts';
import { createHttpClient } from '../http/httpClient.ts';
import type { HttpClientOptions } from '../http/httpClient.ts';
import { Fault } from '../kernel/fault.ts';
import type { WorkerFile } from './workerResult.ts';

export interface OpenFileOptions extends Pick<
  HttpClientOptions,
  'transport' | 'clock' | 'log' | 'random' | 'userAgent'
> {
  /** Plain http is taken only where the job API itself is plain http: on this machine. */
  readonly serverlessUrl: string;
}

/** Characters that are decoded at a time: a multiple of 4. */
const pieceLength = 1 << 18;

export function toRemoteFile(options: OpenFileOptions, { name, data }: WorkerFile): RemoteFile {
  return {
    name,
    open: (signal) =>
      data.in === 'base64' ? Promise.resolve(decoded(data.text)) : openBucket(options, data.url, signal),
  };
}

/** Bytes of a base64 text, with or without the prefix of a data URI, piece by piece: the text is held, its bytes are not. */
export async function* decoded(text: string): AsyncIterable<Uint8Array> {
  const from = text.startsWith('data:') ? text.indexOf(',') + 1 : 0;
  for (let at = from; at < text.length; at += pieceLength) {
    const piece = text.slice(at, at + pieceLength);
    const isLast = at + pieceLength >= text.length;
    const filling = isLast ? (/=*$/.exec(piece)?.[0].length ?? 0) : 0;
    const bytes = Buffer.from(piece, 'base64');
    // Node skips what is no base64 without a word: then bytes are missing.
    if (bytes.length !== Math.floor(((piece.length - filling) * 3) / 4)) {
      throw new Fault('protocol', "The worker's file is not base64", { delivered: 'yes' });
    }
    yield await Promise.resolve(bytes);
  }
}

/** A presigned address: it is asked without the key, which belongs to RunPod alone. */
async function openBucket(
  options: OpenFileOptions,
  address: string,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const mayBePlain = new URL(options.serverlessUrl).protocol === 'http:';
  if (url === undefined || !(url.protocol === 'https:' || (mayBePlain && url.protocol === 'http:'))) {
    throw new Fault('protocol', "The worker's file has no address that can be opened safely", { delivered: 'yes' });
  }
  const http = createHttpClient({
    ...options,
    baseUrl: url.origin,
    retries: 0,
    timeoutMs: 60_000,
    classify: ({ status }) =>
      status === 403 || status === 404 || status === 410
        ? new Fault('jobFailed', 'The bucket no longer gives the file: its link has expired, or it was deleted', {
            status,
            delivered: 'yes',
          })
        : undefined,
  });
  return (await http.stream({ path: `${url.pathname}${url.search}` }, signal)).body;
}
