import * as z from 'zod/mini';
import { Fault } from '../kernel/fault.ts';
import { hasEnded, queueStates } from '../queue/jobState.ts';
import type { QueueState } from '../queue/jobState.ts';
import type { Database, Rows } from './database.ts';
import type { PackedGraph } from './graphPack.ts';
import { dropOldest, dropUnusedGraphs, putGraph } from './graphShelf.ts';
import { jobsMostEnded } from './jobStore.ts';
import { canBe, countsOf, noteChange } from './queueRows.ts';
import { cancelSecondRuns, settleSecondRuns } from './secondRuns.ts';

export interface NewQueuedJob {
  readonly id: string;
  readonly label: string;
  readonly graph: PackedGraph;
  readonly details: Readonly<Record<string, unknown>>;
  readonly priority: number;
  readonly fingerprint: string;
  readonly models: readonly string[];
  readonly localOnly: boolean;
}

/** Times are ms since the epoch. */
export interface QueueRow {
  readonly id: string;
  readonly label: string;
  readonly state: QueueState;
  readonly priority: number;
  readonly backend: string | undefined;
  readonly fingerprint: string;
  readonly why: string | undefined;
  readonly waitsFor: string | undefined;
  /** JSON text. */
  readonly progress: string | undefined;
  readonly outputs: string;
  readonly micros: number | undefined;
  readonly fault: string | undefined;
  readonly requestedAt: number;
  readonly changedAt: number;
  readonly owner: string;
  /** The job whose second run it is. */
  readonly secondOf: string | undefined;
}

export interface QueueRows {
  /** Running, then queued in order, then ended, newest first. */
  readonly jobs: readonly QueueRow[];
  readonly counts: Readonly<Record<QueueState, number>>;
  readonly paused: boolean;
  readonly leader: string;
  readonly leaseUntil: number;
  readonly finishAt: number | undefined;
}

/** The queue as people change and see it. All windows share it; every change is one transaction. */
export interface QueueStore {
  /** All or none, on the disk when it returns. @throws Fault 'rejected' when there would be too many */
  enqueue(jobs: readonly NewQueuedJob[], at: number): Promise<void>;
  /** Queued ones end; running ones are marked for the window that runs them. */
  cancel(ids: readonly string[], at: number): Promise<void>;
  /** Ended without a result → queued again, at the end of their priority. */
  retry(ids: readonly string[], at: number): Promise<void>;
  move(id: string, to: 'top' | 'up' | 'down' | 'bottom'): Promise<void>;
  setPaused(isPaused: boolean): Promise<void>;
  clearEnded(): Promise<void>;
  list(limit: { readonly queued: number; readonly ended: number }): Promise<QueueRows>;
}

/** More of them are refused. */
export const mostQueued = 10_000;
/** Between two places. No two queued jobs of one priority have the same. */
const step = 1;

const placeRow = z.object({ id: z.string(), priority: z.int(), place: z.int() });
const schedulerRow = z.object({
  leader: z.string(),
  lease_until: z.int(),
  paused: z.int(),
  next_place: z.int(),
  finish_at: z.nullable(z.int()),
});
const listColumns = `id, label, state, priority, backend, fingerprint, why, waits_for, progress, outputs, micros, fault,
  requested_at, changed_at, owner, second_of`;
const listRow = z.object({
  id: z.string(),
  label: z.string(),
  state: z.enum(queueStates),
  priority: z.int(),
  backend: z.nullable(z.string()),
  fingerprint: z.string(),
  why: z.nullable(z.string()),
  waits_for: z.nullable(z.string()),
  progress: z.nullable(z.string()),
  outputs: z.string(),
  micros: z.nullable(z.int()),
  fault: z.nullable(z.string()),
  requested_at: z.int(),
  changed_at: z.int(),
  owner: z.string(),
  second_of: z.nullable(z.string()),
});

