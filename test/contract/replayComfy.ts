import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import type { Line, RecordedPrompt } from './comfyTranscripts.ts';
import type { Loose } from './simComfyHarness.ts';

export interface ReplayOptions {
  /** The whole session: frames of other prompts are sent too. */
  readonly lines: readonly Line[];
  /** The prompt of the session that the submitted one stands for. */
  readonly prompt: RecordedPrompt;
  /** Frames come this many times faster than recorded. */
  readonly speed: number;
  /** All frames are sent before the reply to the submission, as it happens with cached prompts. */
  readonly framesBeforeReply?: boolean;
  /** ms between the last frame of the prompt and its history entry */
  readonly historyDelayMs?: number;
}

export interface Replay {
  readonly base: string;
  /** `METHOD /path`, oldest first */
  readonly requests: readonly string[];
  /** What clients said on their sockets, parsed. */
  readonly said: readonly Loose[];
  close(): Promise<void>;
}

/** A ComfyUI that says what a real one was recorded to say, with the id of the submitted prompt in the recorded one's place. */
export async function startReplay(options: ReplayOptions): Promise<Replay> {
  const { lines, prompt, speed } = options;
  const requests: string[] = [];
  const said: Loose[] = [];
  const sockets = new Set<WebSocket>();
  let own: string | undefined;
  let state: 'idle' | 'running' | 'ended' = 'idle';
  const stop = new AbortController();

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      stop.signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
    });
  const renamed = <T>(value: T): T => JSON.parse(JSON.stringify(value).replaceAll(prompt.id, own!)) as T;

  async function playFrames(): Promise<void> {
    const posted = lines.findIndex((line) => line.kind === 'request' && line.body?.prompt_id === prompt.id);
    const frames = lines
      .slice(posted)
      .filter((line) => line.socket.startsWith('client-a') && (line.kind === 'text' || line.kind === 'binary'));
    const last = prompt.deleted ? undefined : prompt.frames.at(-1);
    let at = lines[posted]!.t_ms;
    for (const frame of frames) {
      if (stop.signal.aborted) return;
      if (options.framesBeforeReply !== true) await pause((frame.t_ms - at) / speed);
      at = frame.t_ms;
      for (const socket of sockets) {
        if (frame.kind === 'text') socket.send(JSON.stringify(renamed(frame.message)));
        else socket.send(withId(Buffer.from(frame.base64!, 'base64'), prompt.id, own!));
      }
      if (frame === last) void pause(options.historyDelayMs ?? 0).then(() => (state = 'ended'));
    }
    if (last === undefined) state = 'ended';
  }

  async function submit(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    own = (JSON.parse(Buffer.concat(chunks).toString()) as { prompt_id: string }).prompt_id;
    state = 'running';
    const played = playFrames();
    if (options.framesBeforeReply === true) await played;
    json(response, { prompt_id: own, number: 0, node_errors: {} });
  }

  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://replay');
    requests.push(`${request.method} ${pathname}`);
    if (request.method === 'POST' && pathname === '/prompt') void submit(request, response);
    else if (pathname.startsWith('/history/')) {
      json(response, state === 'ended' && !prompt.deleted ? { [own!]: renamed(entryOf(prompt)) } : {});
    } else if (pathname === '/queue') {
      const running = state === 'running' && !prompt.deleted ? [[0, own, {}, {}, []]] : [];
      json(response, { queue_running: running, queue_pending: [] });
    } else response.writeHead(404).end();
  });
  const upgrades = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    upgrades.handleUpgrade(request, socket, head, (client) => {
      sockets.add(client);
      client.on('close', () => sockets.delete(client));
      client.on('message', (data: Buffer) => said.push(JSON.parse(data.toString())));
      const sid = new URL(request.url ?? '/', 'http://replay').searchParams.get('clientId');
      client.send(JSON.stringify({ type: 'status', data: { status: { exec_info: { queue_remaining: 0 } }, sid } }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    said,
    close: async () => {
      stop.abort();
      for (const socket of sockets) socket.terminate();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function json(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body));
}

/** Ids have one length, so the lengths within the frame stay right. */
function withId(bytes: Buffer, from: string, to: string): Buffer {
  return Buffer.from(bytes.toString('latin1').replaceAll(from, to), 'latin1');
}

/** The recorded entry; where the session did not ask for it, one of what the frames said. */
export function entryOf(prompt: RecordedPrompt): Loose {
  if (prompt.entry !== undefined) return prompt.entry;
  const messages = prompt.frames.filter((frame) => frame.kind === 'text').map((frame) => frame.message);
  const executed = messages.filter(({ type, data }) => type === 'executed' && data.output !== null);
  const kept = messages.filter(({ type }) => type.startsWith('execution_'));
  const completed = kept.at(-1)?.type === 'execution_success';
  return {
    prompt: [0, prompt.id, prompt.graph, {}, []],
    outputs: Object.fromEntries(executed.map(({ data }) => [data.node, data.output])),
    status: {
      status_str: completed ? 'success' : 'error',
      completed,
      messages: kept.map(({ type, data }) => [type, data]),
    },
    meta: {},
  };
}
