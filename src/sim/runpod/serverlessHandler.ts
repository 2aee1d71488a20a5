import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';

/** What a worker's handler returns: `error` makes the job FAILED, other keys are its output. */
export type HandlerReply = Readonly<Record<string, unknown>> & { readonly error?: unknown };

export interface HandlerPlace {
  /** of the ComfyUI beside the handler; empty when there is none */
  readonly origin: string;
  readonly jobId: string;
  readonly env: Readonly<Record<string, string>>;
  /** Uploads a file to the bucket and gives its address. */
  readonly store: (name: string, bytes: Buffer) => string;
}

interface InputImage {
  readonly name: string;
  readonly image: string;
}

class HandlerError extends Error {
  readonly details: readonly string[];
  constructor(message: string, details: readonly string[] = []) {
    super(message);
    this.details = details;
  }
}

interface FileEntry {
  readonly filename: string;
  readonly subfolder?: string;
  readonly type?: string;
}

/**
 * worker-comfyui 5.8.5's contract: a workflow in API format with its input images in, base64 images or links to a bucket
 * out, on a ComfyUI of its own (reference runpod.md, 6). Texts as its users see them. It never throws; after an abort
 * nobody reads what it returns.
 */
export async function runHandler(place: HandlerPlace, input: unknown, signal: AbortSignal): Promise<HandlerReply> {
  try {
    return await handle(place, validated(input), signal);
  } catch (error) {
    if (error instanceof HandlerError) {
      return { error: error.message, ...(error.details.length > 0 ? { details: error.details } : {}) };
    }
    const text = error instanceof Error ? error.message : String(error);
    return { error: `HTTP communication error with ComfyUI: ${text}` };
  }
}

function validated(input: unknown): { workflow: object; images: readonly InputImage[] } {
  if (input === undefined || input === null) throw new HandlerError('Please provide input');
  let data = input as Record<string, unknown>;
  if (typeof input === 'string') {
    try {
      data = JSON.parse(input) as Record<string, unknown>;
    } catch {
      throw new HandlerError('Invalid JSON format in input');
    }
  }
  const { workflow, images = [] } = data;
  if (workflow === undefined || workflow === null) throw new HandlerError("Missing 'workflow' parameter");
  const fits = (one: unknown): one is InputImage =>
    typeof one === 'object' && one !== null && 'name' in one && 'image' in one;
  if (images !== null && !(Array.isArray(images) && images.every(fits))) {
    throw new HandlerError("'images' must be a list of objects with 'name' and 'image' keys");
  }
  return { workflow, images: images === null ? [] : images };
}

async function handle(
  place: HandlerPlace,
  { workflow, images }: { workflow: object; images: readonly InputImage[] },
  signal: AbortSignal,
): Promise<HandlerReply> {
  const { origin } = place;
  const alive = await fetch(`${origin}/`, { signal }).then(
    (reply) => reply.body?.cancel().then(() => reply.ok) ?? reply.ok,
    () => false,
  );
  if (!alive) throw new HandlerError('ComfyUI server (127.0.0.1:8188) not reachable after multiple retries.');
  const refused: string[] = [];
  for (const image of images) refused.push(...(await upload(origin, image, signal)));
  if (refused.length > 0) throw new HandlerError('Failed to upload one or more input images', refused);

  const clientId = randomUUID();
  const socket = new WebSocket(`${origin.replace('http', 'ws')}/ws?clientId=${clientId}`);
  const watch = watchRun(socket);
  let promptId = '';
  const interrupt = (): void => {
    void fetch(`${origin}/interrupt`, { method: 'POST', body: JSON.stringify({ prompt_id: promptId }) }).catch(
      () => undefined,
    );
    socket.terminate();
  };
  try {
    await watch.open;
    promptId = await queue(origin, workflow, clientId, signal);
    signal.addEventListener('abort', interrupt);
    const errors = await watch.ended(promptId);
    return await collect(place, promptId, errors, signal);
  } finally {
    signal.removeEventListener('abort', interrupt);
    socket.terminate();
  }
}

async function upload(origin: string, { name, image }: InputImage, signal: AbortSignal): Promise<string[]> {
  const base64 = /^data:[^,]*,(.*)$/s.exec(image)?.[1] ?? image;
  if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(base64)) return [`Error decoding base64 for ${name}: Incorrect padding`];
  const form = new FormData();
  form.set('image', new Blob([Buffer.from(base64, 'base64')], { type: 'image/png' }), name);
  form.set('overwrite', 'true');
  const reply = await fetch(`${origin}/upload/image`, { method: 'POST', body: form, signal });
  await reply.body?.cancel();
  return reply.ok ? [] : [`Error uploading ${name}: ${reply.status}`];
}

/** Submits the graph. @throws HandlerError with the server's own complaints, one line each */
async function queue(origin: string, workflow: object, clientId: string, signal: AbortSignal): Promise<string> {
  const body = JSON.stringify({ prompt: workflow, client_id: clientId });
  const headers = { 'content-type': 'application/json' };
  const reply = await fetch(`${origin}/prompt`, { method: 'POST', body, headers, signal });
  const text = await reply.text();
  if (reply.status === 400) throw new HandlerError(`Workflow validation failed:\n${complaints(text).join('\n')}`);
  if (!reply.ok) throw new HandlerError(`Error queuing workflow: ${reply.status} ${text.slice(0, 200)}`);
  const { prompt_id: promptId } = JSON.parse(text) as { prompt_id?: string };
  if (promptId === undefined) throw new HandlerError(`Missing 'prompt_id' in queue response: ${text.slice(0, 200)}`);
  return promptId;
}

