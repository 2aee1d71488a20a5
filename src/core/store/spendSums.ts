import * as z from 'zod/mini';
import { tierOf } from '../cost/budget.ts';
import type { Period, Periods } from '../cost/periods.ts';
import type { Tier } from '../backends/backend.ts';
import type { Rows } from './database.ts';

/** What entries of one tier and basis come to since the beginning of each period, in micro-dollars, not rounded. */
export interface SpendGroup extends Readonly<Record<Period, number>> {
  readonly tier: Tier;
  readonly basis: 'measured' | 'estimated';
}

const sumRow = z.object({
  kind: z.enum(['job', 'pod']),
  label: z.string(),
  basis: z.enum(['measured', 'estimated']),
  session: z.number(),
  day: z.number(),
  month: z.number(),
});
const newestRow = z.object({ id: z.nullable(z.int()) });

/** The part of an entry that falls after a time; as `sumSince` in ledger.ts. */
const partSince = (parameter: string): string => `
  total(CASE WHEN to_ms < ${parameter} THEN 0 WHEN from_ms >= ${parameter} OR to_ms = from_ms THEN micros
    ELSE micros * 1.0 * (to_ms - ${parameter}) / (to_ms - from_ms) END)`;

/** Entries of nothing and shares of pod time are in no sum. */
const select = `SELECT kind, iif(kind = 'pod', '', label) AS label, basis,
  ${partSince('?1')} AS session, ${partSince('?2')} AS day, ${partSince('?3')} AS month
  FROM ledger_entry WHERE in_pod_time = 0 AND micros <> 0`;
const all = `${select} AND to_ms >= ?4 GROUP BY 1, 2, 3`;
const newer = `${select} AND id > ?4 AND id <= ?5 GROUP BY 1, 2, 3`;

/**
 * Sums of what is in the ledger. The ledger is append-only: what was summed once is remembered, and only newer entries
 * are read, until a period begins anew.
 */
export class SpendSums {
  #known: { readonly key: string; readonly newestId: number; readonly groups: readonly SpendGroup[] } | undefined;

  /** Another file is used now. */
  forget(): void {
    this.#known = undefined;
  }

  read(rows: Rows, { sessionFromMs, dayFromMs, monthFromMs }: Periods): readonly SpendGroup[] {
    const starts = [sessionFromMs, dayFromMs, monthFromMs] as const;
    const key = starts.join(' ');
    const newestId = rows.first(newestRow, 'SELECT max(id) AS id FROM ledger_entry')?.id ?? 0;
    const before = this.#known?.key === key && this.#known.newestId <= newestId ? this.#known : undefined;
    if (before?.newestId === newestId) return before.groups;
    const found =
      before === undefined
        ? rows.all(sumRow, all, ...starts, Math.min(...starts))
        : rows.all(sumRow, newer, ...starts, before.newestId, newestId);
    const groups = merged([...(before?.groups ?? []), ...found.map(toGroup)]);
    this.#known = { key, newestId, groups };
    return groups;
  }
}

function toGroup({ kind, label, basis, session, day, month }: z.infer<typeof sumRow>): SpendGroup {
  return { tier: tierOf(kind, label), basis, session, day, month };
}

function merged(groups: readonly SpendGroup[]): readonly SpendGroup[] {
  const same = Map.groupBy(groups, ({ tier, basis }) => `${tier} ${basis}`);
  return [...same.values()].map((some) =>
    some.reduce((sum, next) => ({
      ...sum,
      session: sum.session + next.session,
      day: sum.day + next.day,
      month: sum.month + next.month,
    })),
  );
}
