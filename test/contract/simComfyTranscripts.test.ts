import assert from 'node:assert/strict';
import { readTranscript, recordedProfiles, transcriptNames, transcriptsAreHere } from './comfyTranscripts.ts';
import type { Line } from './comfyTranscripts.ts';
import { Listener, startSim } from './simComfyHarness.ts';
import type { Frame, Loose } from './simComfyHarness.ts';

/** Plays what the recorded clients did, when they did it, and gives what each socket received. */
async function play(base: string, lines: readonly Line[]): Promise<Map<string, Listener>> {
  const sockets = new Map<string, Listener>();
  const startedAt = Date.now();
  const replies: Promise<void>[] = [];
  for (const [index, line] of lines.entries()) {
    if (line.kind === 'text' || line.kind === 'binary' || line.kind === 'response') continue;
    const waitMs = line.t_ms - (Date.now() - startedAt);
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    if (line.kind === 'open') {
      const socket = new Listener(base.replace('http', 'ws') + line.url!);
      sockets.set(line.socket, socket);
      const greets = lines.some((other) => other.socket === line.socket && other.kind === 'sent');
      if (!greets) await socket.until((frames) => frames.length > 0);
      else await new Promise((resolve) => socket.socket.addEventListener('open', resolve));
    } else if (line.kind === 'sent') sockets.get(line.socket)!.socket.send(JSON.stringify(line.message));
    else if (line.kind === 'closed') sockets.get(line.socket)!.socket.close();
    else
      replies.push(
        exchange(
          base,
          line,
          lines.slice(index).find((other) => other.kind === 'response')!,
        ),
      );
  }
  await Promise.all(replies);
  return sockets;
}

async function exchange(base: string, { method, path, body }: Line, recorded: Line): Promise<void> {
  const init = body === undefined || body === null ? {} : { body: JSON.stringify(body) };
  const response = await fetch(base + path!, { method: method!, ...init });
  const text = await response.text();
  if (response.status !== recorded.status) throw new Error(`${method} ${path}: ${response.status} ${text}`);
}

/** What a frame says, without what differs from run to run: ids of prompts, times, counts of steps, file numbers. */
function essence(type: string, data: Loose): string {
  const keys = Object.keys(data).sort().join(',');
  switch (type) {
    case 'status':
      return `status ${data.status.exec_info.queue_remaining} ${keys}`;
    case 'executing':
    case 'progress':
      return `${type} ${data.node} ${keys}`;
    case 'executed':
      return `executed ${data.node} ${Object.keys(data.output ?? {}).join(',')} ${keys}`;
    case 'execution_cached':
      return `execution_cached [${data.nodes.join(',')}] ${keys}`;
    case 'execution_error':
      return `execution_error ${data.node_id} ${data.node_type} ${data.exception_type} [${data.executed.join(',')}] ${keys}`;
    default:
      return `${type} ${keys}`;
  }
}

/** Repeated steps are one; `progress_state` is compared by its last frame, since servers send it at will. */
function story(frames: readonly string[]): readonly string[] {
  return frames.filter((frame, index) => frame !== '' && frame !== frames[index - 1]);
}

function recordedStory(lines: readonly Line[], socket: string): readonly string[] {
  const own = lines.filter((line) => line.socket === socket);
  return story(
    own.flatMap((line) => {
      if (line.kind === 'binary') return [`binary ${line.event}`];
      if (line.kind !== 'text' || line.message.type === 'progress_state') return [];
      return [essence(line.message.type, line.message.data)];
    }),
  );
}

function playedStory(frames: readonly Frame[]): readonly string[] {
  return story(
    frames.flatMap((frame) => {
      if (frame.event !== undefined) return [`binary ${frame.event}`];
      if (frame.type === 'progress_state') return [];
      return [essence(frame.type!, frame.data)];
    }),
  );
}

/** The nodes of the last `progress_state`, each with all that is said about it. */
function lastState(messages: readonly Loose[]): Loose {
  const last = messages.findLast((message) => message?.type === 'progress_state');
  return (
    last &&
    Object.fromEntries(
      Object.entries(last.data.nodes as Record<string, Loose>).map(([id, { prompt_id: _, ...node }]) => [id, node]),
    )
  );
}

/** In these two prompts are in flight: where the other one's `status` falls between the frames differs from run to run. */
const twoAtOnce = new Set(['interrupt_targeted', 'queue_delete_pending']);

function comparable(name: string, told: readonly string[]): string {
  if (!twoAtOnce.has(name)) return told.join('\n');
  const isStatus = (frame: string): boolean => frame.startsWith('status');
  return [...story(told.filter(isStatus)), ...told.filter((frame) => !isStatus(frame))].join('\n');
}

/** In these the client acts in the middle of a run: which step it hits differs from run to run. */
const cutMidRun = new Set(['reconnect_mid_run', 'same_client_id_twice_loses_events']);

/** The connection that the client cuts in the middle: what comes before the cut is the same, as far as both have it. */
function sameUntilCut(played: readonly string[], recorded: readonly string[]): boolean {
  if (recorded.some((frame) => frame.startsWith('execution_success'))) return false;
  const both = Math.min(played.length, recorded.length);
  return both > 2 && comparable('', played.slice(0, both)) === comparable('', recorded.slice(0, both));
}

describe('simulated ComfyUI against recorded WebSocket sessions', function () {
  before(function () {
    if (transcriptsAreHere) return;
    console.log('      skipped: the recordings of real servers (../shared/contracts) are not here');
    this.skip();
  });

  for (const profile of recordedProfiles) {
    it(`sends what ${profile} sent, to whom it sent it, in that order`, async function () {
      this.timeout(20_000);
      const names = transcriptNames(profile);
      assert.equal(names.length, 10);
      const differences = await Promise.all(
        names.map(async (name) => {
          const lines = readTranscript(profile, name);
          const run = await startSim({ profile, nodePacks: ['simtest'], scale: 1, cpu: true });
          try {
            const sockets = await play(run.base, lines);
            return [...sockets].flatMap(([socket, { frames }]) => {
              const where = `${name} ${socket}`;
              const [played, recorded] = [playedStory(frames), recordedStory(lines, socket)];
              const isSame = comparable(name, played) === comparable(name, recorded);
              const found = isSame ? [] : [{ where, played, recorded }];
              if (cutMidRun.has(name)) return isSame || sameUntilCut(played, recorded) ? [] : found;
              const states = [
                lastState(frames),
                lastState(lines.filter((line) => line.socket === socket).map(({ message }) => message)),
              ];
              return JSON.stringify(states[0]) === JSON.stringify(states[1])
                ? found
                : [...found, { where: `${where} progress_state`, played: states[0], recorded: states[1] }];
            });
          } finally {
            await run.stop();
          }
        }),
      );
      assert.deepEqual(differences.flat(), []);
    });
  }
});
