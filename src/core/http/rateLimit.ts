/** One window of the RateLimit and RateLimit-Policy headers (RunPod API v2, rate limits). */
export interface RateWindow {
  readonly name: string;
  readonly remaining: number;
  /** Seconds until the window starts anew. */
  readonly resetSeconds: number;
}

/** Reads `"minute";r=57;t=41, "hour";r=2990;t=3000`. A malformed entry is left out: a header must never break a call. */
export function parseRateLimit(header: string | undefined): readonly RateWindow[] {
  if (header === undefined) return [];
  return header.split(',').flatMap((entry) => {
    const match = /^\s*"([^"]+)"\s*;\s*r=(\d+)\s*;\s*t=(\d+)/.exec(entry);
    if (match === null) return [];
    const [, name = '', remaining, reset] = match;
    return [{ name, remaining: Number(remaining), resetSeconds: Number(reset) }];
  });
}

/**
 * How long a 429 asks us to wait, in ms: the longest of Retry-After and of every exhausted window, never rounded down.
 * Undefined when the reply says nothing.
 */
export function retryAfterMs(headers: Readonly<Record<string, string>>, nowMs: number): number | undefined {
  const waits = parseRateLimit(headers.ratelimit)
    .filter((window) => window.remaining === 0)
    .map((window) => window.resetSeconds * 1_000);
  const stated = headers['retry-after']?.trim();
  if (stated) {
    const seconds = Number(stated);
    // Less than nothing is no statement; and Date.parse would read it as some year.
    const ms = Number.isFinite(seconds) ? seconds * 1_000 : Math.max(0, Date.parse(stated) - nowMs);
    if (ms >= 0) waits.push(ms);
  }
  return waits.length === 0 ? undefined : Math.max(...waits);
}
