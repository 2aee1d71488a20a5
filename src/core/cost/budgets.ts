import type { Backend, JobRun } from '../backends/backend.ts';
import type { Tier } from '../backends/backend.ts';
import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { toFault } from '../kernel/fault.ts';
import type { Fault } from '../kernel/fault.ts';
import { known, unknown } from '../kernel/observed.ts';
import type { Observed } from '../kernel/observed.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { Settings } from '../settings.ts';
import type { Reservation, ReservationStore } from '../store/reservationStore.ts';
import { concerns, forbidding, leftMicros, limitsOf, markOf, noticeMarks, overBudget } from './budget.ts';
import { periodOf, spentShare, usesOf } from './budget.ts';
import type { BudgetName, BudgetSettings, BudgetUse, NoticeMark } from './budget.ts';
import type { Ledger } from './ledger.ts';
import type { Periods } from './periods.ts';
import { podTimeMicros } from './price.ts';

export interface BudgetsOptions {
  readonly store: ReservationStore;
  readonly ledger: Pick<Ledger, 'periods' | 'onDidChange' | 'recordJob'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
  readonly settings: () => BudgetSettings & Pick<Settings, 'cloud.idleMinutes' | 'cloud.maxUsdPerHour'>;
}

export interface BudgetNotice {
  readonly use: BudgetUse;
  /** Per cent of the limit. */
  readonly mark: NoticeMark;
}

/** A pod that is about to cost money. */
export interface PodStart {
  /** Undefined = it is to be created. */
  readonly podId?: string;
  /** For a person, as a subject: 'The pod podrelay-x'. */
  readonly what: string;
  /** Undefined = RunPod says no price of a stopped pod: the last one is taken. */
  readonly usdPerHourMicros?: number;
}

/** Money reserved for a pod's boot and its shortest stay. It melts as that time passes. */
export interface Commitment {
  /** RunPod has made or started the pod, at this price; 0 = it does not say. */
  keep(podId: string, usdPerHourMicros: number): Promise<void>;
  /** Nothing was started after all. */
  release(): Promise<void>;
}

/** Asked before GPU time begins, told when it has ended. */
export interface PodCommitments {
  /** @throws Fault 'overBudget'; 'io' when the records cannot be used */
  commit(start: PodStart): Promise<Commitment>;
  ended(podId: string): Promise<void>;
}

/** What a job needs of budgets. */
export interface JobBudgets {
  /**
   * Holds the most that it may cost by the backend's quote, until the ledger has the job's cost. Free backends are never refused.
   * @throws Fault 'overBudget'; 'io' when the records cannot be used
   */
  reserve(job: Parameters<Backend['quote']>[0], backend: Backend): Promise<void>;
  /** Nothing was sent, or nothing of it will be charged that the ledger does not have. Never throws. */
  release(job: JobRun, backend: string): Promise<void>;
  /** Sent, and nobody will ever know its cost: what was held counts as spent, marked as an estimate. Never throws. */
  settleUnknown(job: JobRun, backend: string): Promise<void>;
}

/** From RunPod's yes to ComfyUI's first answer, at worst: a first start downloads the image. */
const bootMinutes = 5;

/**
 * Limits on spending. Money is reserved before anything is sent and settled after it, in the records that all windows
 * share, so that jobs that start at once cannot go beyond a limit together. A job on a pod holds its share of the pod's
 * time, a pod that is started holds its boot and its idle time. When a budget is spent nothing new starts; work in flight
 * is ended, and idle pods of ours are stopped (podWatch.ts).
 */
export class Budgets implements Disposable, JobBudgets, PodCommitments {
  readonly #options: BudgetsOptions;
  readonly #changed = new Emitter<void>();
  readonly #noticed = new Emitter<BudgetNotice>();
  readonly #listening: Disposable;
  readonly #told = new Set<string>();
  #uses: Observed<readonly BudgetUse[]>;
  #refreshing: Promise<void> | undefined;
  #isStale = false;

  constructor(options: BudgetsOptions) {
    this.#options = options;
    this.#uses = unknown(options.clock.now());
    this.#listening = options.ledger.onDidChange(() => void this.refresh());
  }

  /** Uses are other than before. */
  readonly onDidChange: Event<void> = (listener) => this.#changed.event(listener);

