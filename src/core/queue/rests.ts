import type { Clock } from '../kernel/ports.ts';

interface Rest {
  readonly why: string;
  /** ms since the epoch */
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Backends that take no job of the queue for a while, by id; '*' = none does. */
export class Rests {
  readonly #clock: Clock;
  readonly #rests = new Map<string, Rest>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(backend: string, why: string, ms: number): void {
    const fromMs = this.#clock.now();
    this.#rests.set(backend, { why, fromMs, untilMs: fromMs + ms });
  }

  /** It works. */
  end(backend: string): void {
    this.#rests.delete(backend);
    this.#rests.delete('*');
  }

  /** By id, why. */
  now(): ReadonlyMap<string, string> {
    const now = this.#clock.now();
    for (const [backend, { fromMs, untilMs }] of this.#rests) {
      // A clock that was set back must not make it longer.
      if (now >= untilMs || now < fromMs) this.#rests.delete(backend);
    }
    return new Map([...this.#rests].map(([backend, { why }]) => [backend, why]));
  }

  /** When the next of them is over, ms since the epoch. */
  get nextAt(): number | undefined {
    const ends = [...this.#rests.values()].map(({ untilMs }) => untilMs);
    return ends.length === 0 ? undefined : Math.min(...ends);
  }
}
