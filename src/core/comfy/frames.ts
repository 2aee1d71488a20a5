import * as z from 'zod/mini';
import { parsePythonJson } from './pythonJson.ts';

/** What a frame of ComfyUI's WebSocket says, as far as a job needs it. Everything else is undefined. */
export type ComfyEvent =
  | { readonly is: 'status'; readonly sid: string | undefined; readonly queueRemaining: number }
  | { readonly is: 'executing'; readonly promptId: string | undefined; readonly node: string | null }
  | {
      readonly is: 'progress';
      readonly promptId: string | undefined;
      readonly node: string | undefined;
      readonly value: number;
      readonly max: number;
    }
  | { readonly is: 'nodes'; readonly promptId: string | undefined; readonly finished: number; readonly running: number }
  | { readonly is: 'cached'; readonly promptId: string | undefined; readonly nodes: readonly string[] }
  | { readonly is: 'started' | 'succeeded' | 'failed' | 'interrupted'; readonly promptId: string | undefined }
  | {
      readonly is: 'preview';
      /** Undefined on servers without preview metadata: it belongs to what we run there. */
      readonly promptId: string | undefined;
      readonly mimeType: 'image/jpeg' | 'image/png';
      readonly bytes: Uint8Array;
    };

const id = z.optional(z.nullable(z.string()));
const frame = z.object({ type: z.string(), data: z.looseObject({}) });
const shapes = {
  status: z.looseObject({
    sid: id,
    status: z.object({ exec_info: z.object({ queue_remaining: z.number() }) }),
  }),
  executing: z.looseObject({ prompt_id: id, node: z.nullable(z.string()) }),
  progress: z.looseObject({ prompt_id: id, node: id, value: z.number(), max: z.number() }),
  nodes: z.looseObject({
    prompt_id: id,
    nodes: z.record(z.string(), z.looseObject({ state: z.optional(z.string()) })),
  }),
  cached: z.looseObject({ prompt_id: id, nodes: z.array(z.string()) }),
  end: z.looseObject({ prompt_id: id, exception_type: id }),
};

/** Garbage and unknown types are undefined: packs send messages of their own, and a socket must survive them. */
export function readTextFrame(text: string): ComfyEvent | undefined {
  let json: unknown;
  try {
    json = parsePythonJson(text);
  } catch {
    return undefined;
  }
  const parsed = frame.safeParse(json);
  if (!parsed.success) return undefined;
  const { type, data } = parsed.data;
  switch (type) {
    case 'status': {
      const at = shapes.status.safeParse(data).data;
      return at && { is: 'status', sid: at.sid ?? undefined, queueRemaining: at.status.exec_info.queue_remaining };
    }
    case 'executing': {
      const at = shapes.executing.safeParse(data).data;
      return at && { is: 'executing', promptId: at.prompt_id ?? undefined, node: at.node };
    }
    case 'progress': {
      const at = shapes.progress.safeParse(data).data;
      return (
        at && {
          is: 'progress',
          promptId: at.prompt_id ?? undefined,
          node: at.node ?? undefined,
          value: at.value,
          max: at.max,
        }
      );
    }
    case 'progress_state': {
      const at = shapes.nodes.safeParse(data).data;
      if (at === undefined) return undefined;
      const states = Object.values(at.nodes).map((node) => node.state);
      const count = (state: string): number => states.filter((other) => other === state).length;
      return {
        is: 'nodes',
        promptId: at.prompt_id ?? undefined,
        finished: count('finished'),
        running: count('running'),
      };
    }
    case 'execution_cached': {
      const at = shapes.cached.safeParse(data).data;
      return at && { is: 'cached', promptId: at.prompt_id ?? undefined, nodes: at.nodes };
    }
    case 'execution_start':
      return end('started', data);
    case 'execution_success':
      return end('succeeded', data);
    case 'execution_error':
      // A blocked output is reported like a failure, yet the prompt goes on and succeeds (comfyui.md 2.5).
      return shapes.end.safeParse(data).data?.exception_type === 'ExecutionBlocked' ? undefined : end('failed', data);
    case 'execution_interrupted':
      return end('interrupted', data);
    default:
      return undefined;
  }
}

function end(is: 'started' | 'succeeded' | 'failed' | 'interrupted', data: object): ComfyEvent | undefined {
  const at = shapes.end.safeParse(data).data;
  return at && { is, promptId: at.prompt_id ?? undefined };
}

const metadata = z.looseObject({ prompt_id: id, image_type: z.optional(z.string()) });

/** Binary frames 1 and 4 (comfyui.md 2.4); unsigned 32-bit big-endian integers. Others are undefined. */
export function readBinaryFrame(bytes: Uint8Array): ComfyEvent | undefined {
  if (bytes.byteLength < 8) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const event = view.getUint32(0);
  const second = view.getUint32(4);
  if (event === 1) {
    const mimeType = second === 2 ? 'image/png' : 'image/jpeg';
    return { is: 'preview', promptId: undefined, mimeType, bytes: bytes.slice(8) };
  }
  if (event !== 4 || 8 + second > bytes.byteLength) return undefined;
  try {
    const json = parsePythonJson(new TextDecoder().decode(bytes.subarray(8, 8 + second)));
    const at = metadata.parse(json);
    const mimeType = at.image_type === 'image/png' ? 'image/png' : 'image/jpeg';
    return { is: 'preview', promptId: at.prompt_id ?? undefined, mimeType, bytes: bytes.slice(8 + second) };
  } catch {
    return undefined;
  }
}
