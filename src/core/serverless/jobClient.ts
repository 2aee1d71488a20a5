import type * as z from 'zod/mini';
import { commonFault, createHttpClient } from '../http/httpClient.ts';
import type { ErrorReply, HttpClientOptions } from '../http/httpClient.ts';
import { Fault, toFault } from '../kernel/fault.ts';
import type { FaultFacts } from '../kernel/fault.ts';
import { bearerOf } from './endpointClient.ts';
import { statusOf, toRemoteJob } from './remoteJob.ts';
import type { JobStatus, RemoteJob } from './remoteJob.ts';
import { healthReply, jobErrorReply, jobReply, purgeReply, streamReply, submittedReply } from './wire.ts';

/** What is sent to a queue. */
export interface JobRequestBody {
  /** JSON text of the whole body, `{"input": …, "policy": …}`: made once, measured, and sent as it is. */
  readonly json: string;
}

export interface EndpointHealth {
  readonly jobs: { readonly inQueue: number | undefined; readonly inProgress: number | undefined };
  /** Undefined = not told: the short form has only two of these. */
  readonly workers: {
    readonly idle: number | undefined;
    readonly running: number | undefined;
    readonly initializing: number | undefined;
    readonly ready: number | undefined;
    readonly throttled: number | undefined;
    readonly unhealthy: number | undefined;
  };
}

/** The job API of one account's endpoints (RunPod docs, serverless/endpoints/send-requests). Every failure is a Fault. */
export interface JobClient {
  readonly baseUrl: string;
  /**
   * Puts a job into the endpoint's queue. Sent once: RunPod knows no idempotency key, and a job whose reply is lost can
   * be found by nothing. Then the fault says `delivered: 'maybe'`.
   */
  run(endpointId: string, body: JobRequestBody, signal: AbortSignal): Promise<{ readonly id: string }>;
  /** As `run`, and waits for the end up to `waitMs` (1,000 to 300,000); the job may not have ended then. */
  runSync(endpointId: string, body: JobRequestBody, waitMs: number, signal: AbortSignal): Promise<RemoteJob>;
  /** 'rejected' with status 404 for a job that is unknown, not known yet, or no longer kept. */
  status(endpointId: string, jobId: string, signal: AbortSignal): Promise<RemoteJob>;
  /** What a worker has put out since the last call; held for about 10 s when there is nothing. What is read is gone. */
  stream(
    endpointId: string,
    jobId: string,
    signal: AbortSignal,
  ): Promise<{ readonly status: JobStatus; readonly outputs: readonly unknown[] }>;
  /** The status afterwards: a job that had ended keeps its end. */
  cancel(endpointId: string, jobId: string, signal: AbortSignal): Promise<JobStatus>;
  /** Failed and timed-out jobs only, under the same id. It costs again, so it is sent once. */
  retry(endpointId: string, jobId: string, signal: AbortSignal): Promise<void>;
  /** How many waiting jobs were removed; running ones go on. */
  purgeQueue(endpointId: string, signal: AbortSignal): Promise<number>;
  health(endpointId: string, signal: AbortSignal): Promise<EndpointHealth>;
}

export interface JobClientOptions extends Pick<
  HttpClientOptions,
  'baseUrl' | 'transport' | 'clock' | 'log' | 'random' | 'userAgent'
> {
  readonly apiKey: () => Promise<string | undefined>;
  readonly retries?: number;
  /** Of calls without files in them. */
  readonly timeoutMs?: number;
  /** Of a call that carries up to 20 MB, in either direction. */
  readonly transferTimeoutMs?: number;
}

