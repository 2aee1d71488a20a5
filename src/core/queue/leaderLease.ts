import type { Clock } from '../kernel/ports.ts';
import type { Lead, ScheduleStore } from '../store/scheduleStore.ts';

/**
 * The lead among the windows, for as long as it is asked for. Whoever has it says so again in time; who was silent for too
 * long, asleep or crashed, has lost it once another window took it, and finds that out before it gives anything away:
 * jobs are claimed in a transaction that looks who leads.
 */
export class LeaderLease {
  readonly #store: Pick<ScheduleStore, 'lead' | 'pulse' | 'standDown'>;
  readonly #clock: Clock;
  readonly #renewMs: number;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #leads = false;

  /** @param leadMs how long the lead lasts without a word; a third of it lies between two words */
  constructor(store: Pick<ScheduleStore, 'lead' | 'pulse' | 'standDown'>, clock: Clock, leadMs: number) {
    this.#store = store;
    this.#clock = clock;
    this.#renewMs = leadMs / 3;
  }

  /** As last asked. */
  get leads(): boolean {
    return this.#leads;
  }

  /** Takes the lead when it is free, keeps it when it is ours. Writes only when that is due. Faults: 'io'. */
  async keep(): Promise<Lead> {
    const now = this.#clock.now();
    // A clock that was set back makes it due as well.
    const isDue = !this.#leads || Math.abs(now - this.#renewedAt) >= this.#renewMs;
    const lead = isDue ? await this.#store.lead(now) : await this.#store.pulse();
    if (isDue) this.#renewedAt = now;
    this.#leads = lead.is === 'ours';
    return lead;
  }

  /** Another window may lead at once. */
  async letGo(): Promise<void> {
    if (!this.#leads) return;
    this.#leads = false;
    await this.#store.standDown();
  }
}
