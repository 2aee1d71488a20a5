import { JobFault, mayBePaid } from '../backends/attempt.ts';
import type { Attempt } from '../backends/attempt.ts';
import type { Backend, LostEnd } from '../backends/backend.ts';
import { toFault } from '../kernel/fault.ts';
import { afterFault } from '../queue/afterFault.ts';
import type { JobRecord } from '../store/jobStore.ts';
import type { ScheduleStore } from '../store/scheduleStore.ts';
import type { ClaimedEnd } from './jobOutcome.ts';
import type { JobTask } from './runningJobs.ts';

/** A job that was tried so often does not go back to the queue by itself: perhaps it is what ends our windows. */
const mostAttempts = 10;

/** After a failure on the one backend: what goes back to the queue; undefined = the job is over here. */
export async function endOfClaim(
  error: unknown,
  before: readonly Attempt[],
  task: Pick<JobTask, 'signal' | 'intents' | 'mayStillEnd'>,
  backend: Backend | undefined,
): Promise<Extract<ClaimedEnd, { is: 'again' }> | undefined> {
  const fault = toFault(error);
  if (task.signal.aborted || fault.kind === 'cancelled') return undefined;
  // What may still end is asked for later: it may be paid for. A server of one's own that is gone is gone at once.
  const isGone = backend?.billing === 'free' && fault.kind === 'unreachable';
  if (task.mayStillEnd && !isGone) return undefined;
  const wasSent = task.intents > 0;
  if (wasSent && mayBePaid(fault, backend)) return undefined;
  if (afterFault(fault, backend?.id ?? '', wasSent, []).is === 'fail') return undefined;
  const attempts = [...before, ...(error instanceof JobFault ? error.attempts : [])];
  return Promise.resolve({ is: 'again', fault, attempts, wasSent });
}

/**
 * A job of the queue whose window has gone and that has no result: it goes back to the queue when running it again cannot
 * pay for the same thing twice. That is so for what never came to its server, once for what ended with its machine, and for
 * what a server of one's own does not know, however often that is restarted: the attempts are counted.
 */
export async function putLostBack(
  record: JobRecord,
  lost: { readonly why: string; readonly end?: LostEnd },
  backend: Backend | undefined,
  putBack: ScheduleStore['putBack'],
  now: number,
): Promise<boolean> {
  const { queue, attempts } = record;
  if (queue === undefined || attempts.length >= mostAttempts || !mayGoBack(record, lost.end, backend)) return false;
  const attempt: Attempt = {
    backend: record.backend ?? '',
    label: backend?.label ?? record.backend ?? '',
    outcome: 'failed',
    why: lost.why,
    faultKind: 'unavailable',
    ms: Math.max(0, now - (queue.givenAt ?? now)),
  };
  const resent = lost.end !== 'neverSent' || record.remote !== undefined;
  return putBack(
    record.id,
    { attempts: [...attempts, attempt], excluded: queue.excluded, waitsFor: undefined, notBefore: 0, resent },
    now,
  );
}

function mayGoBack({ queue, remote }: JobRecord, end: LostEnd | undefined, backend: Backend | undefined): boolean {
  if (queue === undefined) return false;
  switch (end) {
    case 'neverSent':
      return remote === undefined || !(queue.accepted || queue.resent);
    case 'withMachine':
      return !queue.resent;
    case 'unknown':
      return backend?.billing === 'free';
    case undefined:
      return false;
  }
}
