import { withDeadline } from '../kernel/clock.ts';
import { Fault, isPassing, throwIfAborted, toFault } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { EndpointHealth, JobClient } from './jobClient.ts';
import { isOverdue, judgeQueue, queuePhase, watchQueue } from './queueVerdict.ts';
import type { QueuePatience, QueueVerdict, QueueWatch } from './queueVerdict.ts';
import { hasEnded } from './remoteJob.ts';
import type { RemoteJob } from './remoteJob.ts';
import { workerProgress } from './workerProgress.ts';

/** All ms. */
export interface FollowTimings {
  /** The first five polls; then each wait grows by half. */
  readonly firstMs: number;
  readonly runningMostMs: number;
  readonly queuedMostMs: number;
  /** A job just sent may be unknown for so long. */
  readonly visibleWithinMs: number;
  /** RunPod may be silent for so long while a job of ours is there. */
  readonly silenceMs: number;
  /** A job that shows how long it ran and does not end (runpod-python issue 250). */
  readonly stalledMs: number;
  /** Beyond the execution timeout, before we no longer believe that RunPod keeps it. */
  readonly overtimeMs: number;
  readonly cancelMs: number;
}

/** Poll schedule: reference runpod.md, 5.8. The longest wait stays far below the minute that results are kept at least. */
export const defaultTimings: FollowTimings = {
  firstMs: 1_000,
  runningMostMs: 5_000,
  queuedMostMs: 10_000,
  visibleWithinMs: 60_000,
  silenceMs: 15 * 60_000,
  stalledMs: 60_000,
  overtimeMs: 120_000,
  cancelMs: 10_000,
};

export interface FollowOptions {
  readonly jobs: JobClient;
  readonly endpointId: string;
  readonly jobId: string;
  /** ms since the epoch; an unknown job is looked for only for a while after it. */
  readonly sentAt: number;
  readonly executionTimeoutMs: number;
  readonly timings: FollowTimings;
  readonly patience: QueuePatience;
  readonly clock: Clock;
  readonly log: Log;
  /** 0 to 1, where it is told. */
  readonly onPhase: (phase: string, fraction?: number) => void;
  /** A worker has taken the job: called once. */
  readonly onRunning: (job: RemoteJob) => Promise<void>;
}

/** The wait before the nth poll (from 0) in one state, ms. */
export function pollWaitMs(status: RemoteJob['status'], n: number, timings: FollowTimings): number {
  const most = status === 'queued' ? timings.queuedMostMs : timings.runningMostMs;
  return Math.min(most, timings.firstMs * 1.5 ** Math.max(0, n - 4));
}

/**
 * Follows a job to its end. A job that waits for what will not come is taken back: no capacity, workers that crash or take
 * nothing. Through RunPod's silence it waits on, since the job goes on there.
 * @throws Fault; `delivered` is 'no' when the job was taken back before a worker had it, 'maybe' when it may still end there
 */
export async function followJob(options: FollowOptions, signal: AbortSignal): Promise<RemoteJob> {
  const { clock, timings, onPhase } = options;
  let heardAt = clock.now();
  let watch: QueueWatch | undefined;
  let before: RemoteJob['status'] | undefined;
  let polls = 0;
  let runningSince: number | undefined;
  let stalledSince: number | undefined;
  for (;;) {
    const job = await ask(options, () => heardAt, signal);
    if (job !== undefined) {
      heardAt = clock.now();
      if (hasEnded(job)) return job;
      if (job.status !== before) polls = 0;
      before = job.status;
      if (job.status === 'queued') {
        runningSince = undefined;
        const health = await healthOf(options, signal);
        if (health !== undefined) watch = watchQueue(watch, judgeQueue(health), clock.now());
        onPhase(queuePhase(watch?.verdict, health));
        if (watch !== undefined && isOverdue(watch, options.patience, clock.now())) {
          return takeBack(options, waitFault(watch, clock.now()), signal);
        }
      } else {
        watch = undefined;
        if (runningSince === undefined) {
          runningSince = clock.now();
          await options.onRunning(job);
        }
        const ranMs = clock.now() - runningSince;
        const said = workerProgress(job.output);
        onPhase(said?.phase ?? `Generating on a worker, ${Math.round(ranMs / 1_000)} s`, said?.fraction);
        // A job that still runs has no execution time.
        stalledSince = job.executionMs === undefined ? undefined : (stalledSince ?? clock.now());
        if (stalledSince !== undefined && clock.now() - stalledSince >= timings.stalledMs) {
          return takeBack(options, stallFault, signal);
        }
        if (ranMs > options.executionTimeoutMs + timings.overtimeMs) return takeBack(options, overtimeFault, signal);
      }
    }
    await clock.sleep(pollWaitMs(before ?? 'queued', polls++, timings), signal);
  }
}

