import type { Backend, BackendResult, JobRequest, LostEnd, RunContext } from '../backends/backend.ts';
import { parseWorkflow } from '../comfy/workflow.ts';
import type { Workflow } from '../comfy/workflow.ts';
import type { Clock } from '../kernel/ports.ts';
import type { JobRecord } from '../store/jobStore.ts';
import { detailsOf } from './jobRecorder.ts';

export type ResumedJob =
  | { readonly is: 'result'; readonly result: BackendResult; readonly backend: Backend }
  | { readonly is: 'lost'; readonly why: string; readonly end?: LostEnd }
  | { readonly is: 'later'; readonly why: string; readonly withinMs?: number };

/** A server that has not answered for so long does not come back with the job. */
const longestSilenceMs = 14 * 24 * 3_600_000;

/** The request of a job on record. */
export async function requestOf(record: JobRecord): Promise<JobRequest> {
  const { media, localOnly, inputFolder } = detailsOf(record);
  return Promise.resolve({
    id: record.id,
    ...(record.queue === undefined ? {} : { run: record.queue.run }),
    label: record.label,
    workflow: readGraph(record.workflow),
    media,
    localOnly,
    ...(inputFolder === undefined ? {} : { inputFolder }),
  });
}

/** What was sent is not judged again: a graph that a stricter reading would refuse has its result all the same. */
function readGraph(text: string): Workflow {
  try {
    return parseWorkflow(text);
  } catch {
    return JSON.parse(text) as Workflow;
  }
}

/** Asks the backend that a job was sent to what became of it. @throws Fault when it failed there */
export async function resumeThere(
  backend: Backend | undefined,
  record: JobRecord,
  sentBefore: readonly string[],
  context: RunContext,
  clock: Clock,
  signal: AbortSignal,
): Promise<ResumedJob> {
  const { remote } = record;
  const patient = (why: string, withinMs?: number): ResumedJob =>
    clock.now() - record.requestedAt > longestSilenceMs
      ? { is: 'lost', why: `Nothing was heard of it for two weeks (${why})` }
      : { is: 'later', why, ...(withinMs === undefined ? {} : { withinMs }) };
  if (remote === undefined)
    return { is: 'lost', why: 'It had not been sent anywhere when its window closed', end: 'neverSent' };
  if (backend === undefined) return patient(`${record.backend ?? 'Its backend'} is not there now`);
  if (backend.resume === undefined) {
    return {
      is: 'lost',
      why: `${backend.label} cannot be asked for what it was sent; it may have been made and billed`,
    };
  }
  const resumed = await backend.resume({ ...remote, sentBefore }, await requestOf(record), context, signal);
  if (resumed.is === 'result') return { ...resumed, backend };
  return resumed.is === 'later' ? patient(resumed.why, resumed.withinMs) : resumed;
}
