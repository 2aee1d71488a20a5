import * as z from 'zod/mini';
import { keptDecisions } from '../fleet/fleetDecision.ts';
import type { FleetDecision } from '../fleet/fleetDecision.ts';
import type { PodHistory } from '../fleet/idleDisks.ts';
import type { Database, Rows } from './database.ts';
import { fromJson } from './jobRow.ts';

/** A job that waits and may be given to a pod now. Times are ms since the epoch. */
export interface FleetWork {
  readonly id: string;
  readonly fingerprint: string;
  readonly sinceMs: number;
  readonly localOnly: boolean;
  /** Ids of backends that have failed with it. */
  readonly excluded: readonly string[];
  /** Those of them that never get it again. */
  readonly refused: readonly string[];
  /** It stands for so many alike. */
  readonly count: number;
}

/** A job at work in any window. */
export interface FleetLoad {
  readonly backend: string;
  readonly fingerprint: string;
  readonly givenAt: number;
}

export interface FleetLook {
  /** None while the queue is paused. In its order; what is beyond the limit follows in groups. */
  readonly waiting: readonly FleetWork[];
  readonly atWork: readonly FleetLoad[];
  /** How long no job ran or waited before each of the last ones, in seconds, newest last. */
  readonly gapsSeconds: readonly number[];
  /** Pods whose last start was automation's → when, ms since the epoch. */
  readonly launched: ReadonlyMap<string, number>;
  /** What boots took, newest last. */
  readonly boots: readonly { readonly podId: string; readonly seconds: number; readonly isFirst: boolean }[];
  /** Micro-dollars per hour when it ran last, by pod id. */
  readonly lastPrices: ReadonlyMap<string, number>;
}

/** What all windows know of the fleet's automation. */
export interface FleetStore {
  /**
   * Takes the lead of the fleet until then, or keeps it. Who leads the queue leads the fleet: the two pass to another window
   * together. While nobody leads the queue, false as long as another window's lead lasts.
   */
  lead(owner: string, at: number, untilMs: number): Promise<boolean>;
  standDown(owner: string): Promise<void>;
  /** Does automation, in any window, see to this pod now? Then nobody else stops it for being idle. */
  seesTo(podId: string, at: number): Promise<boolean>;
  look(at: number, limit: number): Promise<FleetLook>;
  note(decision: FleetDecision): Promise<void>;
  /** Of pods that automation has had in hand, by id. */
  histories(): Promise<ReadonlyMap<string, PodHistory>>;
  /** Newest first. */
  decisions(): Promise<readonly FleetDecision[]>;
}

/** No wait is that long: a later time is of a clock that was wrong. */
const longestWaitMs = 24 * 3_600_000;

const leaderRow = z.object({ leader: z.string() });
const oneRow = z.object({ one: z.int() });
const workRow = z.object({
  id: z.string(),
  fingerprint: z.string(),
  requested_at: z.int(),
  local_only: z.int(),
  excluded: z.string(),
});
const groupRow = z.object({ ...workRow.shape, count: z.int() });
const exclusions = z.array(z.object({ backend: z.string(), for: z.string() }));
const loadRow = z.object({
  backend: z.string(),
  fingerprint: z.string(),
  given_at: z.nullable(z.int()),
  requested_at: z.int(),
});
const spanRow = z.object({ requested_at: z.int(), changed_at: z.int() });
const podRow = z.object({ pod_id: z.string() });
const launchRow = z.object({ pod_id: z.string(), at: z.int() });
const historyRow = z.object({
  pod_id: z.string(),
  what: z.enum(['start', 'create', 'stop']),
  at: z.int(),
  disk_since: z.nullable(z.int()),
  made: z.int(),
});
const bootRow = z.object({ subject: z.string(), ms: z.int(), nth: z.int() });
const priceRow = z.object({ pod_id: z.string(), usd_per_hour_micros: z.int() });
const decisionRow = z.object({
  at: z.int(),
  what: z.enum(['start', 'create', 'stop']),
  pod_id: z.nullable(z.string()),
  pod_name: z.nullable(z.string()),
  usd_per_hour_micros: z.nullable(z.int()),
  because: z.string(),
  saved_seconds: z.nullable(z.number()),
  micros: z.nullable(z.int()),
  failure: z.nullable(z.string()),
});

