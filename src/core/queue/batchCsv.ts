export interface CsvRecord {
  /** Line of the file at which it begins; the first is 1. */
  readonly line: number;
  readonly cells: readonly string[];
  /** Why it cannot be read, a sentence; `cells` is then what could be. */
  readonly problem?: string;
}

export type Separator = ',' | ';' | '\t';

const separators: readonly Separator[] = [',', ';', '\t'];

export interface CsvStart {
  /** Undefined = the file has one column, whose cells are whole lines. */
  readonly separator: Separator | undefined;
  /** Where the header begins, and on which line: after Excel's `sep=;`. */
  readonly offset: number;
  readonly line: number;
}

/** Which separator the file uses: as Excel's `sep=;` says, else the one that splits the header into most cells. */
export function findSeparator(text: string): CsvStart {
  const told = /^\s*"?sep=([,;\t])"?[ \t]*(?:\r\n|\n|\r)/i.exec(text);
  if (told !== null) return { separator: told[1] as Separator, offset: told[0].length, line: 2 };
  let best: Separator | undefined;
  let most = 1;
  for (const separator of separators) {
    const first = readCsv(text, { separator, offset: 0, line: 1 }).next();
    const count = first.done === true ? 0 : first.value.cells.length;
    if (count > most) {
      best = separator;
      most = count;
    }
  }
  return { separator: best, offset: 0, line: 1 };
}

const carriageReturn = 13;
const lineFeed = 10;

/**
 * The records of a CSV text (RFC 4180), one at a time, so that a reader of many can let others work between two. Ours,
 * since each record is to know its line, and a broken one must not keep the others from being read. Blanks around a
 * quoted cell are forgiven; empty lines are left out.
 */
export function* readCsv(text: string, { separator, offset, line: firstLine }: CsvStart): Generator<CsvRecord> {
  let at = offset;
  let line = firstLine;

  /** After the line break at `at`, if there is one. */
  const breakEnd = (): number => {
    const code = text.charCodeAt(at);
    if (code === carriageReturn) return text.charCodeAt(at + 1) === lineFeed ? at + 2 : at + 1;
    return code === lineFeed ? at + 1 : at;
  };
  const skipBlanks = (from: number): number => {
    let next = from;
    while (text[next] === ' ' || (text[next] === '\t' && separator !== '\t')) next += 1;
    return next;
  };
  const endOfLine = (from: number): number => {
    let next = from;
    while (next < text.length && text.charCodeAt(next) !== lineFeed && text.charCodeAt(next) !== carriageReturn)
      next += 1;
    return next;
  };
  const quoted = (
    from: number,
  ): { readonly cell: string; readonly end: number; readonly lines: number } | undefined => {
    let cell = '';
    let start = from;
    for (;;) {
      const quote = text.indexOf('"', start);
      if (quote === -1) return undefined;
      cell += text.slice(start, quote);
      if (text[quote + 1] !== '"') return { cell, end: quote + 1, lines: lineBreaks(text.slice(from, quote)) };
      cell += '"';
      start = quote + 2;
    }
  };

  while (at < text.length) {
    const startLine = line;
    const cells: string[] = [];
    let problem: string | undefined;
    for (;;) {
      const open = skipBlanks(at);
      if (text[open] === '"') {
        const read = quoted(open + 1);
        const end = read === undefined ? -1 : skipBlanks(read.end);
        const isOver = end >= text.length || text[end] === separator || end === endOfLine(end);
        if (read === undefined || !isOver) {
          problem =
            read === undefined
              ? 'a quote is opened and never closed'
              : `there is text after the closing quote of value ${cells.length + 1}; a quote inside a value is written twice`;
          // The next line may be in order.
          at = endOfLine(at);
          break;
        }
        cells.push(read.cell);
        line += read.lines;
        at = end;
      } else {
        const end = endOfLine(at);
        const next = separator === undefined ? -1 : text.slice(at, end).indexOf(separator);
        cells.push(text.slice(at, next === -1 ? end : at + next));
        at = next === -1 ? end : at + next;
      }
      if (text[at] !== separator || separator === undefined) break;
      at += 1;
    }
    const after = breakEnd();
    if (after > at) line += 1;
    at = after;
    const isEmpty = problem === undefined && cells.length === 1 && cells[0]?.trim() === '';
    if (!isEmpty) yield { line: startLine, cells, ...(problem === undefined ? {} : { problem }) };
  }
}

function lineBreaks(text: string): number {
  return text.match(/\r\n|\n|\r/g)?.length ?? 0;
}
