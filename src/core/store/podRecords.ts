import * as z from 'zod/mini';
import { Fault } from '../kernel/fault.ts';
import type { Database } from './database.ts';

/**
 * A pod that we asked for. 'intended': the request may or may not have arrived; list the account's pods for the name.
 * 'notCreated': known to have had no effect. 'gone': terminated.
 */
export interface PodRecord {
  /** Unique, made before the request is sent: a lost reply is answered by looking for it. */
  readonly name: string;
  readonly podId: string | undefined;
  readonly gpu: string;
  /** Undefined when the catalogue named no price. */
  readonly quoteUsdPerHourMicros: number | undefined;
  /** ms since the epoch, as `changedAt` */
  readonly requestedAt: number;
  readonly state: 'intended' | 'owned' | 'notCreated' | 'gone';
  readonly changedAt: number;
  readonly why: string | undefined;
}

export interface PodIntent {
  readonly name: string;
  readonly gpu: string;
  readonly quoteUsdPerHourMicros: number | undefined;
  readonly requestedAt: number;
}

/** A job has started a pod that we did not deploy: that run of it is ours to stop, and no other. */
export interface JobStart {
  readonly podId: string;
  /** ms since the epoch */
  readonly at: number;
  /** RunPod's start time of the run before; undefined = there was none. */
  readonly beforeMs: number | undefined;
  /** RunPod's start time of this run; undefined = its container has not been seen running. */
  readonly runMs: number | undefined;
}

export interface PodRecords {
  /** Before the create request is sent. On the disk when it returns. Fault 'bug' when the name was used before. */
  intend(intent: PodIntent): Promise<void>;
  /** The same name is asked for once more: it may show up later. */
  renew(name: string, at: number): Promise<void>;
  /** The reply, or a listing, told the id; a quote, when there is one, replaces the intent's. A repeat is harmless; another id for the name is a 'bug' fault. */
  confirm(name: string, podId: string, at: number, quoteUsdPerHourMicros?: number): Promise<void>;
  /** The request is known to have had no effect. */
  giveUp(name: string, why: string, at: number): Promise<void>;
  /** A pod with our mark that these records do not know: another machine or an older store made it. */
  adopt(pod: PodIntent & { readonly podId: string }): Promise<void>;
  markGone(podId: string, at: number): Promise<void>;
  /** Requests whose outcome is not known, oldest first. */
  unconfirmed(): Promise<readonly PodRecord[]>;
  owned(): Promise<readonly PodRecord[]>;
  isOwned(podId: string): Promise<boolean>;
  /** Before the start request is sent, and when more is known of the run. On the disk when it returns. */
  noteStart(start: JobStart): Promise<void>;
  forgetStart(podId: string): Promise<void>;
  starts(): Promise<readonly JobStart[]>;
  /** By these records a pod may cost money. */
  mayRun(): Promise<boolean>;
}

const podRow = z.object({
  name: z.string(),
  pod_id: z.nullable(z.string()),
  gpu: z.string(),
  quote_usd_per_hour_micros: z.nullable(z.int()),
  requested_at: z.int(),
  state: z.enum(['intended', 'owned', 'notCreated', 'gone']),
  changed_at: z.int(),
  why: z.nullable(z.string()),
});

const startRow = z.object({
  pod_id: z.string(),
  at: z.int(),
  before_ms: z.nullable(z.int()),
  run_ms: z.nullable(z.int()),
});

const select = 'SELECT * FROM pod WHERE state = ? ORDER BY requested_at, name';

