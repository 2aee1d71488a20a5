import type { QueueJob } from '../../core/queue/queueView.ts';
import type { StoredAttempt } from '../../core/store/jobReports.ts';
import { costText, jobStateName } from '../trees/jobText.ts';

/** 'Why this backend?', as a document: where the job is or was, why there, and what was tried. Pure. */
export function jobStoryText(job: QueueJob, attempts: readonly StoredAttempt[]): string {
  const { state, backendLabel, backend, why, waitsFor, fault, micros, outputs, progress } = job;
  const place = backendLabel ?? backend;
  const hasRun = state === 'done' || state === 'failed' || state === 'lost';
  return [
    job.label,
    '',
    ...line('State', [jobStateName(state), progress?.phase].filter((part) => part !== undefined).join(', ')),
    ...line('Backend', place ?? 'none yet'),
    ...line('Why there', why === undefined ? place && 'not on record' : inLines(why)),
    ...line('Waits for', waitsFor),
    ...line('Reason', fault),
    ...line('Cost', hasRun ? costText(micros) : undefined),
    ...outputs.flatMap((file) => line('File', file)),
    '',
    ...(attempts.length === 0
      ? ['No backend has been tried yet.']
      : ['Tried', '', ...attempts.map((attempt, index) => `  ${index + 1}. ${attemptText(attempt)}`)]),
    '',
  ].join('\n');
}

/** A reason names every other backend: one a line. */
function inLines(why: string): string {
  return why.replace(/(; |\. )(?=\S)/g, (end) => `${end.trimEnd()}\n`);
}

function line(name: string, text: string | undefined): readonly string[] {
  if (text === undefined || text === '') return [];
  const [first = '', ...rest] = text.split('\n');
  return [`${`${name}:`.padEnd(11)} ${first}`, ...rest.map((one) => `${' '.repeat(12)}${one}`)];
}

function attemptText({ label, outcome, why, ms }: StoredAttempt): string {
  const time =
    ms === undefined || ms < 1 ? '' : ` after ${ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`}`;
  const verb = outcome === 'refused' ? 'not tried' : `${outcome}${time}`;
  return `${label}: ${verb}${why === undefined ? '' : `: ${why}`}`;
}
