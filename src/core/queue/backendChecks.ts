import type { BackendManager, BackendStatus } from '../backends/backendManager.ts';
import { toFault } from '../kernel/fault.ts';
import type { FaultKind } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { isStale } from './queueScene.ts';

export interface BackendChecksOptions {
  readonly backends: Pick<BackendManager, 'statuses' | 'check' | 'refresh'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Between two looks at a backend that is not known, boots or is ill, and at the account's pods. */
const againMs = { unknown: 500, starting: 3_000, ill: 10_000, pods: 10_000 } as const;
/** What a look can find mended. A wrong key or an empty account is not: its door opens when that changes. */
const mending: ReadonlySet<FaultKind> = new Set(['unreachable', 'unavailable', 'timeout', 'protocol']);

/** While jobs wait: who has not been seen yet, boots or is ill is looked at, so that it gets jobs once it can. */
export class BackendChecks {
  readonly #options: BackendChecksOptions;
  readonly #signal: AbortSignal;
  readonly #checkedAt = new Map<string, number>();
  #refreshedAt = Number.NEGATIVE_INFINITY;
  #nextAt: number | undefined;

  constructor(options: BackendChecksOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  /** When the next look is due, ms since the epoch; undefined = nobody needs one. */
  get nextAt(): number | undefined {
    return this.#nextAt;
  }

  /** Begins what is due and does not wait for it. `leavesMachine`: a job may be sent elsewhere. */
  begin(leavesMachine: boolean): void {
    const { backends, clock } = this.#options;
    const now = clock.now();
    this.#nextAt = undefined;
    if (leavesMachine && this.#isDue(this.#refreshedAt, againMs.pods, now)) {
      this.#refreshedAt = now;
      this.#quietly(backends.refresh(this.#signal));
    }
    for (const status of backends.statuses()) {
      const { backend, checking } = status;
      if (checking || !status.ready.ok || backend.tier === 'gemini' || (backend.tier !== 'local' && !leavesMachine)) {
        continue;
      }
      const pauseMs = isStale(status, now) ? againMs.unknown : pauseOf(status);
      if (pauseMs === undefined || !this.#isDue(this.#checkedAt.get(backend.id), pauseMs, now)) continue;
      this.#checkedAt.set(backend.id, now);
      this.#quietly(backends.check(backend.id, this.#signal));
    }
  }

  #isDue(lastMs: number | undefined, pauseMs: number, now: number): boolean {
    if (lastMs === undefined || now < lastMs || now - lastMs >= pauseMs) return true;
    this.#nextAt = Math.min(this.#nextAt ?? Infinity, lastMs + pauseMs);
    return false;
  }

  #quietly(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (!this.#signal.aborted) this.#options.log.debug(`A backend could not be looked at: ${toFault(error).message}`);
    });
  }
}

/** Undefined = it need not be looked at. */
function pauseOf({ health, breaker }: BackendStatus): number | undefined {
  if (!health.known) return againMs.unknown;
  const { state, fault } = health.value;
  if (state === 'starting') return againMs.starting;
  if (state === 'unhealthy') return fault === undefined || mending.has(fault.kind) ? againMs.ill : undefined;
  return breaker.is === 'open' && Number.isFinite(breaker.retryAtMs) ? againMs.ill : undefined;
}
