import type { Statement } from '../../core/cost/ledger.ts';
import type { LedgerEntry } from '../../core/store/ledgerStore.ts';

const columns = [
  'from',
  'to',
  'what',
  'id',
  'name',
  'seconds',
  'usd',
  'basis',
  'counted',
  'note',
] as const satisfies readonly string[];

/**
 * The ledger as CSV (RFC 4180): a header, lines that end in CR LF, fields in quotes where they need them. Times are in
 * UTC. 'counted' is 'no' for a job's share of pod time, which the pod's own lines hold.
 */
export function costsCsv({ open, entries }: Pick<Statement, 'open' | 'entries'>): string {
  const lines = [...open.map((entry) => fields(entry, 'so far')), ...entries.map((entry) => fields(entry))];
  return [columns, ...lines].map((line) => `${line.map(field).join(',')}\r\n`).join('');
}

function fields(entry: LedgerEntry, state?: string): readonly string[] {
  const { kind, subject, label, fromMs, toMs, micros, basis, inPodTime, note, part = 'run' } = entry;
  const what = kind === 'job' ? 'job' : { run: 'pod time', boot: 'pod boot', disk: 'pod disks' }[part];
  const notes = [state, note].filter((one) => one !== undefined).join('; ');
  const seconds = toMs === fromMs ? '' : ((toMs - fromMs) / 1_000).toFixed(0);
  return [
    new Date(fromMs).toISOString(),
    new Date(toMs).toISOString(),
    what,
    text(subject),
    text(label),
    seconds,
    (micros / 1_000_000).toFixed(6),
    basis,
    inPodTime ? 'no' : 'yes',
    text(notes),
  ];
}

/** Names come from servers: a spreadsheet must not take one for a formula. */
function text(value: string): string {
  return /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
}

function field(value: string): string {
  return /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}
