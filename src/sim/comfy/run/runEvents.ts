import type { Frame } from '../media/frame.ts';
import { encodeJpeg } from '../media/jpeg.ts';
import { scaleFrame } from '../media/frame.ts';
import type { Json, JsonObject } from '../pyJson.ts';
import { previewFrame, previewWithMetadata, textFrame } from '../sockets/binaryFrames.ts';
import type { SocketHub } from '../sockets/socketHub.ts';

/** Longest side of a preview (`--preview-size`) */
const PREVIEW_SIZE = 512;

interface NodeState {
  value: number;
  max: number;
  state: 'running' | 'finished';
}

/** The user's node and the parent of a node that was created at run time. */
export interface NodeOrigin {
  displayId: string;
  parentId: string | null;
}

/** What one run tells the world, in the order and with the addressing of the real server (comfyui.md 2.2, 2.6). */
export class RunEvents {
  /** The history's `status.messages` */
  readonly messages: Json[] = [];
  /** The node that a client is told about when it reconnects */
  lastNodeId: string | undefined;
  readonly #states = new Map<string, NodeState>();
  readonly #hub: SocketHub;
  readonly #promptId: string;
  readonly #clientId: string | undefined;
  readonly #origin: (id: string) => NodeOrigin;
  readonly #now: () => number;

  constructor(
    hub: SocketHub,
    promptId: string,
    clientId: string | undefined,
    origin: (id: string) => NodeOrigin,
    now: () => number,
  ) {
    this.#hub = hub;
    this.#promptId = promptId;
    this.#clientId = clientId;
    this.#origin = origin;
    this.#now = now;
  }

  get clientId(): string | undefined {
    return this.#clientId;
  }

  /** A lifecycle message: kept for history; sent to the owner, or to everyone if it is a broadcast. */
  message(type: string, data: JsonObject, broadcast = false): void {
    const stamped = { ...data, timestamp: Math.round(this.#now()) };
    this.messages.push([type, stamped]);
    if (this.#clientId !== undefined || broadcast) this.#hub.send(type, stamped, this.#clientId);
  }

  /** `execution_error` for a blocked output: no timestamp, no trace in history, and the run goes on. */
  blocked(data: JsonObject): void {
    if (this.#clientId !== undefined) this.#hub.send('execution_error', data, this.#clientId);
  }

  started(id: string): void {
    this.#states.set(id, { value: 0, max: 1, state: 'running' });
    this.#sendStates();
    this.lastNodeId = this.#origin(id).displayId;
    if (this.#clientId === undefined) return;
    this.#hub.send(
      'executing',
      { node: id, display_node: this.#origin(id).displayId, prompt_id: this.#promptId },
      this.#clientId,
    );
  }

  executed(id: string, output: Json): void {
    if (this.#clientId === undefined) return;
    this.#hub.send(
      'executed',
      { node: id, display_node: this.#origin(id).displayId, output, prompt_id: this.#promptId },
      this.#clientId,
    );
  }

  finished(id: string): void {
    const known = this.#states.get(id);
    const max = known?.max ?? 1;
    this.#states.set(id, { value: max, max, state: 'finished' });
    this.#sendStates();
  }

  /** Per step: `progress_state`, event 4, `progress`, event 1. Without an owner they go to everyone. */
  progress(id: string, value: number, max: number, preview: Frame | undefined): void {
    this.#states.set(id, { value, max, state: 'running' });
    this.#sendStates();
    const jpeg = preview ? encodeJpeg(fitPreview(preview), 85) : undefined;
    if (jpeg) {
      const { displayId, parentId } = this.#origin(id);
      const metadata: JsonObject = {
        node_id: id,
        prompt_id: this.#promptId,
        display_node_id: displayId,
        parent_node_id: parentId,
        real_node_id: displayId,
        image_type: 'image/jpeg',
      };
      this.#hub.sendBinary(previewWithMetadata(metadata, jpeg), this.#clientId, wantsMetadata);
    }
    this.#hub.send('progress', { value, max, prompt_id: this.#promptId, node: id }, this.#clientId);
    if (jpeg) this.#hub.sendBinary(previewFrame(jpeg), this.#clientId, (flags) => !wantsMetadata(flags));
  }

  /** Text frames go to everyone, whoever owns the prompt. */
  text(id: string, text: string): void {
    this.#hub.sendBinary(textFrame(id, text), undefined);
  }

  /** The end marker of every run that has an owner */
  end(): void {
    if (this.#clientId === undefined) return;
    this.#hub.send('executing', { node: null, prompt_id: this.#promptId }, this.#clientId);
  }

  #sendStates(): void {
    const nodes: JsonObject = {};
    for (const [id, state] of this.#states) {
      const { displayId, parentId } = this.#origin(id);
      nodes[id] = {
        ...state,
        node_id: id,
        prompt_id: this.#promptId,
        display_node_id: displayId,
        parent_node_id: parentId,
        real_node_id: displayId,
      };
    }
    this.#hub.send('progress_state', { prompt_id: this.#promptId, nodes }, this.#clientId);
  }
}

function wantsMetadata(flags: JsonObject): boolean {
  return flags['supports_preview_metadata'] === true;
}

function fitPreview(frame: Frame): Frame {
  const longest = Math.max(frame.width, frame.height);
  if (longest <= PREVIEW_SIZE) return frame;
  const ratio = PREVIEW_SIZE / longest;
  return scaleFrame(frame, Math.round(frame.width * ratio), Math.round(frame.height * ratio));
}