  /** A budget has passed 50, 80 or 100 %: once each for a budget and its time, in one window. */
  readonly onDidNotice: Event<BudgetNotice> = (listener) => this.#noticed.event(listener);

  /** Of the budgets that are set. Unknown until the first refresh, and when the records cannot be read. */
  get uses(): Observed<readonly BudgetUse[]> {
    return limitsOf(this.#options.settings()).size === 0 ? known([], this.#options.clock.now()) : this.#uses;
  }

  /** As last read: a budget that this tier is under has nothing left. */
  isSpent(tier: Tier): boolean {
    const { uses } = this;
    return uses.known && uses.value.some((use) => concerns(use, tier) && spentShare(use) >= 1);
  }

  /**
   * For the plan of pods. `remainingMicros` is undefined without a budget, and not above 0 only when one is spent: what is
   * merely reserved is no reason to stop a pod. `holdSeconds` is what {@link commit} reserves. While the sums are unknown nothing fits, and nothing is stopped.
   */
  podBudget(): {
    readonly remainingMicros: number | undefined;
    readonly usedShare: number;
    readonly holdSeconds: number;
  } {
    const { uses } = this;
    const holdSeconds = this.#holdMs() / 1_000;
    if (!uses.known) return { remainingMicros: 1, usedShare: 0, holdSeconds };
    const own = uses.value.filter((use) => concerns(use, 'cloud'));
    if (own.length === 0) return { remainingMicros: undefined, usedShare: 0, holdSeconds };
    const left = Math.min(...own.map(leftMicros));
    const usedShare = Math.max(
      ...own.map((use) => (use.limitMicros === 0 ? 1 : 1 - leftMicros(use) / use.limitMicros)),
    );
    return { remainingMicros: this.isSpent('cloud') ? 0 : Math.max(1, left), usedShare, holdSeconds };
  }

  /** Why so much pod time may not be begun now; undefined = it may. Holds nothing. Fault 'io' when it cannot be known. */
  async mayCommit(usdPerHourMicros: number, minutes: number): Promise<Fault | undefined> {
    const micros = podTimeMicros(usdPerHourMicros, minutes * 60_000);
    const sums = await this.#options.store.sums(this.#options.ledger.periods());
    const use = forbidding(usesOf(limitsOf(this.#options.settings()), sums), 'cloud', micros);
    return use && overBudget(use, 'Pod time', micros);
  }

  async reserve(job: Parameters<Backend['quote']>[0], backend: Backend): Promise<void> {
    if (backend.billing === 'free') return;
    const { micros: likely, mostMicros: micros = likely } = backend.quote(job);
    const { nowMs: at } = this.#options.ledger.periods();
    const times = { fromMs: at, toMs: at };
    const ids = { subject: job.id, run: job.run ?? 0, backend: backend.id, kind: 'job', tier: backend.tier } as const;
    // What has no price is not free: it needs a budget that has something left.
    const hold = Number.isFinite(micros) ? Math.max(0, Math.ceil(micros)) : 0;
    await this.#hold({ ...ids, ...times, micros: hold }, 'It', likely);
  }

  async release({ id, run = 0 }: JobRun, backend: string): Promise<void> {
    await this.#quietly('A reservation could not be released', async () => {
      await this.#options.store.release(id, run, backend);
    });
  }

  async settleUnknown({ id: jobId, run = 0 }: JobRun, backend: string): Promise<void> {
    const { store, ledger, clock } = this.#options;
    await this.#quietly('What a job may have cost could not be recorded', async () => {
      const held = await store.find(jobId, run, backend);
      if (held === undefined) return;
      const note = 'What was charged is not known: counted as the most that it may be';
      const cost = { jobId, run, backend, micros: held.micros, at: clock.now(), note };
      await ledger.recordJob({ ...cost, basis: 'estimated', inPodTime: false });
    });
  }

