import * as z from 'zod/mini';
import { queueStates, statesBefore } from '../queue/jobState.ts';
import type { JobEvent, QueueState } from '../queue/jobState.ts';
import type { Rows } from './database.ts';

const leaderRow = z.object({ leader: z.string() });
const pausedRow = z.object({ paused: z.int() });
const countRow = z.object({ state: z.enum(queueStates), jobs: z.int() });

/** True in the states in which the event can happen. */
export function canBe(event: JobEvent): string {
  return `state IN (${statesBefore(event)
    .map((state) => `'${state}'`)
    .join(', ')})`;
}

/** The leader sees that something is new. */
export function noteChange(rows: Rows): void {
  rows.run('UPDATE scheduler SET version = version + 1');
}

export function countsOf(rows: Rows): Readonly<Record<QueueState, number>> {
  const counts: Record<QueueState, number> = { queued: 0, running: 0, done: 0, failed: 0, cancelled: 0, lost: 0 };
  for (const { state, jobs } of rows.all(countRow, 'SELECT state, jobs FROM job_count')) counts[state] = jobs;
  return counts;
}

/** This window may give jobs away: it leads, and the queue is not paused. */
export function isLeader(rows: Rows, owner: string): boolean {
  return !isPaused(rows) && rows.first(leaderRow, 'SELECT leader FROM scheduler')?.leader === owner;
}

export function isPaused(rows: Rows): boolean {
  return rows.first(pausedRow, 'SELECT paused FROM scheduler')?.paused !== 0;
}
