import type { Database } from './database.ts';
import { jobRow, selectJobs, toRecord } from './jobRow.ts';
import type { JobRecord } from './jobRecord.ts';

/** What a person is about to run, and has run: the head of the queue, then what was done last. At most so many of each. */
export function readRecentJobs(database: Database, limit: number): Promise<readonly JobRecord[]> {
  return database.read((rows) => {
    const next = `${selectJobs} WHERE state = 'queued' ORDER BY priority DESC, place LIMIT ?`;
    const done = `${selectJobs} WHERE state NOT IN ('queued', 'running') AND state = 'done'
      ORDER BY changed_at DESC, requested_at DESC LIMIT ?`;
    return [...rows.all(jobRow, next, limit), ...rows.all(jobRow, done, limit)].map(toRecord);
  });
}
