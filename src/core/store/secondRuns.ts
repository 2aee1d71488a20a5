import { randomUUID } from 'node:crypto';
import * as z from 'zod/mini';
import type { Database, Rows } from './database.ts';
import { nextState, queueStates } from '../queue/jobState.ts';
import { jobRow, outputsOf, selectJobs, toRecord } from './jobRow.ts';
import type { JobRecord, OutputRow } from './jobRecord.ts';
import { countsOf, isLeader, noteChange } from './queueRows.ts';
import { toWaiting, waitingColumns, waitingRow } from './waitingRow.ts';
import type { WaitingRow } from './waitingRow.ts';

export interface NewSecondRun {
  /** The job that is late. */
  readonly jobId: string;
  readonly backend: string;
  /** Why it is begun and why there, sentences. */
  readonly why: string;
  /** The late run, as one of the job's attempts: a JSON value. */
  readonly lateTry: unknown;
}

/**
 * Second runs of late jobs. Each is a job record of its own as long as it lasts, so that a crash finds both runs; how it
 * ends goes into the record of the job whose second run it is, and the row is gone.
 */
export interface SecondRunStore {
  /** Some running job may have a second run. */
  areThere(): Promise<boolean>;
  /** Of these running jobs, those that may have a second run: they came through the queue and have had none. */
  candidates(ids: readonly string[]): Promise<readonly WaitingRow[]>;
  /** On the disk when it returns. Undefined when another window leads, or the job may have none any more. */
  begin(run: NewSecondRun, at: number): Promise<JobRecord | undefined>;
}

export interface SecondRunStoreOptions {
  /** Unique to this window. */
  readonly owner: string;
  readonly jobLeaseMs: number;
}

const mayHaveOne = `state = 'running' AND from_queue = 1 AND had_second = 0 AND second_of IS NULL AND cancel_wanted = 0
  AND NOT EXISTS (SELECT 1 FROM job AS other WHERE other.second_of = job.id)`;
const prefix = 'second-';

export function isSecondRun(jobId: string): boolean {
  return jobId.startsWith(prefix);
}

export function createSecondRunStore(database: Database, options: SecondRunStoreOptions): SecondRunStore {
  const { owner, jobLeaseMs } = options;
  return {
    areThere: () =>
      database.read(
        (rows) => rows.first(idRow, `SELECT id FROM job WHERE ${mayHaveOne} AND owner <> '' LIMIT 1`) !== undefined,
      ),
    candidates: (ids) =>
      database.read((rows) =>
        ids.flatMap((id) =>
          rows.all(waitingRow, `SELECT ${waitingColumns} FROM job WHERE id = ? AND ${mayHaveOne}`, id).map(toWaiting),
        ),
      ),
    begin: ({ jobId, backend, why, lateTry }, at) =>
      database.writeThrough((rows) => {
        // Jobs that wait go first.
        if (!isLeader(rows, owner) || countsOf(rows).queued > 0) return undefined;
        const id = `${prefix}${randomUUID()}`;
        const made = rows.run(
          `INSERT INTO job (id, label, graph, workflow, state, backend, attempts, outputs, details, requested_at, changed_at, owner,
             lease_until, from_queue, priority, place, fingerprint, local_only, excluded, why, given_at, second_of)
           SELECT ?, label, graph, workflow, 'running', ?, json_insert(attempts, '$[#]', json(?)), '[]', details, ?, ?, ?,
             ?, 1, priority, place, fingerprint, local_only, excluded, ?, ?, id FROM job WHERE id = ? AND ${mayHaveOne}`,
          ...[id, backend, JSON.stringify(lateTry), at, at, owner, at + jobLeaseMs, why, at, jobId],
        );
        if (made === 0) return undefined;
        rows.run('UPDATE job SET had_second = 1 WHERE id = ?', jobId);
        addReason(rows, jobId, why);
        noteChange(rows);
        return rows.all(jobRow, `${selectJobs} WHERE id = ?`, id).map(toRecord)[0];
      }),
  };
}

const idRow = z.object({ id: z.string() });
const endedRow = z.object({
  state: z.string(),
  second_of: z.nullable(z.string()),
  backend: z.nullable(z.string()),
  outputs: z.string(),
  given_at: z.nullable(z.int()),
});
const firstRow = z.object({ state: z.enum(queueStates), outputs: z.string(), owner: z.string() });

/**
 * To be called in the transaction that ends a running job. The first result of two runs is the job's: the other run is
 * cancelled, and what it has made is nobody's.
 */
export function settleSecondRuns(rows: Rows, id: string, at: number): void {
  const sql = 'SELECT state, second_of, backend, outputs, given_at FROM job WHERE id = ?';
  const run = rows.first(endedRow, sql, id);
  if (run === undefined) return;
  if (run.second_of !== null) endSecond(rows, id, run, run.second_of, at);
  else if (run.state === 'done') cancelSecondRuns(rows, id);
}

/**
 * For a second run that would go back to the queue: it ends instead. False when it is none, or its job is no more.
 */
