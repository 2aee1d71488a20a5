export interface Disposable {
  dispose(): void;
}

export type Event<T> = (listener: (value: T) => void) => Disposable;

/** Delivers in order; a throwing listener is reported and does not silence the rest. */
export class Emitter<T> implements Disposable {
  readonly #listeners = new Set<(value: T) => void>();
  readonly #report: (error: unknown) => void;
  #disposed = false;

  constructor(report: (error: unknown) => void = reportUncaught) {
    this.#report = report;
  }

  readonly event: Event<T> = (listener) => {
    const own = (value: T): void => listener(value);
    if (!this.#disposed) this.#listeners.add(own);
    return { dispose: () => void this.#listeners.delete(own) };
  };

  fire(value: T): void {
    for (const listener of [...this.#listeners]) {
      if (this.#disposed) return;
      try {
        listener(value);
      } catch (error) {
        this.#report(error);
      }
    }
  }

  dispose(): void {
    this.#disposed = true;
    this.#listeners.clear();
  }
}

function reportUncaught(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