/** The job's state; undefined = not to be had now. */
async function ask(options: FollowOptions, heardAt: () => number, signal: AbortSignal): Promise<RemoteJob | undefined> {
  const { jobs, endpointId, jobId, clock, log, timings, onPhase } = options;
  try {
    return await jobs.status(endpointId, jobId, signal);
  } catch (error) {
    throwIfAborted(signal);
    const fault = toFault(error);
    if (fault.facts.status === 404) {
      if (clock.now() - options.sentAt <= timings.visibleWithinMs) return undefined;
      throw goneFault(fault);
    }
    const silentMs = clock.now() - heardAt();
    if (!isPassing(fault) || fault.kind === 'unauthorized' || silentMs > timings.silenceMs) throw mayEnd(fault);
    log.info(`Job ${jobId}: ${fault.message}; it goes on there`);
    onPhase(`RunPod has not answered for ${Math.round(silentMs / 1_000)} s; the job goes on there`);
    return undefined;
  }
}

async function healthOf(options: FollowOptions, signal: AbortSignal): Promise<EndpointHealth | undefined> {
  try {
    return await options.jobs.health(options.endpointId, signal);
  } catch (error) {
    throwIfAborted(signal);
    options.log.debug(`The endpoint's health is not known: ${toFault(error).message}`);
    return undefined;
  }
}

/** Ends a job that is not worth waiting for. One that ended at the same moment is taken as it is. */
async function takeBack(options: FollowOptions, why: Fault, signal: AbortSignal): Promise<RemoteJob> {
  const { jobs, endpointId, jobId, log, timings } = options;
  const status = await cancelJob(options, signal).catch((error: unknown) => {
    throwIfAborted(signal);
    log.warn(`Job ${jobId} could not be taken back: ${toFault(error).message}`);
    return undefined;
  });
  if (status === 'completed' || status === 'failed' || status === 'timedOut') {
    const deadline = withDeadline(signal, timings.cancelMs, () => why);
    try {
      const job = await jobs.status(endpointId, jobId, deadline.signal);
      if (hasEnded(job)) return job;
    } finally {
      deadline.done();
    }
    throw new Fault(why.kind, why.message, { ...why.facts, delivered: 'yes' });
  }
  const delivered = status !== 'cancelled' ? 'maybe' : (why.facts.delivered ?? 'no');
  throw new Fault(why.kind, why.message, { ...why.facts, delivered });
}

/** Cancels on RunPod and tells the state afterwards. It has its own time: what asks for it may be over already. */
export async function cancelJob(
  { jobs, endpointId, jobId, timings }: Pick<FollowOptions, 'jobs' | 'endpointId' | 'jobId' | 'timings'>,
  signal: AbortSignal,
): Promise<RemoteJob['status']> {
  const deadline = withDeadline(signal, timings.cancelMs, () => new Fault('timeout', 'No answer to the cancellation'));
  try {
    return await jobs.cancel(endpointId, jobId, deadline.signal);
  } finally {
    deadline.done();
  }
}

const workerLogs = "Read the workers' logs: 'PodRelay: Show Worker Logs…'.";
const verdictFaults: Readonly<Record<QueueVerdict, readonly [Fault['kind'], string, string]>> = {
  noCapacity: [
    'noCapacity',
    'RunPod has no free GPU for a worker of the endpoint',
    'Add GPU pools or data centres to the endpoint.',
  ],
  crashLoop: ['unavailable', "The endpoint's workers crash as they start", workerLogs],
  deaf: ['unavailable', 'A worker of the endpoint is up and takes no job: it may crash unseen', workerLogs],
  starting: ['timeout', "The endpoint's workers do not come up", workerLogs],
  busy: ['timeout', 'The queue of the endpoint is too long', 'Raise its maximum of workers.'],
  unknown: ['timeout', 'The endpoint starts no worker', 'Look at the endpoint in the RunPod console.'],
};

function waitFault({ verdict, since }: QueueWatch, nowMs: number): Fault {
  const [kind, what, nextStep] = verdictFaults[verdict];
  const seconds = Math.round((nowMs - since) / 1_000);
  return new Fault(kind, `${what} (waited ${seconds} s)`, { nextStep });
}

const stallFault = new Fault(
  'unavailable',
  'RunPod shows the job as running although it has ended: its result is lost',
  {
    delivered: 'yes',
  },
);
const overtimeFault = new Fault('timeout', 'The job runs longer than its limit and RunPod does not end it', {
  delivered: 'yes',
});

export function goneFault(cause: Fault): Fault {
  return new Fault(
    'unavailable',
    'RunPod no longer has the job: results are kept for 30 minutes, and a deleted endpoint takes its jobs along',
    { ...cause.facts, delivered: 'yes' },
    { cause },
  );
}

/** The job is at RunPod, whatever the last question met. */
function mayEnd(fault: Fault): Fault {
  return new Fault(fault.kind, fault.message, { ...fault.facts, delivered: 'maybe' }, { cause: fault });
}