export function dropSecondRun(rows: Rows, id: string, owner: string, why: string | undefined): boolean {
  const sql = `SELECT second_of AS id FROM job WHERE id = ? AND owner = ?
    AND EXISTS (SELECT 1 FROM job AS other WHERE other.id = job.second_of)`;
  const first = rows.first(idRow, sql, id, owner)?.id;
  if (first === undefined) return false;
  addReason(rows, first, `The second run has failed${why === undefined ? '' : `: ${why}`}`);
  release(rows, first);
  remove(rows, id);
  return true;
}

function endSecond(rows: Rows, id: string, run: z.infer<typeof endedRow>, firstId: string, at: number): void {
  const first = rows.first(firstRow, 'SELECT state, outputs, owner FROM job WHERE id = ?', firstId);
  const isDone = run.state === 'done';
  const canFinish = first !== undefined && nextState(first.state, 'finishBySecond') !== undefined;
  if (first === undefined && !isDone) return remove(rows, id);
  if (first === undefined || (isDone && !canFinish && first.state !== 'done')) {
    // The job was cleared away or given up, and there are files: from now on this is the job.
    rows.run('UPDATE job SET second_of = NULL WHERE id = ?', id);
    return;
  }
  const seconds = Math.max(0, Math.round((at - (run.given_at ?? at)) / 1_000));
  if (!isDone) {
    const how =
      first.state === 'done' ? 'The first run was done sooner: the second was cancelled' : 'The second run ended';
    addReason(rows, firstId, `${how} after ${String(seconds)} s${first.state === 'done' ? '' : ' without a result'}`);
    release(rows, firstId);
  } else if (first.state === 'done') {
    // Both at once: all files are there.
    addOutputs(rows, firstId, outputsOf(run.outputs));
  } else {
    rows.run(
      `UPDATE job SET state = 'done', cancel_wanted = iif(job.state = 'running' AND job.owner <> '', 1, 0), changed_at = ?,
         backend = second.backend, prompt_id = second.prompt_id, client_id = second.client_id, address = second.address,
         attempts = second.attempts, outputs = second.outputs, micros = second.micros, cost_basis = second.cost_basis,
         given_at = second.given_at, fault = NULL, waits_for = NULL, progress = NULL, not_before = 0
       FROM (SELECT * FROM job WHERE id = ?) AS second WHERE job.id = ?`,
      ...[at, id, firstId],
    );
    // Nobody is there to remove what a first run has left that could not be asked.
    if (first.owner === '') addOutputs(rows, firstId, outputsOf(first.outputs));
    addReason(rows, firstId, `The second run was done first, after ${String(seconds)} s`);
  }
  remove(rows, id);
}

/** A job that came back to the queue waits while its second run works: two places are enough for one job. */
const longestHoldMs = 600_000;
const holdReason = 'Its second run is at work';

/** To be called when a job has come back to the queue. */
export function holdForSecondRun(rows: Rows, id: string, at: number): void {
  rows.run(
    `UPDATE job SET not_before = max(not_before, ?), waits_for = ? WHERE id = ? AND state = 'queued'
       AND EXISTS (SELECT 1 FROM job AS second WHERE second.second_of = job.id)`,
    ...[at + longestHoldMs, holdReason, id],
  );
}

function release(rows: Rows, id: string): void {
  const sql = `UPDATE job SET not_before = 0, waits_for = NULL WHERE id = ? AND state = 'queued' AND waits_for = ?`;
  rows.run(sql, id, holdReason);
}

/** To be called when a person cancels the job. */
export function cancelSecondRuns(rows: Rows, id: string): void {
  rows.run(`UPDATE job SET cancel_wanted = 1 WHERE second_of = ? AND owner <> ''`, id);
  // Its server does not answer: nobody is there who could cancel it.
  rows.run(`DELETE FROM job WHERE second_of = ? AND owner = ''`, id);
}

/** True when the job's second run was done before this run, which has files too: they are kept. */
export function addBeatenResult(rows: Rows, id: string, owner: string, outputs: readonly OutputRow[]): boolean {
  if (!isBeaten(rows, id, owner)) return false;
  addOutputs(rows, id, outputs);
  return true;
}

/** A run of this window whose job was done by its second run. */
export function isBeaten(rows: Rows, id: string, owner: string): boolean {
  return (
    rows.first(
      idRow,
      `SELECT id FROM job WHERE id = ? AND owner = ? AND state = 'done' AND cancel_wanted = 1`,
      id,
      owner,
    ) !== undefined
  );
}

function addOutputs(rows: Rows, id: string, more: readonly OutputRow[]): void {
  const row = rows.first(z.object({ outputs: z.string() }), 'SELECT outputs FROM job WHERE id = ?', id);
  const all = new Map([...outputsOf(row?.outputs ?? '[]'), ...more].map((output) => [output.path, output]));
  rows.run('UPDATE job SET outputs = ? WHERE id = ?', JSON.stringify([...all.values()]), id);
}

function remove(rows: Rows, id: string): void {
  rows.run('DELETE FROM job WHERE id = ?', id);
  noteChange(rows);
}

function addReason(rows: Rows, id: string, sentence: string): void {
  const text = `${sentence.replace(/\.$/, '')}.`;
  rows.run(`UPDATE job SET why = iif(why IS NULL, ?, rtrim(why, ' ') || ' ' || ?) WHERE id = ?`, text, text, id);
}
