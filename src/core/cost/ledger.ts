import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { toFault } from '../kernel/fault.ts';
import { known, unknown } from '../kernel/observed.ts';
import type { Observed } from '../kernel/observed.ts';
import type { Clock } from '../kernel/ports.ts';
import type {
  CostBasis,
  LedgerEntry,
  LedgerStore,
  LedgerView,
  Metering,
  Meters,
  PodPrices,
} from '../store/ledgerStore.ts';
import { openDiskEntry, stepDisk } from './diskMeter.ts';
import { startOfDay, startOfMonth } from './periods.ts';
import type { Period, Periods } from './periods.ts';
import { isBilled, openEntry, stepMeter } from './podMeter.ts';
import type { PodSight } from './podMeter.ts';

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
export interface Statement extends Periods {
  /** All that touches this month, the session and the last days, newest first; shares of pod time and free jobs too. */
  readonly entries: readonly LedgerEntry[];
  /** What is owed and not an entry yet: time of pods that bill, up to the last look, and disks of pods that there are. */
  readonly open: readonly LedgerEntry[];
  /** Of pods that we created. */
  readonly prices?: PodPrices;
}

export interface JobCost {
  readonly jobId: string;
  /** Of the job's, when it was run again; absent = the first. */
  readonly run?: number | undefined;
  readonly backend: string;
  readonly micros: number;
  readonly basis: CostBasis;
  /** ms since the epoch */
  readonly at: number;
  /**
   * True for a job on a pod that is observed here: its cost is a share of the pod's time, which the pod's own entries
   * hold in full, boot and idle included. It is kept for the job's record, and no sum counts it.
   */
  readonly inPodTime: boolean;
  readonly note?: string;
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
  #sessionFromMs: number;
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

  /** The session begins with the window; sooner when the clock was set back since, so that nothing falls out of it. */
  periods(): Periods {
    const nowMs = this.#clock.now();
    this.#sessionFromMs = Math.min(this.#sessionFromMs, nowMs);
    const [sessionFromMs, dayFromMs, monthFromMs] = [this.#sessionFromMs, startOfDay(nowMs), startOfMonth(nowMs)];
    return { sessionFromMs, dayFromMs, monthFromMs, nowMs };
  }

  /** Reads the sums again: at the first need, and when another window may have written. */
  async refresh(): Promise<void> {
    const periods = this.periods();
    const { sessionFromMs, dayFromMs, monthFromMs, nowMs } = periods;
    try {
      const { groups, ofPods, meters } = await this.#store.view(periods);
      const open = openEntries(meters, nowMs);
      this.#mayOwe = open.some(({ part }) => part !== 'disk');
      const since = (period: Period, fromMs: number): Spend => added(groupSum(groups, period), sumSince(open, fromMs));
      this.#spending = known(
        {
          session: since('session', sessionFromMs),
          day: since('day', dayFromMs),
          month: since('month', monthFromMs),
          pods: spendByPod(ofPods, open),
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

  /**
   * Once for a run of a job on a backend: a repeat is ignored. Settles its reservation there. Faults: 'io'; 'bug' for a cost that
   * is no whole number.
   */
  async recordJob(cost: JobCost): Promise<void> {
    const { jobId, run, backend, micros, basis, at, inPodTime, note } = cost;
    if (!Number.isSafeInteger(micros)) throw toFault(new Error(`A job cost of ${String(micros)} micro-dollars`));
    const base = { kind: 'job', subject: jobId, label: backend, note, run } as const;
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
    await this.#store.meter((meters) => stepAll(meters, pods, nowMs));
    this.#running = known(
      pods.filter(isBilled).reduce((sum, pod) => sum + pod.usdPerHourMicros, 0),
      nowMs,
    );
    await this.refresh();
  }

  /** Of so many days at least, today included. Faults: 'io' when the records cannot be read. */
  async statement(days = 1): Promise<Statement> {
    const periods = this.periods();
    const { sessionFromMs, monthFromMs, nowMs } = periods;
    const { entries, meters, prices } = await this.#store.entries(
      Math.min(monthFromMs, sessionFromMs, startOfDay(nowMs, 1 - days)),
    );
    return { ...periods, entries, open: openEntries(meters, nowMs), prices };
  }

  /** When a job's cost on this backend was recorded last, in any window; ms since the epoch. */
  async lastJobAt(backend: string): Promise<number | undefined> {
    return (await this.#store.recentJobs(backend, 1))[0]?.toMs;
  }

  dispose(): void {
    this.#changed.dispose();
  }
}

function stepAll(meters: Meters, pods: readonly PodSight[], nowMs: number): Metering {
  const seen = new Map(pods.map((pod) => [pod.id, pod]));
  const time = new Map(meters.pods.map((meter) => [meter.podId, meter]));
  const disks = new Map(meters.disks.map((meter) => [meter.podId, meter]));
  const ids = [...new Set([...seen.keys(), ...time.keys(), ...disks.keys()])];
  const timeSteps = ids.map((id) => stepMeter(time.get(id), seen.get(id), nowMs)).filter((step) => step !== undefined);
  const diskSteps = ids.map((id) => stepDisk(disks.get(id), seen.get(id), nowMs)).filter((step) => step !== undefined);
  return {
    meters: { pods: timeSteps.map(({ meter }) => meter), disks: diskSteps.map(({ meter }) => meter) },
    entries: [...timeSteps, ...diskSteps].flatMap(({ entries }) => entries),
  };
}

function openEntries({ pods, disks }: Meters, nowMs: number): readonly LedgerEntry[] {
  const open = [...pods.map(openEntry), ...disks.map((meter) => openDiskEntry(meter, nowMs))];
  return open.filter((entry) => entry !== undefined);
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

function groupSum(groups: LedgerView['groups'], period: Period): Spend {
  const total = (some: LedgerView['groups']): number => Math.round(some.reduce((sum, one) => sum + one[period], 0));
  return { micros: total(groups), estimatedMicros: total(groups.filter(({ basis }) => basis === 'estimated')) };
}

function added(one: Spend, other: Spend): Spend {
  return { micros: one.micros + other.micros, estimatedMicros: one.estimatedMicros + other.estimatedMicros };
}

function spendByPod(closed: LedgerView['ofPods'], open: readonly LedgerEntry[]): ReadonlyMap<string, Spend> {
  const sums = new Map(closed);
  for (const entry of open) {
    sums.set(entry.subject, added(sums.get(entry.subject) ?? { micros: 0, estimatedMicros: 0 }, sumSince([entry], 0)));
  }
  return sums;
}
