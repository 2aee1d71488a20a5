import type { Health } from '../backends/backend.ts';
import { withDeadline } from '../kernel/clock.ts';
import { Fault, isPassing, throwIfAborted, toFault } from '../kernel/fault.ts';
import type { Log } from '../kernel/ports.ts';
import type { Endpoint, GpuPrice } from './endpoint.ts';
import type { EndpointClient, Worker } from './endpointClient.ts';
import { endpointObstacle, healthOf } from './endpointHealth.ts';
import type { EndpointHealth } from './jobClient.ts';
import { workerPrice } from './jobCost.ts';

export interface EndpointFactsOptions {
  readonly endpointId: string;
  readonly client: Pick<EndpointClient, 'get' | 'workers' | 'prices'>;
  readonly log: Log;
}

/** For what is only nice to know. */
const lookMs = 5_000;

/** What is known of one endpoint: its settings, its workers' cards and prices. Of these, none stops a job. */
export class EndpointFacts {
  readonly #options: EndpointFactsOptions;
  #endpoint: Endpoint | undefined;
  #prices: readonly GpuPrice[] = [];
  #isShort = false;

  constructor(options: EndpointFactsOptions) {
    this.#options = options;
  }

  /** As last seen; undefined until then. */
  get endpoint(): Endpoint | undefined {
    return this.#endpoint;
  }

  /** Empty = not known. */
  get prices(): readonly GpuPrice[] {
    return this.#prices;
  }

  /**
   * Jobs that it holds at best: one for each worker, and half as many again, so that none waits for its next one; RunPod
   * starts workers only for jobs that wait. While RunPod has no GPU for it, one job finds out when that ends.
   */
  get depth(): number {
    const most = this.#endpoint?.maxWorkers ?? 1;
    return this.#isShort ? 1 : most + Math.ceil(most / 2);
  }

  /** Of one worker, at most; undefined = not known. */
  price(): ReturnType<typeof workerPrice> {
    return workerPrice({ endpoint: this.#endpoint, prices: this.#prices, worker: undefined });
  }

  health(counts: EndpointHealth): Health {
    const { running = 0, idle = 0, initializing = 0, throttled = 0 } = counts.workers;
    this.#isShort = throttled > 0 && running + idle + initializing === 0;
    return healthOf(this.#endpoint, counts);
  }

  /** A worker has taken a job: RunPod has found a GPU. */
  noteWork(): void {
    this.#isShort = false;
  }

  /** The endpoint as it is now, or as it was seen last when RunPod's management does not answer. */
  async look(signal: AbortSignal): Promise<Endpoint | undefined> {
    const { client, endpointId, log } = this.#options;
    try {
      this.#endpoint = await client.get(endpointId, signal);
    } catch (error) {
      throwIfAborted(signal);
      const fault = toFault(error);
      if (!isPassing(fault) || fault.kind === 'unauthorized') throw this.named(fault);
      log.info(`The endpoint's settings are not known: ${fault.message}`);
    }
    return this.#endpoint;
  }

  /** @throws Fault 'mismatch' when it is no queue, 'noCapacity' while it may have no worker */
  async requireAble(signal: AbortSignal): Promise<void> {
    const endpoint = await this.look(signal);
    const obstacle = endpoint === undefined ? undefined : endpointObstacle(endpoint);
    if (obstacle === undefined) return;
    // A maximum can be raised again: no job is kept from here for good by it.
    const kind = endpoint?.maxWorkers === 0 && endpoint.kind !== 'loadBalancer' ? 'noCapacity' : 'mismatch';
    throw new Fault(kind, obstacle.why, { delivered: 'no', nextStep: obstacle.nextStep });
  }

  async learnPrices(signal: AbortSignal): Promise<void> {
    if (this.#prices.length > 0) return;
    try {
      this.#prices = await this.#options.client.prices(signal);
    } catch (error) {
      throwIfAborted(signal);
      this.#options.log.info(`The prices of workers are not known: ${toFault(error).message}`);
    }
  }

  async findWorker(workerId: string | undefined, signal: AbortSignal): Promise<Worker | undefined> {
    if (workerId === undefined) return undefined;
    const { client, endpointId, log } = this.#options;
    const deadline = withDeadline(signal, lookMs, () => new Fault('timeout', 'No list of workers in time'));
    try {
      return (await client.workers(endpointId, deadline.signal)).find(({ id }) => id === workerId);
    } catch (error) {
      throwIfAborted(signal);
      log.info(`Which worker ran the job is not known: ${toFault(error).message}`);
      return undefined;
    } finally {
      deadline.done();
    }
  }

  /** An endpoint that is not there is no fault of the workflow. */
  named(fault: Fault): Fault {
    if (fault.facts.status !== 404) return fault;
    const message = `The endpoint ${this.#options.endpointId} is not in this RunPod account`;
    return new Fault('mismatch', message, { ...fault.facts, nextStep: 'Choose another endpoint.' }, { cause: fault });
  }
}
