import type { Quote } from '../../core/backends/backend.ts';
import { formatUsd } from '../../core/cost/price.ts';
import type { Batch, BatchColumn, BatchProblem } from '../../core/queue/batch.ts';
import type { BatchPrediction } from '../../core/queue/predictBatch.ts';
import { ago } from '../trees/backendRows.ts';

export interface BatchNames {
  /** Of the batch file. */
  readonly file: string;
  readonly workflow: string;
  /** Spreadsheets of Windows write what is no UTF-8: letters could be wrong. */
  readonly encoding: string;
}

const mostShown = 5;

/** Everything that is wrong with a batch file, as a document. */
export function batchReport(batch: Batch, { file, workflow, encoding }: BatchNames): string {
  const { problems, problemCount, columns, offered } = batch;
  const hidden = problemCount - problems.length;
  return [
    `${file}: ${count(problemCount, 'problem')}. Nothing was queued.`,
    '',
    ...problems.map(problemLine),
    ...(hidden > 0 ? [`… and ${hidden.toLocaleString('en-US')} more`] : []),
    '',
    `Columns, for ${workflow}`,
    '',
    ...columns.map(({ name, meaning }) => `  ${name}: ${meaningText(meaning)}`),
    ...(columns.length === 0 ? ['  none'] : []),
    '',
    `Columns that can be used: ${[...offered, 'label', 'priority', 'repeat'].join(', ')}; the name of an input that only one`,
    "node has, such as denoise; an exact one, such as 5.cfg or Sampler.cfg (a node's id, title or class). A column whose name",
    'begins with # is left out. An empty value leaves what the workflow says.',
    '',
    `Read as ${encoding}.`,
    '',
  ].join('\n');
}

/** For the one message: the first problem, with its line. */
export function batchFailure({ problems, problemCount }: Batch): string {
  const [first] = problems;
  const rest = problemCount - 1;
  return first === undefined
    ? 'nothing in it'
    : `${problemText(first)}${rest > 0 ? ` (and ${count(rest, 'more problem')})` : ''}`;
}

export interface BatchForecast {
  /** Undefined = not known. */
  readonly prediction: BatchPrediction | undefined;
  /** Where the next job would go, with what one costs there; undefined = nowhere now. */
  readonly next: { readonly label: string; readonly quote: Quote } | undefined;
  /** Jobs that wait already. */
  readonly queued: number;
  readonly isPaused: boolean;
}

/** What is asked before a batch is queued. */
export function batchQuestion(
  batch: Batch,
  names: BatchNames,
  forecast: BatchForecast,
): { readonly message: string; readonly detail: string } {
  const { jobs, columns } = batch;
  const shown = jobs.slice(0, mostShown).map(({ label, line }) => `• ${label} (line ${line})`);
  const rest = jobs.length - shown.length;
  const parts = [
    `Workflow: ${names.workflow}.`,
    ['Columns:', ...columns.map(({ name, meaning }) => `• ${name}: ${meaningText(meaning)}`)].join('\n'),
    ['First jobs:', ...shown, ...(rest > 0 ? [`• and ${rest.toLocaleString('en-US')} more`] : [])].join('\n'),
    forecastText(forecast, jobs.length),
    ...(names.encoding === 'Windows-1252'
      ? ['The file is not UTF-8: it was read as Windows-1252, look at its letters.']
      : []),
  ];
  return { message: `Queue ${count(jobs.length, 'job')} from ${names.file}?`, detail: parts.join('\n\n') };
}

function forecastText({ prediction, next, queued, isPaused }: BatchForecast, jobs: number): string {
  const sentences = [
    prediction === undefined ? firstTimeText(next, jobs) : predictionText(prediction),
    ...(queued > 0 ? [`${count(queued, 'job')} of before ${queued === 1 ? 'waits' : 'wait'} in the queue.`] : []),
    ...(isPaused ? ['The queue is paused: they wait until it is resumed.'] : []),
  ];
  return sentences.join(' ');
}

function predictionText({ ms, micros, labels }: BatchPrediction): string {
  const places =
    labels.length > 3 ? `${labels.slice(0, 3).join(', ')} and ${labels.length - 3} more` : labels.join(', ');
  return `About ${ago(ms)}, ${micros === 0 ? 'free' : `for ${formatUsd(micros)}`}, on what is up now: ${places}.`;
}

function firstTimeText(next: BatchForecast['next'], jobs: number): string {
  const time = 'How long it takes is not known: this workflow has not run yet on what is up now.';
  if (next === undefined) return `${time} No backend can take a job: the queue waits for one.`;
  const { label, quote } = next;
  if (quote.micros === 0) return `${time} The next job goes to ${label}, which is free.`;
  return `${time} On ${label} all would cost about ${formatUsd(quote.micros * jobs)} (${quote.basis}).`;
}

function meaningText(meaning: BatchColumn['meaning']): string {
  switch (meaning.is) {
    case 'input':
      return `sets ${meaning.places.map(({ nodeId, input }) => `${nodeId}.${input}`).join(' and ')}`;
    case 'label':
      return 'the name in the Jobs view';
    case 'priority':
      return 'greater goes first';
    case 'repeat':
      return 'how often';
    case 'note':
      return 'left out';
    case 'unknown':
      return 'not used';
  }
}

function problemLine(problem: BatchProblem): string {
  return `  ${problemText(problem)}`;
}

function problemText({ line, message }: BatchProblem): string {
  const short = message.length > 300 ? `${message.slice(0, 299)}…` : message;
  return line === undefined ? short : `line ${line}: ${short}`;
}

function count(number: number, thing: string): string {
  return `${number.toLocaleString('en-US')} ${thing}${number === 1 ? '' : 's'}`;
}
