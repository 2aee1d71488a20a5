import type { Attempt } from '../../core/backends/backendManager.ts';
import { formatUsd } from '../../core/cost/price.ts';
import type { JobOutcome } from '../../core/jobs/jobRunner.ts';
import { dotted } from '../trees/row.ts';

export interface OutcomeText {
  readonly text: string;
  /** True when there is something that the person should have seen: another backend than planned, a cost, a loss. */
  readonly notable: boolean;
}

/** What a finished job says: where it was made, in which time, for how much, what was tried before, what was lost. */
export function outcomeText(outcome: JobOutcome): OutcomeText {
  const { request, gpu, ms, micros, basis, attempts, dropped, outputs, warnings } = outcome;
  const files = outputs.length === 0 ? 'no file' : outputs.length === 1 ? '1 file' : `${outputs.length} files`;
  const name = nameOf(outcome);
  const where = gpu === undefined ? name : `${name} (${gpu})`;
  const cost = basis === 'unknown' ? 'cost not known' : micros === 0 ? 'free' : formatUsd(micros);
  const before = attempts.filter((attempt) => attempt.outcome !== 'done' && counts(attempt));
  const sentences = [
    `${request.label}: ${dotted(files, `made on ${where}`, duration(ms), cost)}`,
    ...before.map((attempt) => `${attempt.label} ${verb(attempt)}: ${trimEnd(attempt.why ?? 'unknown')}`),
    ...lossText(dropped),
    ...warnings.map(trimEnd),
  ];
  const notable = before.length + dropped.length + warnings.length > 0 || micros > 0 || basis === 'unknown';
  return { text: `${sentences.join('. ')}.`, notable };
}

/** Pods and endpoints have names; of the others there is one each. */
function nameOf({ tier, backendLabel }: JobOutcome): string {
  return tier === 'cloud' ? backendLabel : tier;
}

/** A message is no place for a list: the record beside the file has all of it. */
function lossText(dropped: readonly string[]): readonly string[] {
  const [first] = dropped;
  if (first === undefined) return [];
  if (dropped.length === 1) return [`Not honoured: ${trimEnd(first)}`];
  return [`${dropped.length} things could not be honoured: the Outputs view lists them`];
}

/** What the person has not set up, or has switched off, is no news. */
function counts({ outcome, why }: Attempt): boolean {
  return outcome === 'failed' || !/^(Switched off\b.*|No .* (is set|is configured))$/.test(why ?? '');
}

function verb({ outcome }: Attempt): string {
  return outcome === 'failed' ? 'failed' : 'was skipped';
}

function trimEnd(text: string): string {
  return text.replace(/[.\s]+$/, '');
}

/** '850 ms', '4.2 s', '3 min 5 s' */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
