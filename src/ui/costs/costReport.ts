import { sumSince } from '../../core/cost/ledger.ts';
import type { Spend, Statement } from '../../core/cost/ledger.ts';
import type { LedgerEntry, PodPart, PodPrices } from '../../core/store/ledgerStore.ts';

/** Sums since the window opened, since midnight and since the first of the month. */
export interface Periods {
  readonly session: Spend;
  readonly day: Spend;
  readonly month: Spend;
}

export interface BackendCost extends Periods {
  /** Backend id; 'pods' for the time of all pods. */
  readonly id: string;
  /** Jobs of this month. */
  readonly jobs: number;
}

export interface PodCost extends Periods {
  readonly podId: string;
  readonly name: string;
  /** Billed GPU time of this month, ms. */
  readonly ms: number;
  /** True while it bills. */
  readonly running: boolean;
  /** Undefined = no quote is known: somebody else has created it. */
  readonly price: (PodPrices extends ReadonlyMap<string, infer P> ? P : never) | undefined;
}

export interface CostReport {
  readonly total: Periods;
  /** Paid for by themselves: all but pods. Of the dearest this month first. */
  readonly backends: readonly BackendCost[];
  /** Undefined when no pod billed. */
  readonly podTime: (Periods & PodUse) | undefined;
  readonly pods: readonly PodCost[];
  /** Newest first, what is owed up to now before all. */
  readonly entries: readonly LedgerEntry[];
  /** Entries that are not shown. */
  readonly older: number;
  readonly nowMs: number;
}

/** What the money for pods of this month went to, in micro-dollars. */
export interface PodUse {
  readonly jobs: number;
  /** What jobs took of the pods' time. */
  readonly workMicros: number;
  /** From each start to ComfyUI's first answer. */
  readonly bootMicros: number;
  /** The rest of the time: idle, and work that PodRelay did not give them. */
  readonly restMicros: number;
  /** The pods' own disks, also while they are stopped. All of it is estimated. */
  readonly diskMicros: number;
}

const mostEntries = 40;

/** Sums of one statement. The same money is in `backends` and `pods` once: jobs on pods are a share of the pods' time. */
export function costReport(statement: Statement): CostReport {
  const { entries, open, nowMs, monthFromMs, sessionFromMs } = statement;
  const earliest = Math.min(monthFromMs, sessionFromMs);
  const all = [...open, ...entries].filter(({ toMs }) => toMs >= earliest);
  const periods = (some: readonly LedgerEntry[]): Periods => periodsOf(some, statement);
  const ofPods = all.filter(({ kind }) => kind === 'pod');
  const inMonth = (entry: LedgerEntry): boolean => entry.toMs >= monthFromMs;
  const jobs = all.filter(({ kind }) => kind === 'job');
  const shares = jobs.filter((entry) => entry.inPodTime && inMonth(entry));
  const podSums = periods(ofPods);
  const monthOf = (part: PodPart): number =>
    sumSince(
      ofPods.filter((entry) => (entry.part ?? 'run') === part),
      monthFromMs,
    ).micros;
  const workMicros = shares.reduce((sum, { micros }) => sum + micros, 0);
  const ownJobs = Map.groupBy(
    jobs.filter(({ inPodTime }) => !inPodTime),
    ({ label }) => label,
  );
  return {
    total: periods(all),
    backends: [...ownJobs]
      .map(([id, own]) => ({ id, ...periods(own), jobs: own.filter(inMonth).length }))
      .sort((a, b) => b.month.micros - a.month.micros || (a.id < b.id ? -1 : 1)),
    podTime:
      ofPods.length === 0
        ? undefined
        : {
            ...podSums,
            jobs: shares.length,
            workMicros,
            bootMicros: monthOf('boot'),
            // Shares are measured by our clock: they can be a little more than the time that was billed.
            restMicros: Math.max(0, monthOf('run') - workMicros),
            diskMicros: monthOf('disk'),
          },
    pods: podCosts(ofPods, open, statement),
    entries: all.slice(0, mostEntries),
    older: Math.max(0, all.length - mostEntries),
    nowMs,
  };
}

function podCosts(ofPods: readonly LedgerEntry[], open: readonly LedgerEntry[], statement: Statement): PodCost[] {
  const isTime = ({ part }: LedgerEntry): boolean => part !== 'disk';
  const running = new Set(open.filter(isTime).map(({ subject }) => subject));
  return [...Map.groupBy(ofPods, ({ subject }) => subject)]
    .map(([podId, own]) => ({
      podId,
      // The newest comes first: a pod may have been renamed.
      name: own[0]?.label ?? podId,
      ms: own
        .filter(isTime)
        .reduce((sum, { fromMs, toMs }) => sum + Math.max(0, toMs - Math.max(fromMs, statement.monthFromMs)), 0),
      running: running.has(podId),
      price: statement.prices?.get(podId),
      ...periodsOf(own, statement),
    }))
    .sort((a, b) => b.month.micros - a.month.micros || (a.name < b.name ? -1 : 1));
}

function periodsOf(entries: readonly LedgerEntry[], { sessionFromMs, dayFromMs, monthFromMs }: Statement): Periods {
  return {
    session: sumSince(entries, sessionFromMs),
    day: sumSince(entries, dayFromMs),
    month: sumSince(entries, monthFromMs),
  };
}
