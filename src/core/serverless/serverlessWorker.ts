import type { BackendResult, Health, JobRequest, JobRun, Quote, Resumed, RunContext } from '../backends/backend.ts';
import { formatUsd, formatUsdPerHour, machineQuote } from '../cost/price.ts';
import type { HttpClientOptions } from '../http/httpClient.ts';
import { withDeadline } from '../kernel/clock.ts';
import { Fault, isPassing, isShutdown, throwIfAborted, toFault } from '../kernel/fault.ts';
import type { RemoteRun } from '../store/jobStore.ts';
import type { Endpoint } from './endpoint.ts';
import { createEndpointClient } from './endpointClient.ts';
import type { Worker } from './endpointClient.ts';
import { EndpointFacts } from './endpointFacts.ts';
import { cancelJob, defaultTimings, followJob } from './followJob.ts';
import type { FollowOptions, FollowTimings } from './followJob.ts';
import { createJobClient } from './jobClient.ts';
import type { JobClient } from './jobClient.ts';
import { jobCost } from './jobCost.ts';
import type { CostFacts } from './jobCost.ts';
import { buildJobInput, oversize, workerRefusals } from './jobInput.ts';
import type { JobInput } from './jobInput.ts';
import { nameCheckpoint, openCheckpoint, openLoaders } from './openCheckpoint.ts';
import { toRemoteFile } from './openFile.ts';
import { defaultPatience } from './queueVerdict.ts';
import type { QueuePatience } from './queueVerdict.ts';
import type { RemoteJob } from './remoteJob.ts';
import { hasEnded } from './remoteJob.ts';
import { readResult } from './workerResult.ts';

export interface ServerlessWorkerOptions extends Pick<
  HttpClientOptions,
  'transport' | 'clock' | 'log' | 'random' | 'userAgent'
> {
  readonly endpointId: string;
  /** Ends in '/v2'. */
  readonly runpodApiUrl: string;
  /** The job API; ends in '/v2'. */
  readonly serverlessUrl: string;
  readonly apiKey: () => Promise<string | undefined>;
  readonly checkpoint: () => string | undefined;
  /** Of one run on a worker, ms; undefined = the endpoint's own. */
  readonly executionTimeoutMs?: () => number | undefined;
  readonly timings?: Partial<FollowTimings>;
  readonly patience?: Partial<QueuePatience>;
  /** What a job cost that gave no result: to be recorded, since no result carries it. */
  readonly onCharge?: (job: JobRun, charge: Charge) => Promise<void>;
}

export interface Charge {
  readonly micros: number;
  readonly basis: 'measured' | 'estimated';
}

/** RunPod's own limit where an endpoint tells none (docs, send-requests). */
const usualExecutionMs = 600_000;
/** How long RunPod keeps the result of a job that was sent to `/run`. */
const retentionMs = 30 * 60_000;
/** A result that cannot be had now is asked for several times within that. */
const askAgainMs = 5 * 60_000;
/** How long a person who cancels waits for the id of a job that is on its way, to cancel that too. */
const graceMs = 10_000;
const recentRuns = 20;

/** What the serverless backend does, as against whether it may. */
export class ServerlessWorker {
  readonly #options: ServerlessWorkerOptions;
  readonly #facts: EndpointFacts;
  readonly #jobs: JobClient;
  readonly #polled: JobClient;
  readonly #timings: FollowTimings;
  readonly #patience: QueuePatience;
  readonly #address: string;
  readonly #ranMs: Record<JobRequest['media'], number[]> = { image: [], video: [] };

