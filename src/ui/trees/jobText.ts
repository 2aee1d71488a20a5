import { formatUsd } from '../../core/cost/price.ts';
import type { QueueJob, QueueView } from '../../core/queue/queueView.ts';
import { ago } from './backendRows.ts';
import { dotted } from './row.ts';
import type { RowIcon } from './row.ts';

interface StateLook {
  readonly name: string;
  readonly icon: RowIcon;
}

const looks: Readonly<Record<QueueJob['state'], StateLook>> = {
  running: { name: 'Running', icon: { id: 'sync~spin', color: 'charts.blue' } },
  queued: { name: 'Queued', icon: { id: 'clock', color: 'descriptionForeground' } },
  done: { name: 'Done', icon: { id: 'pass-filled', color: 'testing.iconPassed' } },
  failed: { name: 'Failed', icon: { id: 'error', color: 'list.errorForeground' } },
  lost: { name: 'Lost', icon: { id: 'question', color: 'list.warningForeground' } },
  cancelled: { name: 'Cancelled', icon: { id: 'circle-slash', color: 'disabledForeground' } },
};

const coarseMs = 10_000;

/** Of a job whose server went away while it ran there. */
export const leftText = 'connection lost, asked for again';

export function jobStateName(state: QueueJob['state']): string {
  return looks[state].name;
}

export function jobIcon({ state, waitsFor, isLeft }: Pick<QueueJob, 'state' | 'waitsFor' | 'isLeft'>): RowIcon {
  if (isLeft === true) return { id: 'debug-disconnect', color: 'list.warningForeground' };
  if (state === 'queued' && waitsFor !== undefined) return { id: 'watch', color: 'list.warningForeground' };
  return looks[state].icon;
}

/** 'podrelay-x' of 'RunPod pod podrelay-x': a narrow view has no place for more, and the details say the rest. */
function placeOf({ backend, backendLabel }: QueueJob): string | undefined {
  return backendLabel?.replace(/^RunPod (?:pod|endpoint) (?=.)/, '') ?? backend;
}

/** `42 % · KSampler · podrelay-x · 3 min left`, or what there is to say in another state. */
export function jobSummary(job: QueueJob, nowMs: number): string {
  switch (job.state) {
    case 'running':
      if (job.isLeft === true) {
        return dotted(leftText, placeOf(job));
      }
      return dotted(
        job.secondOf !== undefined && 'second run',
        progressOf(job),
        placeOf(job),
        job.finishAt !== undefined && job.finishAt > nowMs && `${ago(job.finishAt - nowMs)} left`,
        !job.here && 'in another window',
      );
    case 'queued':
      return dotted(
        job.position !== undefined && `#${job.position}`,
        job.priority !== 0 && `priority ${job.priority}`,
        job.waitsFor,
        job.waitsFor === undefined && job.finishAt !== undefined && `done ${untilText(job.finishAt, nowMs)}`,
      );
    case 'done':
      return dotted(placeOf(job), costText(job.micros), filesText(job), sinceText(job.changedAt, nowMs));
    case 'failed':
    case 'lost':
      return dotted(job.fault ?? 'the reason is not known', sinceText(job.changedAt, nowMs));
    case 'cancelled':
      return sinceText(job.changedAt, nowMs);
  }
}

function progressOf({ progress }: QueueJob): string {
  if (progress === undefined) return '';
  const { phase, fraction, node } = progress;
  return fraction === undefined ? phase : dotted(`${Math.round(fraction * 100)} %`, node);
}

/** 'just now', '3 min ago': no finer, since a row whose text changes is drawn anew, under the pointer too. */
export function sinceText(at: number, nowMs: number): string {
  const ms = nowMs - at;
  if (ms < 60_000) return 'just now';
  return ms < 90_000 ? '1 min ago' : `${ago(ms)} ago`;
}

/** 'in 40 s', 'in 3 min': in steps of ten seconds, for the same reason. */
export function untilText(at: number, nowMs: number): string {
  const leftMs = at - nowMs;
  return `in ${ago(leftMs > coarseMs * 9 ? leftMs : Math.max(1, Math.ceil(leftMs / coarseMs)) * coarseMs)}`;
}

/** Unknown is no figure; what is free costs nothing. */
export function costText(micros: number | undefined): string {
  if (micros === undefined) return 'cost not known';
  return micros === 0 ? 'free' : formatUsd(micros);
}

function filesText({ outputs }: QueueJob): string {
  return outputs.length === 1 ? '' : outputs.length === 0 ? 'no file' : `${outputs.length} files`;
}

/** When nothing is left to do, predicted; ms since the epoch. Undefined = not known, or already past. */
export function queueEnd({ finishAt, jobs }: QueueView, nowMs: number): number | undefined {
  const running = jobs.flatMap((job) => (job.state === 'running' && job.finishAt !== undefined ? [job.finishAt] : []));
  const end = finishAt ?? (jobs.some(({ state }) => state === 'queued') ? undefined : Math.max(0, ...running));
  return end === undefined || end <= nowMs ? undefined : end;
}
