import { formatUsd } from '../../core/cost/price.ts';
import type { BatchTally } from '../../core/store/jobReports.ts';

export interface BatchNews {
  readonly text: string;
  /** Nothing went wrong and nothing was paid: a word in passing will do. */
  readonly isQuiet: boolean;
  /** Jobs that can be tried again. */
  readonly again: number;
}

/** What is said once when the last job of a batch has ended; undefined while there is one left, or none on record. Pure. */
export function batchNewsText(label: string, { jobs, micros, unknownCosts }: BatchTally): BatchNews | undefined {
  const of = (state: string): number => jobs[state] ?? 0;
  const total = Object.values(jobs).reduce((sum, count) => sum + count, 0);
  if (total === 0 || of('queued') + of('running') > 0) return undefined;
  const words = (['done', 'failed', 'lost', 'cancelled'] as const)
    .filter((state) => of(state) > 0)
    .map((state) => (total === 1 ? state : `${of(state).toLocaleString('en-US')} ${state}`));
  const cost = micros === 0 ? (unknownCosts === 0 ? 'free' : '') : formatUsd(micros);
  const unknown = unknownCosts === 0 ? '' : `the cost of ${unknownCosts.toLocaleString('en-US')} not known`;
  return {
    text: `${label}: ${[...words, cost, unknown].filter((word) => word !== '').join(', ')}`,
    isQuiet: of('done') === total && micros === 0 && unknownCosts === 0 && total === 1,
    again: of('failed') + of('lost'),
  };
}