/** `baseUrl` ends in '/v2'; the endpoint's id follows it. */
export function createJobClient(options: JobClientOptions): JobClient {
  const transferMs = options.transferTimeoutMs ?? 120_000;
  const http = createHttpClient({
    ...options,
    classify: (reply) => classifyJobApi(reply, options.clock.now()),
    retries: options.retries ?? 3,
    timeoutMs: options.timeoutMs ?? 30_000,
    credentials: () => bearerOf(options.apiKey),
  });
  const pathOf = (...parts: readonly string[]): string => parts.map(encodeURIComponent).join('/');

  const get = <T>(path: string, reply: z.ZodMiniType<T>, signal: AbortSignal, timeoutMs?: number): Promise<T> =>
    http.send(
      { method: 'GET', path, reply, repeatable: true, ...(timeoutMs === undefined ? {} : { timeoutMs }) },
      signal,
    );
  const post = <T>(path: string, reply: z.ZodMiniType<T>, repeatable: boolean, signal: AbortSignal): Promise<T> =>
    http.send({ method: 'POST', path, body: {}, reply, repeatable }, signal);

  /** Sends what is paid for. @throws Fault, with `delivered` 'no' or 'maybe', never 'yes': no id, no job that we know */
  const submit = async <T>(
    path: string,
    { json }: JobRequestBody,
    reply: z.ZodMiniType<T>,
    timeoutMs: number,
    query: Readonly<Record<string, number>>,
    signal: AbortSignal,
  ): Promise<T> => {
    const headers = { 'content-type': 'application/json' };
    try {
      return await http.send(
        { method: 'POST', path, query, headers, body: json, reply, repeatable: false, timeoutMs },
        signal,
      );
    } catch (error) {
      const fault = toFault(error);
      if (fault.facts.delivered === 'no' || fault.kind === 'bug') throw fault;
      const said = `${fault.message.replace(/[.\s]+$/, '')}: whether RunPod took the job is not known`;
      const facts: FaultFacts = { nextStep: lostJobStep, ...fault.facts, delivered: 'maybe' };
      throw new Fault(fault.kind, said, facts, { cause: fault });
    }
  };

  return {
    baseUrl: options.baseUrl,
    run: (endpointId, body, signal) => submit(pathOf(endpointId, 'run'), body, submittedReply, transferMs, {}, signal),
    async runSync(endpointId, body, waitMs, signal) {
      const path = pathOf(endpointId, 'runsync');
      const reply = await submit(path, body, jobReply, transferMs + waitMs, { wait: waitMs }, signal);
      if (reply.id === undefined) {
        throw new Fault('protocol', 'RunPod took the job without naming it', { delivered: 'maybe' });
      }
      return toRemoteJob(reply.id, reply);
    },
    async status(endpointId, jobId, signal) {
      return toRemoteJob(jobId, await get(pathOf(endpointId, 'status', jobId), jobReply, signal, transferMs));
    },
    async stream(endpointId, jobId, signal) {
      const path = pathOf(endpointId, 'stream', jobId);
      // Reading takes it out of the stream, so a reply that is lost is gone: it is not sent again.
      const reply = await http.send(
        { method: 'GET', path, reply: streamReply, repeatable: false, timeoutMs: transferMs },
        signal,
      );
      if (Array.isArray(reply)) return { status: 'unknown', outputs: reply.map(({ output }) => output) };
      return { status: statusOf(reply.status), outputs: (reply.stream ?? []).map(({ output }) => output) };
    },
    async cancel(endpointId, jobId, signal) {
      const reply = await post(pathOf(endpointId, 'cancel', jobId), jobReply, true, signal);
      return statusOf(reply.status);
    },
    async retry(endpointId, jobId, signal) {
      await post(pathOf(endpointId, 'retry', jobId), jobReply, false, signal);
    },
    async purgeQueue(endpointId, signal) {
      return (await post(pathOf(endpointId, 'purge-queue'), purgeReply, true, signal)).removed;
    },
    async health(endpointId, signal) {
      const { jobs, workers } = await get(pathOf(endpointId, 'health'), healthReply, signal);
      return {
        jobs: { inQueue: jobs?.inQueue, inProgress: jobs?.inProgress },
        workers: {
          idle: workers?.idle,
          running: workers?.running,
          initializing: workers?.initializing,
          ready: workers?.ready,
          throttled: workers?.throttled,
          unhealthy: workers?.unhealthy,
        },
      };
    },
  };
}

const lostJobStep =
  'It may run and be billed all the same: look at the endpoint in the RunPod console before trying again.';

/**
 * What an error reply of the job API means: its errors are `{"error": …}`, a text or a page, never problem documents
 * (reference runpod.md, 5.6). Undefined where the common reading of the status is right.
 */
export function classifyJobApi(reply: ErrorReply, nowMs: number): Fault | undefined {
  const { status } = reply;
  const said = jobErrorReply.safeParse(reply.json);
  const detail = said.success ? said.data.error : undefined;
  const { facts } = commonFault(reply, nowMs);
  const told = detail === undefined ? '' : `: ${detail}`;
  const keyStep = 'Set a RunPod API key that may use this endpoint.';
  if (status === 401)
    return new Fault('unauthorized', `RunPod does not accept the API key${told}`, { ...facts, nextStep: keyStep });
  if (status === 403 && detail === undefined) {
    return new Fault('unavailable', "RunPod's network guard refused the request; the API key is not at fault", {
      ...facts,
      delivered: 'no',
    });
  }
  if (status === 403) {
    return new Fault('unauthorized', `The RunPod API key may not use this endpoint${told}`, {
      ...facts,
      nextStep: keyStep,
    });
  }
  if (status === 413) {
    return new Fault('rejected', 'The workflow with its input files is larger than RunPod takes', {
      ...facts,
      nextStep: 'Use smaller input files.',
    });
  }
  if (status >= 400 && status < 500 && status !== 429 && status !== 408 && status !== 402) {
    return new Fault('rejected', `RunPod: ${detail ?? `HTTP ${status}`}`, facts);
  }
  return undefined;
}
