import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { toFault } from '../kernel/fault.ts';
import { known, unknown } from '../kernel/observed.ts';
import type { Observed } from '../kernel/observed.ts';
import type { Clock } from '../kernel/ports.ts';
import type { CostBasis, LedgerEntry, LedgerStore, PodMeter } from '../store/ledgerStore.ts';
import { isBilled, openEntry, stepMeter } from './podMeter.ts';
import type { MeterStep, PodSight } from './podMeter.ts';

/** Micro-dollars. */
export interface Spend {
  readonly micros: number;
  /** The part of `micros` that is estimated: nobody saw when a pod stopped, or a provider told no figure. */
  readonly estimatedMicros: number;
}

export interface Spending {
  /** Since this window opened, in all windows: pods have no window. */
  readonly session: Spend;
  /** Since midnight, local time. */
  readonly day: Spend;
  /** Since the first of the month, local time. */
  readonly month: Spend;
  /** By pod id: all that this pod has cost so far, as far as it was observed; of pods that the account still has. */
  readonly pods: ReadonlyMap<string, Spend>;
}

/** What a report of costs is made of. Times are ms since the epoch. */
export interface Statement {
  /** All that touches this month and the session, newest first; shares of pod time and free jobs too. */
  readonly entries: readonly LedgerEntry[];
  /** Pod time that is owed up to the last look and not an entry yet: of pods that bill now. */
  readonly open: readonly LedgerEntry[];
  readonly sessionFromMs: number;
  readonly dayFromMs: number;
  readonly monthFromMs: number;
  readonly nowMs: number;
}

export interface JobCost {
  readonly jobId: string;
  readonly backend: string;
  readonly micros: number;
  readonly basis: CostBasis;
  /** ms since the epoch */
  readonly at: number;
  /**
   * True for a job on a pod that is observed here: its cost is a share of the pod's time, which the pod's own entries
   * hold in full, boot and idle included. It is kept for the job's record and for measured rates, and no sum counts it.
   */
  readonly inPodTime: boolean;
}

/** Written after a newer one, an older listing would look like a clock that was set back. */
const oldestListingMs = 5 * 60_000;

/**
 * The record of money: append-only, in SQLite, one for all windows. A sum is the pods' time plus the jobs that were
 * paid for by themselves (Gemini); a job on a pod is a share of that time and is not added again. Pod time is exact to
 * the last observation, and spread evenly over it, so that a day has its part of a run that began the day before.
 */
export class Ledger implements Disposable {
  readonly #store: LedgerStore;
  readonly #clock: Clock;
  readonly #sessionFromMs: number;
  readonly #changed = new Emitter<void>();
  #spending: Observed<Spending>;
  #running: Observed<number>;
  #mayOwe = false;

  constructor(store: LedgerStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#sessionFromMs = clock.now();
    this.#spending = unknown(this.#sessionFromMs);
    this.#running = unknown(this.#sessionFromMs);
  }

  /** Sums or running cost are other than before. */
  readonly onDidChange: Event<void> = (listener) => this.#changed.event(listener);

  /** Unknown until the first refresh, and again when the records cannot be read. */
  get spending(): Observed<Spending> {
    return this.#spending;
  }

  /** Micro-dollars per hour of all pods that bill, as last observed; unknown until pods were. */
  get runningUsdPerHourMicros(): Observed<number> {
    return this.#running;
  }

  /** By the records that were read last, a pod was running when it was last seen. */
  get mayOwe(): boolean {
    return this.#mayOwe;
  }

  /** Reads the sums again: at the first need, and when another window may have written. */
  async refresh(): Promise<void> {
    const nowMs = this.#clock.now();
    try {
      const monthFromMs = startOfMonth(nowMs);
      const { counted, ofPods, meters } = await this.#store.view(Math.min(monthFromMs, this.#sessionFromMs));
      const open = openEntries(meters);
      this.#mayOwe = open.length > 0;
      const spends = [...counted, ...open];
      this.#spending = known(
        {
          session: sumSince(spends, this.#sessionFromMs),
          day: sumSince(spends, startOfDay(nowMs)),
          month: sumSince(spends, monthFromMs),
          pods: spendByPod([...ofPods, ...open]),
        },
        nowMs,
      );
    } catch (error) {
      const fault = toFault(error);
      this.#spending = unknown(nowMs, fault);
      throw fault;
    } finally {
      this.#changed.fire();
    }
  }