export function createQueueStore(
  database: Database,
  { keep = jobsMostEnded }: { readonly keep?: number } = {},
): QueueStore {
  return {
    enqueue: (jobs, at) =>
      database.writeThrough((rows) => {
        const queued = countsOf(rows).queued;
        if (queued + jobs.length > mostQueued) throw tooMany(queued, jobs.length);
        let place = takePlaces(rows, jobs.length);
        for (const { models, fingerprint } of new Map(jobs.map((job) => [job.fingerprint, job])).values()) {
          rows.run('INSERT OR IGNORE INTO job_kind VALUES (?, ?)', fingerprint, JSON.stringify(models));
        }
        const graphs = new Map<object, number | null>();
        for (const job of jobs) {
          const { base, text } = job.graph;
          let graph = base === undefined ? null : graphs.get(base);
          if (base !== undefined && graph === undefined) graphs.set(base, (graph = putGraph(rows, job.graph).graph));
          rows.run(
            `INSERT INTO job (id, label, graph, workflow, state, attempts, outputs, details, requested_at, changed_at, owner,
               lease_until, from_queue, priority, place, fingerprint, local_only)
             VALUES (?, ?, ?, ?, 'queued', '[]', '[]', ?, ?, ?, '', 0, 1, ?, ?, ?, ?)`,
            job.id,
            job.label,
            graph ?? null,
            text,
            JSON.stringify(job.details),
            at,
            at,
            job.priority,
            place,
            job.fingerprint,
            job.localOnly ? 1 : 0,
          );
          place += step;
        }
        dropOldest(rows, keep);
        noteChange(rows);
      }),
    cancel: (ids, at) =>
      database.writeThrough((rows) => {
        for (const id of ids) {
          // What nobody runs now, and what waits for a server that does not answer, ends here.
          const sql = `UPDATE job SET state = 'cancelled', changed_at = ?, waits_for = NULL
            WHERE id = ? AND (state = 'queued' OR state = 'running' AND owner = '')`;
          if (rows.run(sql, at, id) === 0) {
            rows.run(`UPDATE job SET cancel_wanted = 1 WHERE id = ? AND state = 'running'`, id);
          } else settleSecondRuns(rows, id, at);
          cancelSecondRuns(rows, id);
        }
        noteChange(rows);
      }),
    retry: (ids, at) =>
      database.writeThrough((rows) => {
        const wanted = ids.filter((id) =>
          rows.first(placeRow, `${selectPlace} WHERE id = ? AND ${canBe('retry')}`, id),
        );
        const queued = countsOf(rows).queued;
        if (queued + wanted.length > mostQueued) throw tooMany(queued, wanted.length);
        let place = takePlaces(rows, wanted.length);
        for (const id of wanted) {
          rows.run(
            `UPDATE job SET state = 'queued', place = ?, changed_at = ?, from_queue = 1, ${freshColumns},
               local_only = CASE json_extract(details, '$.localOnly') WHEN 0 THEN 0 ELSE 1 END, excluded = '[]',
               waits_for = NULL, not_before = 0, fault = NULL, resent = 0, had_second = 0 WHERE id = ?`,
            place,
            at,
            id,
          );
          place += step;
        }
        noteChange(rows);
      }),
    move: (id, to) =>
      database.write((rows) => {
        const job = rows.first(placeRow, `${selectPlace} WHERE id = ? AND state = 'queued'`, id);
        if (job !== undefined && moved(rows, job, to)) noteChange(rows);
      }),
    setPaused: (isPaused) =>
      database.writeThrough((rows) => {
        rows.run('UPDATE scheduler SET paused = ?, version = version + 1', isPaused ? 1 : 0);
      }),
    clearEnded: () =>
      database.write((rows) => {
        rows.run(`DELETE FROM job WHERE state NOT IN ('queued', 'running')`);
        dropUnusedGraphs(rows);
      }),
    list: ({ queued, ended }) =>
      database.read((rows) => {
        const some = (rest: string, ...values: readonly number[]): readonly QueueRow[] =>
          rows.all(listRow, `SELECT ${listColumns} FROM job ${rest}`, ...values).map(toQueueRow);
        const { leader, lease_until: leaseUntil, paused, finish_at: finishAt } = scheduler(rows);
        return {
          jobs: [
            ...some(`WHERE state = 'running' ORDER BY requested_at, id`),
            ...some(`WHERE state = 'queued' ORDER BY priority DESC, place LIMIT ?`, queued),
            ...some(
              `WHERE state NOT IN ('queued', 'running') ORDER BY changed_at DESC, requested_at DESC LIMIT ?`,
              ended,
            ),
          ],
          counts: countsOf(rows),
          paused: paused !== 0,
          leader,
          leaseUntil,
          finishAt: finishAt ?? undefined,
        };
      }),
  };
}

