import * as z from 'zod/mini';
import type { Rows } from './database.ts';
import type { PackedGraph } from './graphPack.ts';

const idRow = z.object({ id: z.int() });
const graphRow = z.object({ graph: z.string() });
const endedRow = z.object({ ended: z.int() });

/** The newest graph of this shape on record. */
export function findGraph(rows: Rows, shape: string): string | undefined {
  return rows.first(graphRow, 'SELECT graph FROM job_graph WHERE shape = ? ORDER BY id DESC LIMIT 1', shape)?.graph;
}

/** What the columns `graph` and `workflow` of a job hold. */
export function putGraph(
  rows: Rows,
  { base, text }: PackedGraph,
): { readonly graph: number | null; readonly text: string } {
  if (base === undefined) return { graph: null, text };
  const { shape, text: whole } = base;
  const known = rows.first(idRow, 'SELECT id FROM job_graph WHERE shape = ? AND graph = ?', shape, whole);
  if (known !== undefined) return { graph: known.id, text };
  rows.run('INSERT INTO job_graph (shape, graph) VALUES (?, ?)', shape, whole);
  return { graph: rows.first(idRow, 'SELECT last_insert_rowid() AS id')?.id ?? null, text };
}

/** Keeps so many ended jobs, the newest. */
export function dropOldest(rows: Rows, keep: number): void {
  const sql = `SELECT coalesce(sum(jobs), 0) AS ended FROM job_count WHERE state NOT IN ('queued', 'running')`;
  const extra = (rows.first(endedRow, sql)?.ended ?? 0) - keep;
  if (extra <= 0) return;
  rows.run(
    `DELETE FROM job WHERE rowid IN (SELECT rowid FROM job WHERE state NOT IN ('queued', 'running')
       ORDER BY changed_at, requested_at LIMIT ?)`,
    extra,
  );
}

/** Graphs that no job is about any more. */
export function dropUnusedGraphs(rows: Rows): void {
  rows.run('DELETE FROM job_graph WHERE NOT EXISTS (SELECT 1 FROM job WHERE graph = job_graph.id)');
}