  async commit({ podId, what, usdPerHourMicros }: PodStart): Promise<Commitment> {
    const { store, settings, newId, ledger } = this.#options;
    const last = podId === undefined ? undefined : await store.lastUsdPerHourMicros(podId);
    const rate = usdPerHourMicros || last || settings()['cloud.maxUsdPerHour'] * 1_000_000;
    const ms = this.#holdMs();
    const subject = podId ?? `new pod ${newId()}`;
    const { nowMs: fromMs } = ledger.periods();
    const span = { fromMs, toMs: fromMs + ms, micros: podTimeMicros(rate, ms) };
    await this.#hold({ subject, run: 0, backend: 'pods', kind: 'pod', tier: 'cloud', ...span }, what);
    return {
      keep: (id, actual) =>
        this.#quietly('A reservation has no pod', async () => {
          await store.rename(subject, id, actual > 0 ? podTimeMicros(actual, ms) : undefined);
        }),
      release: () => this.ended(subject),
    };
  }

  async ended(podId: string): Promise<void> {
    await this.release({ id: podId }, 'pods');
    if (limitsOf(this.#options.settings()).size > 0) await this.refresh();
  }

  /** Reads the uses again. Never throws: what cannot be read is unknown. */
  async refresh(): Promise<void> {
    this.#isStale = true;
    this.#refreshing ??= this.#readAgain().finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  dispose(): void {
    this.#listening.dispose();
    this.#changed.dispose();
    this.#noticed.dispose();
  }

  /** Reserved for a pod that is started. */
  #holdMs(): number {
    return (bootMinutes + this.#options.settings()['cloud.idleMinutes']) * 60_000;
  }

  async #hold(hold: Reservation, what: string, likelyMicros = hold.micros): Promise<void> {
    const { store, ledger, settings } = this.#options;
    const limits = limitsOf(settings());
    const periods = ledger.periods();
    const { uses, refused } = await store.reserve(periods, (sums) => {
      const before = usesOf(limits, sums);
      const refusal = forbidding(before, hold.tier, hold.micros);
      const held = { ...sums.held, [hold.tier]: sums.held[hold.tier] + hold.micros };
      return {
        hold: refusal === undefined ? hold : undefined,
        value: { uses: refusal === undefined ? usesOf(limits, { ...sums, held }) : before, refused: refusal },
      };
    });
    await this.#show(uses, periods);
    if (refused !== undefined) throw overBudget(refused, what, likelyMicros, hold.micros);
  }

  async #readAgain(): Promise<void> {
    const { store, ledger, settings, log, clock } = this.#options;
    while (this.#isStale) {
      this.#isStale = false;
      const limits = limitsOf(settings());
      try {
        const periods = ledger.periods();
        const uses = limits.size === 0 ? [] : usesOf(limits, await store.sums(periods));
        await this.#show(uses, periods);
      } catch (error) {
        const fault = toFault(error);
        if (fault.kind === 'cancelled') return;
        log.warn(`What is left of the budgets is not known: ${fault.message}`);
        this.#uses = unknown(clock.now(), fault);
        this.#changed.fire();
      }
    }
  }

  async #show(uses: readonly BudgetUse[], periods: Periods): Promise<void> {
    this.#uses = known(uses, periods.nowMs);
    this.#changed.fire();
    for (const use of uses) await this.#tell(use, periods);
  }

  async #tell(use: BudgetUse, periods: Periods): Promise<void> {
    const mark = markOf(use);
    if (mark === undefined) return;
    const periodMs = startOf(use.name, periods);
    const key = [use.name, periodMs, use.limitMicros, mark].join(' ');
    if (this.#told.has(key)) return;
    this.#told.add(key);
    await this.#quietly('A warning could not be recorded', async () => {
      const { store } = this.#options;
      const isNew = await store.notice(use.name, periodMs, use.limitMicros, mark);
      // A lower mark that was jumped over is not told afterwards.
      for (const lower of noticeMarks.filter((one) => one < mark)) {
        await store.notice(use.name, periodMs, use.limitMicros, lower);
      }
      if (isNew) this.#noticed.fire({ use, mark });
    });
  }

  async #quietly(failure: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const fault = toFault(error);
      if (fault.kind !== 'cancelled') this.#options.log.warn(`${failure}: ${fault.message}`);
    }
  }
}

function startOf(name: BudgetName, { sessionFromMs, dayFromMs, monthFromMs }: Periods): number {
  return { session: sessionFromMs, day: dayFromMs, month: monthFromMs }[periodOf(name)];
}
