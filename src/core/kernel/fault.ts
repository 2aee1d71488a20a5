/**
 * The one error type that leaves a core module. What each kind means for retry, fail-over, health and the person
 * is decided once, in {@link treatments}; nobody matches on a message.
 */
export type FaultKind =
  | 'cancelled'
  | 'timeout'
  | 'unreachable'
  | 'unavailable'
  | 'rateLimited'
  | 'unauthorized'
  | 'noCredit'
  | 'noCapacity'
  | 'rejected'
  | 'mismatch'
  | 'protocol'
  | 'overBudget'
  | 'outOfMemory'
  | 'jobFailed'
  | 'blocked'
  | 'io'
  | 'bug';

export interface FaultFacts {
  /** HTTP status of the reply, when there was one. */
  readonly status?: number;
  readonly retryAfterMs?: number;
  /** Did the request take effect at the other side? Only 'no' makes a paid request safe to send again. */
  readonly delivered?: 'no' | 'maybe' | 'yes';
  readonly requestId?: string;
  /** The ComfyUI node and input at fault. */
  readonly nodeId?: string;
  readonly nodeType?: string;
  readonly input?: string;
  /** What a person can do next, as a sentence. */
  readonly nextStep?: string;
  /** Raw reply text: for the log only, never shown. */
  readonly raw?: string;
  /** Of a 'cancelled': nobody wanted the work to end, only its owner here did. What runs elsewhere goes on. */
  readonly by?: 'shutdown' | 'secondRun' | 'takeover';
}

export class Fault extends Error {
  override readonly name = 'Fault';
  readonly kind: FaultKind;
  readonly facts: FaultFacts;
  constructor(kind: FaultKind, message: string, facts: FaultFacts = {}, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.facts = facts;
  }
}

export interface Treatment {
  /** May the same call be sent again here? 'ifSafe' = repeatable, or proven not delivered. */
  readonly retry: 'never' | 'ifSafe' | 'afterWait';
  /** Does the next backend get the job? */
  readonly failover: boolean;
  /** Does it count against the backend's health? 'close' opens the breaker at the first event. */
  readonly health: 'none' | 'count' | 'close' | 'untilChanged' | 'untilRetryAfter';
}

/** A new kind does not compile until its treatment is decided. */
export const treatments: Readonly<Record<FaultKind, Treatment>> = {
  cancelled: { retry: 'never', failover: false, health: 'none' },
  timeout: { retry: 'ifSafe', failover: true, health: 'count' },
  unreachable: { retry: 'ifSafe', failover: true, health: 'close' },
  unavailable: { retry: 'ifSafe', failover: true, health: 'count' },
  rateLimited: { retry: 'afterWait', failover: true, health: 'untilRetryAfter' },
  unauthorized: { retry: 'never', failover: true, health: 'untilChanged' },
  noCredit: { retry: 'never', failover: true, health: 'untilChanged' },
  noCapacity: { retry: 'never', failover: true, health: 'none' },
  rejected: { retry: 'never', failover: false, health: 'none' },
  mismatch: { retry: 'never', failover: true, health: 'none' },
  protocol: { retry: 'never', failover: true, health: 'count' },
  overBudget: { retry: 'never', failover: true, health: 'none' },
  outOfMemory: { retry: 'never', failover: true, health: 'none' },
  jobFailed: { retry: 'never', failover: false, health: 'none' },
  blocked: { retry: 'never', failover: false, health: 'none' },
  io: { retry: 'never', failover: false, health: 'none' },
  bug: { retry: 'never', failover: false, health: 'none' },
};

/** Faults of the way there: they say nothing of the work that was sent, and another try may meet none. */
const passing: ReadonlySet<FaultKind> = new Set([
  'timeout',
  'unreachable',
  'unavailable',
  'rateLimited',
  'unauthorized',
  'protocol',
]);

export function isPassing(fault: Fault): boolean {
  return passing.has(fault.kind);
}

/** Anything thrown, as a Fault: a foreign error is a bug of ours until someone gives it a kind. */
export function toFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new Fault('bug', message, {}, { cause: error });
}

/** Throws the signal's reason as a Fault when the signal is aborted. */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortFault(signal);
}

/** The abort reason is a Fault, so 'by the user', 'deadline' and 'shutdown' stay distinct. */
export function abortFault(signal: AbortSignal): Fault {
  return signal.reason instanceof Fault ? signal.reason : new Fault('cancelled', 'Cancelled');
}

/** True when the owner ended, for example with its window: work on a server is left to be collected later. */
export function isShutdown(signal: AbortSignal): boolean {
  return signal.aborted && abortFault(signal).facts.by === 'shutdown';
}
