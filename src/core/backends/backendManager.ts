import { withDeadline } from '../kernel/clock.ts';
import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { Fault, throwIfAborted, toFault, treatments } from '../kernel/fault.ts';
import { known, unknown } from '../kernel/observed.ts';
import type { Observed } from '../kernel/observed.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { afterFault, afterSuccess, closedBreaker, lookAt } from '../routing/breaker.ts';
import type { Breaker } from '../routing/breaker.ts';
import { route } from '../routing/route.ts';
import type { Candidate, Route, RoutePolicy } from '../routing/route.ts';
import type { Backend, Health, Tier } from './backend.ts';

export interface BackendStatus {
  readonly backend: Backend;
  readonly ready: { readonly ok: true } | { readonly ok: false; readonly why: string };
  readonly health: Observed<Health>;
  readonly breaker: Breaker;
  readonly checking: boolean;
}

export interface Attempt {
  readonly backend: Tier;
  readonly outcome: 'done' | 'failed' | 'refused';
  /** Why it failed or was passed over. */
  readonly why?: string;
  readonly faultKind?: Fault['kind'];
  readonly ms: number;
}

export interface Execution<T> {
  readonly value: T;
  readonly backend: Tier;
  readonly ms: number;
  readonly attempts: readonly Attempt[];
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
    const reasons = attempts.map((attempt) => `${attempt.backend}: ${attempt.why ?? 'unknown'}`).join('; ');
    const message = `No backend could do it (${reasons})`;
    super(attempts, last?.kind ?? 'unavailable', message, last?.facts ?? {}, { cause: last });
  }
}

export interface BackendManagerOptions {
  readonly backends: readonly Backend[];
  readonly clock: Clock;
  readonly log: Log;
  /** Read at every decision: settings change while we run. */
  readonly policy: () => Omit<RoutePolicy, 'localOnly'>;
}

/** A health check ends after 5 s (design, 4). */
const healthTimeoutMs = 5_000;
/** Older observations decide nothing. */
const healthFreshMs = 30_000;

/** Health, doors and the chain of backends. */
export class BackendManager implements Disposable {
  readonly #options: BackendManagerOptions;
  readonly #entries: ReadonlyMap<Tier, Entry>;
  readonly #changed = new Emitter<Tier>();

