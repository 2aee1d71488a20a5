import * as z from 'zod/mini';
import { createHttpClient } from '../http/httpClient.ts';
import type { HttpClientOptions } from '../http/httpClient.ts';

/** What the agent on a pod knows of it; src/agent/watch.py writes it. */
const agentState = z.object({
  /** Version of the agent. */
  agent: z.number(),
  uptimeSeconds: z.number(),
  /** Since the last use; a look at its health or queue is none. */
  idleSeconds: z.number(),
  /** At so many the pod stops itself. */
  idleStopSeconds: z.number(),
  /** For so long an editor has said that it uses the pod; 0 = none does. */
  leaseSeconds: z.number(),
  comfyui: z.enum(['starting', 'answers', 'silent']),
  /** Prompts that run or wait; null = ComfyUI does not answer. */
  queue: z.nullable(z.number()),
  gpuPercent: z.nullable(z.number()),
  stopping: z.boolean(),
});
export type AgentState = z.infer<typeof agentState>;

export interface AgentClient {
  state(signal: AbortSignal): Promise<AgentState>;
  /** Tells that `holder` uses the pod for the next seconds, at most 3,600; 0 = no longer. */
  lease(holder: string, seconds: number, signal: AbortSignal): Promise<AgentState>;
}

export interface AgentClientOptions extends Pick<
  HttpClientOptions,
  'baseUrl' | 'transport' | 'clock' | 'log' | 'random' | 'userAgent'
> {
  readonly token: string;
}

/** The agent of a pod that we deployed. `baseUrl` is the pod's address, where its ComfyUI is too. */
export function createAgentClient(options: AgentClientOptions): AgentClient {
  const credentials = (): Promise<Readonly<Record<string, string>>> =>
    Promise.resolve({ authorization: `Bearer ${options.token}` });
  const http = createHttpClient({ ...options, retries: 1, timeoutMs: 10_000, credentials });
  return {
    state: (signal) =>
      http.send({ method: 'GET', path: 'podrelay/state', reply: agentState, repeatable: true }, signal),
    lease: (holder, seconds, signal) =>
      http.send(
        {
          method: 'POST',
          path: 'podrelay/lease',
          body: { holder, seconds },
          reply: agentState,
          repeatable: true,
        },
        signal,
      ),
  };
}
