import { formatUsd } from '../../core/cost/price.ts';
import type { BatchTally } from '../../core/store/jobReports.ts';

export interface BatchNews {
  readonly text: string;
  /** Nothing went wrong and nothing was paid: a word in passing will do. */
  readonly isQuiet: boolean;
  /** Jobs that can be tried again. */
  readonly again: number;
}

/** A message is no place for a list of every backend's reasons: the Jobs view has them. */
const longestReason = 200;

/**
 * What is said once when the last job of a batch has ended; undefined while there is one left, or none on record. `fault`
 * of one that has failed. Pure.
 */
export function batchNewsText(
  label: string,
  { jobs, micros, unknownCosts }: BatchTally,
  fault: string | undefined,
): BatchNews | undefined {
  const of = (state: string): number => jobs[state] ?? 0;
  const total = Object.values(jobs).reduce((sum, count) => sum + count, 0);
  if (total === 0 || of('queued') + of('running') > 0) return undefined;
  const words = (['done', 'failed', 'lost', 'cancelled'] as const)
    .filter((state) => of(state) > 0)
    .map((state) => (total === 1 ? state : `${of(state).toLocaleString('en-US')} ${state}`));
  const isFree = micros === 0 && unknownCosts === 0 && of('done') > 0;
  const cost = isFree ? 'free' : micros === 0 ? '' : formatUsd(micros);
  const unknown = unknownCosts === 0 ? '' : `the cost of ${unknownCosts.toLocaleString('en-US')} not known`;
  const again = of('failed') + of('lost');
  const facts = [...words, cost, unknown].filter((word) => word !== '').join(', ');
  const why =
    fault === undefined || again === 0 ? '' : `. ${again === 1 ? 'Reason' : 'One reason'}: ${shortened(fault)}`;
  return {
    text: `${label}: ${facts}${why}`,
    isQuiet: of('done') === total && micros === 0 && unknownCosts === 0 && total === 1,
    again,
  };
}

function shortened(fault: string): string {
  const text = fault.replace(/[.\s]+$/, '');
  return text.length > longestReason ? `${text.slice(0, longestReason - 1)}…` : text;
}
