import { microsIn } from '../../core/cost/compareBill.ts';
import type { Statement } from '../../core/cost/ledger.ts';
import { startOfDay } from '../../core/cost/periods.ts';
import type { LedgerEntry } from '../../core/store/ledgerStore.ts';

/** In the order in which they stand on each other. */
export const costKinds = ['pods', 'disks', 'serverless', 'gemini'] as const;
export type CostKind = (typeof costKinds)[number];

/** One local day. */
export interface CostDay {
  /** ms since the epoch */
  readonly fromMs: number;
  /** Micro-dollars. */
  readonly micros: Readonly<Record<CostKind, number>>;
  readonly totalMicros: number;
}

/** The last days, oldest first, today last. A run over midnight belongs to each day with its part. */
export function costDays({ entries, open, nowMs }: Statement, count: number): readonly CostDay[] {
  const spends = [...open, ...entries].filter(({ inPodTime, micros }) => !inPodTime && micros !== 0);
  return Array.from({ length: count }, (_, index) => {
    const [fromMs, toMs] = [startOfDay(nowMs, index + 1 - count), startOfDay(nowMs, index + 2 - count)];
    const micros = { pods: 0, disks: 0, serverless: 0, gemini: 0 };
    for (const entry of spends) micros[kindOf(entry)] += microsIn(entry, fromMs, toMs);
    for (const kind of costKinds) micros[kind] = Math.round(micros[kind]);
    return { fromMs, micros, totalMicros: costKinds.reduce((sum, kind) => sum + micros[kind], 0) };
  });
}

function kindOf({ kind, label, part }: LedgerEntry): CostKind {
  if (kind === 'pod') return part === 'disk' ? 'disks' : 'pods';
  return label === 'gemini' ? 'gemini' : 'serverless';
}
