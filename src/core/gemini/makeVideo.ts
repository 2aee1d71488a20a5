import type { RemoteFile } from '../backends/backend.ts';
import { untilAborted } from '../kernel/untilAborted.ts';
import { withDeadline } from '../kernel/clock.ts';
import { Fault, isShutdown, toFault } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { awaitVideo } from './awaitVideo.ts';
import type { VideoTimings } from './awaitVideo.ts';
import { bytesOnce } from './bytesOnce.ts';
import type { GeminiClient, GeminiVideoOrder } from './geminiClient.ts';
import type { GeminiUsage } from './price.ts';
import type { VideoSource } from './videoReply.ts';

export interface VideoOptions {
  readonly client: GeminiClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly timings: VideoTimings;
  /** Of the file; its ending comes with the bytes. */
  readonly name: string;
  readonly onUsage: (usage: GeminiUsage) => void;
  readonly onPhase: (phase: string) => void;
}

/** A clip of ten seconds in 4k has some 100 MB. */
const largestFileBytes = 4 * 1024 ** 3;
const tidyMs = 5_000;

/**
 * Orders one clip and waits for it. When a person cancels, it is stopped at Google, also when the order is still under
 * way; when the window ends it goes on, to be asked for by its id.
 * @param onId to be told before anything else: with the id the clip can be had for 55 days
 */
export async function makeVideo(
  options: VideoOptions,
  order: GeminiVideoOrder,
  onId: (id: string) => Promise<void>,
  signal: AbortSignal,
): Promise<RemoteFile> {
  // The order itself is not aborted: only with its id can a clip that nobody wants any more be stopped.
  const ordered = options.client.createVideo(order, new AbortController().signal).then(async ({ id }) => {
    options.log.info(`Gemini makes the video as ${id}`);
    await onId(id).catch((error: unknown) => options.log.warn(`The id of the video: ${toFault(error).message}`));
    return id;
  });
  const id = await untilAborted(ordered, signal).catch((error: unknown) => {
    if (signal.aborted) void ordered.then((late) => stop(options, late, signal)).catch(() => undefined);
    throw error;
  });
  return followVideo(options, id, signal);
}

/** Waits for a clip that was ordered. @throws Fault as {@link awaitVideo}; one that takes too long is stopped */
export async function followVideo(options: VideoOptions, id: string, signal: AbortSignal): Promise<RemoteFile> {
  const { client, clock, timings, name, log, onUsage, onPhase } = options;
  const onPoll = (status: string, elapsedMs: number): void =>
    onPhase(`${phaseOf(status)} (${Math.round(elapsedMs / 1_000)} s)`);
  try {
    const { source } = await awaitVideo(client, id, { clock, ...timings, onUsage, onPoll }, signal);
    return videoFile(client, id, source, name, log);
  } catch (error) {
    if (signal.aborted || isTooLong(error)) await stop(options, id, signal);
    throw error;
  }
}

/** Google says that it is still at work; as against not being able to ask it. */
function isTooLong(error: unknown): boolean {
  return error instanceof Fault && error.kind === 'timeout' && error.facts.delivered === 'yes';
}

async function stop({ client, log }: VideoOptions, id: string, signal: AbortSignal): Promise<void> {
  if (!isShutdown(signal)) await tidy((at) => client.cancelVideo(id, at), log);
}

function phaseOf(status: string): string {
  if (status === 'queued') return 'Waiting at Google';
  return status === 'saving' ? 'Preparing the file' : 'Generating';
}

/** Once the clip is safe here, Google need not keep it: it would for 55 days. */
function videoFile(client: GeminiClient, id: string, source: VideoSource, name: string, log: Log): RemoteFile {
  return {
    name,
    open: async (signal) =>
      source.in === 'reply'
        ? bytesOnce(source.bytes)
        : (await client.download(source.uri, largestFileBytes, signal)).body,
    onSaved: () => tidy((at) => client.deleteVideo(id, at), log),
  };
}

/** Work that outlives a cancellation, but not by long, and whose failure is no failure of the job. */
async function tidy(work: (signal: AbortSignal) => Promise<unknown>, log: Log): Promise<void> {
  const deadline = withDeadline(new AbortController().signal, tidyMs, () => new Fault('timeout', 'No answer in time'));
  try {
    await work(deadline.signal);
  } catch (error) {
    log.info(`Gemini: ${toFault(error).message}`);
  } finally {
    deadline.done();
  }
}
