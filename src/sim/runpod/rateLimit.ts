import type { RunpodBehaviour } from './behaviour.ts';

export type Window = 'minute' | 'hour' | 'day';
const windowSeconds: Readonly<Record<Window, number>> = { minute: 60, hour: 3_600, day: 86_400 };
const windows: readonly Window[] = ['minute', 'hour', 'day'];

export interface Verdict {
  readonly headers: Readonly<Record<string, string>>;
  /** the window that is used up, the one with the longest wait when there are several */
  readonly exceeded?: { readonly window: Window; readonly retryAfterSeconds: number };
}

export interface RateLimiter {
  take(key: string, now: number): Verdict;
  /** A verdict as if `window` were used up, without using it up. `retryAfterSeconds` = until it resets, when left out. */
  refuse(key: string, window: Window, retryAfterSeconds: number | undefined, now: number): Verdict;
}

/** Fixed windows per key. Header forms: RunPod OpenAPI v2, RateLimit and RateLimit-Policy. */
export function createRateLimiter(behaviour: RunpodBehaviour): RateLimiter {
  const used = new Map<string, { start: number; count: number }>();
  const slot = (key: string, window: Window, now: number): { start: number; count: number } => {
    const start = now - (now % (windowSeconds[window] * 1000));
    const known = used.get(`${window} ${key}`);
    if (known?.start === start) return known;
    const fresh = { start, count: 0 };
    used.set(`${window} ${key}`, fresh);
    return fresh;
  };
  const secondsLeft = (window: Window, now: number): number =>
    Math.max(1, Math.ceil(windowSeconds[window] - (now % (windowSeconds[window] * 1000)) / 1000));
  const left = (key: string, window: Window, now: number): number =>
    Math.max(0, behaviour.quotas[window] - slot(key, window, now).count);
  const headers = (state: (window: Window) => { r: number; t: number }): Record<string, string> => ({
    RateLimit: windows.map((window) => `"${window}";r=${state(window).r};t=${state(window).t}`).join(', '),
    'RateLimit-Policy': windows
      .map((window) => `"${window}";q=${behaviour.quotas[window]};w=${windowSeconds[window]}`)
      .join(', '),
  });
  return {
    take: (key, now) => {
      if (behaviour.rateLimit === 'exempt') return { headers: {} };
      const over = windows.filter((window) => left(key, window, now) === 0);
      if (over.length === 0) for (const window of windows) slot(key, window, now).count++;
      const shown =
        behaviour.rateLimit === 'malformed'
          ? { RateLimit: '"minute";r=;t=soon', 'RateLimit-Policy': 'none' }
          : headers((window) => ({ r: left(key, window, now), t: secondsLeft(window, now) }));
      const worst = over.at(-1);
      return worst === undefined
        ? { headers: shown }
        : { headers: shown, exceeded: { window: worst, retryAfterSeconds: secondsLeft(worst, now) } };
    },
    refuse: (key, window, seconds, now) => {
      const retryAfterSeconds = seconds ?? secondsLeft(window, now);
      return {
        headers: headers((one) =>
          one === window ? { r: 0, t: retryAfterSeconds } : { r: left(key, one, now), t: secondsLeft(one, now) },
        ),
        exceeded: { window, retryAfterSeconds },
      };
    },
  };
}
