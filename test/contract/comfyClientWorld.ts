import { randomUUID } from 'node:crypto';
import { createComfyClient } from '../../src/core/comfy/comfyClient.ts';
import type { ComfyClient, OutputFile } from '../../src/core/comfy/comfyClient.ts';
import { runPrompt } from '../../src/core/comfy/runPrompt.ts';
import type { PromptProgress, RunPromptOptions } from '../../src/core/comfy/runPrompt.ts';
import type { Workflow } from '../../src/core/comfy/workflow.ts';
import { createDispatcher } from '../../src/core/http/dispatcher.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import type { Log } from '../../src/core/kernel/ports.ts';

/** The ComfyUI client as the core makes it, against one address. */
export interface ClientWorld {
  readonly client: ComfyClient;
  readonly signal: AbortSignal;
  readonly log: readonly string[];
  run(workflow: Workflow, change?: Partial<RunPromptOptions>, signal?: AbortSignal): Promise<RunReport>;
  close(): Promise<void>;
}

export interface RunReport {
  readonly promptId: string;
  readonly files: readonly OutputFile[];
  readonly seen: readonly PromptProgress[];
}

/** `token`: what a pod's agent asks for. */
export function openClient(baseUrl: string, token?: string): ClientWorld {
  const transport = createDispatcher({ proxyUrl: undefined, noProxy: [], strictTls: true });
  const lines: string[] = [];
  const note = (text: string): void => void lines.push(text);
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const client = createComfyClient({
    baseUrl,
    transport: () => Promise.resolve(transport),
    clock: systemClock,
    log,
    random: Math.random,
    userAgent: 'PodRelay/test',
    token: () => Promise.resolve(token),
  });
  const stop = new AbortController();
  return {
    client,
    signal: stop.signal,
    log: lines,
    async run(workflow, change = {}, signal = stop.signal) {
      const seen: PromptProgress[] = [];
      const promptId = change.promptId ?? randomUUID();
      const options = { client, workflow, promptId, clientId: randomUUID(), clock: systemClock, log };
      const files = await runPrompt({ ...options, onProgress: (at) => seen.push(at), ...change }, signal);
      return { promptId, files, seen };
    },
    close: () => {
      stop.abort();
      return transport.close();
    },
  };
}