  /** Once for a job on a backend: a repeat is ignored. Faults: 'io'; 'bug' for a cost that is no whole number. */
  async recordJob(cost: JobCost): Promise<void> {
    const { jobId, backend, micros, basis, at, inPodTime } = cost;
    if (!Number.isSafeInteger(micros)) throw toFault(new Error(`A job cost of ${String(micros)} micro-dollars`));
    const base = { kind: 'job', subject: jobId, label: backend, note: undefined } as const;
    await this.#store.appendJob({ ...base, fromMs: at, toMs: at, micros, basis, inPodTime });
    await this.refresh();
  }

  /**
   * Accrues the time of every pod that bills, up to `nowMs`: the moment of the listing, which must be complete, since a
   * pod that it lacks is taken for terminated. Each second is billed once however many windows observe. A failed
   * listing is not passed on: not knowing changes nothing. A listing from before the machine slept is ignored.
   */
  async observePods(pods: readonly PodSight[], nowMs: number): Promise<void> {
    if (this.#clock.now() - nowMs > oldestListingMs) return;
    await this.#store.meter((meters) => {
      const steps = stepAll(meters, pods, nowMs);
      return { meters: steps.map((step) => step.meter), entries: steps.flatMap((step) => step.entries) };
    });
    this.#running = known(
      pods.filter(isBilled).reduce((sum, pod) => sum + pod.usdPerHourMicros, 0),
      nowMs,
    );
    await this.refresh();
  }

  /** What the last jobs there cost, in micro-dollars, measured ones only: the input of an estimate. */
  async measuredMicros(backend: string, limit: number): Promise<readonly number[]> {
    const jobs = await this.#store.recentJobs(backend, limit);
    return jobs.filter((job) => job.basis === 'measured').map((job) => job.micros);
  }

  /** Faults: 'io' when the records cannot be read. */
  async statement(): Promise<Statement> {
    const nowMs = this.#clock.now();
    const sessionFromMs = this.#sessionFromMs;
    const monthFromMs = startOfMonth(nowMs);
    const { entries, meters } = await this.#store.entries(Math.min(monthFromMs, sessionFromMs));
    return { entries, open: openEntries(meters), sessionFromMs, dayFromMs: startOfDay(nowMs), monthFromMs, nowMs };
  }

  /** When a job's cost on this backend was recorded last, in any window; ms since the epoch. */
  async lastJobAt(backend: string): Promise<number | undefined> {
    return (await this.#store.recentJobs(backend, 1))[0]?.toMs;
  }

  dispose(): void {
    this.#changed.dispose();
  }
}

function stepAll(meters: readonly PodMeter[], pods: readonly PodSight[], nowMs: number): readonly MeterStep[] {
  const seen = new Map(pods.map((pod) => [pod.id, pod]));
  const before = new Map(meters.map((meter) => [meter.podId, meter]));
  return [...new Set([...seen.keys(), ...before.keys()])]
    .map((id) => stepMeter(before.get(id), seen.get(id), nowMs))
    .filter((step) => step !== undefined);
}

function openEntries(meters: readonly PodMeter[]): readonly LedgerEntry[] {
  return meters.map(openEntry).filter((entry) => entry !== undefined);
}

/** Sums what falls after `fromMs`; an entry that began before counts with its later part. */
export function sumSince(entries: readonly LedgerEntry[], fromMs: number): Spend {
  let micros = 0;
  let estimatedMicros = 0;
  for (const entry of entries) {
    if (entry.inPodTime || entry.toMs < fromMs) continue;
    const ms = entry.toMs - entry.fromMs;
    const part = entry.fromMs >= fromMs || ms === 0 ? 1 : (entry.toMs - fromMs) / ms;
    micros += entry.micros * part;
    if (entry.basis === 'estimated') estimatedMicros += entry.micros * part;
  }
  return { micros: Math.round(micros), estimatedMicros: Math.round(estimatedMicros) };
}

function spendByPod(entries: readonly LedgerEntry[]): ReadonlyMap<string, Spend> {
  const byPod = Map.groupBy(entries, (entry) => entry.subject);
  return new Map([...byPod].map(([podId, own]) => [podId, sumSince(own, 0)]));
}

/** Local midnight, also on the days when the clocks change. */
export function startOfDay(nowMs: number): number {
  return new Date(nowMs).setHours(0, 0, 0, 0);
}

export function startOfMonth(nowMs: number): number {
  const now = new Date(nowMs);
  return new Date(now.getFullYear(), now.getMonth(), 1).getTime();
}
