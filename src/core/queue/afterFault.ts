import { treatments } from '../kernel/fault.ts';
import type { Fault } from '../kernel/fault.ts';

/** A backend that a queued job shall not have. */
export interface Exclusion {
  /** Its id. */
  readonly backend: string;
  /** A sentence. */
  readonly why: string;
  /** 'now': it has it again when no other can. */
  readonly for: 'ever' | 'now';
  /** How often it has failed there. */
  readonly times: number;
}

/** What becomes of a queued job after a fault on one backend, when nothing of what it has sent can end there any more. */
export type Verdict =
  /** The fault is the job's own: it would be the same elsewhere. */
  | { readonly is: 'fail' }
  | {
      readonly is: 'again';
      readonly excluded: readonly Exclusion[];
      /** Before it is given away again. */
      readonly waitMs: number;
      /** The backend, or every one, takes no job for so long. */
      readonly rest: { readonly of: 'backend' | 'all'; readonly ms: number } | undefined;
    };

/** A backend that a job has failed on so often does not get it again: perhaps it is the job. */
const mostTimes = 3;
const restMs = { noCapacity: 60_000, overBudget: 60_000, rateLimited: 30_000, io: 60_000 } as const;
const longestRestMs = 900_000;
const firstWaitMs = 1_000;
const longestWaitMs = 60_000;

/** Pure. `wasSent`: something of the job had been sent there, or may have been. */
export function afterFault(fault: Fault, backend: string, wasSent: boolean, before: readonly Exclusion[]): Verdict {
  const again = (change: Partial<Extract<Verdict, { is: 'again' }>>): Verdict => ({
    is: 'again',
    excluded: before,
    waitMs: 0,
    rest: undefined,
    ...change,
  });
  switch (fault.kind) {
    case 'overBudget':
    case 'noCapacity':
      return again({ rest: { of: 'backend', ms: restMs[fault.kind] } });
    case 'rateLimited': {
      const ms = Math.min(longestRestMs, fault.facts.retryAfterMs ?? restMs.rateLimited);
      return again({ rest: { of: 'backend', ms } });
    }
    case 'io':
      // The disk or the records: every job would meet the same.
      return wasSent ? { is: 'fail' } : again({ rest: { of: 'all', ms: restMs.io } });
    case 'mismatch':
    case 'outOfMemory':
      return again({ excluded: withOne(before, { backend, why: fault.message, for: 'ever', times: 1 }) });
    case 'cancelled':
    case 'rejected':
    case 'jobFailed':
    case 'blocked':
    case 'bug':
      return { is: 'fail' };
    case 'timeout':
    case 'unreachable':
    case 'unavailable':
    case 'unauthorized':
    case 'noCredit':
    case 'protocol': {
      if (!treatments[fault.kind].failover) return { is: 'fail' };
      const times = (before.find((one) => one.backend === backend)?.times ?? 0) + (wasSent ? 1 : 0);
      const excluded = withOne(before, {
        backend,
        why: fault.message,
        for: times >= mostTimes ? 'ever' : 'now',
        times,
      });
      return again({
        excluded,
        waitMs: wasSent ? Math.min(longestWaitMs, firstWaitMs * 2 ** (times - 1)) : firstWaitMs,
      });
    }
  }
}

function withOne(before: readonly Exclusion[], one: Exclusion): readonly Exclusion[] {
  return [...before.filter(({ backend }) => backend !== one.backend), one];
}
