import * as z from 'zod/mini';
import type { MeasuredRun } from '../queue/measurements.ts';
import type { Database } from './database.ts';

export interface StoredRun extends MeasuredRun {
  /** Its models had to be loaded first: `seconds` holds that too. */
  readonly cold: boolean;
}

/** How long runs took, of all windows. */
export interface RunTimeStore {
  add(run: StoredRun): Promise<void>;
  /** Oldest first; the newest of each workflow and GPU. */
  recent(): Promise<readonly StoredRun[]>;
}

/** More of one workflow on one GPU say nothing new. */
const keptOfAKind = 20;
const mostRead = 5_000;

const row = z.object({ fingerprint: z.string(), gpu: z.string(), seconds: z.number(), cold: z.int(), at: z.int() });

export function createRunTimeStore(database: Database): RunTimeStore {
  return {
    add: ({ fingerprint, gpu, seconds, cold, atMs }) =>
      database.write((rows) => {
        const sql = 'INSERT INTO run_time (fingerprint, gpu, seconds, cold, at) VALUES (?, ?, ?, ?, ?)';
        rows.run(sql, fingerprint, gpu, seconds, cold ? 1 : 0, atMs);
        rows.run(
          `DELETE FROM run_time WHERE id IN (SELECT id FROM run_time WHERE fingerprint = ? AND gpu = ?
             ORDER BY at DESC LIMIT -1 OFFSET ?)`,
          fingerprint,
          gpu,
          keptOfAKind,
        );
      }),
    recent: () =>
      database.read((rows) =>
        rows
          .all(row, 'SELECT fingerprint, gpu, seconds, cold, at FROM run_time ORDER BY id DESC LIMIT ?', mostRead)
          .map(({ fingerprint, gpu, seconds, cold, at }) => ({ fingerprint, gpu, seconds, cold: cold !== 0, atMs: at }))
          .reverse(),
      ),
  };
}
