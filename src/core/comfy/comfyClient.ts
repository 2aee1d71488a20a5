import { createHttpClient } from '../http/httpClient.ts';
import type { ErrorReply, HttpClient } from '../http/httpClient.ts';
import type { Transport, TransportReply } from '../http/transport.ts';
import { Fault } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { ComfySocket } from './comfySocket.ts';
import { refusedFault } from './promptErrors.ts';
import { parsePythonJson } from './pythonJson.ts';
import * as wire from './wire.ts';
import type { HistoryEntry, NodeErrors, ObjectInfo, SystemStats } from './wire.ts';
import type { Workflow } from './workflow.ts';

/** Where a prompt of ours is, by the server's own account. */
export type PromptWhereabouts =
  | { readonly at: 'pending'; /** 0 = next */ readonly place: number }
  | { readonly at: 'running' }
  | { readonly at: 'finished'; readonly entry: HistoryEntry }
  /** In neither queue nor history: never arrived, deleted, or the server was restarted. */
  | { readonly at: 'unknown' };

export interface OutputFile {
  readonly nodeId: string;
  readonly filename: string;
  readonly subfolder: string;
  readonly type: string;
}

export interface ComfyClient {
  readonly baseUrl: string;
  /** Is it ComfyUI, which version, which GPU? @throws Fault 'protocol' when something else answers */
  systemStats(signal: AbortSignal): Promise<SystemStats>;
  /** Pending and running prompts. The cheapest sign of life. */
  queueRemaining(signal: AbortSignal): Promise<number>;
  /** Definitions of the named classes; a class that the server lacks is absent. */
  objectInfo(classes: readonly string[], signal: AbortSignal): Promise<ObjectInfo>;
  /** Definitions of all classes: some megabytes. */
  allObjectInfo(signal: AbortSignal): Promise<ObjectInfo>;
  /** Submits under an id of our own. Not repeatable: ask `find` after any doubt. */
  submit(prompt: { id: string; clientId: string; workflow: Workflow }, signal: AbortSignal): Promise<NodeErrors>;
  find(promptId: string, signal: AbortSignal): Promise<PromptWhereabouts>;
  /** The history entry, or undefined while there is none. */
  history(promptId: string, signal: AbortSignal): Promise<HistoryEntry | undefined>;
  /** Cancels our prompt only, pending or running; never another one. */
  cancel(promptId: string, signal: AbortSignal): Promise<void>;
  upload(
    file: { name: string; bytes: Uint8Array<ArrayBuffer>; mimeType: string },
    signal: AbortSignal,
  ): Promise<string>;
  download(file: OutputFile, signal: AbortSignal): Promise<TransportReply>;
  openSocket(clientId: string): Promise<ComfySocket>;
}

export interface ComfyClientOptions {
  readonly baseUrl: string;
  readonly transport: () => Promise<Transport>;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly userAgent: string;
  /** Shown to the agent of a pod that we deployed; undefined = this ComfyUI has no such door. */
  readonly token?: () => Promise<string | undefined>;
  /** Told what the server has of the classes it was asked for. */
  readonly onObjectInfo?: (asked: readonly string[], info: ObjectInfo) => void;
}

/** Health answers within 5 s (design, 4); other calls may wait for a busy event loop (comfyui.md 6.1). */
const healthTimeoutMs = 5_000;
const callTimeoutMs = 15_000;
/** Building the list of all nodes takes a server with many packs seconds. */
const listTimeoutMs = 60_000;

