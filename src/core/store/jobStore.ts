import * as z from 'zod/mini';
import { readGraph } from '../comfy/workflow.ts';
import type { Database, Rows } from './database.ts';
import { dropOldest, findGraph, putGraph } from './graphShelf.ts';
import { GraphPacker } from './graphPack.ts';
import { jobRow, jsonOrNull, selectJobs, toRecord } from './jobRow.ts';
import { addBeatenResult, isBeaten, settleSecondRuns } from './secondRuns.ts';
import type { JobRecord, JobState, NewJob, OutputRow, QueuedBefore, RemoteRun } from './jobRecord.ts';

export type { JobRecord, JobState, NewJob, QueuedBefore, RemoteRun };

/** What may change while a job runs. An absent field stays as it is. */
export interface JobChange {
  readonly state?: JobState;
  readonly backend?: string;
  readonly remote?: RemoteRun;
  /** JSON values, in order. */
  readonly attempts?: readonly unknown[];
  readonly outputs?: readonly OutputRow[];
  /** Micro-dollars, with what the figure stands on. */
  readonly cost?: { readonly micros: number; readonly basis: string };
  readonly fault?: { readonly kind: string; readonly message: string };
}

/**
 * Jobs as far as they are known, so that what a window's end interrupts can be collected later. Every running job
 * belongs to a window, which says so again from time to time; a job whose window has gone silent can be claimed.
 * All times are ms since the epoch.
 */
export interface JobStore {
  /** Before anything is sent. On the disk when it returns. */
  put(job: NewJob): Promise<void>;
  /** On the disk when it returns. False, with nothing changed, when the job is another window's by now. */
  update(id: string, change: JobChange, at: number): Promise<boolean>;
  /** True when a job of this window was done by its second run meanwhile: what it has made here is nobody's. */
  isBeaten(id: string): Promise<boolean>;
  /** This window is alive: to be called well within every lease. */
  renew(at: number): Promise<void>;
  /** This window ends: its running jobs can be claimed at once. */
  release(): Promise<void>;
  /** Its end is not known yet and cannot be found out now: any window may claim it from then on. */
  park(id: string, untilMs: number): Promise<void>;
  /** Running jobs of windows that have gone; they are this window's from now on, and no other gets them. */
  claimAbandoned(at: number): Promise<readonly JobRecord[]>;
  /** When a running job of another window, or a parked one, can be claimed at the earliest; undefined = there is none. */
  nextClaimAt(): Promise<number | undefined>;
  /** What this backend could not tell may be asked for at once. True when there is such a job. */
  unpark(backend: string): Promise<boolean>;
  /** The server has said that it has the job. */
  accept(id: string): Promise<void>;
  /** A few prompts that had ended on that server before this job was given to it, newest first. */
  sentBefore(job: JobRecord): Promise<readonly string[]>;
  /** Running jobs of all windows, oldest first. */
  unfinished(): Promise<readonly JobRecord[]>;
  /** Newest first, without those that are only queued. */
  recent(limit: number): Promise<readonly JobRecord[]>;
}

export interface JobStoreOptions {
  /** Unique to this window. */
  readonly owner: string;
  readonly leaseMs?: number;
  /** How many ended jobs are kept; their files and sidecars stay anyway. */
  readonly keep?: number;
}

const defaultLeaseMs = 15_000;
/** Ended jobs that are kept. */
export const jobsMostEnded = 100_000;
/** No lease is that long: such a one is of a clock that was wrong, and would keep the job from everybody. */
const longestLeaseMs = 24 * 3_600_000;

const promptRow = z.object({ prompt_id: z.string() });
const earliestRow = z.object({ at: z.nullable(z.int()) });

