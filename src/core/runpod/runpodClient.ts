import { Fault } from '../kernel/fault.ts';
import { createHttpClient } from '../http/httpClient.ts';
import type { HttpClientOptions } from '../http/httpClient.ts';
import { toBillingRecord, toPodBillingRecord } from './billing.ts';
import type { BillingQuery, BillingRecord, PodBillingRecord } from './billing.ts';
import { classifyRunpod } from './classify.ts';
import { toGpuType } from './gpuType.ts';
import type { Cloud, GpuType } from './gpuType.ts';
import { toPod } from './pod.ts';
import type { Pod, PodAction } from './pod.ts';
import { PodClock } from './podClock.ts';
import { streamLogs } from './podLogs.ts';
import type { PodLogLine, PodLogQuery } from './podLogs.ts';
import { billingReply, gpuListReply, podActionReply, podBillingReply, podListReply, podReply } from './wire.ts';
import * as z from 'zod/mini';

/** The fields of a create that PodRelay uses; RunPod refuses any it does not know (API v2, create request). */
export interface CreatePodRequest {
  readonly name: string;
  readonly image: string;
  /** One GPU type: RunPod takes no list. The count is always sent; leaving it out gives misleading refusals. */
  readonly gpu: { readonly id: string; readonly count: number; readonly minCudaVersion?: string };
  readonly cloud: Cloud;
  /** A hard filter, whatever RunPod calls it. */
  readonly dataCenterIds?: readonly string[];
  /** GB, erased on stop */
  readonly disk: number;
  /** Without any, nothing survives a stop. */
  readonly mounts?:
    | { readonly persistent: { readonly size: number; readonly path: string } }
    | { readonly network: readonly [{ readonly volumeId: string; readonly path: string }] };
  readonly ports: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** A shell string for the image's entrypoint, or the JSON text `{"entrypoint":[…],"cmd":[…]}`. */
  readonly args?: string;
}

export interface GpuQuery {
  readonly cloud: Cloud;
  readonly count: number;
}

export interface RunpodClient {
  /** Every pod of the account, newest first, each once. */
  listPods(signal: AbortSignal): Promise<readonly Pod[]>;
  /** 'rejected' with status 404 for an unknown id; a pod just created may be unknown for a while. */
  getPod(podId: string, signal: AbortSignal): Promise<Pod>;
  /** Never sent twice. After a fault with `delivered` other than 'no', list for the name before you create again. */
  createPod(request: CreatePodRequest, signal: AbortSignal): Promise<Pod>;
  /** The pod afterwards; undefined after 'terminate'. Never sent twice. */
  podAction(podId: string, action: PodAction, signal: AbortSignal): Promise<Pod | undefined>;
  deletePod(podId: string, signal: AbortSignal): Promise<void>;
  streamLogs(podId: string, query: PodLogQuery, signal: AbortSignal): AsyncIterable<PodLogLine>;
  /** The catalogue with stock for pods in one cloud tier. Stock is advisory: a create may still find none. */
  listGpuTypes(query: GpuQuery, signal: AbortSignal): Promise<readonly GpuType[]>;
  billing(query: BillingQuery, signal: AbortSignal): Promise<readonly BillingRecord[]>;
  podBilling(
    query: BillingQuery & { readonly podId?: string },
    signal: AbortSignal,
  ): Promise<readonly PodBillingRecord[]>;
}

export interface RunpodClientOptions extends Pick<
  HttpClientOptions,
  'baseUrl' | 'transport' | 'clock' | 'log' | 'random' | 'userAgent'
> {
  /** Asked before every request; undefined when none is set. */
  readonly apiKey: () => Promise<string | undefined>;
  /** Times a repeatable call is sent again (RunPod's own SDK: 3). */
  readonly retries?: number;
  /** The whole call (RunPod's own SDK: 30 s). */
  readonly timeoutMs?: number;
  readonly createTimeoutMs?: number;
  /** Pods per page of a list, 1 to 1,000; RunPod's own choice (1,000) when left out. */
  readonly pageSize?: number;
  /** Longest silence of a log stream. */
  readonly logSilenceMs?: number;
  /** A pod that was just created may be unknown for so long. */
  readonly visibleWithinMs?: number;
}

