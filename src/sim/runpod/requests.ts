import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Operation } from './faults.ts';

/** One request that arrived, for assertions and for the demo's control page. */
export interface RequestRecord {
  /** simulated ms since the epoch */
  readonly at: number;
  readonly surface: 'api' | 'proxy' | 'jobs';
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly upgrade: boolean;
  /** The account's key is in a header or in the address. At the proxy this must never be. */
  readonly carriesApiKey: boolean;
  operation?: Operation;
  podId?: string;
  body?: string;
  /** what was answered; absent while open */
  status?: number | 'reset' | 'hang';
}

export type Recorder = (req: IncomingMessage, surface: RequestRecord['surface'], upgrade?: boolean) => RequestRecord;

/** Keeps the newest `most` requests in `into`. */
export function createRecorder(
  into: RequestRecord[],
  secrets: readonly string[],
  now: () => number,
  most: number,
): Recorder {
  return (req, surface, upgrade = false) => {
    const url = req.url ?? '/';
    const wire = [url, safeDecode(url), ...Object.values(req.headers).flat()].join('\n');
    const entry: RequestRecord = {
      at: now(),
      surface,
      method: req.method ?? 'GET',
      url,
      headers: { ...req.headers },
      upgrade,
      carriesApiKey: secrets.some((secret) => wire.includes(secret)),
    };
    into.push(entry);
    if (into.length > most) into.splice(0, into.length - most);
    return entry;
  };
}

function safeDecode(url: string): string {
  try {
    return decodeURIComponent(url);
  } catch {
    return url;
  }
}