export function createJobStore(database: Database, options: JobStoreOptions): JobStore {
  const { owner, leaseMs = defaultLeaseMs, keep = jobsMostEnded } = options;
  const list = (rows: Rows, where: string, ...values: readonly (string | number)[]): readonly JobRecord[] =>
    rows.all(jobRow, `${selectJobs} ${where}`, ...values).map(toRecord);
  return {
    put: (job) =>
      database.writeThrough((rows) => {
        const { graph, text } = putGraph(
          rows,
          new GraphPacker((shape) => findGraph(rows, shape)).pack(readGraph(job.workflow)),
        );
        rows.run(
          `INSERT INTO job (id, label, graph, workflow, state, attempts, outputs, details, requested_at, changed_at, owner, lease_until)
           VALUES (?, ?, ?, ?, 'running', '[]', '[]', ?, ?, ?, ?, ?)`,
          job.id,
          job.label,
          graph,
          text,
          JSON.stringify(job.details),
          job.requestedAt,
          job.requestedAt,
          owner,
          job.requestedAt + leaseMs,
        );
        dropOldest(rows, keep);
      }),
    update: (id, change, at) =>
      database.writeThrough((rows) => {
        const changed = rows.run(
          `UPDATE job SET state = coalesce(?, state), backend = coalesce(?, backend),
             prompt_id = iif(?, ?, prompt_id), client_id = iif(?, ?, client_id), address = coalesce(?, address),
             attempts = coalesce(?, attempts),
             outputs = coalesce(?, outputs), micros = coalesce(?, micros), cost_basis = coalesce(?, cost_basis),
             fault = coalesce(?, fault), changed_at = ?, lease_until = ?
           WHERE id = ? AND owner = ? AND state = 'running'`,
          change.state ?? null,
          change.backend ?? null,
          change.remote === undefined ? 0 : 1,
          change.remote?.promptId ?? null,
          change.remote === undefined ? 0 : 1,
          change.remote?.clientId ?? null,
          change.remote?.address ?? null,
          jsonOrNull(change.attempts),
          jsonOrNull(change.outputs),
          change.cost?.micros ?? null,
          change.cost?.basis ?? null,
          jsonOrNull(change.fault),
          at,
          at + leaseMs,
          id,
          owner,
        );
        if (changed === 0) return change.state === 'done' && addBeatenResult(rows, id, owner, change.outputs ?? []);
        if (change.state !== undefined && change.state !== 'running') settleSecondRuns(rows, id, at);
        return true;
      }),
    isBeaten: (id) => database.read((rows) => isBeaten(rows, id, owner)),
    renew: (at) =>
      database.write((rows) => {
        rows.run(`UPDATE job SET lease_until = ? WHERE state = 'running' AND owner = ?`, at + leaseMs, owner);
      }),
    release: () =>
      database.write((rows) => {
        rows.run(`UPDATE job SET lease_until = 0 WHERE state = 'running' AND owner = ?`, owner);
      }),
    park: (id, untilMs) =>
      database.write((rows) => {
        rows.run(`UPDATE job SET owner = '', lease_until = ? WHERE id = ? AND owner = ?`, untilMs, id, owner);
      }),
    claimAbandoned: (at) =>
      database.write((rows) => {
        const abandoned = list(
          rows,
          `WHERE state = 'running' AND owner <> ? AND (lease_until <= ? OR lease_until > ?)
           ORDER BY requested_at, id`,
          owner,
          at,
          at + longestLeaseMs,
        );
        for (const job of abandoned) {
          rows.run('UPDATE job SET owner = ?, lease_until = ? WHERE id = ?', owner, at + leaseMs, job.id);
        }
        return abandoned;
      }),
    nextClaimAt: () =>
      database.read((rows) => {
        const sql = `SELECT min(lease_until) AS at FROM job WHERE state = 'running' AND owner <> ?`;
        return rows.first(earliestRow, sql, owner)?.at ?? undefined;
      }),
    unpark: (backend) =>
      database.write((rows) => {
        const sql = `UPDATE job SET lease_until = 0 WHERE state = 'running' AND owner = '' AND backend = ?`;
        return rows.run(sql, backend) > 0;
      }),
    accept: (id) =>
      database.write((rows) => void rows.run('UPDATE job SET accepted = 1 WHERE id = ? AND owner = ?', id, owner)),
    sentBefore: ({ remote, queue }) =>
      database.read((rows) => {
        if (remote === undefined || queue?.givenAt === undefined) return [];
        const sql = `SELECT prompt_id FROM job WHERE state NOT IN ('queued', 'running') AND state = 'done' AND address = ?
          AND prompt_id IS NOT NULL AND changed_at < ? ORDER BY changed_at DESC LIMIT 5`;
        return rows.all(promptRow, sql, remote.address, queue.givenAt).map((row) => row.prompt_id);
      }),
    unfinished: () => database.read((rows) => list(rows, `WHERE state = 'running' ORDER BY requested_at, id`)),
    recent: (limit) =>
      database.read((rows) => list(rows, `WHERE state <> 'queued' ORDER BY requested_at DESC, id DESC LIMIT ?`, limit)),
  };
}