const lastLaunch = `SELECT pod_id, at FROM fleet_decision AS own WHERE pod_id IS NOT NULL AND failure IS NULL
  AND what <> 'stop' AND id = (SELECT max(id) FROM fleet_decision WHERE pod_id = own.pod_id AND failure IS NULL)`;
/** Enough of the past to know how often work comes. */
const spansRead = 200;
const bootsRead = 40;

export function createFleetStore(database: Database): FleetStore {
  return {
    lead: (owner, at, untilMs) =>
      database.write((rows) => {
        const queue = rows.first(leaderRow, `SELECT leader FROM scheduler WHERE leader <> '' AND lease_until > ?`, at);
        if (queue !== undefined && queue.leader !== owner) {
          rows.run(`UPDATE fleet_lead SET leader = '', lease_until = 0 WHERE leader = ?`, owner);
          return false;
        }
        const sql = `UPDATE fleet_lead SET leader = ?, lease_until = ?
          WHERE leader = ? OR lease_until <= ? OR lease_until > ? OR ?`;
        // A lease that ends later than it can have been given for is of a clock that was wrong.
        const latest = at + 2 * (untilMs - at);
        return rows.run(sql, owner, untilMs, owner, at, latest, queue === undefined ? 0 : 1) === 1;
      }),
    standDown: (owner) =>
      database.write((rows) => {
        rows.run(`UPDATE fleet_lead SET leader = '', lease_until = 0 WHERE leader = ?`, owner);
      }),
    seesTo: (podId, at) =>
      database.read((rows) => {
        if (rows.first(oneRow, 'SELECT 1 AS one FROM fleet_lead WHERE lease_until > ?', at) === undefined) return false;
        return rows.first(podRow, `${lastLaunch} AND pod_id = ?`, podId) !== undefined;
      }),
    look: (at, limit) =>
      database.read((rows) => {
        const atWork = `SELECT backend, fingerprint, given_at, requested_at FROM job
          WHERE state = 'running' AND backend IS NOT NULL`;
        const spans = `SELECT requested_at, changed_at FROM job WHERE state NOT IN ('queued', 'running')
          ORDER BY changed_at DESC, requested_at DESC LIMIT ?`;
        const boots = `SELECT subject, to_ms - from_ms AS ms, row_number() OVER (PARTITION BY subject ORDER BY id) AS nth
          FROM ledger_entry WHERE kind = 'pod' AND part = 'boot' AND basis = 'measured' ORDER BY id DESC LIMIT ?`;
        return {
          waiting: waitingOf(rows, at, limit),
          atWork: rows.all(loadRow, atWork).map((row) => ({
            backend: row.backend,
            fingerprint: row.fingerprint,
            givenAt: row.given_at ?? row.requested_at,
          })),
          gapsSeconds: gapsOf(rows.all(spanRow, spans, spansRead)),
          launched: new Map(rows.all(launchRow, lastLaunch).map((row) => [row.pod_id, row.at])),
          boots: rows
            .all(bootRow, boots, bootsRead)
            .map(({ subject, ms, nth }) => ({ podId: subject, seconds: ms / 1_000, isFirst: nth === 1 }))
            .reverse(),
          lastPrices: new Map(
            rows
              .all(priceRow, 'SELECT pod_id, usd_per_hour_micros FROM pod_meter WHERE usd_per_hour_micros > 0')
              .map((row) => [row.pod_id, row.usd_per_hour_micros]),
          ),
        };
      }),
    note: ({ atMs, what, podId, podName, usdPerHourMicros, because, expected, failure }) =>
      database.write((rows) => {
        rows.run(
          `INSERT INTO fleet_decision (at, what, pod_id, pod_name, usd_per_hour_micros, because, saved_seconds, micros,
             failure) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
          atMs,
          what,
          podId ?? null,
          podName ?? null,
          usdPerHourMicros ?? null,
          because,
          expected.savedSeconds ?? null,
          expected.micros === undefined ? null : Math.round(expected.micros),
          failure ?? null,
        );
        // What was done with each pod last stays, and who created it: it says whose the pod is.
        const sql = `DELETE FROM fleet_decision WHERE id <= (SELECT max(id) - ? FROM fleet_decision)
          AND (failure IS NOT NULL OR pod_id IS NULL OR (what <> 'create' AND id < (SELECT max(id) FROM fleet_decision AS other
            WHERE other.pod_id = fleet_decision.pod_id AND other.failure IS NULL)))`;
        rows.run(sql, keptDecisions);
      }),
    histories: () =>
      database.read((rows) => {
        const sql = `SELECT own.pod_id, own.what, own.at, segment_from_ms AS disk_since,
            EXISTS (SELECT 1 FROM fleet_decision WHERE pod_id = own.pod_id AND what = 'create' AND failure IS NULL) AS made
          FROM fleet_decision AS own LEFT JOIN disk_meter ON disk_meter.pod_id = own.pod_id
          WHERE own.id IN (SELECT max(id) FROM fleet_decision WHERE pod_id IS NOT NULL AND failure IS NULL GROUP BY pod_id)`;
        return new Map(
          rows.all(historyRow, sql).map((row) => {
            const last = { what: row.what, atMs: row.at };
            return [row.pod_id, { isCreated: row.made !== 0, last, diskSinceMs: row.disk_since ?? undefined }];
          }),
        );
      }),
    decisions: () =>
      database.read((rows) =>
        rows.all(decisionRow, 'SELECT * FROM fleet_decision ORDER BY id DESC LIMIT ?', keptDecisions).map(toDecision),
      ),
  };
}

function toDecision(row: z.infer<typeof decisionRow>): FleetDecision {
  return {
    atMs: row.at,
    what: row.what,
    podId: row.pod_id ?? undefined,
    podName: row.pod_name ?? undefined,
    usdPerHourMicros: row.usd_per_hour_micros ?? undefined,
    because: row.because,
    expected: { savedSeconds: row.saved_seconds ?? undefined, micros: row.micros ?? undefined },
    failure: row.failure ?? undefined,
  };
}

/** One by one up to the limit; the others counted, in no order. */
function waitingOf(rows: Rows, at: number, limit: number): readonly FleetWork[] {
  const may = `state = 'queued' AND (not_before <= ? OR not_before > ?) AND (SELECT paused FROM scheduler) = 0`;
  const line = `SELECT id, fingerprint, requested_at, local_only, excluded FROM job WHERE ${may} ORDER BY priority DESC, place`;
  const first = rows.all(workRow, `${line} LIMIT ?`, at, at + longestWaitMs, limit).map((row) => workOf(row, 1));
  if (limit === 0 || first.length < limit) return first;
  const groups = `SELECT min(id) AS id, fingerprint, min(requested_at) AS requested_at, local_only, excluded, count(*) AS count
    FROM (${line} LIMIT -1 OFFSET ?) GROUP BY fingerprint, local_only, excluded`;
  const others = rows.all(groupRow, groups, at, at + longestWaitMs, limit);
  return [...first, ...others.map((row) => workOf(row, row.count))];
}

function workOf(row: z.infer<typeof workRow>, count: number): FleetWork {
  const excluded = row.excluded === '[]' ? [] : fromJson(exclusions, row.excluded);
  return {
    id: row.id,
    fingerprint: row.fingerprint,
    sinceMs: row.requested_at,
    localOnly: row.local_only !== 0,
    excluded: excluded.map(({ backend }) => backend),
    refused: excluded.filter((one) => one.for === 'ever').map(({ backend }) => backend),
    count,
  };
}

/** The times between the end of all earlier work and the next request. */
function gapsOf(newestFirst: readonly z.infer<typeof spanRow>[]): readonly number[] {
  const spans = [...newestFirst].sort((a, b) => a.requested_at - b.requested_at);
  const gaps: number[] = [];
  let endedAt = spans[0]?.requested_at ?? 0;
  for (const { requested_at: from, changed_at: to } of spans) {
    if (from > endedAt) gaps.push((from - endedAt) / 1_000);
    endedAt = Math.max(endedAt, to);
  }
  return gaps;
}