/** What an attempt has left in the row and the next one must not find. */
export const freshColumns = `owner = '', lease_until = 0, backend = NULL, prompt_id = NULL, client_id = NULL, address = NULL,
  why = NULL, progress = NULL, cancel_wanted = 0, given_at = NULL, accepted = 0, outputs = '[]'`;

const selectPlace = 'SELECT id, priority, place FROM job';
type Place = z.infer<typeof placeRow>;

function scheduler(rows: Rows): z.infer<typeof schedulerRow> {
  const row = rows.first(schedulerRow, 'SELECT leader, lease_until, paused, next_place, finish_at FROM scheduler');
  if (row === undefined) throw new Fault('bug', 'The records have no scheduler');
  return row;
}

/** The first of so many places at the end. */
function takePlaces(rows: Rows, count: number): number {
  const { next_place: first } = scheduler(rows);
  rows.run('UPDATE scheduler SET next_place = ?', first + count * step);
  return first;
}

/** Writes at most two rows, however long the queue is. A job that passes into another priority takes that one. */
function moved(rows: Rows, job: Place, to: 'top' | 'up' | 'down' | 'bottom'): boolean {
  const first = (where: string, order: string): Place | undefined =>
    rows.first(placeRow, `${selectPlace} WHERE state = 'queued' AND ${where} ORDER BY ${order} LIMIT 1`);
  const put = ({ id }: Place, priority: number, place: number): void => {
    rows.run('UPDATE job SET priority = ?, place = ? WHERE id = ?', priority, place, id);
  };
  if (to === 'top' || to === 'bottom') {
    const end = first('1', to === 'top' ? 'priority DESC, place' : 'priority, place DESC');
    if (end === undefined || end.id === job.id) return false;
    if (to === 'top') put(job, end.priority, end.place - step);
    else put(job, end.priority, takePlaces(rows, 1));
    return true;
  }
  const { priority, place } = job;
  const [p, at] = [String(priority), String(place)];
  const other =
    to === 'up'
      ? (first(`priority = ${p} AND place < ${at}`, 'place DESC') ?? first(`priority > ${p}`, 'priority, place DESC'))
      : (first(`priority = ${p} AND place > ${at}`, 'place') ?? first(`priority < ${p}`, 'priority DESC, place'));
  if (other === undefined) return false;
  put(job, other.priority, other.place);
  // Between two priorities the other one was the outermost of its own: it steps aside there.
  if (other.priority === priority) put(other, priority, place);
  else put(other, other.priority, other.place + (to === 'up' ? step : -step));
  rows.run('UPDATE scheduler SET next_place = max(next_place, ?)', other.place + 2 * step);
  return true;
}

function toQueueRow(row: z.infer<typeof listRow>): QueueRow {
  return {
    id: row.id,
    label: row.label,
    state: row.state,
    priority: row.priority,
    backend: row.backend ?? undefined,
    fingerprint: row.fingerprint,
    why: row.why ?? undefined,
    waitsFor: row.waits_for ?? undefined,
    progress: hasEnded(row.state) ? undefined : (row.progress ?? undefined),
    outputs: row.outputs,
    micros: row.micros ?? undefined,
    fault: row.fault ?? undefined,
    requestedAt: row.requested_at,
    changedAt: row.changed_at,
    owner: row.owner,
    secondOf: row.second_of ?? undefined,
  };
}

function tooMany(queued: number, more: number): Fault {
  const count = (n: number): string => n.toLocaleString('en-US');
  const message = `The queue holds at most ${count(mostQueued)} jobs: ${count(queued)} wait already, and ${count(more)} more do not fit`;
  const nextStep = 'Wait until some have run, or cancel some.';
  return new Fault('rejected', message, { nextStep, delivered: 'no' });
}
