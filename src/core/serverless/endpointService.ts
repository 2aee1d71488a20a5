import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { throwIfAborted, toFault } from '../kernel/fault.ts';
import { late } from '../kernel/late.ts';
import { Lifetime } from '../kernel/lifetime.ts';
import { known, unknown } from '../kernel/observed.ts';
import type { Observed } from '../kernel/observed.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { untilAborted } from '../kernel/untilAborted.ts';
import type { EndpointWish, WorkersWish } from './createEndpoint.ts';
import type { Endpoint, GpuPrice } from './endpoint.ts';
import type { EndpointClient } from './endpointClient.ts';
import type { EndpointStatus } from './endpointStatus.ts';
import type { JobClient } from './jobClient.ts';

const { createEndpoint, changeWorkers } = late(() => import('./createEndpoint.ts'));
const { readDetails, withDetails } = late(() => import('./endpointReads.ts'));
const { watchWorkers } = late(() => import('./watchWorkers.ts'));

export type { EndpointStatus };

export interface EndpointServiceOptions {
  readonly endpoints: EndpointClient;
  readonly jobs: Pick<JobClient, 'health' | 'purgeQueue'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Between two looks for an endpoint whose create was not answered. */
  readonly pollMs?: number;
  /** How long such an endpoint is looked for. */
  readonly adoptWithinMs?: number;
  /** Of how many endpoints workers and queue are asked in one refresh. */
  readonly mostPerRefresh?: number;
  /** Between two looks at workers that cost money; undefined = only when asked. */
  readonly watchEveryMs?: number;
}

/** All endpoints of the account at one moment, in ms since the epoch. */
export interface EndpointListing {
  readonly endpoints: readonly EndpointStatus[];
  readonly at: number;
}

/** List prices change by the month. */
const pricesForMs = 3_600_000;

/** The account's serverless endpoints: a snapshot with its age, and what can be done to them. It asks when it is asked. */
export class EndpointService implements Disposable {
  readonly #life = new Lifetime();
  readonly #changed = this.#life.own(new Emitter<void>());
  readonly #options: EndpointServiceOptions;
  #endpoints: Observed<readonly EndpointStatus[]>;
  #lastSeen: EndpointListing | undefined;
  #prices: Observed<readonly GpuPrice[]>;
  #refreshing: Promise<readonly EndpointStatus[]> | undefined;
  /** Counts our own changes, which a list that was asked for before them does not hold. */
  #changes = 0;
  #atWork: readonly string[] = [];
  #isWatching = false;

  constructor(options: EndpointServiceOptions) {
    this.#options = options;
    this.#endpoints = unknown(options.clock.now());
    this.#prices = unknown(options.clock.now());
  }

  /** Fires after the snapshot has changed. */
  get onDidChange(): Event<void> {
    return this.#changed.event;
  }

  /** Unknown before the first refresh, and after one that failed. */
  get endpoints(): Observed<readonly EndpointStatus[]> {
    return this.#endpoints;
  }

  /** As they were when last known. */
  get lastSeen(): EndpointListing | undefined {
    return this.#lastSeen;
  }

  /** List prices of serverless GPUs; read once there is an endpoint. */
  get prices(): Observed<readonly GpuPrice[]> {
    return this.#prices;
  }

