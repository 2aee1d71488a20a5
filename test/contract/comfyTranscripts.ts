import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { ComfyProfile } from '../../src/sim/comfy/profile.ts';
import type { Graph, Loose } from './simComfyHarness.ts';

const folder = new URL('../../../shared/contracts/comfyui/transcripts/', import.meta.url);

/** One line of a recorded session of a real ComfyUI: a frame of a socket, or half of an HTTP exchange. */
export interface Line {
  readonly t_ms: number;
  /** 'http', or the name of a socket */
  readonly socket: string;
  readonly kind: 'open' | 'text' | 'binary' | 'sent' | 'closed' | 'request' | 'response';
  readonly url?: string;
  readonly message?: Loose;
  readonly event?: number;
  readonly base64?: string;
  readonly method?: string;
  readonly path?: string;
  readonly status?: number;
  readonly body?: Loose;
}

export const transcriptsAreHere = existsSync(folder);
export const recordedProfiles: readonly ComfyProfile[] = ['0.8.0', '0.33.0'];

export function transcriptNames(profile: ComfyProfile): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith(`${profile}_`))
    .map((name) => name.slice(profile.length + 1, -'.jsonl'.length))
    .sort();
}

export function readTranscript(profile: ComfyProfile, name: string): readonly Line[] {
  return readFileSync(new URL(`${profile}_${name}.jsonl`, folder), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

export interface RecordedPrompt {
  readonly id: string;
  readonly graph: Graph;
  /** What its owner's sockets were sent about it, in order, `status` frames of its time included. */
  readonly frames: readonly Line[];
  /** The history entry, where the session asked for it. */
  readonly entry: Loose;
  /** Ids of prompts that were deleted from the queue before they ran. */
  readonly deleted: boolean;
}

/** The prompts of a session, each with its frames and its end. */
export function promptsOf(lines: readonly Line[]): readonly RecordedPrompt[] {
  const sent = lines.filter((line) => line.kind === 'request' && line.method === 'POST' && line.path === '/prompt');
  return sent.map(({ body }) => {
    const id = body.prompt_id as string;
    const about = (line: Line): boolean =>
      line.socket.startsWith('client-a') &&
      (line.kind === 'binary' || (line.kind === 'text' && [id, undefined].includes(line.message.data.prompt_id)));
    const from = lines.findIndex((line) => line.kind === 'text' && line.message.data.prompt_id === id);
    const to = lines.findLastIndex((line) => line.kind === 'text' && line.message.data.prompt_id === id);
    const histories = lines.filter((line) => line.kind === 'response' && line.body?.[id] !== undefined);
    return {
      id,
      graph: body.prompt as Graph,
      frames: from < 0 ? [] : lines.slice(from, to + 1).filter(about),
      entry: histories.at(-1)?.body[id],
      deleted: lines.some((line) => line.path === '/queue' && line.body?.delete?.includes(id)),
    };
  });
}
