import type { Workflow } from '../comfy/workflow.ts';
import { throwIfAborted } from '../kernel/fault.ts';
import type { Clock } from '../kernel/ports.ts';
import { BatchColumns } from './batchColumns.ts';
import type { ColumnMeaning } from './batchColumns.ts';
import { readCsv, findSeparator } from './batchCsv.ts';
import type { InputPlace } from './batchInputs.ts';
import { readJsonLines } from './batchJsonLines.ts';
import { readCell, readCount, seedAfter } from './batchValues.ts';

export type BatchFormat = 'csv' | 'jsonl';

export interface BatchSource {
  /** Of the file, for labels. */
  readonly name: string;
  readonly format: BatchFormat;
  readonly text: string;
}

export interface BatchOptions {
  /** What every line changes. */
  readonly workflow: Workflow;
  /** More jobs than these are refused. */
  readonly maxJobs: number;
  readonly newSeed: () => number;
  readonly clock: Clock;
}

export interface BatchJob {
  /** Of the file. */
  readonly line: number;
  readonly label: string;
  readonly priority: number;
  /** Shares with the others what does not differ. */
  readonly workflow: Workflow;
}

export interface BatchProblem {
  /** Of the file; undefined = it is about the whole file. */
  readonly line: number | undefined;
  /** A sentence without its full stop. */
  readonly message: string;
}

export interface BatchColumn {
  readonly name: string;
  readonly meaning: ColumnMeaning;
}

export interface Batch {
  /** In the order of the file; empty when there is any problem. */
  readonly jobs: readonly BatchJob[];
  /** That the file asks for, whether or not they can be read. */
  readonly jobCount: number;
  /** With data. */
  readonly lineCount: number;
  readonly columns: readonly BatchColumn[];
  /** The plain column names that the workflow has an input for. */
  readonly offered: readonly string[];
  /** In the order of the file; the first {@link mostProblems}. */
  readonly problems: readonly BatchProblem[];
  readonly problemCount: number;
}

export const mostProblems = 1_000;
const largestPriority = 1_000;
const mostRepeats = 10_000;
const longestLabel = 60;
/** How long others may have to wait: the editor's other extensions share the thread. */
const turnMs = 12;
const linesPerLook = 64;

/** One line of data, whatever the format. */
type BatchLine =
  | { readonly line: number; readonly values: Iterable<readonly [column: string, raw: unknown]> }
  | { readonly line: number; readonly problem: string };

/**
 * Reads a batch file to its end, so that everything that is wrong with it is told at once and nothing runs before it is
 * right. Lets others work every {@link turnMs}.
 * @throws Fault 'cancelled'
 */
export async function readBatch(source: BatchSource, options: BatchOptions, signal: AbortSignal): Promise<Batch> {
  const { clock } = options;
  const reader = new BatchReader(source, options);
  const lines = source.format === 'csv' ? reader.csvLines(source.text) : readJsonLines(source.text);
  let since = clock.now();
  let count = 0;
  for (const line of lines) {
    reader.take(line);
    count += 1;
    if (count % linesPerLook !== 0 || clock.now() - since < turnMs) continue;
    await clock.sleep(0, signal);
    throwIfAborted(signal);
    since = clock.now();
  }
  return reader.finish();
}

class BatchReader {
  readonly #source: BatchSource;
  readonly #options: BatchOptions;
  readonly #reading: BatchColumns;
  readonly #columns = new Map<string, ColumnMeaning>();
  readonly #required: readonly string[];
  readonly #seeds: readonly (readonly InputPlace[])[];
  readonly #problems: BatchProblem[] = [];
  readonly #jobs: BatchJob[] = [];
  /** The columns are known before the lines. */
  #hasHeader = false;
  #problemCount = 0;
  #lineCount = 0;
  #jobCount = 0;

  constructor(source: BatchSource, options: BatchOptions) {
    this.#source = source;
    this.#options = options;
    this.#reading = new BatchColumns(options.workflow);
    this.#required = this.#reading.required();
    this.#seeds = this.#reading.inputs.seedGroups();
  }

  *csvLines(text: string): Generator<BatchLine> {
    const start = findSeparator(text);
    let header: readonly string[] | undefined;
    for (const { line, cells, problem } of readCsv(text, start)) {
      if (header === undefined) {
        header = cells.map((cell) => cell.trim());
        if (problem !== undefined) this.#problem(line, problem);
        this.#readHeader(line, header);
        continue;
      }
      if (problem !== undefined) yield { line, problem };
      else yield this.#csvLine(line, header, cells);
    }
  }

