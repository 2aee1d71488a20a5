import { Fault, throwIfAborted, treatments } from '../kernel/fault.ts';
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

/**
 * Polls a job until its clip can be fetched, and its file, where there is one, is active. Passing faults of polls are lived
 * through until the deadline. Throws the job's own fault, or 'timeout'; the job itself goes on, ask again by its id.
 */
export async function awaitVideo(
  client: GeminiClient,
  id: string,
  options: AwaitVideoOptions,
  signal: AbortSignal,
): Promise<{ readonly source: VideoSource; readonly usage: GeminiUsage | undefined }> {
  const { clock } = options;
  const startedAt = clock.now();

  async function until<T>(ask: () => Promise<T | string>): Promise<T> {
    for (;;) {
      let last: Fault | undefined;
      try {
        const answer = await ask();
        if (typeof answer !== 'string') return answer;
        options.onPoll(answer, clock.now() - startedAt);
      } catch (error) {
        throwIfAborted(signal);
        if (!(error instanceof Fault) || treatments[error.kind].retry === 'never') throw error;
        last = error;
      }
      const leftMs = options.deadlineMs - (clock.now() - startedAt);
      if (leftMs <= 0) {
        const minutes = Math.round(options.deadlineMs / 60_000);
        const message = `The video was not ready within ${minutes} minutes`;
        throw new Fault('timeout', message, { delivered: 'yes' }, { cause: last });
      }
      await clock.sleep(Math.min(leftMs, Math.max(options.pollMs, last?.facts.retryAfterMs ?? 0)), signal);
    }
  }

  const done = await until<Extract<VideoState, { is: 'done' }>>(async () => {
    const state = await client.video(id, signal);
    if (state.is !== 'running' && state.usage !== undefined) options.onUsage?.(state.usage);
    if (state.is === 'failed') throw state.fault;
    return state.is === 'running' ? state.status : state;
  });
  const { source, usage } = done;
  if (source.in === 'file') {
    const fileId = fileIdOf(source.uri);
    await until(async () => {
      const { state } = await client.file(fileId, signal);
      if (state === 'failed') throw new Fault('jobFailed', 'Google could not process the video file');
      return state === 'active' ? true : 'saving';
    });
  }
  return { source, usage };
}
