import type { RunningJob } from '../jobs/jobRunner.ts';
import { faultOf, outputsOf } from '../store/jobRow.ts';
import type { QueueRow, QueueRows } from '../store/queueStore.ts';
import type { QueueJob, QueueView } from './queueView.ts';
import { progressOf } from './runningReport.ts';

/** What this window knows beside the records. Times are ms since the epoch. */
export interface ViewScene {
  readonly nowMs: number;
  readonly owner: string;
  readonly running: readonly RunningJob[];
  readonly labelOf: (backend: string) => string | undefined;
  /** Predicted end of a job that runs. */
  readonly endOf: (row: QueueRow) => number | undefined;
  /** Predicted ends of queued jobs, when this window gives them away. */
  readonly finish: ReadonlyMap<string, number> | undefined;
}

/** Pure. */
export function viewOf(rows: QueueRows, scene: ViewScene): QueueView {
  const { counts, paused, leader, leaseUntil } = rows;
  const here = new Map(scene.running.map((job) => [job.id, job]));
  const ownFinish = scene.finish === undefined ? undefined : Math.max(0, ...scene.finish.values());
  const finishAt = paused || counts.queued === 0 ? undefined : (rows.finishAt ?? (ownFinish || undefined));
  let position = 0;
  const jobs = rows.jobs.map((row): QueueJob => {
    const isQueued = row.state === 'queued';
    if (isQueued) position += 1;
    return {
      id: row.id,
      label: row.label,
      state: row.state,
      priority: row.priority,
      position: isQueued ? position : undefined,
      backend: row.backend,
      backendLabel: row.backend === undefined ? undefined : scene.labelOf(row.backend),
      why: row.why,
      waitsFor: isQueued ? (paused ? 'The queue is paused' : row.waitsFor) : undefined,
      progress: row.state === 'running' ? progressFrom(row, here.get(row.id)) : undefined,
      finishAt: finishOf(row, position, finishAt, counts.queued, scene),
      requestedAt: row.requestedAt,
      changedAt: row.changedAt,
      outputs: row.outputs === '[]' ? [] : outputsOf(row.outputs).map((output) => output.path),
      micros: row.micros,
      fault: faultOf(row.fault ?? null)?.message,
      here: here.has(row.id),
      ...(row.state === 'running' && row.owner === '' ? { isLeft: true } : {}),
      ...(row.secondOf === undefined ? {} : { secondOf: row.secondOf }),
    };
  });
  const isLed = leader !== '' && leaseUntil > scene.nowMs;
  return { jobs, counts, paused, leader: !isLed ? 'none' : leader === scene.owner ? 'here' : 'elsewhere', finishAt };
}

function progressFrom(row: QueueRow, job: RunningJob | undefined): QueueJob['progress'] {
  if (job !== undefined) return progressOf(job.progress);
  if (row.progress === undefined) return undefined;
  try {
    const { phase, fraction, node } = JSON.parse(row.progress) as Partial<RunningJob['progress']>;
    return progressOf({
      phase: typeof phase === 'string' ? phase : '',
      ...(typeof fraction === 'number' ? { fraction } : {}),
      ...(typeof node === 'string' ? { node } : {}),
    });
  } catch {
    return undefined;
  }
}

function finishOf(
  row: QueueRow,
  position: number,
  whole: number | undefined,
  queued: number,
  { nowMs, finish, endOf }: ViewScene,
): number | undefined {
  if (row.state === 'running') return endOf(row);
  if (row.state !== 'queued' || whole === undefined) return undefined;
  const own = finish?.get(row.id);
  if (own !== undefined) return own;
  // Elsewhere it is known more exactly: here, the share of the queue that is before it.
  return Math.round(nowMs + Math.max(0, whole - nowMs) * Math.min(1, position / queued));
}
