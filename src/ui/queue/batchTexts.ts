import { formatUsd } from '../../core/cost/price.ts';
import type { Batch, BatchColumn, BatchProblem } from '../../core/queue/batch.ts';
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
  /** Where the next job would go, as a person knows it; undefined = nowhere now. */
  readonly backend: string | undefined;
  /** Micro-dollars of one job there, and what the figure stands on; undefined = not known. */
  readonly microsPerJob: number | undefined;
  readonly basis: string | undefined;
  /** Of the whole batch behind what waits already; undefined = not known. */
  readonly ms: number | undefined;
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

function forecastText({ backend, microsPerJob, basis, ms, queued, isPaused }: BatchForecast, jobs: number): string {
  const sentences = [
    ms === undefined ? 'How long it takes is not known yet.' : `It takes about ${ago(ms)}.`,
    backend === undefined
      ? 'No backend can take a job now: the queue waits for one.'
      : microsPerJob === undefined
        ? `The next job goes to ${backend}; what it costs there is not known.`
        : microsPerJob === 0
          ? `The next job goes to ${backend}, which is free.`
          : `On ${backend} it would cost about ${formatUsd(microsPerJob * jobs)} (${basis}).`,
    ...(queued > 0 ? [`${count(queued, 'job')} of before ${queued === 1 ? 'waits' : 'wait'} in the queue.`] : []),
    ...(isPaused ? ['The queue is paused: they wait until it is resumed.'] : []),
  ];
  return sentences.join(' ');
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
