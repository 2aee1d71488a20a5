import * as z from 'zod/mini';
import type { Exclusion } from '../queue/afterFault.ts';
import type { Database, Rows } from './database.ts';
import { fromJson, jobRow, selectJobs, toRecord } from './jobRow.ts';
import type { JobRecord } from './jobStore.ts';
import { canBe, countsOf, isLeader, isPaused, noteChange } from './queueRows.ts';
import { freshColumns } from './queueStore.ts';
import { dropSecondRun, holdForSecondRun } from './secondRuns.ts';
import { toWaiting, waitingColumns, waitingRow } from './waitingRow.ts';
import type { WaitingRow } from './waitingRow.ts';

export type { WaitingRow };

/** A job that runs, in whatever window. Times are ms since the epoch. */
export interface AtWorkRow {
  readonly id: string;
  readonly backend: string | undefined;
  readonly fingerprint: string;
  readonly givenAt: number;
}

export interface QueueLook {
  readonly paused: boolean;
  readonly queued: number;
  /** Those that may be given away now, in order; no more than were asked for. */
  readonly waiting: readonly WaitingRow[];
  readonly atWork: readonly AtWorkRow[];
  /** When the next of those that must wait may be given away; undefined = none must. */
  readonly nextAt: number | undefined;
}

export interface Given {
  readonly jobId: string;
  readonly backend: string;
  readonly why: string;
}

export interface PutBack {
  /** All of the job so far: JSON values. */
  readonly attempts: readonly unknown[];
  readonly excluded: readonly Exclusion[];
  readonly waitsFor: string | undefined;
  readonly notBefore: number;
  /** Nobody knew of what was sent: it is put back for that once. */
  readonly resent?: boolean;
}

export type Lead =
  | { readonly is: 'ours'; readonly queued: number; readonly atWork: number; readonly version: number }
  /** `untilMs` is past when nobody leads. */
  | { readonly is: 'others'; readonly queued: number; readonly atWork: number; readonly untilMs: number };

