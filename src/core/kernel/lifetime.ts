import { Fault } from './fault.ts';
import type { Disposable } from './event.ts';

/** Owner of listeners, timers and sockets. Ending it cancels first (the signal), then frees, last in first out. */
export class Lifetime implements Disposable {
  readonly #stop = new AbortController();
  readonly #owned: Disposable[] = [];

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  own<T extends Disposable>(thing: T): T {
    if (this.signal.aborted) thing.dispose();
    else this.#owned.push(thing);
    return thing;
  }

  /** A lifetime that ends with this one, and can be ended earlier. */
  child(): Lifetime {
    return this.own(new Lifetime());
  }

  dispose(): void {
    if (this.signal.aborted) return;
    this.#stop.abort(new Fault('cancelled', 'The owner was closed', { by: 'shutdown' }));
    const errors: unknown[] = [];
    for (const thing of this.#owned.splice(0).reverse()) {
      try {
        thing.dispose();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, 'Disposal failed');
  }
}
