import { formatUsd } from '../../core/cost/price.ts';
import type { Sidecar } from '../../core/outputs/sidecar.ts';
import { splitName } from '../../core/outputs/outputName.ts';
import { duration } from '../jobs/outcomeText.ts';
import { dotted } from '../trees/row.ts';
import type { Notice, OutputCard, OutputsScene } from './messages.ts';
import type { FoundOutput, OutputScan } from './scanOutputs.ts';

export interface OutputsInput {
  /** Undefined as long as the folder was not read. */
  readonly scan: OutputScan | undefined;
  /** Why the folder could not be read; undefined = it could. */
  readonly failure: string | undefined;
  readonly trusted: boolean;
  readonly demo: boolean;
  /** False where the editor has no window of the file manager to show: remote and web. */
  readonly onDesktop: boolean;
  /** The file's address for the page. */
  readonly sourceOf: (path: string) => string;
}

const longestText = 400;

/** What the view shows of what the folder has. */
export function outputsScene(input: OutputsInput): OutputsScene {
  const { scan, onDesktop } = input;
  const outputs = scan?.outputs ?? [];
  return {
    type: 'show',
    cards: outputs.map((output) => cardOf(output, input)),
    notice: notice(input),
    more: scan !== undefined && scan.total > outputs.length ? moreNotice(outputs.length, scan.total) : undefined,
    labels: {
      reveal: onDesktop ? 'Show in the File Manager' : 'Show in the Explorer',
      copyPath: 'Copy Path',
      repeat: 'Repeat with New Seeds',
    },
  };
}

function notice({ scan, failure, trusted, demo }: OutputsInput): Notice | undefined {
  if (failure !== undefined) return { text: failure, steps: [{ step: 'refresh', label: 'Try Again' }] };
  if (scan === undefined || scan.outputs.length > 0) return undefined;
  if (!trusted) {
    return {
      text: 'In Restricted Mode PodRelay runs nothing.',
      steps: [{ step: 'trust', label: 'Manage Workspace Trust' }],
    };
  }
  return {
    text: 'What you generate appears here, with where it was made and what it cost.',
    steps: [
      { step: 'generate', label: 'Generate from Prompt…' },
      { step: 'runWorkflow', label: 'Run Workflow' },
      ...(demo ? [] : [{ step: 'startDemo' as const, label: 'Try the Demo (no account)' }]),
    ],
  };
}

function moreNotice(shown: number, total: number): Notice {
  return {
    text: `The newest ${shown} of ${total}`,
    steps: [{ step: 'openFolder', label: 'Open Output Folder' }],
  };
}

function cardOf({ name, path, sidecar }: FoundOutput, { trusted, sourceOf }: OutputsInput): OutputCard {
  const caption = sidecar === undefined ? 'origin unknown' : dotted(sidecar.backend.label, costText(sidecar.cost));
  const dropped = sidecar?.dropped.length ?? 0;
  const warning = dropped === 0 ? '' : `${dropped} not honoured`;
  return {
    file: name,
    kind: sidecar?.output.kind ?? kindByName(name),
    source: sourceOf(path),
    caption,
    warning,
    tooltip: sidecar === undefined ? `${name}\nThe record beside this file is damaged.` : tooltip(name, sidecar),
    spoken: [name, caption, warning].filter((part) => part !== '').join(', '),
    noRepeat: noRepeat(sidecar, trusted),
  };
}

function noRepeat(sidecar: Sidecar | undefined, trusted: boolean): string {
  if (!trusted) return 'Trust the workspace to run workflows';
  const graph = sidecar?.request?.workflow ?? sidecar?.workflow;
  return typeof graph === 'object' && graph !== null ? '' : 'No workflow is recorded for this file';
}

/** 'free', '$0.002', 'about $0.02' where it is an estimate, 'cost unknown'. */
export function costText({ micros, basis }: Sidecar['cost']): string {
  if (micros === null || basis === 'unknown') return 'cost unknown';
  if (micros === 0) return 'free';
  return basis === 'estimated' ? `about ${formatUsd(micros)}` : formatUsd(micros);
}

function tooltip(name: string, sidecar: Sidecar): string {
  const { backend, gpu, cost, times, seed, attempts, dropped, output } = sidecar;
  const startedAt = Date.parse(times.startedAt ?? times.requestedAt);
  const ms = Date.parse(times.finishedAt) - startedAt;
  const before = attempts.slice(0, -1).filter(({ outcome }) => outcome !== 'done');
  return [
    dotted(name, byteText(output.bytes)),
    dotted(`Made on ${backend.label}`, gpu ?? undefined, ms >= 0 && duration(ms), costText(cost)),
    dateText(times.finishedAt),
    seed === null ? '' : `Seed ${seed}`,
    ...before.map(
      ({ backend: id, outcome, reason }) =>
        `Tried before: ${id} ${outcome}${reason === undefined ? '' : `: ${reason}`}`,
    ),
    ...dropped.map((lost) => `Not honoured: ${lost}`),
    sidecar.simulated === true ? 'Simulated: no model made this' : '',
  ]
    .filter((line) => line !== '')
    .map((line) => (line.length > longestText ? `${line.slice(0, longestText)}…` : line))
    .join('\n');
}

/** In local time; as it stands when it is no date. */
function dateText(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return '';
  return date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

/** '850 kB', '1.2 MB' */
function byteText(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.max(1, Math.round(bytes / 1_000))} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function kindByName(name: string): OutputCard['kind'] {
  const extension = splitName(name).extension.toLowerCase();
  if (/^\.(png|jpe?g|gif|webp|avif|bmp)$/.test(extension)) return 'image';
  return /^\.(mp4|webm|mov|mkv)$/.test(extension) ? 'video' : 'other';
}
