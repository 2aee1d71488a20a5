import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createComfySim, type ComfySim, type ComfySimOptions } from '../../src/sim/comfy/comfySim.ts';
import type { SimTime } from '../../src/sim/mount.ts';

/** A reply or a frame as plain JSON: tests look into it, no schema stands between. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Loose = any;

/** Real time, `scale` times faster. */
export function scaledTime(scale: number): SimTime {
  const start = Date.now();
  return {
    now: () => start + (Date.now() - start) * scale,
    after: (ms, work) => {
      const timer = setTimeout(work, ms / scale);
      return { cancel: () => clearTimeout(timer) };
    },
  };
}

export interface Running {
  sim: ComfySim;
  server: Server;
  /** `http://127.0.0.1:port` */
  base: string;
  stop(): Promise<void>;
}

/** A simulated ComfyUI on a port of its own. */
export async function startSim(
  options: Partial<ComfySimOptions> & { scale?: number; cpu?: boolean } = {},
): Promise<Running> {
  const { scale = 50, cpu = false, ...rest } = options;
  const sim = createComfySim({
    profile: '0.33.0',
    time: scaledTime(scale),
    seed: 7,
    ...(!cpu && { gpu: { name: 'NVIDIA GeForce RTX 3090', vramBytes: 24 * 1024 ** 3, speed: 1 } }),
    ...rest,
  });
  const server = createServer((request, response) => sim.handle(request, response));
  server.on('upgrade', (request, socket, head) => sim.upgrade(request, socket, head));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    sim,
    server,
    base,
    stop: async () => {
      sim.dispose();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export interface Frame {
  /** Text frames: the message */
  type?: string;
  data?: Loose;
  /** Binary frames */
  event?: number;
  bytes?: Buffer;
}

/** A client socket that keeps all frames in order. */
export class Listener {
  readonly frames: Frame[] = [];
  readonly socket: WebSocket;
  closeCode: number | undefined;
  #waiting: (() => void)[] = [];

  constructor(url: string) {
    this.socket = new WebSocket(url);
    this.socket.binaryType = 'arraybuffer';
    this.socket.addEventListener('message', (event: MessageEvent) => {
      if (typeof event.data === 'string') this.frames.push(safeParse(event.data));
      else {
        const bytes = Buffer.from(event.data as ArrayBuffer);
        this.frames.push({ event: bytes.readUInt32BE(0), bytes });
      }
      this.#notify();
    });
    this.socket.addEventListener('close', (event) => {
      this.closeCode = event.code;
      this.#notify();
    });
    this.socket.addEventListener('error', () => undefined);
  }

  static async open(base: string, clientId?: string): Promise<Listener> {
    const query = clientId === undefined ? '' : `?clientId=${clientId}`;
    const listener = new Listener(`${base.replace('http', 'ws')}/ws${query}`);
    await listener.until((frames) => frames.length > 0);
    return listener;
  }

  /** Text types and `binary N`, in order. */
  get sequence(): string[] {
    return this.frames.map((frame) => (frame.event === undefined ? describe(frame) : `binary ${frame.event}`));
  }

  /** Resolves when the frames satisfy, or the socket is closed; rejects after `timeoutMs`. */
  async until(done: (frames: Frame[]) => boolean, timeoutMs = 8000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!done(this.frames) && this.closeCode === undefined) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`no such frame; got ${this.sequence.join(', ')}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** Waits for the end marker of a prompt. */
  async ended(promptId: string, timeoutMs?: number): Promise<void> {
    await this.until(
      (frames) => frames.some((f) => f.type === 'executing' && f.data.node === null && f.data.prompt_id === promptId),
      timeoutMs,
    );
  }

  async close(): Promise<void> {
    this.socket.close();
    while (this.closeCode === undefined) await this.until(() => false).catch(() => undefined);
  }

  #notify(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

function safeParse(text: string): Frame {
  try {
    return JSON.parse(text) as Frame;
  } catch {
    return { type: 'garbage' };
  }
}

function describe(frame: Frame): string {
  if (frame.type === 'executing') return `executing ${frame.data.node}`;
  if (frame.type === 'status') return `status ${frame.data.status.exec_info.queue_remaining}`;
  if (frame.type === 'executed') return `executed ${frame.data.node}`;
  return String(frame.type);
}

export async function getJson(base: string, path: string): Promise<Loose> {
  const response = await fetch(base + path);
  return response.json();
}

export async function postJson(base: string, path: string, body: unknown): Promise<{ status: number; body: Loose }> {
  const response = await fetch(base + path, { method: 'POST', body: JSON.stringify(body) });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : tryJson(text) };
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export type Graph = Record<string, { class_type: string; inputs?: Loose; _meta?: Loose }>;

/** EmptyImage -> ImageInvert -> SaveImage */
export function invertGraph(color = 0x123456, prefix = 't'): Graph {
  return {
    '1': { class_type: 'EmptyImage', inputs: { width: 16, height: 16, batch_size: 1, color } },
    '2': { class_type: 'ImageInvert', inputs: { image: ['1', 0] } },
    '3': { class_type: 'SaveImage', inputs: { images: ['2', 0], filename_prefix: prefix } },
  };
}

export function sd15Graph(options: { text?: string; seed?: number; steps?: number; size?: number } = {}): Graph {
  const { text = 'a quiet forest lake at dawn', seed = 1, steps = 4, size = 128 } = options;
  return {
    '3': {
      class_type: 'KSampler',
      inputs: {
        seed,
        steps,
        cfg: 7,
        sampler_name: 'euler',
        scheduler: 'normal',
        denoise: 1,
        model: ['4', 0],
        positive: ['6', 0],
        negative: ['7', 0],
        latent_image: ['5', 0],
      },
    },
    '4': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'v1-5-pruned-emaonly-fp16.safetensors' } },
    '5': { class_type: 'EmptyLatentImage', inputs: { width: size, height: size, batch_size: 1 } },
    '6': { class_type: 'CLIPTextEncode', inputs: { text, clip: ['4', 1] } },
    '7': { class_type: 'CLIPTextEncode', inputs: { text: 'blurry', clip: ['4', 1] } },
    '8': { class_type: 'VAEDecode', inputs: { samples: ['3', 0], vae: ['4', 2] } },
    '9': { class_type: 'SaveImage', inputs: { images: ['8', 0], filename_prefix: 'sd15' } },
  };
}

/** Submits, waits for the end, and returns the history entry. */
export async function runPrompt(base: string, listener: Listener, graph: Graph, clientId: string): Promise<Loose> {
  const promptId = crypto.randomUUID();
  const reply = await postJson(base, '/prompt', { prompt: graph, prompt_id: promptId, client_id: clientId });
  if (reply.status !== 200) throw new Error(`refused: ${JSON.stringify(reply.body)}`);
  await listener.ended(promptId);
  const history = await getJson(base, `/history/${promptId}`);
  return { promptId, ...history[promptId] };
}

/** The bytes of one output entry. */
export async function fetchView(base: string, entry: Loose): Promise<Buffer> {
  const query = new URLSearchParams({ filename: entry.filename, subfolder: entry.subfolder, type: entry.type });
  const response = await fetch(`${base}/view?${query.toString()}`);
  if (!response.ok) throw new Error(`/view answered ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}