  /** Lists the endpoints, then asks for their workers and queues; callers at the same time share one refresh. */
  async refresh(signal: AbortSignal): Promise<readonly EndpointStatus[]> {
    throwIfAborted(signal);
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined));
    return untilAborted(this.#refreshing, signal);
  }

  /** The jobs of this window: while one is on an endpoint its workers are watched, and until they have ended. */
  noteJobs(running: readonly { readonly backend: string | undefined }[]): void {
    this.#atWork = [...new Set(running.flatMap(({ backend }) => /^endpoint:(.+)$/.exec(backend ?? '')?.[1] ?? []))];
    this.#watch();
  }

  /** List prices of the GPU types that workers can have; an hour old at most. */
  async gpuPrices(signal: AbortSignal): Promise<readonly GpuPrice[]> {
    const { endpoints, clock } = this.#options;
    if (this.#prices.known && clock.now() - this.#prices.at < pricesForMs) return this.#prices.value;
    const prices = await endpoints.prices(signal);
    this.#prices = known(prices, clock.now());
    return prices;
  }

  /** Workers and queue of one endpoint, read now. */
  async look(endpointId: string, signal: AbortSignal): Promise<EndpointStatus> {
    const endpoint = await this.#options.endpoints.get(endpointId, signal);
    const status = await withDetails(this.#options, { endpoint, ...this.#details(endpointId) }, signal);
    this.#put(status);
    this.#watch();
    return status;
  }

  /** A worker's log, past lines first, until the worker is gone. */
  workerLogs(...args: Parameters<EndpointClient['workerLogs']>): ReturnType<EndpointClient['workerLogs']> {
    return this.#options.endpoints.workerLogs(...args);
  }

  /** Creates an endpoint that costs nothing before its first job. A lost answer is answered by looking for its name. */
  async create(wish: EndpointWish, signal: AbortSignal): Promise<Endpoint> {
    const { endpoints: client, clock, log, pollMs = 3_000, adoptWithinMs = 30_000 } = this.#options;
    const endpoint = await createEndpoint({ client, clock, log, pollMs, adoptWithinMs }, wish, signal);
    this.#put({ endpoint, ...this.#details(endpoint.id) });
    return endpoint;
  }

  /** 0 = it takes jobs and runs none. */
  async setMaxWorkers(endpointId: string, max: number, signal: AbortSignal): Promise<Endpoint> {
    return this.#changeWorkers(endpointId, { max }, signal);
  }

  /** So many cost money without jobs too. */
  async setMinWorkers(endpointId: string, min: number, signal: AbortSignal): Promise<Endpoint> {
    return this.#changeWorkers(endpointId, { min }, signal);
  }

  /** How many waiting jobs were removed; running ones go on. */
  async purgeQueue(endpointId: string, signal: AbortSignal): Promise<number> {
    const removed = await this.#options.jobs.purgeQueue(endpointId, signal);
    const seen = this.#seen().find(({ endpoint }) => endpoint.id === endpointId);
    if (seen !== undefined) this.#put(await withDetails(this.#options, seen, signal));
    return removed;
  }

  /** With all its jobs. */
  async delete(endpointId: string, signal: AbortSignal): Promise<void> {
    await this.#options.endpoints.delete(endpointId, signal);
    this.#changes += 1;
    this.#show(this.#seen().filter(({ endpoint }) => endpoint.id !== endpointId));
  }

  dispose(): void {
    this.#life.dispose();
  }

  async #changeWorkers(endpointId: string, wish: WorkersWish, signal: AbortSignal): Promise<Endpoint> {
    const endpoint = await changeWorkers(this.#options.endpoints, endpointId, wish, signal);
    this.#put({ endpoint, ...this.#details(endpointId) });
    return endpoint;
  }

  async #refresh(): Promise<readonly EndpointStatus[]> {
    const { clock } = this.#options;
    const { signal } = this.#life;
    const listed = await this.#list(signal).catch((error: unknown) => {
      const why = toFault(error);
      if (!signal.aborted) {
        this.#endpoints = unknown(this.#endpoints.known ? clock.now() : this.#endpoints.since, why);
        this.#changed.fire();
      }
      throw why;
    });
    this.#set(listed.map((endpoint) => ({ endpoint, ...this.#details(endpoint.id) })));
    if (listed.length > 0) await Promise.all([this.#readPrices(signal), this.#readDetails(signal)]);
    this.#watch();
    return this.#seen();
  }

  async #list(signal: AbortSignal): Promise<readonly Endpoint[]> {
    for (;;) {
      const before = this.#changes;
      const endpoints = await this.#options.endpoints.list(signal);
      if (before === this.#changes) return endpoints;
    }
  }

  async #readPrices(signal: AbortSignal): Promise<void> {
    const before = this.#prices;
    // A price is a column, not a condition.
    await this.gpuPrices(signal).catch((error: unknown) => {
      this.#options.log.debug(`Prices of serverless GPUs are not known: ${toFault(error).message}`);
    });
    if (this.#prices !== before) this.#changed.fire();
  }

  async #readDetails(signal: AbortSignal): Promise<void> {
    const read = await readDetails(this.#options, this.#seen(), this.#options.mostPerRefresh ?? 12, signal);
    if (signal.aborted) return;
    const byId = new Map(read.map((status) => [status.endpoint.id, status]));
    // The endpoint itself may have been changed in between.
    this.#show(this.#seen().map((seen) => ({ ...seen, ...detailsOf(byId.get(seen.endpoint.id) ?? seen) })));
  }

  #watch(): void {
    const { clock, log, watchEveryMs: everyMs } = this.#options;
    if (everyMs === undefined || this.#isWatching || this.#seen().length + this.#atWork.length === 0) return;
    this.#isWatching = true;
    const [seen, atWork] = [() => this.#seen(), () => this.#atWork];
    const read = (id: string, signal: AbortSignal): Promise<void> => this.#readWorkers(id, signal);
    watchWorkers({ clock, log, everyMs, seen, atWork, read }, this.#life.signal)
      .catch((error: unknown) => {
        if (!this.#life.signal.aborted) log.warn(`Workers are not watched: ${toFault(error).message}`);
      })
      .finally(() => (this.#isWatching = false));
  }

  async #readWorkers(endpointId: string, signal: AbortSignal): Promise<void> {
    if (!this.#prices.known) await this.#readPrices(signal);
    const find = (): EndpointStatus | undefined => this.#seen().find(({ endpoint }) => endpoint.id === endpointId);
    const before = find();
    if (before === undefined) return void (await this.look(endpointId, signal));
    const read = await withDetails(this.#options, before, signal);
    const now = find();
    if (now !== undefined) this.#put({ ...now, ...detailsOf(read) });
  }

  #seen(): readonly EndpointStatus[] {
    return this.#endpoints.known ? this.#endpoints.value : (this.#lastSeen?.endpoints ?? []);
  }

  #details(endpointId: string): Pick<EndpointStatus, 'workers' | 'health'> {
    const seen = this.#seen().find(({ endpoint }) => endpoint.id === endpointId);
    const never = unknown(this.#options.clock.now());
    return seen === undefined ? { workers: never, health: never } : detailsOf(seen);
  }

  #put(status: EndpointStatus): void {
    this.#changes += 1;
    const seen = this.#seen();
    const isNew = !seen.some(({ endpoint }) => endpoint.id === status.endpoint.id);
    this.#show(isNew ? [status, ...seen] : seen.map((one) => (one.endpoint.id === status.endpoint.id ? status : one)));
  }

  /** What is known of some does not make the list known. */
  #show(endpoints: readonly EndpointStatus[]): void {
    if (this.#endpoints.known) return this.#set(endpoints);
    this.#lastSeen = { endpoints, at: this.#options.clock.now() };
    this.#changed.fire();
  }

  #set(endpoints: readonly EndpointStatus[]): void {
    const at = this.#options.clock.now();
    this.#endpoints = known(endpoints, at);
    this.#lastSeen = { endpoints, at };
    this.#changed.fire();
  }
}

function detailsOf({ workers, health }: EndpointStatus): Pick<EndpointStatus, 'workers' | 'health'> {
  return { workers, health };
}
