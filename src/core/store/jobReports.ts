import * as z from 'zod/mini';
import type { Database } from './database.ts';

/** What became of the jobs of one batch file. */
export interface BatchTally {
  /** By state; a state that none is in is absent. */
  readonly jobs: Readonly<Record<string, number>>;
  /** Micro-dollars of those whose cost is known. */
  readonly micros: number;
  /** Jobs that have run and whose cost is not known. */
  readonly unknownCosts: number;
}

export interface StoredAttempt {
  readonly backend: string;
  readonly label: string;
  readonly outcome: string;
  readonly why?: string | undefined;
  readonly ms?: number | undefined;
}

/** What a person asks of the job records. */
export interface JobReports {
  /** Tries of a job, in order; empty when it is not on record. */
  attempts(jobId: string): Promise<readonly StoredAttempt[]>;
  /** Of the jobs whose ids are made by {@link batchJobId}. */
  tally(batchId: string): Promise<BatchTally>;
  /** Ids of a batch's jobs that have failed or are lost. */
  failed(batchId: string): Promise<readonly string[]>;
}

const idRow = z.object({ id: z.string() });
const attemptsRow = z.object({ attempts: z.string() });
const tallyRow = z.object({ state: z.string(), jobs: z.int(), micros: z.int(), unknown: z.int() });
const attemptShape = z.object({
  backend: z.string(),
  label: z.string(),
  outcome: z.string(),
  why: z.optional(z.string()),
  ms: z.optional(z.number()),
});

/** Jobs of one batch file are known by their ids. `batchId` has no '.'. */
export function batchJobId(batchId: string, index: number): string {
  return `${batchId}.${index}`;
}

/** It belongs to a batch, which is told of as a whole. */
export function isBatchJob(jobId: string): boolean {
  return /^[^.]+\.\d+$/.test(jobId);
}

export function createJobReports(database: Database): JobReports {
  return {
    attempts: (jobId) =>
      database.read((rows) => {
        const row = rows.first(attemptsRow, 'SELECT attempts FROM job WHERE id = ?', jobId);
        const stored: unknown = JSON.parse(row?.attempts ?? '[]');
        // What an older version has written otherwise is left out, not guessed at.
        return (Array.isArray(stored) ? stored : []).flatMap((one) => attemptShape.safeParse(one).data ?? []);
      }),
    tally: (batchId) =>
      database.read((rows) => {
        const sql = `SELECT state, count(*) AS jobs, coalesce(sum(micros), 0) AS micros,
            sum(micros IS NULL AND state IN ('done', 'failed', 'lost') AND backend IS NOT NULL) AS unknown
          FROM job WHERE id >= ? AND id < ? GROUP BY state`;
        const states = rows.all(tallyRow, sql, ...idsOf(batchId));
        return {
          jobs: Object.fromEntries(states.map(({ state, jobs }) => [state, jobs])),
          micros: states.reduce((sum, { micros }) => sum + micros, 0),
          unknownCosts: states.reduce((sum, { unknown }) => sum + unknown, 0),
        };
      }),
    failed: (batchId) =>
      database.read((rows) => {
        const sql = `SELECT id FROM job WHERE id >= ? AND id < ? AND state IN ('failed', 'lost')`;
        return rows.all(idRow, sql, ...idsOf(batchId)).map(({ id }) => id);
      }),
  };
}

/** From the first, and up to what is none of them: '/' follows '.'. */
function idsOf(batchId: string): readonly [string, string] {
  return [`${batchId}.`, `${batchId}/`];
}