export function createComfyClient(options: ComfyClientOptions): ComfyClient {
  const credentials = async (): Promise<Readonly<Record<string, string>>> => {
    const token = await options.token?.();
    return token === undefined ? {} : { authorization: `Bearer ${token}` };
  };
  const http: HttpClient = createHttpClient({
    ...options,
    retries: 0,
    timeoutMs: callTimeoutMs,
    classify,
    credentials,
    parse: parsePythonJson,
  });
  const get = { method: 'GET', repeatable: true } as const;
  const post = { method: 'POST', repeatable: true } as const;

  const history: ComfyClient['history'] = async (promptId, signal) => {
    const entries = await http.send(
      { ...get, path: `history/${encodeURIComponent(promptId)}`, reply: wire.history },
      signal,
    );
    return entries[promptId];
  };

  const client: ComfyClient = {
    baseUrl: options.baseUrl,
    systemStats: (signal) =>
      http.send({ ...get, path: 'system_stats', reply: wire.systemStats, timeoutMs: healthTimeoutMs }, signal),
    async queueRemaining(signal) {
      const info = await http.send(
        { ...get, path: 'prompt', reply: wire.promptInfo, timeoutMs: healthTimeoutMs },
        signal,
      );
      return info.exec_info.queue_remaining;
    },
    async objectInfo(classes, signal) {
      const parts = await Promise.all(
        classes.map((name) =>
          http.send({ ...get, path: `object_info/${encodeURIComponent(name)}`, reply: wire.objectInfo }, signal),
        ),
      );
      const info = Object.assign({}, ...parts) as ObjectInfo;
      options.onObjectInfo?.(classes, info);
      return info;
    },
    allObjectInfo: (signal) =>
      http.send({ ...get, path: 'object_info', reply: wire.objectInfo, timeoutMs: listTimeoutMs }, signal),
    async submit({ id, clientId, workflow }, signal) {
      const reply = await http.send(
        {
          method: 'POST',
          path: 'prompt',
          body: { prompt: workflow, prompt_id: id, client_id: clientId, extra_data: { preview_method: 'auto' } },
          reply: wire.submitted,
          repeatable: false,
        },
        signal,
      );
      if (reply.prompt_id !== id) {
        // It has taken the prompt under an id of its own, and would run it beside the next backend.
        await client.cancel(reply.prompt_id, signal).catch(() => undefined);
        throw new Fault('protocol', 'ComfyUI is too old: it does not accept our prompt ids', {
          delivered: 'yes',
          nextStep: 'Update ComfyUI.',
        });
      }
      return Array.isArray(reply.node_errors) ? {} : (reply.node_errors ?? {});
    },
    history,
    async find(promptId, signal) {
      const before = await history(promptId, signal);
      if (before !== undefined) return { at: 'finished', entry: before };
      const queue = await http.send({ ...get, path: 'queue', reply: wire.queue }, signal);
      if (queue.queue_running.some((entry) => entry[1] === promptId)) return { at: 'running' };
      // queue_pending is a heap array: the order of execution is (number, id) (comfyui.md 0.3).
      const pending = queue.queue_pending.toSorted(byNumber).findIndex((entry) => entry[1] === promptId);
      if (pending >= 0) return { at: 'pending', place: pending };
      // It may have finished between the two questions.
      const after = await history(promptId, signal);
      return after === undefined ? { at: 'unknown' } : { at: 'finished', entry: after };
    },
    async cancel(promptId, signal) {
      const done = await http
        .send({ ...post, path: `api/jobs/${encodeURIComponent(promptId)}/cancel`, reply: wire.cancelled }, signal)
        .catch((error: unknown) => {
          if (error instanceof Fault && (error.facts.status === 404 || error.facts.status === 405)) return undefined;
          throw error;
        });
      if (done !== undefined) return;
      await http.send({ ...post, path: 'queue', body: { delete: [promptId] }, reply: wire.nothing }, signal);
      // An older server ignores the id and stops whatever runs: make sure that it is ours (comfyui.md 1.4).
      const now = await client.find(promptId, signal);
      if (now.at !== 'running') return;
      await http.send({ ...post, path: 'interrupt', body: { prompt_id: promptId }, reply: wire.nothing }, signal);
    },
    async upload({ name, bytes, mimeType }, signal) {
      const form = new FormData();
      form.append('image', new File([bytes], name, { type: mimeType }));
      const reply = await http.send(
        { ...post, path: 'upload/image', form, reply: wire.uploaded, repeatable: true, timeoutMs: 120_000 },
        signal,
      );
      return reply.subfolder === '' ? reply.name : `${reply.subfolder}/${reply.name}`;
    },
    async download({ filename, subfolder, type }, signal) {
      const reply = await http.stream(
        {
          path: 'view',
          query: { filename, subfolder, type },
          headersTimeoutMs: callTimeoutMs,
          bodyTimeoutMs: 60_000,
        },
        signal,
      );
      // ComfyUI sends even a file of HTML as octets (comfyui.md 1.5): this is a proxy's page (runpod.md 2.9).
      if (!/^text\/html/i.test(reply.headers['content-type'] ?? '')) return reply;
      reply.discard();
      throw new Fault('protocol', `A web page came instead of '${filename}'`, { delivered: 'yes' });
    },
    openSocket: async (clientId) =>
      new ComfySocket(await options.transport(), options.baseUrl, clientId, await credentials()),
  };
  return client;
}

function byNumber(a: readonly unknown[], b: readonly unknown[]): number {
  return Number(a[0]) - Number(b[0]) || String(a[1]).localeCompare(String(b[1]));
}

/** The door of a pod's agent (src/agent), or a proxy that someone has put before a ComfyUI of theirs. */
function privateFault(): Fault {
  return new Fault('unauthorized', 'This ComfyUI is private, and the token for it is not known here (401)', {
    status: 401,
    delivered: 'no',
    nextStep: 'Use it where it was deployed, or deploy another pod.',
  });
}

function notComfyFault(status: number): Fault {
  const what = status === 404 ? 'Not found there' : 'Refused there';
  return new Fault('protocol', `${what} (${status}): this address may not be a ComfyUI`, {
    status,
    delivered: 'no',
    nextStep: 'Check the address of this backend.',
  });
}

/** Statuses of what stands before a ComfyUI, with the same meaning everywhere. */
const commonRefusals = new Set([402, 408, 429]);

function classify(reply: ErrorReply): Fault | undefined {
  const { status } = reply;
  if (status === 401) return privateFault();
  if (status === 413) {
    return new Fault('rejected', 'Too large for this ComfyUI (413)', {
      status,
      delivered: 'no',
      nextStep: 'Start ComfyUI with a larger --max-upload-size, or send a smaller file.',
    });
  }
  if (status >= 400 && status <= 499 && !commonRefusals.has(status)) {
    const refused = wire.submitRefused.safeParse(reply.json);
    // ComfyUI refuses no question of ours, and says in JSON what else it refuses: this is not its word.
    if (reply.method === 'GET' || !refused.success) return notComfyFault(status);
    if (status === 400) return refusedFault(refused.data);
  }
  // ComfyUI answers 500 to a body that it cannot read: our request is at fault, not the server (comfyui.md 1.1). Should
  // it have the prompt all the same, it is found.
  if (status === 500 && reply.text.includes('Server got itself in trouble') && !reply.repeatable) {
    return new Fault('rejected', 'ComfyUI could not read the request (500)', {
      status,
      delivered: 'maybe',
      nextStep: "Correct the workflow: it must be in ComfyUI's API format.",
    });
  }
  return undefined;
}
