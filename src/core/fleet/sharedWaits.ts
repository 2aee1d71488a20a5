import { Fault, throwIfAborted } from '../kernel/fault.ts';
import { untilAborted } from '../kernel/untilAborted.ts';

type Work<P, T> = (onProgress: (progress: P) => void, signal: AbortSignal) => Promise<T>;

interface SharedWait<P, T> {
  readonly result: Promise<T>;
  readonly listeners: Set<(progress: P) => void>;
  readonly stop: AbortController;
  last: P | undefined;
  waiters: number;
}

/**
 * One piece of work per key however many ask for it: all get its progress and its result. It is cancelled when the last
 * of them has left; who comes then waits for its clean-up and begins anew.
 */
export class SharedWaits<P, T> {
  readonly #waits = new Map<string, SharedWait<P, T>>();
  readonly #closing = new Map<string, Promise<unknown>>();
  readonly #life: AbortSignal;

  constructor(life: AbortSignal) {
    this.#life = life;
  }

  async join(key: string, work: Work<P, T>, onProgress: (progress: P) => void, signal: AbortSignal): Promise<T> {
    throwIfAborted(signal);
    const wait = this.#waits.get(key) ?? this.#begin(key, work);
    const listener = (progress: P): void => onProgress(progress);
    wait.waiters += 1;
    wait.listeners.add(listener);
    if (wait.last !== undefined) onProgress(wait.last);
    try {
      return await untilAborted(wait.result, signal);
    } finally {
      wait.listeners.delete(listener);
      wait.waiters -= 1;
      if (wait.waiters === 0) this.#end(key, wait);
    }
  }

  #begin(key: string, work: Work<P, T>): SharedWait<P, T> {
    const stop = new AbortController();
    const listeners = new Set<(progress: P) => void>();
    const tell = (progress: P): void => {
      wait.last = progress;
      for (const listener of [...listeners]) listener(progress);
    };
    const before = this.#closing.get(key) ?? Promise.resolve();
    const result = before.then(() => work(tell, AbortSignal.any([this.#life, stop.signal])));
    const wait: SharedWait<P, T> = { result, listeners, stop, last: undefined, waiters: 0 };
    this.#waits.set(key, wait);
    return wait;
  }

  #end(key: string, wait: SharedWait<P, T>): void {
    if (this.#waits.get(key) === wait) this.#waits.delete(key);
    wait.stop.abort(new Fault('cancelled', 'Cancelled'));
    const closed = wait.result.then(
      () => undefined,
      () => undefined,
    );
    this.#closing.set(key, closed);
    void closed.then(() => {
      if (this.#closing.get(key) === closed) this.#closing.delete(key);
    });
  }
}
