import path from 'node:path';
import { commands, viewItem } from '../../contract.ts';
import type { Observed } from '../../core/kernel/observed.ts';
import type { QueueJob, QueueView } from '../../core/queue/queueView.ts';
import type { FleetState } from '../fleet/fleetState.ts';
import { ago } from './backendRows.ts';
import { jobsFleetRows } from './jobsFleetRow.ts';
import { costText, jobIcon, jobStateName, jobSummary, leftText, queueEnd, sinceText, untilText } from './jobText.ts';
import { dotted, plainMarkdown } from './row.ts';
import type { Row } from './row.ts';

/** What the Jobs view is drawn from. */
export interface JobScene {
  readonly view: Observed<QueueView>;
  /** Shown, as such, while there is nothing newer. */
  readonly lastSeen: { readonly view: QueueView; readonly at: number } | undefined;
  /** False on a machine where PodRelay has done nothing yet: there is nothing to load. */
  readonly hasRecords: boolean;
  /** Pods that may come for jobs that wait; undefined = it is not told of. */
  readonly fleet?: FleetState;
  readonly nowMs: number;
}

/** More waiting jobs than these are counted, not listed: nobody reads them, and the view stays quick. */
const mostQueued = 100;

/** 'none' leaves the tree empty, so that its welcome text shows the ways in. */
export function jobsState({ view, lastSeen, hasRecords }: JobScene): 'listed' | 'none' {
  if (view.known) return view.value.jobs.length === 0 ? 'none' : 'listed';
  return view.why === undefined && lastSeen === undefined && !hasRecords ? 'none' : 'listed';
}

/** What the view's head says beside its name. */
export function jobsDescription(view: QueueView, nowMs: number): string {
  const waiting = view.counts.queued + view.counts.running;
  const end = waiting > 0 && !view.paused ? queueEnd(view, nowMs) : undefined;
  return dotted(view.paused && 'paused', end !== undefined && `${ago(end - nowMs)} left`);
}

/** Jobs that run or wait, for the view's badge. */
export function jobsBadge({ counts }: QueueView): { readonly value: number; readonly tooltip: string } | undefined {
  const value = counts.queued + counts.running;
  if (value === 0) return undefined;
  return { value, tooltip: `${grouped(counts.running)} running, ${grouped(counts.queued)} queued` };
}

/** What runs, what waits in its order, then what has ended, newest first. */
export function jobRows(scene: JobScene): readonly Row[] {
  const { view, lastSeen, nowMs } = scene;
  if (jobsState(scene) === 'none') return [];
  if (!view.known && view.why === undefined && lastSeen === undefined) {
    return [{ id: 'jobs:loading', label: 'Looking for jobs…', icon: { id: 'loading~spin' } }];
  }
  const shown = view.known ? view.value : lastSeen?.view;
  return [
    ...failureRows(scene),
    ...(view.known && scene.fleet !== undefined ? jobsFleetRows(view.value, scene.fleet) : []),
    ...(shown === undefined ? [] : groupRows(shown, nowMs, !view.known)),
  ];
}

function groupRows(view: QueueView, nowMs: number, isOld: boolean): readonly Row[] {
  const { counts, jobs } = view;
  const of = (...states: readonly QueueJob['state'][]): readonly QueueJob[] =>
    jobs.filter(({ state }) => states.includes(state));
  const rows = (some: readonly QueueJob[]): readonly Row[] => some.map((job) => jobRow(job, nowMs, isOld));
  const queued = of('queued');
  const group = (id: string, label: string, count: number, members: readonly Row[], note = ''): readonly Row[] =>
    members.length === 0
      ? []
      : [
          {
            id: `jobs:${id}`,
            label,
            description: dotted(grouped(count), note),
            spoken: dotted(`${label}, ${count} ${count === 1 ? 'job' : 'jobs'}`, note).replaceAll(' · ', ', '),
            open: true,
            children: members,
          },
        ];
  const rest = counts.queued - Math.min(queued.length, mostQueued);
  const waiting = [...rows(queued.slice(0, mostQueued)), ...moreRow('queued', rest)];
  const failed = of('failed', 'lost');
  const done = of('done');
  const cancelled = of('cancelled');
  const isHeld = view.paused && 'paused';
  return [
    ...group('running', 'Running', counts.running, rows(of('running'))),
    ...group('queued', 'Queued', counts.queued, waiting, dotted(isHeld)),
    ...group('failed', 'Failed', counts.failed + counts.lost, [
      ...rows(failed),
      ...moreRow('failed', counts.failed + counts.lost - failed.length),
    ]),
    ...group('done', 'Done', counts.done, [...rows(done), ...moreRow('done', counts.done - done.length)]),
    ...group('cancelled', 'Cancelled', counts.cancelled, [
      ...rows(cancelled),
      ...moreRow('cancelled', counts.cancelled - cancelled.length),
    ]),
  ];
}

