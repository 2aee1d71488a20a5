import type { RunningJob } from '../../core/jobs/runningJobs.ts';
import type { QueueView } from '../../core/queue/queueView.ts';
import { ago } from '../trees/backendRows.ts';
import { queueEnd } from '../trees/jobText.ts';
import { dotted, plainMarkdown } from '../trees/row.ts';
import { burstSize } from './burst.ts';
import type { Burst } from './burst.ts';

export interface ProgressScene {
  /** In this window: newer than what the queue says of them. */
  readonly running: readonly RunningJob[];
  /** Of all windows; undefined = not known. */
  readonly view: QueueView | undefined;
  readonly burst: Burst | undefined;
  readonly nowMs: number;
}

export interface ProgressText {
  readonly text: string;
  readonly tooltip: string;
  readonly spoken: string;
}

interface RunningRow {
  readonly label: string;
  readonly backendLabel: string | undefined;
  readonly progress: { readonly phase: string; readonly fraction?: number; readonly node?: string } | undefined;
}

/** A tooltip is no list: what runs beyond this is counted. */
const mostRows = 10;

/** The second item, while jobs run or wait: `3/12 · 42 %`; undefined when none does. Pure. */
export function progressText({ running, view, burst, nowMs }: ProgressScene): ProgressText | undefined {
  const known = view?.jobs ?? [];
  const here = new Set(running.map(({ id }) => id));
  const elsewhere = known.filter(({ id, state }) => state === 'running' && !here.has(id));
  const all: readonly RunningRow[] = [...running, ...elsewhere];
  // The queue may not have seen yet what has begun here.
  const begun = known.filter(({ id, state }) => state === 'queued' && here.has(id)).length;
  const unseen = running.filter(({ id }) => !known.some((job) => job.id === id)).length;
  const queued = (view?.counts.queued ?? 0) - begun;
  if (all.length + queued === 0) return undefined;
  const size = view === undefined || burst === undefined ? undefined : burstSize(burst, view.counts);
  const ended = size?.ended ?? 0;
  const total = size === undefined ? all.length + queued : size.total + unseen;
  const isHeld = view?.paused === true && all.length === 0;
  const state = isHeld ? 'paused' : stateText(all, ended, total);
  const count = total === 1 ? '' : `${ended}/${total}`;
  const end = view === undefined || view.paused ? undefined : queueEnd(view, nowMs);
  const left = end === undefined ? undefined : `${ago(end - nowMs)} left`;
  return {
    text: `$(${isHeld ? 'debug-pause' : all.length === 0 ? 'clock' : 'sync~spin'}) ${dotted(count, state)}`,
    tooltip: tooltip(running, all, queued, left, view?.paused === true),
    spoken: `PodRelay: ${[`${ended} of ${total} done`, state, left].filter((part) => part !== undefined && part !== '').join(', ')}`,
  };
}

function stateText(all: readonly RunningRow[], ended: number, total: number): string {
  const fractions = all.map(({ progress }) => progress?.fraction).filter((one) => one !== undefined);
  const [first] = all;
  if (first === undefined) return 'waiting';
  if (total === 1 && fractions.length === 0) return first.progress?.phase ?? 'running';
  if (fractions.length === 0 && ended === 0) return 'running';
  return percent((ended + fractions.reduce((sum, one) => sum + one, 0)) / total);
}

function tooltip(
  running: readonly RunningJob[],
  all: readonly RunningRow[],
  queued: number,
  left: string | undefined,
  isPaused: boolean,
): string {
  const lines = all.slice(0, mostRows).map(({ label, backendLabel, progress }) => {
    const at = progress?.fraction === undefined ? undefined : percent(progress.fraction);
    const where = dotted(backendLabel, progress?.phase, at, progress?.node);
    return `| ${plainMarkdown(label)} | ${plainMarkdown(where)} |`;
  });
  const hidden = all.length - lines.length;
  const words = dotted(
    hidden > 0 && `${hidden} more running`,
    queued > 0 && `${queued} queued`,
    isPaused && 'the queue is paused',
    left,
  );
  const preview = running.findLast(({ progress }) => progress.preview !== undefined)?.progress.preview;
  const picture =
    preview === undefined || !/^image\/(png|jpeg|webp)$/.test(preview.mimeType)
      ? []
      : ['', `![preview](data:${preview.mimeType};base64,${Buffer.from(preview.bytes).toString('base64')})`];
  return [
    '| | |',
    '|:--|:--|',
    ...lines,
    ...picture,
    '',
    ...(words === '' ? [] : [plainMarkdown(words), '']),
    'Click to see the jobs.',
  ].join('\n');
}

function percent(fraction: number): string {
  return `${Math.floor(fraction * 100)} %`;
}
