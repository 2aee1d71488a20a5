import { setImmediate as settle } from 'node:timers/promises';
import { abortFault } from '../../src/core/kernel/fault.ts';
import type { Clock } from '../../src/core/kernel/ports.ts';

interface Due {
  readonly atMs: number;
  readonly order: number;
  run(): void;
}

/** Time that passes only from one event to the next: a day takes as long as its events do. */
export class VirtualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  /** A binary heap, soonest first. */
  readonly #heap: Due[] = [];

  now(): number {
    return this.#nowMs;
  }

  at(atMs: number, run: () => void): void {
    this.#push({ atMs: Math.max(this.#nowMs, atMs), order: this.#order++, run });
  }

  /** The machine slept, or somebody has set its clock: what was due meanwhile is late, or has longer to go. */
  jump(ms: number): void {
    this.#nowMs += ms;
    if (ms > 0) return;
    // Timers count what passes, and not what the clock says.
    for (const [index, due] of this.#heap.entries()) this.#heap[index] = { ...due, atMs: due.atMs + ms };
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = (): void => reject(abortFault(signal));
      if (signal.aborted) return cancel();
      signal.addEventListener('abort', cancel, { once: true });
      this.at(this.#nowMs + ms, () => {
        signal.removeEventListener('abort', cancel);
        resolve();
      });
    });
  }

  /** Runs events up to `untilMs`, and ends sooner when `isOver` says so or nothing is due any more. */
  async run(untilMs: number, isOver: () => boolean = () => false): Promise<void> {
    await settle();
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs || isOver()) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      while ((this.#heap[0]?.atMs ?? Infinity) <= this.#nowMs) this.#pop()?.run();
      // What awaited these events goes on before time does.
      await settle();
    }
    if (!isOver()) this.#nowMs = Math.max(this.#nowMs, Number.isFinite(untilMs) ? untilMs : this.#nowMs);
  }

  #push(due: Due): void {
    const heap = this.#heap;
    heap.push(due);
    for (let at = heap.length - 1; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!sooner(heap[at]!, heap[parent]!)) break;
      [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
      at = parent;
    }
  }

  #pop(): Due | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    heap[0] = last;
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      let least = at;
      for (const child of [left, left + 1])
        if (child < heap.length && sooner(heap[child]!, heap[least]!)) least = child;
      if (least === at) return first;
      [heap[at], heap[least]] = [heap[least]!, heap[at]!];
      at = least;
    }
  }
}

function sooner(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
