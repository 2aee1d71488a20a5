import type { JobRequest } from '../../core/backends/backend.ts';
import type { RecoveredJob } from '../../core/jobs/jobOutcome.ts';

export interface RecoveredText {
  readonly text: string;
  /** First file of the first job that is done; undefined = none is. */
  readonly open: string | undefined;
  /** What can be run again. */
  readonly again: readonly JobRequest[];
}

/** What became of the jobs of windows that are gone, in one message; undefined when there is nothing to say. */
export function recoveredText(jobs: readonly RecoveredJob[]): RecoveredText | undefined {
  const done = jobs.filter((job) => job.state === 'done');
  // A job gives one message: what its own window has told as failed is news only when it is done after all.
  const others = jobs.filter((job) => job.state !== 'done').filter(({ isTold }) => !isTold);
  const lost = others.filter(({ state }) => state === 'lost');
  const failed = others.filter(({ state }) => state === 'failed');
  const sentences = [
    ...(done.length === 0 ? [] : [`${labels(done)} ${done.length === 1 ? 'is' : 'are'} done`]),
    ...[...lost, ...failed].map((job) => `${job.request.label} ${verb(job)}: ${trimEnd(job.why)}`),
  ];
  if (sentences.length === 0) return undefined;
  return {
    text: `From an earlier window: ${sentences.join('. ')}.`,
    open: done.flatMap(({ outcome }) => outcome.outputs)[0]?.path,
    again: [...lost, ...failed].map(({ request }) => request),
  };
}

function verb({ state }: RecoveredJob): string {
  return state === 'lost' ? 'was lost' : 'has failed';
}

function labels(jobs: readonly RecoveredJob[]): string {
  return jobs.map(({ request }) => request.label).join(', ');
}

function trimEnd(text: string): string {
  return text.replace(/[.\s]+$/, '');
}
