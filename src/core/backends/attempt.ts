import { Fault } from '../kernel/fault.ts';
import type { Backend } from './backend.ts';

export interface Attempt {
  /** Id of the backend. */
  readonly backend: string;
  /** As a person knows it. */
  readonly label: string;
  readonly outcome: 'done' | 'failed' | 'refused';
  /** Why it failed or was passed over. */
  readonly why?: string;
  readonly faultKind?: Fault['kind'];
  readonly ms: number;
}

/** A job's last fault, with all that was tried. */
export class JobFault extends Fault {
  readonly attempts: readonly Attempt[];
  constructor(attempts: readonly Attempt[], ...fault: ConstructorParameters<typeof Fault>) {
    super(...fault);
    this.attempts = attempts;
  }
}

/** Every backend failed or was refused; the message names each with its reason. */
export class AllBackendsFailed extends JobFault {
  constructor(attempts: readonly Attempt[], last: Fault | undefined) {
    const reasons = attempts.map((attempt) => `${attempt.label}: ${attempt.why ?? 'unknown'}`).join('; ');
    const message = `No backend could do it (${reasons})`;
    super(attempts, last?.kind ?? 'unavailable', message, last?.facts ?? {}, { cause: last });
  }
}

/** It was tried or passed over for this job. */
export function isOver(id: string, attempts: readonly Attempt[]): boolean {
  return attempts.some(({ backend }) => backend === id);
}

/**
 * A service that bills each job may have taken it, and whether it did is not known: made anywhere else, it might be paid
 * for twice. That is for a person to decide.
 */
export function mayBePaid({ facts }: Fault, backend: Pick<Backend, 'billing'> | undefined): boolean {
  return backend?.billing === 'job' && facts.delivered === 'maybe';
}

/** The job's own fault keeps its kind and facts, and learns what was tried before. */
export function withAttempts(fault: Fault, attempts: readonly Attempt[]): JobFault {
  const earlier = attempts.slice(0, -1).map((attempt) => `${attempt.label}: ${attempt.why ?? attempt.outcome}`);
  const where = attempts.at(-1)?.label ?? '';
  const before = earlier.length === 0 ? '' : ` (before: ${earlier.join('; ')})`;
  return new JobFault(attempts, fault.kind, `${where}: ${fault.message}${before}`, fault.facts, { cause: fault });
}
