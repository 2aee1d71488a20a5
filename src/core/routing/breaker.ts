import { treatments } from '../kernel/fault.ts';
import type { Fault } from '../kernel/fault.ts';

/**
 * State of the door to one backend. Counts, not time windows: jobs are rare, and a window would never fill
 * (numbers: two consecutive failures open it, 15 s doubling to 5 min, one trial in half-open).
 */
export type Breaker =
  | { readonly is: 'closed'; readonly failures: number }
  | {
      readonly is: 'open';
      readonly why: string;
      /** ms since the epoch; Infinity = until the key, the credit or the settings change */
      readonly retryAtMs: number;
      readonly opened: number;
    }
  | { readonly is: 'halfOpen'; readonly why: string; readonly opened: number };

export const closedBreaker: Breaker = { is: 'closed', failures: 0 };
const failuresToOpen = 2;
const firstPauseMs = 15_000;
const longestPauseMs = 300_000;
const longestStatedPauseMs = 900_000;

/** May a job pass at `nowMs`? An open door whose time has come lets one through. */
export function lookAt(breaker: Breaker, nowMs: number): Breaker {
  if (breaker.is === 'open' && nowMs >= breaker.retryAtMs)
    return { is: 'halfOpen', why: breaker.why, opened: breaker.opened };
  return breaker;
}

export function afterSuccess(): Breaker {
  return closedBreaker;
}

export function afterFault(breaker: Breaker, fault: Fault, nowMs: number): Breaker {
  const rule = treatments[fault.kind].health;
  const openedBefore = breaker.is === 'closed' ? 0 : breaker.opened;
  const open = (pauseMs: number): Breaker => ({
    is: 'open',
    why: fault.message,
    retryAtMs: nowMs + pauseMs,
    opened: openedBefore + 1,
  });
  const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** openedBefore);
  switch (rule) {
    case 'none':
      return breaker.is === 'halfOpen' ? closedBreaker : breaker;
    case 'close':
      return open(pauseMs);
    case 'untilChanged':
      return open(Number.POSITIVE_INFINITY);
    case 'untilRetryAfter':
      return open(Math.min(longestStatedPauseMs, fault.facts.retryAfterMs ?? pauseMs));
    case 'count': {
      if (breaker.is === 'halfOpen') return open(pauseMs);
      const failures = (breaker.is === 'closed' ? breaker.failures : 0) + 1;
      return failures >= failuresToOpen ? open(pauseMs) : { is: 'closed', failures };
    }
  }
}
