import type { Fault } from './fault.ts';

/** 'Unknown' is not 'empty': a value we have seen, or the reason why we have none. Times are ms since the epoch. */
export type Observed<T> =
  | { readonly known: true; readonly value: T; readonly at: number }
  | { readonly known: false; readonly since: number; readonly why: Fault | undefined };

export function known<T>(value: T, at: number): Observed<T> {
  return { known: true, value, at };
}

export function unknown(since: number, why?: Fault): Observed<never> {
  return { known: false, since, why };
}
