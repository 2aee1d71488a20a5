import { withDeadline } from '../kernel/clock.ts';
import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { Fault, throwIfAborted, toFault, treatments } from '../kernel/fault.ts';
import { known, unknown } from '../kernel/observed.ts';
import type { Observed } from '../kernel/observed.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { untilAborted } from '../kernel/untilAborted.ts';
import { afterFault, afterSuccess, closedBreaker, lookAt } from '../routing/breaker.ts';
import type { Breaker } from '../routing/breaker.ts';
import { isNamed, route } from '../routing/route.ts';
import type { Candidate, Route, RoutePolicy } from '../routing/route.ts';
import { AllBackendsFailed, JobFault, isOver, mayBePaid, withAttempts } from './attempt.ts';
import type { Attempt } from './attempt.ts';
import type { Backend, Health, JobRequest, Tier } from './backend.ts';
import type { BackendSource } from './backendSource.ts';
import { forecasterOf } from './forecaster.ts';
import type { Forecaster, ForetoldJob, MakeForecaster } from './forecaster.ts';

export { AllBackendsFailed, JobFault };
export type { Attempt };

export interface BackendStatus {
  readonly backend: Backend;
  readonly ready: { readonly ok: true } | { readonly ok: false; readonly why: string };
  readonly health: Observed<Health>;
  readonly breaker: Breaker;
  readonly checking: boolean;
  /** Jobs of this window that it has now, and how many it holds at best. */
  readonly jobs: number;
}

export interface Execution<T> {
  readonly value: T;
  /** Id of the backend. */
  readonly backend: string;
  readonly ms: number;
  readonly attempts: readonly Attempt[];
}

/** What of a job decides where it goes. Without a workflow nothing is foretold. */
export type RoutedJob = Pick<JobRequest, 'localOnly' | 'first'> & Partial<ForetoldJob>;

export interface BackendManagerOptions {
  readonly backends: BackendSource;
  readonly clock: Clock;
  readonly log: Log;
  /** Read at every decision: settings change while we run. */
  readonly policy: () => Omit<RoutePolicy, 'localOnly'>;
  readonly forecaster?: MakeForecaster;
}

/** A health check ends after 5 s (design, 4). */
const healthTimeoutMs = 5_000;
/** So much longer than the first healthy one, the others of a tier are waited for before a choice; or of all tiers. */
const slowerPeersMs = { tier: 300, all: 1_000 };
/** Older observations decide nothing. */
const healthFreshMs = 30_000;

/** Health, doors and the chain of backends, which come and go. What is known of one is kept as long as it is there. */
export class BackendManager implements Disposable {
  readonly #options: BackendManagerOptions;
  #entries: ReadonlyMap<string, Entry> = new Map();
  readonly #changed = new Emitter<string>();
  readonly #listening: Disposable;
  readonly #end = new AbortController();
  /** What listeners know to be there. */
  #told: ReadonlyMap<string, Entry>;
  /** Of the last job: the next one is taken to be like it. */
  #lastForecast: Forecaster | undefined;

