import { toFault } from '../kernel/fault.ts';
import type { Disposable } from '../kernel/event.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { JobStore } from '../store/jobStore.ts';

/**
 * Says again and again that this window runs its jobs, so that no other takes them for abandoned. No timer is set while
 * none runs.
 */
export class JobLease {
  readonly #store: Pick<JobStore, 'renew'>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #everyMs: number;
  #holders = 0;
  #stop = new AbortController();

  constructor(store: Pick<JobStore, 'renew'>, clock: Clock, log: Log, leaseMs: number) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#everyMs = leaseMs / 3;
  }

  /** Until it is disposed; once. */
  hold(): Disposable {
    this.#holders += 1;
    if (this.#holders === 1) {
      this.#stop = new AbortController();
      void this.#renew(this.#stop.signal);
    }
    return {
      dispose: () => {
        this.#holders -= 1;
        if (this.#holders === 0) this.#stop.abort();
      },
    };
  }

  async #renew(signal: AbortSignal): Promise<void> {
    let failed = false;
    while (!signal.aborted) {
      try {
        await this.#clock.sleep(this.#everyMs, signal);
        await this.#store.renew(this.#clock.now());
        failed = false;
      } catch (error) {
        if (signal.aborted) return;
        const fault = toFault(error);
        if (fault.kind === 'cancelled') return;
        if (!failed) this.#log.warn(`The records do not take the sign that jobs are running: ${fault.message}`);
        failed = true;
      }
    }
  }
}
