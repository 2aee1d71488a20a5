import * as z from 'zod/mini';
import { tiers } from '../backends/backend.ts';
import type { Tier } from '../backends/backend.ts';
import { nothing } from '../cost/budget.ts';
import type { BudgetSums, ByTier } from '../cost/budget.ts';
import { openDiskEntry } from '../cost/diskMeter.ts';
import type { Period, Periods } from '../cost/periods.ts';
import { owedEntry } from '../cost/podMeter.ts';
import type { Database, Rows } from './database.ts';
import { readMeters } from './ledgerStore.ts';
import type { LedgerEntry } from './ledgerStore.ts';
import { SpendSums } from './spendSums.ts';

/** Money that is promised and not spent yet. Times are ms since the epoch. */
export interface Reservation {
  /** Id of the job; of the pod, or of what will become one. */
  readonly subject: string;
  /** Of the job's; 0 for a pod. */
  readonly run: number;
  /** Id of the backend; of pod time, 'pods'. */
  readonly backend: string;
  /** A job's is held whole until it is settled; pod time is spent evenly from `fromMs` to `toMs`. */
  readonly kind: 'job' | 'pod';
  readonly tier: Tier;
  readonly micros: number;
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Decision<T> {
  readonly hold: Reservation | undefined;
  readonly value: T;
}

export interface ReservationStore {
  /**
   * Reads what is spent and held, lets `decide`, and stores what that holds, in one transaction: of any number that ask
   * at once, in any window, each sees what the ones before it were given. On the disk when it returns.
   */
  reserve<T>(periods: Periods, decide: (sums: BudgetSums) => Decision<T>): Promise<T>;
  sums(periods: Periods): Promise<BudgetSums>;
  find(subject: string, run: number, backend: string): Promise<Reservation | undefined>;
  release(subject: string, run: number, backend: string): Promise<void>;
  /** The pod has an id now, and a price: what is held is for that. */
  rename(subject: string, to: string, micros: number | undefined): Promise<void>;
  /** False when some window has told it before. */
  notice(budget: string, periodMs: number, limitMicros: number, percent: number): Promise<boolean>;
  /** What the pod cost per hour when it ran last, in micro-dollars. */
  lastUsdPerHourMicros(podId: string): Promise<number | undefined>;
}

/** A reservation for a job that is not on record belongs to nobody after so long. */
const strayMs = 3_600_000;

const reservationRow = z.object({
  subject: z.string(),
  run: z.int(),
  backend: z.string(),
  kind: z.enum(['job', 'pod']),
  tier: z.enum(tiers),
  micros: z.int(),
  from_ms: z.int(),
  to_ms: z.int(),
});

const rateRow = z.object({ usd_per_hour_micros: z.int() });

/**
 * A window that has crashed settles nothing. Its job stays on record as unfinished until another window has found out what
 * became of it, and so long its money is held: it may have been spent. What belongs to an ended job, or to none, is not.
 */
const heldSql = `SELECT r.* FROM reservation r LEFT JOIN job j ON r.kind = 'job' AND j.id = r.subject
  WHERE CASE WHEN r.kind = 'pod' THEN r.to_ms > ?1
    WHEN j.id IS NULL THEN abs(?1 - r.from_ms) < ${String(strayMs)}
    ELSE j.state NOT IN ('done', 'failed', 'cancelled', 'lost') END`;

const ofOneRun = 'WHERE subject = ? AND run = ? AND backend = ?';

export function createReservationStore(database: Database): ReservationStore {
  const spendSums = new SpendSums();
  database.onDidSetAside(() => spendSums.forget());
  const readSums = (rows: Rows, periods: Periods): BudgetSums => sumsOf(rows, periods, spendSums);
  return {
    reserve: (periods, decide) =>
      database.writeThrough((rows) => {
        dropLapsed(rows, periods.nowMs);
        const { hold, value } = decide(readSums(rows, periods));
        if (hold !== undefined) put(rows, hold);
        return value;
      }),
    sums: (periods) => database.read((rows) => readSums(rows, periods)),
    find: (subject, run, backend) =>
      database.read((rows) => {
        const row = rows.first(reservationRow, `SELECT * FROM reservation ${ofOneRun}`, subject, run, backend);
        return row === undefined ? undefined : toReservation(row);
      }),
    release: (subject, run, backend) =>
      database.write((rows) => {
        rows.run(`DELETE FROM reservation ${ofOneRun}`, subject, run, backend);
      }),
    rename: (subject, to, micros) =>
      database.write((rows) => {
        const sql = 'UPDATE OR REPLACE reservation SET subject = ?, micros = coalesce(?, micros) WHERE subject = ?';
        rows.run(sql, to, micros ?? null, subject);
      }),
    notice: (budget, periodMs, limitMicros, percent) =>
      database.write((rows) => {
        const sql = 'INSERT INTO budget_notice (budget, period_ms, limit_micros, percent) VALUES (?, ?, ?, ?)';
        return rows.run(`${sql} ON CONFLICT DO NOTHING`, budget, periodMs, limitMicros, percent) === 1;
      }),
    lastUsdPerHourMicros: (podId) =>
      database.read((rows) => {
        const sql = 'SELECT usd_per_hour_micros FROM pod_meter WHERE pod_id = ? AND usd_per_hour_micros > 0';
        return rows.first(rateRow, sql, podId)?.usd_per_hour_micros;
      }),
  };
}

function dropLapsed(rows: Rows, nowMs: number): void {
  rows.run(
    `DELETE FROM reservation WHERE rowid NOT IN (SELECT h.rowid FROM (${heldSql.replace('r.*', 'r.rowid')}) h)`,
    nowMs,
  );
}

function put(rows: Rows, { subject, run, backend, kind, tier, micros, fromMs, toMs }: Reservation): void {
  rows.run(
    `INSERT INTO reservation (subject, run, backend, kind, tier, micros, from_ms, to_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (subject, backend) DO UPDATE SET run = excluded.run, kind = excluded.kind, tier = excluded.tier,
       micros = excluded.micros, from_ms = excluded.from_ms, to_ms = excluded.to_ms`,
    subject,
    run,
    backend,
    kind,
    tier,
    micros,
    fromMs,
    toMs,
  );
}

function sumsOf(rows: Rows, starts: Periods, spendSums: SpendSums): BudgetSums {
  const { sessionFromMs, dayFromMs, monthFromMs, nowMs } = starts;
  const from: Readonly<Record<Period, number>> = { session: sessionFromMs, day: dayFromMs, month: monthFromMs };
  const spent = { session: { ...nothing }, day: { ...nothing }, month: { ...nothing } };
  const periods = ['session', 'day', 'month'] as const;
  for (const group of spendSums.read(rows, starts)) {
    for (const period of periods) spent[period][group.tier] += group[period];
  }
  const { pods, disks } = readMeters(rows);
  const open = [...pods.map((one) => owedEntry(one, nowMs)), ...disks.map((one) => openDiskEntry(one, nowMs))];
  for (const entry of open) {
    for (const period of periods) {
      if (entry !== undefined) spent[period].cloud += microsSince(entry, from[period]);
    }
  }
  const held = { ...nothing };
  for (const row of rows.all(reservationRow, heldSql, nowMs)) held[row.tier] += remaining(toReservation(row), nowMs);
  return {
    spent: { session: rounded(spent.session), day: rounded(spent.day), month: rounded(spent.month) },
    held: rounded(held),
  };
}

function microsSince({ fromMs, toMs, micros }: LedgerEntry, sinceMs: number): number {
  if (fromMs >= sinceMs) return micros;
  return toMs <= sinceMs ? 0 : (micros * (toMs - sinceMs)) / (toMs - fromMs);
}

/** What of it may still be spent. A clock that was set back does not make it more. */
function remaining({ kind, micros, fromMs, toMs }: Reservation, nowMs: number): number {
  if (kind === 'job') return micros;
  return toMs <= fromMs ? 0 : micros * Math.min(1, Math.max(0, (toMs - nowMs) / (toMs - fromMs)));
}

/** Upwards: a part of a micro-dollar that is spent is spent. */
function rounded({ local, cloud, gemini }: ByTier): ByTier {
  const up = (micros: number): number => Math.ceil(micros - 1e-6);
  return { local: up(local), cloud: up(cloud), gemini: up(gemini) };
}

function toReservation(row: z.infer<typeof reservationRow>): Reservation {
  const { subject, run, backend, kind, tier, micros, from_ms: fromMs, to_ms: toMs } = row;
  return { subject, run, backend, kind, tier, micros, fromMs, toMs };
}
