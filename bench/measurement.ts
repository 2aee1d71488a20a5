/** What is promised, and what decides whether it holds. */
export interface Target {
  readonly what: string;
  readonly judge: 'median' | 'p99' | 'max';
  readonly under: number;
  readonly unit: '%' | 'micro-dollars' | 'ms' | 's' | 'kB' | 'MB' | 'replies' | 'pods' | 'jobs' | 'times';
}

export interface Measurement extends Target {
  readonly samples: readonly number[];
}

export interface Bench {
  readonly name: string;
  measure(): Promise<readonly Measurement[]>;
}

/** The value below which the given share of the samples lies. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function judged({ judge, samples }: Measurement): number {
  return quantile(samples, judge === 'median' ? 0.5 : judge === 'p99' ? 0.99 : 1);
}

export function isMet(measurement: Measurement): boolean {
  return judged(measurement) < measurement.under;
}

/** Runs `work` as often as asked; the time of each run in ms. */
export async function timed(times: number, work: (run: number) => unknown): Promise<number[]> {
  const samples: number[] = [];
  for (let run = 0; run < times; run++) {
    const startedAt = performance.now();
    await work(run);
    samples.push(performance.now() - startedAt);
  }
  return samples;
}

const headings = ['what', 'target', 'median', 'min', 'max', 'samples', ''];

export function tableRow(measurement: Measurement): readonly string[] {
  const { what, judge, under, unit, samples } = measurement;
  const value = (number: number): string => `${digits(number)} ${unit}`;
  const single = samples.length === 1;
  return [
    what,
    `${single ? '' : `${judge} `}< ${value(under)}`,
    value(quantile(samples, 0.5)),
    single ? '' : value(quantile(samples, 0)),
    single ? '' : value(quantile(samples, 1)),
    String(samples.length),
    isMet(measurement) ? 'met' : `MISSED (${value(judged(measurement))})`,
  ];
}

export function table(measurements: readonly Measurement[]): string {
  const rows = [headings, ...measurements.map(tableRow)];
  const widths = headings.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        column < 2 || column > 5 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return rows.map(line).join('\n');
}

function digits(value: number): string {
  if (value === 0 || Number.isInteger(value)) return String(value);
  return value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toPrecision(2);
}