interface Complaint {
  readonly message?: string;
  readonly details?: string;
}

function complaints(text: string): string[] {
  const { error, node_errors: nodes = {} } = JSON.parse(text) as {
    error?: Complaint;
    node_errors?: Record<string, { class_type?: string; errors?: Complaint[] }>;
  };
  const lines = Object.entries(nodes).flatMap(([id, node]) =>
    (node.errors ?? []).map(({ message, details }) => `• Node ${id} (${node.class_type}): ${message}: ${details}`),
  );
  return lines.length > 0 ? lines : [`• ${error?.message ?? 'unknown'}${error?.details ? `: ${error.details}` : ''}`];
}

interface RunWatch {
  readonly open: Promise<void>;
  /** Messages about failed nodes; empty when all went well. */
  ended(promptId: string): Promise<string[]>;
}

interface SocketEvent {
  readonly type: string;
  readonly data: {
    readonly prompt_id?: string;
    readonly node?: string | null;
    readonly node_type?: string;
    readonly node_id?: string;
    readonly exception_message?: string;
  };
}

function watchRun(socket: WebSocket): RunWatch {
  const seen: SocketEvent[] = [];
  let wake: () => void = () => undefined;
  let closed: string | undefined;
  socket.on('message', (data, isBinary) => {
    if (!isBinary) seen.push(JSON.parse((data as Buffer).toString()) as SocketEvent);
    wake();
  });
  const open = new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', (error) => reject(new HandlerError(`WebSocket communication error: ${error.message}`)));
  });
  socket.on('close', () => {
    closed = 'Connection to remote host was lost.';
    wake();
  });
  return {
    open,
    ended: async (promptId) => {
      for (let at = 0; ;) {
        for (; at < seen.length; at++) {
          const { type, data } = seen[at] as SocketEvent;
          if (data.prompt_id !== promptId) continue;
          if (type === 'executing' && data.node === null) return [];
          if (type !== 'execution_error') continue;
          const { node_type: kind, node_id: id, exception_message: message } = data;
          return [`Workflow execution error: Node Type: ${kind}, Node ID: ${id}, Message: ${message}`];
        }
        if (closed !== undefined) throw new HandlerError(`WebSocket communication error: ${closed}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

/** Only what nodes report as `images` comes back; other media are dropped with a warning in the log. */
async function collect(
  place: HandlerPlace,
  promptId: string,
  nodeErrors: readonly string[],
  signal: AbortSignal,
): Promise<HandlerReply> {
  const reply = await fetch(`${place.origin}/history/${promptId}`, { signal });
  const history = (await reply.json()) as Record<string, { outputs?: Record<string, { images?: FileEntry[] }> }>;
  const entry = history[promptId];
  if (!entry) throw new HandlerError(`Prompt ID ${promptId} not found in history after execution.`);
  const outputs = entry.outputs ?? {};
  const errors = [...nodeErrors];
  if (Object.keys(outputs).length === 0 && errors.length === 0) {
    errors.push(`No outputs found in history for prompt ${promptId}.`);
  }
  const images: object[] = [];
  for (const file of Object.values(outputs).flatMap((output) => output.images ?? [])) {
    if (file.type === 'temp') continue;
    const query = new URLSearchParams({
      filename: file.filename,
      subfolder: file.subfolder ?? '',
      type: file.type ?? '',
    });
    const view = await fetch(`${place.origin}/view?${query.toString()}`, { signal });
    if (!view.ok) {
      errors.push(`Failed to fetch image data for ${file.filename} from /view endpoint.`);
      continue;
    }
    const bytes = withoutText(Buffer.from(await view.arrayBuffer()));
    const inBucket = place.env['BUCKET_ENDPOINT_URL'] !== undefined;
    images.push(
      inBucket
        ? { filename: file.filename, type: 's3_url', data: place.store(file.filename, bytes) }
        : { filename: file.filename, type: 'base64', data: bytes.toString('base64') },
    );
  }
  if (images.length === 0 && errors.length > 0) throw new HandlerError('Job processing failed', errors);
  if (images.length === 0) return { status: 'success_no_images', images: [] };
  return { images, ...(errors.length > 0 ? { errors } : {}) };
}

/** The worker's ComfyUI runs with `--disable-metadata`: its PNGs carry no text chunks. */
function withoutText(bytes: Buffer): Buffer {
  if (bytes.readUInt32BE(0) !== 0x89504e47) return bytes;
  const kept = [bytes.subarray(0, 8)];
  for (let at = 8; at + 12 <= bytes.length;) {
    const size = 12 + bytes.readUInt32BE(at);
    const type = bytes.toString('latin1', at + 4, at + 8);
    if (!/^(tEXt|iTXt|zTXt)$/.test(type)) kept.push(bytes.subarray(at, at + size));
    at += size;
  }
  return Buffer.concat(kept);
}