export function createPodRecords(database: Database): PodRecords {
  const inState = (state: PodRecord['state']): Promise<readonly PodRecord[]> =>
    database.read((rows) => rows.all(podRow, select, state).map(toRecord));
  return {
    intend: (intent) =>
      database.writeThrough((rows) => {
        const used = rows.first(podRow, 'SELECT * FROM pod WHERE name = ?', intent.name);
        if (used !== undefined) throw new Fault('bug', `The pod name ${intent.name} was used before`);
        rows.run(
          `INSERT INTO pod (name, gpu, quote_usd_per_hour_micros, requested_at, state, changed_at)
           VALUES (?, ?, ?, ?, 'intended', ?)`,
          intent.name,
          intent.gpu,
          intent.quoteUsdPerHourMicros ?? null,
          intent.requestedAt,
          intent.requestedAt,
        );
      }),
    renew: (name, at) =>
      database.write((rows) => {
        const sql = `UPDATE pod SET state = 'intended', requested_at = ?, changed_at = ?, why = NULL
          WHERE name = ? AND state IN ('intended', 'notCreated')`;
        rows.run(sql, at, at, name);
      }),
    confirm: (name, podId, at, quote) =>
      database.writeThrough((rows) => {
        const record = rows.first(podRow, 'SELECT * FROM pod WHERE name = ?', name);
        if (record === undefined) throw new Fault('bug', `No pod of the name ${name} was asked for`);
        if (record.pod_id === podId) return;
        if (record.pod_id !== null) throw new Fault('bug', `The pod ${name} has the id ${record.pod_id} already`);
        rows.run(
          `UPDATE pod SET pod_id = ?, state = 'owned', changed_at = ?, why = NULL,
             quote_usd_per_hour_micros = coalesce(?, quote_usd_per_hour_micros) WHERE name = ?`,
          podId,
          at,
          quote ?? null,
          name,
        );
      }),
    giveUp: (name, why, at) =>
      database.write((rows) => {
        const sql = `UPDATE pod SET state = 'notCreated', why = ?, changed_at = ? WHERE name = ? AND state = 'intended'`;
        rows.run(sql, why, at, name);
      }),
    adopt: (pod) =>
      database.write((rows) => {
        rows.run(
          `INSERT INTO pod (name, pod_id, gpu, quote_usd_per_hour_micros, requested_at, state, changed_at)
           VALUES (?, ?, ?, ?, ?, 'owned', ?)
           ON CONFLICT (name) DO UPDATE SET pod_id = excluded.pod_id, state = 'owned', changed_at = excluded.changed_at
           ON CONFLICT (pod_id) DO NOTHING`,
          pod.name,
          pod.podId,
          pod.gpu,
          pod.quoteUsdPerHourMicros ?? null,
          pod.requestedAt,
          pod.requestedAt,
        );
      }),
    markGone: (podId, at) =>
      database.write((rows) => {
        rows.run(`UPDATE pod SET state = 'gone', changed_at = ? WHERE pod_id = ?`, at, podId);
      }),
    unconfirmed: () => inState('intended'),
    owned: () => inState('owned'),
    isOwned: (podId) =>
      database.read((rows) => rows.first(podRow, 'SELECT * FROM pod WHERE pod_id = ?', podId)?.state === 'owned'),
    noteStart: ({ podId, at, beforeMs, runMs }) =>
      database.writeThrough((rows) => {
        const sql = 'INSERT OR REPLACE INTO job_start (pod_id, at, before_ms, run_ms) VALUES (?, ?, ?, ?)';
        rows.run(sql, podId, at, beforeMs ?? null, runMs ?? null);
      }),
    forgetStart: (podId) =>
      database.write((rows) => {
        rows.run('DELETE FROM job_start WHERE pod_id = ?', podId);
      }),
    mayRun: () =>
      database.read((rows) => {
        const sql = `SELECT 1 AS one FROM pod WHERE state IN ('intended', 'owned') UNION SELECT 1 FROM job_start`;
        return rows.first(z.object({ one: z.int() }), sql) !== undefined;
      }),
    starts: () => database.read((rows) => rows.all(startRow, 'SELECT * FROM job_start').map(toStart)),
  };
}

function toStart({ pod_id, at, before_ms, run_ms }: z.infer<typeof startRow>): JobStart {
  return { podId: pod_id, at, beforeMs: before_ms ?? undefined, runMs: run_ms ?? undefined };
}

function toRecord(row: z.infer<typeof podRow>): PodRecord {
  return {
    name: row.name,
    podId: row.pod_id ?? undefined,
    gpu: row.gpu,
    quoteUsdPerHourMicros: row.quote_usd_per_hour_micros ?? undefined,
    requestedAt: row.requested_at,
    state: row.state,
    changedAt: row.changed_at,
    why: row.why ?? undefined,
  };
}
