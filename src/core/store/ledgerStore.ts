import * as z from 'zod/mini';
import type { Periods } from '../cost/periods.ts';
import type { Database, Rows } from './database.ts';
import { SpendSums } from './spendSums.ts';
import type { SpendGroup } from './spendSums.ts';

export type CostBasis = 'measured' | 'estimated';
/** What a pod's money went to; 'run' is work and idle time. */
export type PodPart = 'run' | 'boot' | 'disk';

/** One line of the ledger; never changed once written. Times are ms since the epoch. */
export interface LedgerEntry {
  readonly kind: 'job' | 'pod';
  /** Id of the job or the pod. */
  readonly subject: string;
  /** Backend of the job, name of the pod. */
  readonly label: string;
  readonly fromMs: number;
  /** The same as `fromMs` for what happened at one moment. */
  readonly toMs: number;
  readonly micros: number;
  readonly basis: CostBasis;
  /** A share of pod time that the pod's own entries count already: shown, and left out of every sum. */
  readonly inPodTime: boolean;
  readonly note: string | undefined;
  /** Which run of the job; absent = the first. */
  readonly run?: number | undefined;
  /** Absent = 'run'. */
  readonly part?: PodPart;
}

/**
 * How far a pod's time is accounted for. While it bills, [segmentFromMs, untilMs) is owed and not yet an entry: the
 * segment becomes one when the pod stops or its price changes, so an entry is one run and not one poll.
 */
export interface PodMeter {
  readonly podId: string;
  readonly name: string;
  readonly usdPerHourMicros: number;
  /** 'booting' and 'running' bill; 'gone' is no longer in the account's list. */
  readonly state: 'booting' | 'running' | 'stopped' | 'gone';
  readonly segmentFromMs: number;
  readonly untilMs: number;
  /** Tells one run from the next. */
  readonly startedAtMs: number | undefined;
  /** The pod stops itself when it was idle so long. */
  readonly idleStopMs: number | undefined;
  /** The segment is the boot of a run. */
  readonly inBoot: boolean;
}

/** The same for the disks of a pod, which bill from its creation to its end; [segmentFromMs, untilMs) is owed. */
export interface DiskMeter {
  readonly podId: string;
  readonly name: string;
  /** 0 = the pod is gone. */
  readonly microsPerHour: number;
  readonly segmentFromMs: number;
  readonly untilMs: number;
}

export interface Meters {
  readonly pods: readonly PodMeter[];
  readonly disks: readonly DiskMeter[];
}

export interface Metering {
  /** To be stored. */
  readonly meters: Meters;
  readonly entries: readonly LedgerEntry[];
}

export interface LedgerView {
  readonly groups: readonly SpendGroup[];
  /** By pod id: all that is in the ledger of each pod that the account still has, in micro-dollars. */
  readonly ofPods: ReadonlyMap<string, { readonly micros: number; readonly estimatedMicros: number }>;
  readonly meters: Meters;
}

/** By pod id, in micro-dollars per hour: what the catalogue said when it was created, and what RunPod said last. */
export type PodPrices = ReadonlyMap<
  string,
  { readonly quotedUsdPerHourMicros: number; readonly billedUsdPerHourMicros: number }
>;

export interface LedgerStore {
  /**
   * Ends the run's reservation there in the same transaction: its money is either held or spent, at any moment. False
   * when the cost of this run on this backend is in the ledger already: two windows may collect the same run.
   */
  appendJob(entry: LedgerEntry): Promise<boolean>;
  /** Reads all meters and stores what `decide` makes of them, in one transaction: no window's second is billed twice. */
  meter(decide: (meters: Meters) => Metering): Promise<void>;
  /** The sums of this moment; one consistent view. */
  view(periods: Periods): Promise<LedgerView>;
  /** Every entry from `fromMs` on, shares of pod time and free jobs too, newest first; and the meters of that moment. */
  entries(
    fromMs: number,
  ): Promise<Pick<LedgerView, 'meters'> & { readonly entries: readonly LedgerEntry[]; readonly prices: PodPrices }>;
  /** Newest first; for measured rates. */
  recentJobs(backend: string, limit: number): Promise<readonly LedgerEntry[]>;
}

const entryRow = z.object({
  kind: z.enum(['job', 'pod']),
  subject: z.string(),
  label: z.string(),
  from_ms: z.int(),
  to_ms: z.int(),
  micros: z.int(),
  basis: z.enum(['measured', 'estimated']),
  in_pod_time: z.int(),
  note: z.nullable(z.string()),
  part: z.enum(['run', 'boot', 'disk']),
});

const meterRow = z.object({
  pod_id: z.string(),
  name: z.string(),
  usd_per_hour_micros: z.int(),
  state: z.enum(['booting', 'running', 'stopped', 'gone']),
  segment_from_ms: z.int(),
  until_ms: z.int(),
  started_at_ms: z.nullable(z.int()),
  idle_stop_ms: z.nullable(z.int()),
  in_boot: z.int(),
});

const priceRow = z.object({ pod_id: z.string(), quoted: z.int(), billed: z.int() });
const diskRow = z.object({
  pod_id: z.string(),
  name: z.string(),
  micros_per_hour: z.int(),
  segment_from_ms: z.int(),
  until_ms: z.int(),
});

const podSumRow = z.object({ subject: z.string(), micros: z.int(), estimated: z.number() });