  take(read: BatchLine): void {
    const { line } = read;
    this.#lineCount += 1;
    if ('problem' in read) {
      this.#jobCount += 1;
      this.#problem(line, read.problem);
      return;
    }
    const draft = new Draft();
    for (const [column, raw] of read.values) this.#takeCell(line, column, raw, draft);
    for (const column of this.#required) {
      if (this.#hasHeader && !this.#hasColumn(column)) continue;
      if ([...draft.given].some((name) => this.#isSame(name, column))) continue;
      this.#problem(line, `${column} is empty, and the workflow has none of its own`);
    }
    this.#jobCount += draft.repeat;
    const canVary = draft.seed !== undefined || this.#seeds.length > 0;
    if (draft.repeat > 1 && !canVary) {
      this.#problem(line, 'repeat: the workflow has no seed, so every repetition would be the same picture');
    }
    if (this.#problemCount === 0 && this.#jobCount <= this.#options.maxJobs) this.#add(line, draft);
  }

  finish(): Batch {
    const { maxJobs } = this.#options;
    const columns = [...this.#columns].map(([name, meaning]) => ({ name, meaning }));
    for (const column of this.#required) {
      if (this.#lineCount > 0 && !this.#hasColumn(column)) {
        this.#first(`the column '${column}' is missing, and the workflow has no ${column} of its own`);
      }
    }
    if (this.#lineCount === 0)
      this.#first(this.#columns.size === 0 ? 'the file is empty' : 'there is no line below the names of the columns');
    else if (this.#problemCount === 0 && !columns.some(({ meaning }) => meaning.is === 'input')) {
      this.#first('no column sets an input of the workflow');
    }
    if (this.#jobCount > maxJobs) this.#first(tooMany(this.#jobCount, maxJobs));
    return {
      jobs: this.#problemCount === 0 ? this.#jobs : [],
      jobCount: this.#jobCount,
      lineCount: this.#lineCount,
      columns,
      offered: this.#reading.offered(),
      problems: this.#problems,
      problemCount: this.#problemCount,
    };
  }

  #readHeader(line: number, header: readonly string[]): void {
    this.#hasHeader = true;
    for (const [index, name] of header.entries()) {
      if (name === '') continue;
      if (header.indexOf(name) !== index) this.#problem(line, `the column '${name}' is there twice`);
      else this.#columnOf(line, name);
    }
  }

  #csvLine(line: number, header: readonly string[], cells: readonly string[]): BatchLine {
    const extra = cells.slice(header.length).some((cell) => cell.trim() !== '');
    if (extra || cells.length < header.length) {
      const values = cells.length === 1 ? '1 value' : `${cells.length} values`;
      const names = header.length === 1 ? '1 column' : `${header.length} columns`;
      return { line, problem: `${values} for ${names}; a value with a separator in it is put in quotes` };
    }
    const nameless = cells.findIndex((cell, index) => header[index] === '' && cell.trim() !== '');
    if (nameless >= 0) return { line, problem: `value ${nameless + 1} is in a column without a name` };
    return { line, values: header.map((name, index) => [name, cells[index]] as const) };
  }

  #columnOf(line: number, name: string): ColumnMeaning {
    const known = this.#columns.get(name);
    if (known !== undefined) return known;
    const meaning = this.#reading.meaning(name);
    if (meaning.is === 'unknown') this.#problem(line, `the column '${name}' is not used: ${meaning.why}`);
    const rival = this.#rivalOf(meaning);
    if (rival !== undefined) this.#problem(line, `the columns '${rival}' and '${name}' set the same`);
    this.#columns.set(name, meaning);
    return meaning;
  }

  #rivalOf(meaning: ColumnMeaning): string | undefined {
    if (meaning.is === 'unknown' || meaning.is === 'note') return undefined;
    const keys = new Set(keysOf(meaning));
    return [...this.#columns].find(([, other]) => keysOf(other).some((key) => keys.has(key)))?.[0];
  }

  /** An empty cell leaves what the workflow says. */
  #takeCell(line: number, column: string, raw: unknown, draft: Draft): void {
    if (column === '') return;
    const meaning = this.#columnOf(line, column);
    if (raw === null || raw === undefined || (typeof raw === 'string' && raw.trim() === '')) return;
    switch (meaning.is) {
      case 'note':
      case 'unknown':
        return;
      case 'label':
        draft.label = shortened(typeof raw === 'string' ? raw : JSON.stringify(raw));
        return;
      case 'priority':
      case 'repeat': {
        const bound = meaning.is === 'priority' ? largestPriority : mostRepeats;
        const count = readCount(raw, meaning.is === 'priority' ? -bound : 1, bound);
        if (typeof count === 'string') this.#problem(line, `${column} ${count}`);
        else draft[meaning.is] = count;
        return;
      }
      case 'input': {
        draft.given.add(column);
        const cell = readCell(raw, meaning.takes);
        if (cell.is === 'wrong') this.#problem(line, `${column} ${cell.why}`);
        if (cell.is !== 'value') return;
        for (const place of meaning.places) draft.values.push({ place, value: cell.value });
        if (meaning.takes === 'seed') draft.seed = { places: meaning.places, value: cell.value };
        else if (meaning.takes === 'text' && this.#isSame(column, 'prompt')) draft.prompt = String(cell.value);
      }
    }
  }

  #add(line: number, draft: Draft): void {
    const { name } = this.#source;
    const label = draft.label ?? (draft.prompt === undefined ? `${name}:${line}` : shortened(draft.prompt));
    for (let copy = 0; copy < draft.repeat; copy += 1) {
      this.#jobs.push({
        line,
        label: draft.repeat === 1 ? label : `${label} (${copy + 1}/${draft.repeat})`,
        priority: draft.priority,
        workflow: this.#workflowOf(draft, copy),
      });
    }
  }

  /** A seed of the file counts up with each repetition; without one, every job gets a seed of its own. */
  #workflowOf(draft: Draft, copy: number): Workflow {
    const changed: Record<string, Workflow[string]> = { ...this.#options.workflow };
    const set = ({ nodeId, input }: InputPlace, value: unknown): void => {
      const node = changed[nodeId];
      if (node !== undefined) changed[nodeId] = { ...node, inputs: { ...node.inputs, [input]: value } };
    };
    for (const { place, value } of draft.values) set(place, value);
    if (draft.seed !== undefined) {
      for (const place of draft.seed.places) set(place, seedAfter(draft.seed.value, copy));
    } else {
      for (const places of this.#seeds) {
        const seed = this.#options.newSeed();
        for (const place of places) set(place, seed);
      }
    }
    return changed;
  }

  #hasColumn(name: string): boolean {
    return [...this.#columns.keys()].some((column) => this.#isSame(column, name));
  }

  /** Does this column set what the plain name does? */
  #isSame(column: string, name: string): boolean {
    const meaning = this.#columns.get(column);
    if (meaning?.is !== 'input') return false;
    const wanted = this.#plain(name);
    return keysOf(meaning).some((key) => wanted.has(key));
  }

