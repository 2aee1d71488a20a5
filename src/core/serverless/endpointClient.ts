import * as z from 'zod/mini';
import { createHttpClient } from '../http/httpClient.ts';
import type { HttpClientOptions } from '../http/httpClient.ts';
import { Fault } from '../kernel/fault.ts';
import { classifyRunpod } from '../runpod/classify.ts';
import { streamLogs } from '../runpod/podLogs.ts';
import type { PodLogLine, PodLogQuery } from '../runpod/podLogs.ts';
import { toEndpoint } from './endpoint.ts';
import type { Endpoint, GpuPrice } from './endpoint.ts';
import { endpointListReply, endpointReply, serverlessPriceReply, workerListReply } from './wire.ts';

export type Scaling =
  | { readonly type: 'QUEUE_DELAY'; /** at least 0.5 */ readonly queueDelay: number }
  | { readonly type: 'REQUEST_COUNT'; readonly requestCount: number };

/** The fields of a create that PodRelay uses; RunPod refuses any it does not know (API v2, create endpoint). */
export interface CreateEndpointRequest {
  readonly name: string;
  readonly type: 'QUEUE';
  readonly image: string;
  /** Pools, not GPU types: RunPod places a worker on whichever has capacity. */
  readonly gpu: { readonly pools: readonly string[]; readonly count: number; readonly minCudaVersion?: string };
  /** GB */
  readonly disk: number;
  readonly env: Readonly<Record<string, string>>;
  readonly workers: { readonly min: number; readonly max: number; /** seconds */ readonly idleTimeout: number };
  readonly scaling: Scaling;
  /** ms of one job; always sent, since one that was left out has read back 0. */
  readonly timeout: number;
  /** Always sent: the API's default is OFF, the console's is on. */
  readonly flashboot: 'OFF' | 'FLASHBOOT' | 'PRIORITY_FLASHBOOT';
  readonly networkVolumes?: readonly string[];
  readonly dataCenterIds?: readonly string[];
}