  constructor(options: BackendManagerOptions) {
    this.#options = options;
    const since = options.clock.now();
    this.#entries = new Map(
      options.backends.map((backend) => [
        backend.id,
        { backend, health: unknown(since), breaker: closedBreaker, check: undefined },
      ]),
    );
  }

  readonly onDidChange: Event<Tier> = (listener) => this.#changed.event(listener);

  /** A snapshot of every backend, at once; in order of priority. */
  statuses(): readonly BackendStatus[] {
    const { priority } = this.#options.policy();
    const place = (id: Tier): number => (priority.includes(id) ? priority.indexOf(id) : priority.length);
    return [...this.#entries.values()]
      .map(({ backend, health, breaker, check }) => ({
        backend,
        ready: backend.ready(),
        health,
        breaker,
        checking: check !== undefined,
      }))
      .sort((a, b) => place(a.backend.id) - place(b.backend.id));
  }

  /** Checks all backends in parallel; overlapping checks of one backend share an answer. */
  async checkAll(signal: AbortSignal): Promise<readonly BackendStatus[]> {
    await Promise.all([...this.#entries.keys()].map((id) => this.check(id, signal)));
    return this.statuses();
  }

  async check(id: Tier, signal: AbortSignal): Promise<Health> {
    const entry = this.#entry(id);
    entry.check ??= this.#probe(entry, signal).finally(() => {
      entry.check = undefined;
      this.#changed.fire(id);
    });
    this.#changed.fire(id);
    return entry.check;
  }

  /** Keys, credit or settings changed: doors that waited for that are opened. */
  reset(id: Tier): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.breaker = closedBreaker;
    entry.health = unknown(this.#options.clock.now());
    this.#changed.fire(id);
  }

  /** Which backends would be tried now, in which order, and why not the others. */
  route(localOnly: boolean): Route {
    return route(this.#candidates(), { ...this.#options.policy(), localOnly });
  }

  /** The backend that would get the next job. */
  selected(): Tier | undefined {
    return this.route(false).use[0];
  }

  /**
   * Runs the operation on the first backend that can; when it fails there in a way that another backend may not, on
   * the next.
   * @throws AllBackendsFailed with each backend's reason; Fault when the fault is the job's own
   */
  async executeWithFallback<T>(
    job: { readonly localOnly: boolean },
    operation: (backend: Backend, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<Execution<T>> {
    const { clock, log } = this.#options;
    const startedAt = clock.now();
    const { use, refused, failOpen } = this.route(job.localOnly);
    const attempts: Attempt[] = refused.map(({ id, why }) => ({ backend: id, outcome: 'refused', why, ms: 0 }));
    if (failOpen !== undefined) log.warn(`Every backend is out: trying ${failOpen}, whose next check is nearest`);
    let last: Fault | undefined;
    for (const id of use) {
      const entry = this.#entry(id);
      const attemptAt = clock.now();
      throwIfAborted(signal);
      try {
        const value = await operation(entry.backend, signal);
        this.#succeeded(entry);
        attempts.push({ backend: id, outcome: 'done', ms: clock.now() - attemptAt });
        return { value, backend: id, ms: clock.now() - startedAt, attempts };
      } catch (error) {
        throwIfAborted(signal);
        const fault = toFault(error);
        last = fault;
        this.#failed(entry, fault);
        attempts.push({
          backend: id,
          outcome: 'failed',
          why: fault.message,
          faultKind: fault.kind,
          ms: clock.now() - attemptAt,
        });
        log.warn(`${id}: ${fault.message}`, { kind: fault.kind, raw: fault.facts.raw });
        if (!treatments[fault.kind].failover) throw withAttempts(fault, attempts);
      }
    }
    throw new AllBackendsFailed(attempts, last);
  }

  dispose(): void {
    this.#changed.dispose();
  }

  #candidates(): readonly Candidate[] {
    const now = this.#options.clock.now();
    return [...this.#entries.values()].map(({ backend, health, breaker }) => ({
      id: backend.id,
      ready: backend.ready(),
      health: health.known && now - health.at <= healthFreshMs ? health : unknown(now),
      breaker: lookAt(breaker, now),
    }));
  }

  async #probe(entry: Entry, outer: AbortSignal): Promise<Health> {
    const { clock } = this.#options;
    const ready = entry.backend.ready();
    if (!ready.ok) return this.#seen(entry, { state: 'off', why: ready.why });
    const deadline = withDeadline(outer, healthTimeoutMs, () => new Fault('timeout', 'No answer within 5 s'));
    try {
      const health = await entry.backend.probe(deadline.signal);
      if (health.state === 'healthy') entry.breaker = afterSuccess();
      else if (health.fault !== undefined) entry.breaker = afterFault(entry.breaker, health.fault, clock.now());
      return this.#seen(entry, health);
    } catch (error) {
      throwIfAborted(outer);
      const fault = toFault(error);
      entry.breaker = afterFault(entry.breaker, fault, clock.now());
      return this.#seen(entry, { state: 'unhealthy', why: fault.message, fault });
    } finally {
      deadline.done();
    }
  }

  #seen(entry: Entry, health: Health): Health {
    entry.health = known(health, this.#options.clock.now());
    return health;
  }

  #succeeded(entry: Entry): void {
    entry.breaker = afterSuccess();
    const { health } = entry;
    if (health.known && health.value.state === 'unhealthy') entry.health = unknown(this.#options.clock.now());
    this.#changed.fire(entry.backend.id);
  }

  #failed(entry: Entry, fault: Fault): void {
    const now = this.#options.clock.now();
    entry.breaker = afterFault(entry.breaker, fault, now);
    if (treatments[fault.kind].health !== 'none') {
      entry.health = known({ state: 'unhealthy', why: fault.message, fault }, now);
    }
    this.#changed.fire(entry.backend.id);
  }

  #entry(id: Tier): Entry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new Fault('bug', `No backend '${id}'`);
    return entry;
  }
}

interface Entry {
  readonly backend: Backend;
  health: Observed<Health>;
  breaker: Breaker;
  check: Promise<Health> | undefined;
}

/** The job's own fault keeps its kind and facts, and learns what was tried before. */
function withAttempts(fault: Fault, attempts: readonly Attempt[]): JobFault {
  const earlier = attempts.slice(0, -1).map((attempt) => `${attempt.backend}: ${attempt.why ?? attempt.outcome}`);
  const where = attempts.at(-1)?.backend ?? '';
  const before = earlier.length === 0 ? '' : ` (before: ${earlier.join('; ')})`;
  return new JobFault(attempts, fault.kind, `${where}: ${fault.message}${before}`, fault.facts, { cause: fault });
}