/** A server whose cursor leads nowhere must not hold us: at 1,000 pods a page this is far beyond any account. */
const mostPages = 200;

/** RunPod's REST API v2. `baseUrl` ends in '/v2'. */
export function createRunpodClient(options: RunpodClientOptions): RunpodClient {
  const podClock = new PodClock();
  const http = createHttpClient({
    baseUrl: options.baseUrl,
    transport: options.transport,
    clock: options.clock,
    log: options.log,
    random: options.random,
    userAgent: options.userAgent,
    classify: classifyRunpod,
    retries: options.retries ?? 3,
    timeoutMs: options.timeoutMs ?? 30_000,
    onDate: (date) => podClock.note(date, options.clock.now()),
    credentials: async () => {
      const key = await options.apiKey();
      if (key === undefined || key === '') {
        throw new Fault('unauthorized', 'No RunPod API key is set', {
          delivered: 'no',
          nextStep: 'Set the RunPod API key.',
        });
      }
      return { authorization: `Bearer ${key}` };
    },
  });
  /** Pods that this client has created, by id. */
  const newUntilMs = new Map<string, number>();
  const podPath = (podId: string): string => `pods/${encodeURIComponent(podId)}`;

  return {
    async listPods(signal) {
      const pods = new Map<string, Pod>();
      const seen = new Set<string>();
      let cursor: string | undefined;
      for (let page = 0; page < mostPages; page++) {
        const reply = await http.send(
          {
            method: 'GET',
            path: 'pods',
            query: { cursor, limit: options.pageSize },
            reply: podListReply,
            repeatable: true,
          },
          signal,
        );
        for (const pod of reply.pods) pods.set(pod.id, toPod(pod, podClock));
        const next = reply.pagination?.hasNextPage === false ? undefined : reply.pagination?.nextCursor;
        if (next === undefined || next === null || next === '') return [...pods.values()];
        if (seen.has(next)) break;
        seen.add(next);
        cursor = next;
      }
      throw new Fault('protocol', "RunPod's list of pods does not end", { delivered: 'yes' });
    },
    async getPod(podId, signal) {
      const reply = await http.send({ method: 'GET', path: podPath(podId), reply: podReply, repeatable: true }, signal);
      return toPod(reply, podClock);
    },
    async createPod(request, signal) {
      const timeoutMs = options.createTimeoutMs ?? 60_000;
      const reply = await http.send(
        { method: 'POST', path: 'pods', body: request, reply: podReply, repeatable: false, timeoutMs },
        signal,
      );
      newUntilMs.set(reply.id, options.clock.now() + (options.visibleWithinMs ?? 180_000));
      return toPod(reply, podClock);
    },
    async podAction(podId, action, signal) {
      const path = `${podPath(podId)}/action`;
      const reply = await http.send(
        { method: 'POST', path, body: { action }, reply: podActionReply, repeatable: false },
        signal,
      );
      return reply === undefined ? undefined : toPod(reply, podClock);
    },
    async deletePod(podId, signal) {
      await http.send({ method: 'DELETE', path: podPath(podId), reply: z.unknown(), repeatable: true }, signal);
    },
    streamLogs: (podId, query, signal) =>
      streamLogs(
        {
          ...{ http, clock: options.clock, random: options.random },
          silenceMs: options.logSilenceMs ?? 75_000,
          newUntilMs: newUntilMs.get(podId),
        },
        `pods/${encodeURIComponent(podId)}/logs`,
        query,
        signal,
      ),
    async listGpuTypes({ cloud, count }, signal) {
      const query = { include: 'AVAILABILITY', product: 'POD', cloud, count };
      const reply = await http.send(
        { method: 'GET', path: 'catalog/gpus', query, reply: gpuListReply, repeatable: true },
        signal,
      );
      return reply.gpus.map(toGpuType);
    },
    async billing(query, signal) {
      const reply = await http.send(
        { method: 'GET', path: 'billing', query: { ...query }, reply: billingReply, repeatable: true },
        signal,
      );
      return reply.records.map(toBillingRecord);
    },
    async podBilling(query, signal) {
      const reply = await http.send(
        { method: 'GET', path: 'billing/pods', query: { ...query }, reply: podBillingReply, repeatable: true },
        signal,
      );
      return reply.records.map(toPodBillingRecord);
    },
  };
}