/** Only what is given changes. Pools replace the exclusions too. */
export interface UpdateEndpointRequest {
  readonly name?: string;
  readonly workers?: { readonly min?: number; readonly max?: number; readonly idleTimeout?: number };
  readonly scaling?: Scaling;
  readonly timeout?: number;
  readonly flashboot?: CreateEndpointRequest['flashboot'];
  readonly gpu?: { readonly pools: readonly string[]; readonly excludedTypes?: readonly string[] };
  /** A new release that workers get as they are replaced, as with `env`. */
  readonly image?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export type WorkerStatus = 'running' | 'idle' | 'initializing' | 'throttled' | 'unhealthy' | 'unknown';

export interface Worker {
  readonly id: string;
  readonly status: WorkerStatus;
  /** Undefined = not placed yet, or not told. */
  readonly gpuId: string | undefined;
  readonly gpuCount: number;
  readonly uptimeSeconds: number | undefined;
}

/** Endpoints as their owner manages them. Every failure is a Fault. */
export interface EndpointClient {
  /** Every endpoint of the account, newest first, each once. */
  list(signal: AbortSignal): Promise<readonly Endpoint[]>;
  /** 'rejected' with status 404 for an unknown id. */
  get(endpointId: string, signal: AbortSignal): Promise<Endpoint>;
  /** Never sent twice. After a fault with `delivered` other than 'no', list for the name before you create again. */
  create(request: CreateEndpointRequest, signal: AbortSignal): Promise<Endpoint>;
  /** Never sent twice: a change of the image replaces workers each time. Read the endpoint after a lost reply. */
  update(endpointId: string, change: UpdateEndpointRequest, signal: AbortSignal): Promise<Endpoint>;
  /** Cancels what waits and runs there. An endpoint that is gone already is no fault. */
  delete(endpointId: string, signal: AbortSignal): Promise<void>;
  /** Those that there are now: workers that scaled down are not listed. */
  workers(endpointId: string, signal: AbortSignal): Promise<readonly Worker[]>;
  /** A worker's log, until the worker is gone: see `streamLogs` of runpod/podLogs.ts. */
  workerLogs(endpointId: string, workerId: string, query: PodLogQuery, signal: AbortSignal): AsyncIterable<PodLogLine>;
  /** List prices of the GPU types that serverless workers can have, without an account's own discounts. */
  prices(signal: AbortSignal): Promise<readonly GpuPrice[]>;
}

export interface EndpointClientOptions extends Pick<
  HttpClientOptions,
  'baseUrl' | 'transport' | 'clock' | 'log' | 'random' | 'userAgent'
> {
  /** Asked before every request; undefined when none is set. */
  readonly apiKey: () => Promise<string | undefined>;
  readonly retries?: number;
  readonly timeoutMs?: number;
  readonly pageSize?: number;
  /** Longest silence of a log stream. */
  readonly logSilenceMs?: number;
}

/** A server whose cursor leads nowhere must not hold us. */
const mostPages = 50;

const statuses: Readonly<Record<string, WorkerStatus>> = {
  RUNNING: 'running',
  IDLE: 'idle',
  INITIALIZING: 'initializing',
  THROTTLED: 'throttled',
  UNHEALTHY: 'unhealthy',
};

/** RunPod's REST API v2, its serverless part. `baseUrl` ends in '/v2'. */
export function createEndpointClient(options: EndpointClientOptions): EndpointClient {
  const http = createHttpClient({
    ...options,
    classify: classifyRunpod,
    retries: options.retries ?? 3,
    timeoutMs: options.timeoutMs ?? 30_000,
    credentials: () => bearerOf(options.apiKey),
  });
  const pathOf = (endpointId: string): string => `serverless/${encodeURIComponent(endpointId)}`;

  return {
    async list(signal) {
      const endpoints = new Map<string, Endpoint>();
      const seen = new Set<string>();
      let cursor: string | undefined;
      for (let page = 0; page < mostPages; page++) {
        const query = { cursor, limit: options.pageSize };
        const reply = await http.send(
          { method: 'GET', path: 'serverless', query, reply: endpointListReply, repeatable: true },
          signal,
        );
        for (const endpoint of reply.endpoints) endpoints.set(endpoint.id, toEndpoint(endpoint));
        const next = reply.pagination?.hasNextPage === false ? undefined : reply.pagination?.nextCursor;
        if (next === undefined || next === null || next === '') return [...endpoints.values()];
        if (seen.has(next)) break;
        seen.add(next);
        cursor = next;
      }
      throw new Fault('protocol', "RunPod's list of endpoints does not end", { delivered: 'yes' });
    },
    async get(endpointId, signal) {
      const path = pathOf(endpointId);
      return toEndpoint(await http.send({ method: 'GET', path, reply: endpointReply, repeatable: true }, signal));
    },
    async create(request, signal) {
      const reply = await http.send(
        {
          method: 'POST',
          path: 'serverless',
          body: request,
          reply: endpointReply,
          repeatable: false,
          timeoutMs: options.timeoutMs ?? 60_000,
        },
        signal,
      );
      return toEndpoint(reply);
    },
    async update(endpointId, change, signal) {
      const path = pathOf(endpointId);
      const reply = await http.send(
        { method: 'PATCH', path, body: change, reply: endpointReply, repeatable: false },
        signal,
      );
      return toEndpoint(reply);
    },
    async delete(endpointId, signal) {
      const path = pathOf(endpointId);
      try {
        await http.send({ method: 'DELETE', path, reply: z.unknown(), repeatable: true }, signal);
      } catch (error) {
        if (!(error instanceof Fault) || error.facts.status !== 404) throw error;
      }
    },
    async workers(endpointId, signal) {
      const path = `${pathOf(endpointId)}/workers`;
      const reply = await http.send({ method: 'GET', path, reply: workerListReply, repeatable: true }, signal);
      return reply.workers.map(({ id, status, gpuTypeId, gpuCount, uptimeSeconds }) => ({
        id,
        status: statuses[status] ?? 'unknown',
        gpuId: gpuTypeId ?? undefined,
        gpuCount: gpuCount ?? 1,
        uptimeSeconds: uptimeSeconds ?? undefined,
      }));
    },
    workerLogs: (endpointId, workerId, query, signal) =>
      streamLogs(
        { http, clock: options.clock, random: options.random, silenceMs: options.logSilenceMs ?? 75_000 },
        `${pathOf(endpointId)}/workers/${encodeURIComponent(workerId)}/logs`,
        query,
        signal,
      ),
    async prices(signal) {
      const reply = await http.send(
        { method: 'GET', path: 'catalog/gpus', reply: serverlessPriceReply, repeatable: true },
        signal,
      );
      return reply.gpus.flatMap(({ id, name, pool, price: { serverless } }) =>
        typeof pool === 'string' && typeof serverless === 'number' && serverless > 0
          ? [{ gpuId: id, name, pool, usdPerHourMicros: Math.round(serverless * 1e6) }]
          : [],
      );
    },
  };
}

/** @throws Fault 'unauthorized' when no key is set */
export async function bearerOf(apiKey: () => Promise<string | undefined>): Promise<Record<string, string>> {
  const key = await apiKey();
  if (key !== undefined && key !== '') return { authorization: `Bearer ${key}` };
  const nextStep = 'Set the RunPod API key.';
  throw new Fault('unauthorized', 'No RunPod API key is set', { delivered: 'no', nextStep });
}