  constructor(options: BackendManagerOptions) {
    this.#options = options;
    this.#told = this.#current();
    this.#listening = options.backends.onDidChange(() => {
      const before = this.#told;
      this.#told = this.#current();
      for (const id of new Set([...before.keys(), ...this.#told.keys()])) {
        if (before.get(id) !== this.#told.get(id)) this.#changed.fire(id);
      }
    });
  }

  /** With the id of a backend that changed, came or went. */
  readonly onDidChange: Event<string> = (listener) => this.#changed.event(listener);

  /** A snapshot of every backend, at once; in order of priority. */
  statuses(): readonly BackendStatus[] {
    const { priority } = this.#options.policy();
    const place = (tier: Tier): number => (priority.includes(tier) ? priority.indexOf(tier) : priority.length);
    return [...this.#current().values()]
      .map(({ backend, health, breaker, check, jobs }) => ({
        backend,
        ready: backend.ready(),
        health,
        breaker,
        checking: check !== undefined,
        jobs,
      }))
      .sort((a, b) => place(a.backend.tier) - place(b.backend.tier));
  }

  /** The one that a job on record was sent to, at that address: it may be no longer listed. */
  find(id: string, address?: string): Backend | undefined {
    return this.#options.backends.find(id, address) ?? this.#current().get(id)?.backend;
  }

  /** Checks all backends, or those of one tier, in parallel; overlapping checks of one backend share an answer. */
  async checkAll(signal: AbortSignal, tier?: Tier): Promise<readonly BackendStatus[]> {
    const chosen = this.#named(tier);
    await Promise.all(chosen.map(async (entry) => this.#check(entry, signal)));
    return this.statuses();
  }

  async check(id: string, signal: AbortSignal): Promise<Health> {
    const entry = this.#current().get(id);
    if (entry === undefined) throw new Fault('bug', `No backend '${id}'`);
    return this.#check(entry, signal);
  }

  /** Keys, credit or settings changed: doors that waited for that are opened. Of one backend, or of all of a tier. */
  reset(name: string): void {
    for (const entry of this.#named(name)) {
      entry.breaker = closedBreaker;
      entry.health = unknown(this.#options.clock.now());
      this.#changed.fire(entry.backend.id);
    }
  }

  /** Which backends would be tried now, in which order, and why not the others. */
  route(localOnly: boolean, forecast = this.#lastForecast): Route {
    return route(this.#candidates(forecast), { ...this.#options.policy(), localOnly });
  }

  /** The backend that would get the next job. */
  selected(): string | undefined {
    return this.route(false).use[0];
  }

  /**
   * Runs the operation on the first backend that can; when it fails there in a way that another backend may not, on
   * the next.
   * @throws AllBackendsFailed with each backend's reason; Fault when the fault is the job's own
   */
  async executeWithFallback<T>(
    job: RoutedJob,
    operation: (backend: Backend, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<Execution<T>> {
    const { clock, log } = this.#options;
    const startedAt = clock.now();
    const attempts: Attempt[] = [];
    let last: Fault | undefined;
    const forecast = (this.#lastForecast = await forecasterOf(this.#options.forecaster, job, log));
    const weighs = this.#options.policy().waitPerUsd !== undefined;
    for (let isRefreshed = job.localOnly; ;) {
      throwIfAborted(signal);
      const decision = this.route(job.localOnly, forecast);
      const open = decision.use.filter((id) => !isOver(id, attempts));
      const entry = this.#entries.get(open.find((id) => id === job.first) ?? open[0] ?? '');
      if (!isRefreshed && (weighs || entry?.backend.tier !== 'local')) {
        // Just before a job may leave this machine, and not sooner, it is asked what there is elsewhere.
        await this.#options.backends.refresh(signal);
        await this.#checkUnsure(job, attempts, weighs ? 'all' : 'tier', signal);
        isRefreshed = true;
        continue;
      }
      attempts.push(...this.#passedOver(decision, attempts));
      if (entry === undefined) throw new AllBackendsFailed(attempts, last);
      const { backend } = entry;
      if (decision.failOpen === backend.id) {
        log.warn(`Every backend is out: trying ${backend.id}, whose next check is nearest`);
      }
      const outcome = await this.#attempt(entry, operation, attempts, signal);
      if (outcome.is === 'done')
        return { value: outcome.value, backend: backend.id, ms: clock.now() - startedAt, attempts };
      last = outcome.fault;
      if (!treatments[last.kind].failover) throw withAttempts(last, attempts);
      if (mayBePaid(last, backend)) throw new AllBackendsFailed([...attempts, ...this.#unasked(open, attempts)], last);
    }
  }

  /**
   * Runs the operation on this backend and no other.
   * @throws JobFault with the attempt; Fault 'unavailable' when there is no such backend now; 'cancelled'
   */
  async executeOn<T>(
    id: string,
    operation: (backend: Backend, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<Execution<T>> {
    const entry = this.#current().get(id);
    if (entry === undefined) throw new Fault('unavailable', `${id} is not there any more`, { delivered: 'no' });
    throwIfAborted(signal);
    const attempts: Attempt[] = [];
    const outcome = await this.#attempt(entry, operation, attempts, signal);
    if (outcome.is === 'done') return { value: outcome.value, backend: id, ms: attempts[0]?.ms ?? 0, attempts };
    const { kind, message, facts } = outcome.fault;
    throw new JobFault(attempts, kind, message, facts, { cause: outcome.fault });
  }

  /** Learns what the backends are beyond this machine; at most seconds. */
  async refresh(signal: AbortSignal): Promise<void> {
    await this.#options.backends.refresh(signal);
  }

  async #attempt<T>(
    entry: Entry,
    operation: (backend: Backend, signal: AbortSignal) => Promise<T>,
    attempts: Attempt[],
    signal: AbortSignal,
  ): Promise<{ readonly is: 'done'; readonly value: T } | { readonly is: 'failed'; readonly fault: Fault }> {
    const { clock, log } = this.#options;
    const { backend } = entry;
    const named = { backend: backend.id, label: this.#nameOf(backend) };
    const startedAt = clock.now();
    entry.jobs += 1;
    try {
      const value = await operation(backend, signal);
      this.#succeeded(entry);
      attempts.push({ ...named, outcome: 'done', ms: clock.now() - startedAt });
      return { is: 'done', value };
    } catch (error) {
      throwIfAborted(signal);
      const fault = toFault(error);
      const { kind, message: why, facts } = fault;
      this.#failed(entry, fault);
      attempts.push({ ...named, outcome: 'failed', why, faultKind: kind, ms: clock.now() - startedAt });
      log.warn(`${backend.id}: ${why}`, { kind, raw: facts.raw });
      return { is: 'failed', fault };
    } finally {
      entry.jobs -= 1;
    }
  }

  dispose(): void {
    this.#end.abort(new Fault('cancelled', 'The window was closed', { by: 'shutdown' }));
    this.#listening.dispose();
    this.#changed.dispose();
  }

  /** Where several of one tier may come next, those of which nothing is known are asked: one that is dead or busy waits. */
  async #checkUnsure(
    job: RoutedJob,
    over: readonly Attempt[],
    among: 'tier' | 'all',
    signal: AbortSignal,
  ): Promise<void> {
    const { use } = this.route(job.localOnly);
    const open = use.flatMap((id) => (isOver(id, over) ? [] : (this.#entries.get(id) ?? [])));
    const first = open[0]?.backend.tier;
    const peers = open.filter(({ backend: { tier } }) => (among === 'all' ? tier !== 'gemini' : tier === first));
    if (peers.length < 2 || open.some(({ backend }) => backend.id === job.first)) return;
    const { clock } = this.#options;
    const now = clock.now();
    const isFresh = ({ health }: Entry): boolean => health.known && now - health.at <= healthFreshMs;
    const unsure = peers.filter((entry) => !isFresh(entry));
    const isOneWell = peers.some(
      (entry) => isFresh(entry) && entry.health.known && entry.health.value.state === 'healthy',
    );
    const checks = unsure.map(async (entry) => {
      const { state } = await this.#check(entry, signal);
      if (state !== 'healthy') throw new Fault('unavailable', state);
    });
    const all = Promise.allSettled(checks);
    // One that hangs is not waited for while another answers.
    const some = isOneWell ? Promise.resolve() : Promise.any(checks);
    const enough = some.then(async () => clock.sleep(slowerPeersMs[among], signal)).catch(async () => all);
    await Promise.race([all, enough]);
    throwIfAborted(signal);
  }

  /** The entries of the backends that there are now. */
  #current(): ReadonlyMap<string, Entry> {
    const listed = this.#options.backends.list();
    const known = this.#entries;
    const before = [...known.values()];
    if (listed.length === before.length && listed.every((one, at) => before[at]?.backend === one)) return known;
    const since = this.#options.clock.now();
    const fresh = (backend: Backend): Entry => ({
      backend,
      health: unknown(since),
      breaker: closedBreaker,
      check: undefined,
      jobs: 0,
    });
    this.#entries = new Map(
      listed.map((one) => {
        const entry = known.get(one.id);
        return [one.id, entry?.backend === one ? entry : fresh(one)];
      }),
    );
    return this.#entries;
  }

  #named(name: string | undefined): readonly Entry[] {
    const entries = [...this.#current().values()];
    if (name === undefined) return entries;
    return entries.filter(({ backend: { id, tier, alias } }) => isNamed({ id, tier, alias: alias?.() }, name));
  }

  /** The only one of its tier needs no name of its own. */
  #nameOf({ id, tier, label }: Backend): string {
    const others = [...this.#entries.values()].some(({ backend }) => backend.tier === tier && backend.id !== id);
    return others ? label : id;
  }

  #passedOver({ refused }: Route, attempts: readonly Attempt[]): readonly Attempt[] {
    return refused.filter(({ id }) => !isOver(id, attempts)).map(({ id, why }) => this.#refused(id, why));
  }

  #unasked(ids: readonly string[], attempts: readonly Attempt[]): readonly Attempt[] {
    const why = 'not asked, since it might be paid for twice';
    return ids.filter((id) => !isOver(id, attempts)).map((id) => this.#refused(id, why));
  }

  #refused(id: string, why: string): Attempt {
    const backend = this.#entries.get(id)?.backend;
    return { backend: id, label: backend === undefined ? id : this.#nameOf(backend), outcome: 'refused', why, ms: 0 };
  }

  #candidates(forecast: Forecaster | undefined): readonly Candidate[] {
    const { clock } = this.#options;
    const now = clock.now();
    return [...this.#current().values()].map(({ backend, health, breaker, jobs }) => ({
      id: backend.id,
      tier: backend.tier,
      alias: backend.alias?.(),
      ready: backend.ready(),
      health: health.known && now - health.at <= healthFreshMs ? health : unknown(now),
      breaker: lookAt(breaker, now),
      standing: backend.standing?.() ?? 'unknown',
      load: { jobs, depth: backend.depth },
      forecast: forecast?.({ backend, health }),
    }));
  }

  async #check(entry: Entry, signal: AbortSignal): Promise<Health> {
    const { id } = entry.backend;
    // Shared, so it ends with nobody who asks: each only waits for as long as it likes.
    entry.check ??= this.#probe(entry, this.#end.signal).finally(() => {
      entry.check = undefined;
      this.#changed.fire(id);
    });
    this.#changed.fire(id);
    return untilAborted(entry.check, signal);
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
    const isOutdated = health.known && ['stopped', 'starting', 'unhealthy'].includes(health.value.state);
    if (isOutdated) this.#seen(entry, { state: 'healthy', why: 'It has just done a job' });
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
}

interface Entry {
  readonly backend: Backend;
  health: Observed<Health>;
  breaker: Breaker;
  check: Promise<Health> | undefined;
  /** Jobs of this window that it has now. */
  jobs: number;
}