export function createLedgerStore(database: Database): LedgerStore {
  const spendSums = new SpendSums();
  database.onDidSetAside(() => spendSums.forget());
  return {
    appendJob: (entry) =>
      database.writeThrough((rows) => {
        const sql = 'DELETE FROM reservation WHERE subject = ? AND backend = ? AND run = ?';
        rows.run(sql, entry.subject, entry.label, entry.run ?? 0);
        return append(rows, entry) === 1;
      }),
    meter: (decide) =>
      database.write((rows) => {
        const { meters, entries } = decide(readMeters(rows));
        for (const entry of entries) append(rows, entry);
        for (const meter of meters.pods) storeMeter(rows, meter);
        for (const meter of meters.disks) storeDiskMeter(rows, meter);
      }),
    view: (periods) =>
      database.read((rows) => ({
        groups: spendSums.read(rows, periods),
        ofPods: new Map(
          rows
            .all(
              podSumRow,
              `SELECT subject, sum(micros) AS micros, total(iif(basis = 'estimated', micros, 0)) AS estimated
                 FROM ledger_entry WHERE kind = 'pod'
                   AND subject IN (SELECT pod_id FROM pod_meter WHERE state <> 'gone') GROUP BY subject`,
            )
            .map(({ subject, micros, estimated }) => [subject, { micros, estimatedMicros: estimated }]),
        ),
        meters: readMeters(rows),
      })),
    entries: (fromMs) =>
      database.read((rows) => ({
        entries: rows
          .all(entryRow, 'SELECT * FROM ledger_entry WHERE to_ms >= ? ORDER BY to_ms DESC, id DESC', fromMs)
          .map(toEntry),
        meters: readMeters(rows),
        prices: readPrices(rows),
      })),
    recentJobs: (backend, limit) =>
      database.read((rows) =>
        rows
          .all(
            entryRow,
            `SELECT * FROM ledger_entry WHERE kind = 'job' AND label = ? ORDER BY to_ms DESC, id DESC LIMIT ?`,
            backend,
            limit,
          )
          .map(toEntry),
      ),
  };
}

function append(rows: Rows, entry: LedgerEntry): number {
  return rows.run(
    `INSERT INTO ledger_entry (kind, subject, label, from_ms, to_ms, micros, basis, in_pod_time, note, part, run)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (subject, label, run) WHERE kind = 'job' DO NOTHING`,
    entry.kind,
    entry.subject,
    entry.label,
    entry.fromMs,
    entry.toMs,
    entry.micros,
    entry.basis,
    entry.inPodTime ? 1 : 0,
    entry.note ?? null,
    entry.part ?? 'run',
    entry.run ?? 0,
  );
}

function readPrices(rows: Rows): PodPrices {
  const sql = `SELECT pod_id, quote_usd_per_hour_micros AS quoted, usd_per_hour_micros AS billed
    FROM pod JOIN pod_meter USING (pod_id) WHERE quoted IS NOT NULL AND billed > 0`;
  return new Map(
    rows
      .all(priceRow, sql)
      .map(({ pod_id, quoted, billed }) => [
        pod_id,
        { quotedUsdPerHourMicros: quoted, billedUsdPerHourMicros: billed },
      ]),
  );
}

export function readMeters(rows: Rows): Meters {
  const disks = rows.all(diskRow, 'SELECT * FROM disk_meter ORDER BY pod_id').map((row) => ({
    podId: row.pod_id,
    name: row.name,
    microsPerHour: row.micros_per_hour,
    segmentFromMs: row.segment_from_ms,
    untilMs: row.until_ms,
  }));
  const pods = rows.all(meterRow, 'SELECT * FROM pod_meter ORDER BY pod_id').map((row) => ({
    podId: row.pod_id,
    name: row.name,
    usdPerHourMicros: row.usd_per_hour_micros,
    state: row.state,
    segmentFromMs: row.segment_from_ms,
    untilMs: row.until_ms,
    startedAtMs: row.started_at_ms ?? undefined,
    idleStopMs: row.idle_stop_ms ?? undefined,
    inBoot: row.in_boot === 1,
  }));
  return { pods, disks };
}

function storeMeter(rows: Rows, meter: PodMeter): void {
  rows.run(
    `INSERT INTO pod_meter
       (pod_id, name, usd_per_hour_micros, state, segment_from_ms, until_ms, started_at_ms, idle_stop_ms, in_boot)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (pod_id) DO UPDATE SET name = excluded.name, usd_per_hour_micros = excluded.usd_per_hour_micros,
       state = excluded.state, segment_from_ms = excluded.segment_from_ms, until_ms = excluded.until_ms,
       started_at_ms = excluded.started_at_ms, idle_stop_ms = excluded.idle_stop_ms, in_boot = excluded.in_boot`,
    meter.podId,
    meter.name,
    meter.usdPerHourMicros,
    meter.state,
    meter.segmentFromMs,
    meter.untilMs,
    meter.startedAtMs ?? null,
    meter.idleStopMs ?? null,
    meter.inBoot ? 1 : 0,
  );
}

function storeDiskMeter(rows: Rows, meter: DiskMeter): void {
  rows.run(
    `INSERT INTO disk_meter (pod_id, name, micros_per_hour, segment_from_ms, until_ms) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (pod_id) DO UPDATE SET name = excluded.name, micros_per_hour = excluded.micros_per_hour,
       segment_from_ms = excluded.segment_from_ms, until_ms = excluded.until_ms`,
    meter.podId,
    meter.name,
    meter.microsPerHour,
    meter.segmentFromMs,
    meter.untilMs,
  );
}

function toEntry(row: z.infer<typeof entryRow>): LedgerEntry {
  return {
    kind: row.kind,
    subject: row.subject,
    label: row.label,
    fromMs: row.from_ms,
    toMs: row.to_ms,
    micros: row.micros,
    basis: row.basis,
    inPodTime: row.in_pod_time === 1,
    note: row.note ?? undefined,
    part: row.part,
  };
}
