import { abortFault, throwIfAborted } from './fault.ts';
import type { Clock } from './ports.ts';

/** A timer that is set for longer goes off at once. */
const longestTimerMs = 2 ** 31 - 1;

/** The machine's own clock: the only place in the core that reads the time or sets a timer. */
export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, signal) {
    let leftMs = ms;
    for (; leftMs > longestTimerMs; leftMs -= longestTimerMs) await timer(longestTimerMs, signal);
    await timer(leftMs, signal);
  },
};

function timer(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = (): void => {
      clearTimeout(timeout);
      reject(abortFault(signal));
    };
    const timeout = setTimeout(() => {
      signal.removeEventListener('abort', cancel);
      resolve();
    }, ms);
    if (signal.aborted) cancel();
    else signal.addEventListener('abort', cancel, { once: true });
  });
}

/** A signal that aborts with `reason` after `ms`, or with `signal`. Call `done` when the work has ended. */
export function withDeadline(
  signal: AbortSignal,
  ms: number,
  reason: () => Error,
): { readonly signal: AbortSignal; done(): void } {
  throwIfAborted(signal);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(reason()), ms);
  return { signal: AbortSignal.any([signal, stop.signal]), done: () => clearTimeout(timer) };
}