  constructor(options: ServerlessWorkerOptions) {
    this.#options = options;
    // What only helps a job must not hold it up.
    const client = createEndpointClient({ ...options, baseUrl: options.runpodApiUrl, retries: 1 });
    this.#facts = new EndpointFacts({ ...options, client });
    this.#jobs = createJobClient({ ...options, baseUrl: options.serverlessUrl });
    const polls = createJobClient({ ...options, baseUrl: options.serverlessUrl, retries: 0 });
    // A question that is asked again and again anyway needs no retries of its own.
    this.#polled = {
      ...this.#jobs,
      status: (...call) => polls.status(...call),
      health: (...call) => polls.health(...call),
    };
    this.#timings = { ...defaultTimings, ...options.timings };
    this.#patience = { ...defaultPatience, ...options.patience };
    this.#address = `${options.serverlessUrl.replace(/\/+$/, '')}/${options.endpointId}`;
  }

  /** Undefined until the endpoint was seen. */
  get name(): string | undefined {
    return this.#facts.endpoint?.name;
  }

  /** Undefined until the endpoint was seen. */
  get endpoint(): Endpoint | undefined {
    return this.#facts.endpoint;
  }

  get depth(): number {
    return this.#facts.depth;
  }

  async probe(signal: AbortSignal): Promise<Health> {
    const { clock, endpointId } = this.#options;
    const startedAt = clock.now();
    try {
      const [counts] = await Promise.all([
        this.#jobs.health(endpointId, signal),
        this.#facts.look(signal),
        this.#facts.learnPrices(signal),
      ]);
      const gpu = this.#facts.price()?.gpu;
      return {
        ...this.#facts.health(counts),
        ...(gpu === undefined ? {} : { gpu }),
        latencyMs: clock.now() - startedAt,
      };
    } catch (error) {
      throwIfAborted(signal);
      const fault = this.#facts.named(toFault(error));
      return { state: 'unhealthy', why: fault.message, fault };
    }
  }

  async refusals(job: JobRequest, signal: AbortSignal): Promise<readonly string[]> {
    if (job.localOnly) return ["it is marked 'local only' and never leaves this machine"];
    const reasons = [...workerRefusals(job.workflow), ...(await this.#checkpointRefusals(job, signal))];
    if (reasons.length > 0) return reasons;
    const tooLarge = oversize(await this.#input(job, usualExecutionMs, signal));
    return tooLarge === undefined ? [] : [tooLarge];
  }

  async #checkpointRefusals({ workflow }: JobRequest, signal: AbortSignal): Promise<readonly string[]> {
    if (openLoaders(workflow).length === 0) return [];
    const chosen = openCheckpoint(this.#options.checkpoint(), this.endpoint ?? (await this.#facts.look(signal)));
    return 'why' in chosen ? [chosen.why] : [];
  }

  quote({ media }: JobRequest): Quote {
    const price = this.#facts.price();
    if (price === undefined) return machineQuote(media);
    const measured = median(this.#ranMs[media]);
    const ms = measured ?? (media === 'video' ? 300_000 : 20_000);
    const rate = formatUsdPerHour(price.usdPerHourMicros);
    const what = measured === undefined ? 'assumed' : 'measured on this endpoint';
    const basis = `${Math.round(ms / 1_000)} s at ${rate} (${what}), the worker's start apart`;
    return { micros: Math.round((price.usdPerHourMicros * ms) / 3_600_000), basis };
  }

  async run(job: JobRequest, context: RunContext, signal: AbortSignal): Promise<BackendResult> {
    const reasons = await this.refusals(job, signal);
    if (reasons.length > 0) throw new Fault('mismatch', reasons.join('; '), { delivered: 'no' });
    context.onProgress({ phase: 'Asking the endpoint' });
    await this.#facts.requireAble(signal);
    const executionTimeoutMs = this.#executionTimeoutMs();
    const input = await this.#input(job, executionTimeoutMs, signal);
    await context.onIntent({ address: this.#address });
    context.onProgress({ phase: `Sending ${(input.bytes / 1e6).toFixed(1)} MB` });
    const jobId = await this.#send(input, executionTimeoutMs, signal);
    const follow = this.#follow(jobId, executionTimeoutMs, context, this.#options.clock.now());
    try {
      await context.onIntent({ address: this.#address, promptId: jobId });
      throwIfAborted(signal);
      const ended = await followJob(follow, signal);
      return await this.#result(ended, follow.facts, job, input, signal);
    } catch (error) {
      const fault = toFault(error);
      // A job that is not on record, or that nobody wants, must not go on costing.
      const isUnwanted = (signal.aborted && !isShutdown(signal)) || fault.facts.by === 'secondRun';
      if (fault.kind === 'io' || isUnwanted) await this.#abandon(follow, job);
      throwIfAborted(signal);
      throw fault;
    }
  }

  async resume(
    { address, promptId }: RemoteRun,
    job: JobRequest,
    context: RunContext,
    signal: AbortSignal,
  ): Promise<Resumed> {
    const { endpointId, clock } = this.#options;
    // The key goes to the configured address alone.
    if (address !== this.#address) return { is: 'later', why: `It was sent to ${address}, which is not used now` };
    if (promptId === undefined) {
      const most = this.#mostUsd(this.#executionTimeoutMs());
      return {
        is: 'lost',
        why: `It was sent, and RunPod's answer was lost with the window; it may have been billed${most}`,
      };
    }
    const follow = this.#follow(promptId, this.#executionTimeoutMs(), context, -Infinity);
    let ended: RemoteJob;
    try {
      const now = await this.#jobs.status(endpointId, promptId, signal);
      ended = hasEnded(now)
        ? now
        : await followJob({ ...follow, sentAt: clock.now() - this.#timings.visibleWithinMs }, signal);
    } catch (error) {
      if (signal.aborted && !isShutdown(signal)) await this.#abandon(follow, job);
      throwIfAborted(signal);
      const fault = toFault(error);
      if (fault.facts.status === 404) {
        return { is: 'lost', why: 'RunPod no longer has it: results are kept for 30 minutes. It may have been billed' };
      }
      if (isPassing(fault) && fault.facts.delivered !== 'yes') {
        return { is: 'later', why: `RunPod cannot be asked: ${fault.message}`, withinMs: askAgainMs };
      }
      throw fault;
    }
    return { is: 'result', result: await this.#result(ended, follow.facts, job, undefined, signal) };
  }

  #executionTimeoutMs(): number {
    return this.#options.executionTimeoutMs?.() ?? this.#facts.endpoint?.timeoutMs ?? usualExecutionMs;
  }

  #input(job: JobRequest, executionTimeoutMs: number, signal: AbortSignal): Promise<JobInput> {
    const waitMs = Math.max(...Object.values<number>({ ...this.#patience }));
    const policy = { executionTimeoutMs, ttlMs: waitMs + executionTimeoutMs + retentionMs };
    const chosen = openCheckpoint(this.#options.checkpoint(), this.endpoint);
    const workflow = 'name' in chosen ? nameCheckpoint(job.workflow, chosen.name) : job.workflow;
    return buildJobInput(workflow, job.inputFolder, policy, signal);
  }

  /**
   * Sends the job, once. Whoever cancels meanwhile is kept waiting for its id, so that it can be cancelled there; a
   * window that ends is not.
   */
  async #send(input: JobInput, executionTimeoutMs: number, signal: AbortSignal): Promise<string> {
    const { clock, endpointId } = this.#options;
    const stop = new AbortController();
    const done = new AbortController();
    const onAbort = (): void => {
      if (isShutdown(signal)) return stop.abort(signal.reason);
      clock.sleep(graceMs, done.signal).then(
        () => stop.abort(signal.reason),
        () => undefined,
      );
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      throwIfAborted(signal);
      return (await this.#jobs.run(endpointId, input, stop.signal)).id;
    } catch (error) {
      const fault = this.#facts.named(toFault(error));
      if (fault.facts.delivered !== 'maybe') throw fault;
      const nextStep = `It may run and be billed all the same${this.#mostUsd(executionTimeoutMs)}: look at the endpoint in the RunPod console before trying again.`;
      throw new Fault(fault.kind, fault.message, { ...fault.facts, nextStep }, { cause: fault });
    } finally {
      signal.removeEventListener('abort', onAbort);
      done.abort();
    }
  }

  /** RunPod ends a job at its execution timeout, so that is the most that it can cost. */
  #mostUsd(executionTimeoutMs: number): string {
    const price = this.#facts.price();
    if (price === undefined) return '';
    return `, ${formatUsd(Math.round((price.usdPerHourMicros * executionTimeoutMs) / 3_600_000))} at most`;
  }

  #follow(jobId: string, executionTimeoutMs: number, context: RunContext, sentAt: number): Follow {
    const { endpointId, clock, log } = this.#options;
    let worker: Worker | undefined;
    return {
      ...{ jobs: this.#polled, endpointId, jobId, sentAt, executionTimeoutMs, clock, log },
      timings: this.#timings,
      patience: this.#patience,
      onPhase: (phase, fraction) => context.onProgress({ phase, ...(fraction === undefined ? {} : { fraction }) }),
      // It is listed only while it is up, and only there it is told which card it has.
      onRunning: async ({ workerId }) => {
        this.#facts.noteWork();
        worker = await this.#facts.findWorker(workerId, new AbortController().signal);
      },
      facts: () => ({ endpoint: this.#facts.endpoint, prices: this.#facts.prices, worker }),
    };
  }

  /** @throws Fault for a job that gave nothing; what it cost is recorded first */
  async #result(
    ended: RemoteJob,
    facts: Follow['facts'],
    job: JobRequest,
    input: JobInput | undefined,
    signal: AbortSignal,
  ): Promise<BackendResult> {
    await this.#facts.learnPrices(signal);
    const cost = await this.#costOf(ended, facts, signal);
    try {
      const { files, errors } = readResult(ended);
      if (ended.executionMs !== undefined) this.#remember(job.media, ended.executionMs);
      return {
        files: files.map((file) => toRemoteFile(this.#options, file)),
        ...cost,
        ...(ended.executionMs === undefined ? {} : { ranMs: ended.executionMs }),
        ...(input === undefined ? {} : { workflow: input.workflow }),
        dropped: errors.map((error) => `a part of the workflow failed: ${error}`),
      };
    } catch (error) {
      await this.#charge(job, cost);
      throw error;
    }
  }

  async #costOf(ended: RemoteJob, facts: Follow['facts'], signal: AbortSignal): Promise<ReturnType<typeof jobCost>> {
    const known = facts();
    return jobCost(
      ended,
      known.worker === undefined ? { ...known, worker: await this.#facts.findWorker(ended.workerId, signal) } : known,
    );
  }

  async #charge(job: JobRequest, { micros, basis }: ReturnType<typeof jobCost>): Promise<void> {
    const { onCharge, log } = this.#options;
    if (micros === 0 || basis === 'unknown') return;
    await onCharge?.(job, { micros, basis }).catch((error: unknown) => {
      log.error(`${job.label}: what RunPod charges could not be recorded`, error);
    });
  }

  /** Cancels a job that is no longer wanted, and records what its run cost until then. */
  async #abandon(follow: Follow, job: JobRequest): Promise<void> {
    const { endpointId, log } = this.#options;
    const never = new AbortController().signal;
    const deadline = withDeadline(never, 2 * this.#timings.cancelMs, () => new Fault('timeout', 'No answer in time'));
    const fresh = deadline.signal;
    try {
      await cancelJob(follow, fresh);
      const ended = await this.#jobs.status(endpointId, follow.jobId, fresh);
      await this.#facts.learnPrices(fresh);
      await this.#charge(job, await this.#costOf(ended, follow.facts, fresh));
    } catch (error) {
      log.warn(`Job ${follow.jobId} may go on at RunPod: ${toFault(error).message}`);
    } finally {
      deadline.done();
    }
  }

  #remember(media: JobRequest['media'], ms: number): void {
    this.#ranMs[media] = [...this.#ranMs[media], ms].slice(-recentRuns);
  }
}

interface Follow extends FollowOptions {
  readonly facts: () => CostFacts;
}

function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)];
}