  readonly #plainKeys = new Map<string, ReadonlySet<string>>();

  #plain(name: string): ReadonlySet<string> {
    const known = this.#plainKeys.get(name) ?? new Set(keysOf(this.#reading.meaning(name)));
    this.#plainKeys.set(name, known);
    return known;
  }

  #problem(line: number | undefined, message: string): void {
    this.#problemCount += 1;
    if (this.#problems.length < mostProblems) this.#problems.push({ line, message });
  }

  /** What is wrong with the file as a whole is told before its lines. */
  #first(message: string): void {
    this.#problemCount += 1;
    this.#problems.unshift({ line: undefined, message });
    if (this.#problems.length > mostProblems) this.#problems.pop();
  }
}

/** What one line asks for. */
class Draft {
  readonly values: { readonly place: InputPlace; readonly value: unknown }[] = [];
  /** Columns with a value, right or wrong. */
  readonly given = new Set<string>();
  label: string | undefined;
  prompt: string | undefined;
  priority = 0;
  repeat = 1;
  seed: { readonly places: readonly InputPlace[]; readonly value: unknown } | undefined;
}

function keysOf(meaning: ColumnMeaning): readonly string[] {
  if (meaning.is === 'input') return meaning.places.map(({ nodeId, input }) => `${nodeId}.${input}`);
  return meaning.is === 'unknown' || meaning.is === 'note' ? [] : [meaning.is];
}

function shortened(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > longestLabel ? `${line.slice(0, longestLabel - 1).trimEnd()}…` : line;
}

function tooMany(count: number, most: number): string {
  const group = (number: number): string => number.toLocaleString('en-US');
  const room = most === 0 ? 'has no room left' : `has room for ${group(most)}`;
  return `the file asks for ${group(count)} jobs and the queue ${room}: split the file, or queue the rest later`;
}