function moreRow(group: string, count: number): readonly Row[] {
  return count <= 0
    ? []
    : [{ id: `jobs:${group}:more`, label: `and ${grouped(count)} more`, icon: { id: 'ellipsis' } }];
}

/** A failed load is told, with a way to try again, above the jobs as they were last seen. */
function failureRows({ view, lastSeen, nowMs }: JobScene): readonly Row[] {
  if (view.known || view.why === undefined) return [];
  const { message } = view.why;
  const age = lastSeen === undefined ? undefined : `Below: as seen ${ago(nowMs - lastSeen.at)} ago`;
  return [
    {
      id: 'jobs:unread',
      label: 'Jobs not loaded',
      description: message,
      icon: { id: 'error', color: 'list.errorForeground' },
      tooltip: [plainMarkdown(message), ...(age === undefined ? [] : [age])].join('\n\n'),
      context: viewItem('failed'),
      spoken: dotted(`The jobs could not be loaded: ${message}`, age),
    },
    {
      id: 'jobs:retry',
      label: 'Try Again',
      icon: { id: 'refresh' },
      command: { id: commands.refreshJobs, title: 'Try Again' },
    },
  ];
}

function jobRow(job: QueueJob, nowMs: number, isOld: boolean): Row {
  const { state, label, outputs } = job;
  const description = jobSummary(job, nowMs);
  const details = detailRows(job, nowMs);
  const name = label === '' ? 'Job' : label;
  return {
    id: `job:${job.id}`,
    label: name,
    description,
    icon: jobIcon(job),
    tooltip: tooltip(job, details),
    context: viewItem(
      'job',
      (state === 'queued' || state === 'running') && 'cancellable',
      (state === 'failed' || state === 'cancelled' || state === 'lost') && 'retryable',
      state === 'queued' && 'movable',
      outputs.length > 0 && 'openable',
    ),
    spoken: dotted(name, jobStateName(state).toLowerCase(), description).replaceAll(' · ', ', '),
    ...(state === 'done' && outputs.length > 0
      ? { command: { id: commands.openJobOutput, title: 'Open Output', args: [job.id] } }
      : {}),
    ...(isOld ? { faded: true } : {}),
    children: details,
  };
}

function detailRows(job: QueueJob, nowMs: number): readonly Row[] {
  const row = (name: string, label: string, description: string | undefined | false, icon: string): readonly Row[] =>
    description === undefined || description === false || description === ''
      ? []
      : [{ id: `job:${job.id}:${name}`, label, description, icon: { id: icon } }];
  const hasRun = job.state === 'done' || job.state === 'failed' || job.state === 'lost';
  const isActive = job.state === 'queued' || job.state === 'running';
  return [
    ...row(
      'state',
      'State',
      dotted(jobStateName(job.state), job.isLeft === true ? leftText : job.progress?.phase),
      'pulse',
    ),
    ...row('waits', 'Waits for', job.waitsFor, 'watch'),
    ...row('backend', 'Backend', job.backendLabel ?? job.backend, 'server'),
    ...row('why', 'Why there', job.why, 'info'),
    ...row('fault', 'Reason', job.fault, 'error'),
    ...row('cost', 'Cost', hasRun && costText(job.micros), 'credit-card'),
    ...row(
      'finish',
      'Predicted end',
      isActive && job.isLeft !== true && job.finishAt !== undefined && untilText(job.finishAt, nowMs),
      'clock',
    ),
    ...row('priority', 'Priority', job.priority !== 0 && String(job.priority), 'arrow-up'),
    ...row('asked', 'Asked for', sinceText(job.requestedAt, nowMs), 'history'),
    ...job.outputs.map((file, index) => ({
      id: `job:${job.id}:output:${index}`,
      label: path.basename(file),
      icon: { id: 'file-media' },
      tooltip: plainMarkdown(file),
      command: { id: commands.openJobOutput, title: 'Open Output', args: [job.id, index] },
    })),
  ];
}

function tooltip(job: QueueJob, details: readonly Row[]): string {
  const lines = details.map(
    ({ label, description }) => `| ${plainMarkdown(label)} | ${plainMarkdown(description ?? '')} |`,
  );
  return [`**${plainMarkdown(job.label)}**`, '', '| | |', '|:--|:--|', ...lines].join('\n');
}

/** '9,500' */
function grouped(count: number): string {
  return count.toLocaleString('en-US');
}