/** The queue as the window sees it that leads, or that might. Times are ms since the epoch. */
export interface ScheduleStore {
  /** Takes the lead or keeps it, unless another window has it and is alive. */
  lead(at: number): Promise<Lead>;
  standDown(): Promise<void>;
  /** The same without keeping it: reads only. */
  pulse(): Promise<Lead>;
  look(at: number, limit: number): Promise<QueueLook>;
  /** On the disk when it returns: those that are this window's to run now. None when another window leads. */
  claim(given: readonly Given[], at: number): Promise<readonly JobRecord[]>;
  /** False when the job is another window's by now. */
  putBack(id: string, change: PutBack, at: number): Promise<boolean>;
  /** No backend can ever have it. */
  refuse(id: string, fault: { readonly kind: string; readonly message: string }, at: number): Promise<void>;
  /** Why queued jobs wait, by id. */
  explain(reasons: ReadonlyMap<string, string | undefined>): Promise<void>;
  foretell(finishAt: number | undefined): Promise<void>;
  /** Of jobs of this window, by id; gives those that somebody wants to be cancelled. */
  report(progress: ReadonlyMap<string, object>): Promise<readonly string[]>;
  /** Models by fingerprint. */
  models(fingerprints: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>>;
}

export interface ScheduleStoreOptions {
  /** Unique to this window. */
  readonly owner: string;
  /** Of its jobs, as the job store was told. */
  readonly jobLeaseMs: number;
  readonly leadMs: number;
}

/** No wait is that long: a later time is of a clock that was wrong. */
const longestWaitMs = 24 * 3_600_000;

const leadRow = z.object({ leader: z.string(), lease_until: z.int(), version: z.int() });
const atWorkRow = z.object({
  id: z.string(),
  backend: z.nullable(z.string()),
  fingerprint: z.string(),
  given_at: z.nullable(z.int()),
  requested_at: z.int(),
});
const earliestRow = z.object({ at: z.nullable(z.int()) });
const idRow = z.object({ id: z.string() });
const kindRow = z.object({ fingerprint: z.string(), models: z.string() });

export function createScheduleStore(database: Database, options: ScheduleStoreOptions): ScheduleStore {
  const { owner, jobLeaseMs, leadMs } = options;
  return {
    lead: (at) =>
      database.write((rows) => {
        // A lease that ends later than it can have been given for is of a clock that was wrong.
        rows.run(
          'UPDATE scheduler SET leader = ?, lease_until = ? WHERE leader = ? OR lease_until <= ? OR lease_until > ?',
          owner,
          at + leadMs,
          owner,
          at,
          at + 2 * leadMs,
        );
        return leadOf(rows, owner);
      }),
    standDown: () => database.write((rows) => void standDown(rows, owner)),
    pulse: () => database.read((rows) => leadOf(rows, owner)),
    look: (at, limit) =>
      database.read((rows) => {
        const mayGo = `not_before <= ? OR not_before > ?`;
        const waiting = `SELECT ${waitingColumns} FROM job
          WHERE state = 'queued' AND (${mayGo}) ORDER BY priority DESC, place LIMIT ?`;
        const next = `SELECT min(not_before) AS at FROM job WHERE state = 'queued' AND not_before > 0 AND not_before > ?`;
        return {
          paused: isPaused(rows),
          queued: countsOf(rows).queued,
          waiting: rows.all(waitingRow, waiting, at, at + longestWaitMs, limit).map(toWaiting),
          atWork: rows
            .all(atWorkRow, `SELECT id, backend, fingerprint, given_at, requested_at FROM job WHERE state = 'running'`)
            .map((row) => ({
              id: row.id,
              backend: row.backend ?? undefined,
              fingerprint: row.fingerprint,
              givenAt: row.given_at ?? row.requested_at,
            })),
          nextAt: rows.first(earliestRow, next, at)?.at ?? undefined,
        };
      }),
    claim: (given, at) =>
      database.writeThrough((rows) => {
        if (!isLeader(rows, owner)) return [];
        return given.flatMap(({ jobId, backend, why }) => {
          const taken = rows.run(
            `UPDATE job SET state = 'running', owner = ?, lease_until = ?, backend = ?, why = ?, given_at = ?, changed_at = ?,
               run = run + 1, waits_for = NULL, not_before = 0, fault = NULL WHERE id = ? AND ${canBe('claim')}`,
            owner,
            at + jobLeaseMs,
            backend,
            why,
            at,
            at,
            jobId,
          );
          return taken === 0 ? [] : rows.all(jobRow, `${selectJobs} WHERE id = ?`, jobId).map(toRecord);
        });
      }),
    putBack: (id, { attempts, excluded, waitsFor, notBefore, resent = false }, at) =>
      database.writeThrough((rows) => {
        if (dropSecondRun(rows, id, owner, waitsFor)) return true;
        // To the front of its priority: it had been taken before the others.
        const changed = rows.run(
          `UPDATE job SET state = iif(cancel_wanted = 0, 'queued', 'cancelled'), changed_at = ?, attempts = ?, excluded = ?,
             waits_for = ?, not_before = ?, resent = iif(?, 1, resent), fault = NULL, ${freshColumns},
             place = coalesce((SELECT min(ahead.place) - 1 FROM job AS ahead
               WHERE ahead.state = 'queued' AND ahead.priority = job.priority), place)
           WHERE id = ? AND owner = ? AND ${canBe('putBack')}`,
          at,
          JSON.stringify(attempts),
          JSON.stringify(excluded),
          waitsFor ?? null,
          notBefore,
          resent ? 1 : 0,
          id,
          owner,
        );
        if (changed === 0) return false;
        holdForSecondRun(rows, id, at);
        noteChange(rows);
        return true;
      }),
    refuse: (id, fault, at) =>
      database.write((rows) => {
        const sql = `UPDATE job SET state = 'failed', fault = ?, changed_at = ?, waits_for = NULL
          WHERE id = ? AND state = 'queued'`;
        rows.run(sql, JSON.stringify(fault), at, id);
      }),
    explain: (reasons) =>
      database.write((rows) => {
        const sql = `UPDATE job SET waits_for = ? WHERE id = ? AND state = 'queued'`;
        for (const [id, why] of reasons) rows.run(sql, why ?? null, id);
      }),
    foretell: (finishAt) =>
      database.write(
        (rows) => void rows.run('UPDATE scheduler SET finish_at = ? WHERE leader = ?', finishAt ?? null, owner),
      ),
    report: (progress) => {
      const wanted = (rows: Rows): readonly string[] =>
        // Done and to be cancelled: its second run was done first.
        ["state = 'running'", "state = 'done'"].flatMap((state) =>
          rows
            .all(idRow, `SELECT id FROM job WHERE ${state} AND owner = ? AND cancel_wanted = 1`, owner)
            .map(({ id }) => id),
        );
      if (progress.size === 0) return database.read(wanted);
      return database.write((rows) => {
        const sql = `UPDATE job SET progress = ? WHERE id = ? AND state = 'running' AND owner = ?`;
        for (const [id, at] of progress) rows.run(sql, JSON.stringify(at), id, owner);
        return wanted(rows);
      });
    },
    models: (fingerprints) =>
      database.read((rows) => {
        const sql = 'SELECT fingerprint, models FROM job_kind WHERE fingerprint = ?';
        return new Map(
          fingerprints.flatMap((fingerprint) =>
            rows
              .all(kindRow, sql, fingerprint)
              .map((row): [string, readonly string[]] => [row.fingerprint, fromJson(z.array(z.string()), row.models)]),
          ),
        );
      }),
  };
}

function leadOf(rows: Rows, owner: string): Lead {
  const { queued, running: atWork } = countsOf(rows);
  const row = rows.first(leadRow, selectLead);
  if (row?.leader === owner) return { is: 'ours', queued, atWork, version: row.version };
  return { is: 'others', untilMs: row?.lease_until ?? 0, queued, atWork };
}

const selectLead = 'SELECT leader, lease_until, version FROM scheduler';

/** Another window may lead at once. */
export function standDown(rows: Rows, owner: string): void {
  rows.run(`UPDATE scheduler SET leader = '', lease_until = 0, finish_at = NULL WHERE leader = ?`, owner);
}
