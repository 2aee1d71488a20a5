import type { BillingRecord, PodBillingRecord } from '../runpod/billing.ts';
import type { LedgerEntry } from '../store/ledgerStore.ts';

/** One day by RunPod's clock, which is UTC. Money in micro-dollars. */
export interface BillDay {
  readonly fromMs: number;
  readonly billedMicros: number;
  readonly ledgerMicros: number;
  /** The day is not over, and RunPod's figures are some minutes behind. */
  readonly isOpen: boolean;
}

export type DriftCause =
  /** Pods that the ledger does not have: of another machine, or of a time without PodRelay. */
  | 'otherPods'
  /** Time of pods that both have. */
  | 'podTime'
  /** Disks of pods that both have: the ledger counts them by the price list. */
  | 'disks'
  /** Pods that the bill does not have (yet). */
  | 'notBilled'
  | 'networkVolumes'
  /** Serverless and whatever else RunPod bills, against endpoint jobs of the ledger. */
  | 'otherServices';

export interface DriftReason {
  readonly cause: DriftCause;
  /** Billed less counted; the reasons add up to the whole drift. */
  readonly micros: number;
  /** Of 'otherPods' and 'notBilled'. */
  readonly pods: readonly string[];
}

export interface BillComparison {
  /** Newest first. */
  readonly days: readonly BillDay[];
  readonly billedMicros: number;
  readonly ledgerMicros: number;
  /** Largest first; those of nothing are left out. */
  readonly reasons: readonly DriftReason[];
}

export interface BillFacts {
  /** Aggregate and by pod, in buckets of a day. */
  readonly billed: readonly BillingRecord[];
  readonly billedPods: readonly PodBillingRecord[];
  /** Of the ledger; what is older than `days` does not matter. */
  readonly entries: readonly LedgerEntry[];
  /** So many, today included. */
  readonly days: number;
  readonly nowMs: number;
}

const dayMs = 86_400_000;
/** Less is rounding: RunPod's figures are doubles of dollars. */
const leastMicros = 5;

/** RunPod's bill beside the ledger, day by day, with what the difference is made of. */
export function compareBill({ billed, billedPods, entries, days, nowMs }: BillFacts): BillComparison {
  const today = Math.floor(nowMs / dayMs) * dayMs;
  const from = today - (days - 1) * dayMs;
  const ofRunpod = entries.filter((entry) => isRunpods(entry) && entry.toMs > from);
  const within = (startAtMs: number | undefined): boolean =>
    startAtMs === undefined || (startAtMs >= from && startAtMs <= today);
  const bills = billed.filter(({ startAtMs }) => within(startAtMs));
  const podBills = billedPods.filter(({ startAtMs }) => within(startAtMs));
  const rows = Array.from({ length: days }, (_, index): BillDay => {
    const fromMs = today - index * dayMs;
    return {
      fromMs,
      billedMicros: sum(bills.filter(({ startAtMs }) => startAtMs === fromMs).map(({ totalMicros }) => totalMicros)),
      ledgerMicros: Math.round(sum(ofRunpod.map((entry) => microsIn(entry, fromMs, fromMs + dayMs)))),
      isOpen: fromMs === today,
    };
  });
  const billedMicros = sum(bills.map(({ totalMicros }) => totalMicros));
  const ledgerMicros = sum(rows.map((row) => row.ledgerMicros));
  const counted = (entry: LedgerEntry): number => microsIn(entry, from, today + dayMs);
  return {
    days: rows,
    billedMicros,
    ledgerMicros,
    reasons: reasonsOf({ bills, podBills, ofRunpod, counted, ledgerMicros }),
  };
}

interface Parts {
  readonly bills: readonly BillingRecord[];
  readonly podBills: readonly PodBillingRecord[];
  readonly ofRunpod: readonly LedgerEntry[];
  readonly counted: (entry: LedgerEntry) => number;
  readonly ledgerMicros: number;
}

function reasonsOf({ bills, podBills, ofRunpod, counted, ledgerMicros }: Parts): readonly DriftReason[] {
  const ofPods = ofRunpod.filter(({ kind }) => kind === 'pod');
  const inLedger = new Set(ofPods.map(({ subject }) => subject));
  const inBill = new Set(podBills.map(({ podId }) => podId));
  const unseen = podBills.filter(({ podId }) => !inLedger.has(podId));
  const both = podBills.filter(({ podId }) => inLedger.has(podId));
  const unbilled = ofPods.filter(({ subject }) => !inBill.has(subject));
  const matched = ofPods.filter(({ subject }) => inBill.has(subject));
  const billedDisks = sum(both.map(({ diskMicros = 0 }) => diskMicros));
  const disks = sum(matched.filter(({ part }) => part === 'disk').map(counted));
  const time = sum(matched.filter(({ part }) => part !== 'disk').map(counted));
  const volumes = sum(bills.map(({ networkVolumeMicros = 0 }) => networkVolumeMicros));
  const podTotal = sum(podBills.map(({ totalMicros }) => totalMicros));
  const otherBilled = sum(bills.map(({ totalMicros }) => totalMicros)) - podTotal - volumes;
  // What rounding leaves belongs somewhere, or the reasons would not add up.
  const otherCounted = ledgerMicros - sum(ofPods.map(counted));
  const reasons: DriftReason[] = [
    {
      cause: 'otherPods',
      micros: sum(unseen.map(({ totalMicros }) => totalMicros)),
      pods: [...new Set(unseen.map(({ podId }) => podId))],
    },
    {
      cause: 'podTime',
      micros: sum(both.map(({ totalMicros, diskMicros = 0 }) => totalMicros - diskMicros)) - time,
      pods: [],
    },
    { cause: 'disks', micros: billedDisks - disks, pods: [] },
    {
      cause: 'notBilled',
      micros: -sum(unbilled.map(counted)),
      pods: [...new Set(unbilled.map(({ label }) => label))],
    },
    { cause: 'networkVolumes', micros: volumes, pods: [] },
    { cause: 'otherServices', micros: otherBilled - otherCounted, pods: [] },
  ];
  return reasons
    .map((reason) => ({ ...reason, micros: Math.round(reason.micros) }))
    .filter(({ micros }) => Math.abs(micros) >= leastMicros)
    .sort((a, b) => Math.abs(b.micros) - Math.abs(a.micros));
}

/** Pods, and jobs that RunPod bills by themselves. */
function isRunpods({ kind, label, inPodTime }: LedgerEntry): boolean {
  return kind === 'pod' || (!inPodTime && label !== 'gemini' && label !== 'local');
}

/** The part of an entry that falls into [fromMs, toMs). */
export function microsIn(entry: LedgerEntry, fromMs: number, toMs: number): number {
  const ms = entry.toMs - entry.fromMs;
  if (ms <= 0) return entry.fromMs >= fromMs && entry.fromMs < toMs ? entry.micros : 0;
  const shared = Math.min(entry.toMs, toMs) - Math.max(entry.fromMs, fromMs);
  return shared <= 0 ? 0 : (entry.micros * shared) / ms;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
