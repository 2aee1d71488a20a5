import { Fault, isPassing, throwIfAborted } from '../kernel/fault.ts';
import type { Clock } from '../kernel/ports.ts';
import { fileIdOf } from './downloadFile.ts';
import type { GeminiClient } from './geminiClient.ts';
import type { GeminiUsage } from './price.ts';
import type { VideoSource, VideoState } from './videoReply.ts';

export interface VideoTimings {
  /** Google publishes no maximum. */
  readonly deadlineMs: number;
  readonly pollMs: number;
}

export interface AwaitVideoOptions extends VideoTimings {
  readonly clock: Clock;
  /** Told after every poll: Google gives no percentage, so elapsed time is all that can be shown. */
  readonly onPoll: (status: string, elapsedMs: number) => void;
  /** Told once the job has ended, well or not: a failed one may be billed as well. */
  readonly onUsage?: (usage: GeminiUsage) => void;
}

/** Google's own interval and our longest patience (Gemini API docs, omni; the deadline is inferred). */
export const awaitVideoDefaults: VideoTimings = { pollMs: 5_000, deadlineMs: 600_000 };

/** A key that is refused so often in a row is refused for good. */
const mostRefusedKeys = 3;

/**
 * Polls a job until its clip can be fetched, and its file, where there is one, is active. Faults of the polls say nothing of
 * the job and are lived through until the deadline.
 * @throws Fault the job's own; one with `delivered: 'maybe'` when Google cannot be asked; 'timeout' of a job that is at
 * work for too long. After either of those it goes on: ask again by its id.
 */
export async function awaitVideo(
  client: GeminiClient,
  id: string,
  options: AwaitVideoOptions,
  signal: AbortSignal,
): Promise<{ readonly source: VideoSource; readonly usage: GeminiUsage | undefined }> {
  const { clock } = options;
  const startedAt = clock.now();

  /** `read`: the result, or a word for what is still under way. */
  async function until<A, T>(ask: () => Promise<A>, read: (answer: A) => T | string): Promise<T> {
    for (let refused = 0; ;) {
      const answer = await ask().catch((error: unknown) => {
        throwIfAborted(signal);
        if (error instanceof Fault && isPassing(error)) return error;
        throw error;
      });
      const fault = answer instanceof Fault ? answer : undefined;
      refused = fault?.kind === 'unauthorized' ? refused + 1 : 0;
      if (!(answer instanceof Fault)) {
        const result = read(answer);
        if (typeof result !== 'string') return result;
        options.onPoll(result, clock.now() - startedAt);
      }
      const leftMs = options.deadlineMs - (clock.now() - startedAt);
      if (fault !== undefined && (leftMs <= 0 || refused >= mostRefusedKeys)) throw cannotAsk(fault);
      if (leftMs <= 0) {
        const minutes = Math.round(options.deadlineMs / 60_000);
        throw new Fault('timeout', `The video was not ready within ${minutes} minutes`, { delivered: 'yes' });
      }
      await clock.sleep(Math.min(leftMs, Math.max(options.pollMs, fault?.facts.retryAfterMs ?? 0)), signal);
    }
  }

  const { source, usage } = await until<VideoState, Extract<VideoState, { is: 'done' }>>(
    () => client.video(id, signal),
    (state) => {
      if (state.is === 'running') return state.status;
      if (state.usage !== undefined) options.onUsage?.(state.usage);
      if (state.is === 'failed') throw state.fault;
      return state;
    },
  );
  if (source.in === 'file') {
    const fileId = fileIdOf(source.uri);
    await until(
      () => client.file(fileId, signal),
      ({ state }) => {
        if (state === 'failed') throw new Fault('jobFailed', 'Google could not process the video file');
        return state === 'active' ? true : 'saving';
      },
    );
  }
  return { source, usage };
}

/** The clip may be there, and is paid for. */
function cannotAsk(fault: Fault): Fault {
  const message = `Google cannot be asked for the video: ${fault.message}`;
  return new Fault(fault.kind, message, { ...fault.facts, delivered: 'maybe' }, { cause: fault });
}
