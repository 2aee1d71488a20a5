import type { BackendResult, JobProgress, Quote, RemoteFile } from '../backends/backend.ts';
import type { Workflow } from '../comfy/workflow.ts';
import { formatUsd } from '../cost/price.ts';
import { untilAborted } from '../fleet/untilAborted.ts';
import { withDeadline } from '../kernel/clock.ts';
import { Fault, throwIfAborted, toFault } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { awaitVideo, awaitVideoDefaults } from './awaitVideo.ts';
import type { VideoTimings } from './awaitVideo.ts';
import type { GeminiClient, GeminiClientOptions, InputImage } from './geminiClient.ts';
import { meteredCost } from './geminiQuote.ts';
import type { GeminiRequest } from './geminiQuote.ts';
import type { LossReport, MappedImage, MappedVideo } from './mapWorkflow.ts';
import type { GeminiUsage } from './price.ts';
import type { VideoSource } from './videoReply.ts';

export interface GeminiRunOptions {
  /** A client of this run's own, so that what it meters is this run's. */
  readonly client: (onUsage: GeminiClientOptions['onUsage']) => GeminiClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly model: string;
  /** Of one picture or clip, for answers that tell no usage. */
  readonly estimate: Quote;
  readonly timings?: VideoTimings;
}

export interface GeminiOrder {
  readonly request: GeminiRequest;
  readonly report: LossReport;
  /** The bytes of `request.images`, in their order. */
  readonly images: readonly InputImage[];
  readonly workflow: Workflow;
}

/** A clip of ten seconds in 4k has some 100 MB. */
const largestFileBytes = 4 * 1024 ** 3;
const tidyMs = 5_000;

/**
 * Sends a consented request, once for each picture or clip. When a later one fails, the earlier ones are kept and the
 * result says what is missing.
 * @throws Fault of the first one; its message tells what Google charges for it where that is known
 */
export async function runOnGemini(
  options: GeminiRunOptions,
  { request, report, images, workflow }: GeminiOrder,
  onProgress: (progress: JobProgress) => void,
  signal: AbortSignal,
): Promise<BackendResult> {
  const { log, model, estimate } = options;
  const usages: GeminiUsage[] = [];
  const onUsage = (usage: GeminiUsage): void => void usages.push(usage);
  const client = options.client((_model, usage) => onUsage(usage));
  const name = fileName(workflow);
  const files: RemoteFile[] = [];
  const missing: string[] = [];
  let micros = 0;
  const bases = new Set<string>();
  const settle = (isMade: boolean): Quote | undefined => {
    const told = usages.splice(0).map((usage) => meteredCost(request.kind, model, usage));
    const costs = told.length === 0 && isMade ? [{ ...estimate, basis: `estimated: ${estimate.basis}` }] : told;
    for (const cost of costs) {
      micros += cost.micros;
      bases.add(cost.basis);
    }
    return costs[0];
  };

  for (let i = 0; i < request.count; i++) {
    const which = request.count === 1 ? '' : ` ${i + 1} of ${request.count}`;
    const tell = (phase: string): void =>
      onProgress({ phase: `${phase}${which}`, ...(request.count === 1 ? {} : { fraction: i / request.count }) });
    try {
      throwIfAborted(signal);
      files.push(
        request.kind === 'image'
          ? await makeImage(client, { model, request, images, name, nth: i }, tell, signal)
          : await makeVideo({ ...options, client, onUsage }, { model, request, images, name }, tell, signal),
      );
      settle(true);
    } catch (error) {
      throwIfAborted(signal);
      const fault = toFault(error);
      const charged = settle(false);
      if (files.length === 0) throw withCharge(fault, charged);
      log.warn(`Gemini: ${which.trim()} failed: ${fault.message}`, { kind: fault.kind, raw: fault.facts.raw });
      missing.push(`${request.count - i} of ${request.count} were not made: ${fault.message}`);
      break;
    }
  }
  const dropped = [...missing, ...report.approximated, ...report.lost];
  return { files, micros, costBasis: [...bases].join('; '), dropped };
}

/** What Google charges for a refusal is told; where nobody can know, the person is sent to look. */
function withCharge(fault: Fault, charged: Quote | undefined): Fault {
  const { kind, message, facts } = fault;
  if (charged !== undefined && charged.micros > 0) {
    const said = `${message.replace(/[.\s]+$/, '')} (Google charges ${formatUsd(charged.micros)} for the attempt)`;
    return new Fault(kind, said, facts, { cause: fault });
  }
  if (facts.delivered !== 'maybe' || facts.nextStep !== undefined) return fault;
  const nextStep = 'It may have been made and billed: look at your usage in Google AI Studio before trying again.';
  return new Fault(kind, message, { ...facts, nextStep }, { cause: fault });
}

interface Making<T> {
  readonly model: string;
  readonly request: T;
  readonly images: readonly InputImage[];
  readonly name: string;
}

async function makeImage(
  client: GeminiClient,
  { model, request, images, name, nth }: Making<MappedImage> & { readonly nth: number },
  tell: (phase: string) => void,
  signal: AbortSignal,
): Promise<RemoteFile> {
  tell('Generating');
  const { prompt, aspectRatio, imageSize } = request;
  // A batch is meant to differ: Gemini gets one seed a picture, as ComfyUI has one noise a picture.
  const seed = request.seed === undefined ? undefined : (request.seed + nth) % 2 ** 31;
  const { bytes } = await client.generateImage({ model, prompt, aspectRatio, imageSize, seed, images }, signal);
  return { name, open: () => Promise.resolve(once(bytes)) };
}

async function makeVideo(
  options: Omit<GeminiRunOptions, 'client'> & {
    readonly client: GeminiClient;
    readonly onUsage: (usage: GeminiUsage) => void;
  },
  { model, request, images, name }: Making<MappedVideo>,
  tell: (phase: string) => void,
  signal: AbortSignal,
): Promise<RemoteFile> {
  const { client, clock, log, timings = awaitVideoDefaults } = options;
  tell('Generating');
  const { prompt, aspectRatio, resolution, seconds, task } = request;
  const cancel = (id: string): Promise<unknown> => tidy((at) => client.cancelVideo(id, at), log);
  // The order itself is not aborted: only with its id can a job that nobody wants any more be stopped at Google.
  const order = client.createVideo(
    { model, prompt, aspectRatio, resolution, seconds, task, images },
    new AbortController().signal,
  );
  const { id } = await untilAborted(order, signal).catch((error: unknown) => {
    if (signal.aborted) {
      order.then(
        (late) => void cancel(late.id),
        () => undefined,
      );
    }
    throw error;
  });
  log.info(`Gemini makes the video as ${id}`);
  try {
    const { source } = await awaitVideo(
      client,
      id,
      {
        clock,
        ...timings,
        onUsage: options.onUsage,
        onPoll: (status, elapsedMs) => tell(`${phaseOf(status)} (${Math.round(elapsedMs / 1_000)} s)`),
      },
      signal,
    );
    return videoFile(client, id, source, name, log);
  } catch (error) {
    if (signal.aborted || (error instanceof Fault && error.kind === 'timeout')) await cancel(id);
    throw error;
  }
}

function phaseOf(status: string): string {
  if (status === 'queued') return 'Waiting at Google';
  return status === 'saving' ? 'Preparing the file' : 'Generating';
}

/** Once the clip is here whole, Google need not keep it: it would for 55 days. */
function videoFile(client: GeminiClient, id: string, source: VideoSource, name: string, log: Log): RemoteFile {
  return {
    name,
    async open(signal) {
      const body =
        source.in === 'reply' ? once(source.bytes) : (await client.download(source.uri, largestFileBytes, signal)).body;
      return followedBy(body, () => tidy((at) => client.deleteVideo(id, at), log));
    },
  };
}

async function* followedBy(body: AsyncIterable<Uint8Array>, then: () => Promise<unknown>): AsyncIterable<Uint8Array> {
  yield* body;
  await then();
}

// eslint-disable-next-line @typescript-eslint/require-await -- bytes that are here already, in the shape of a stream
async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
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

/** The name that the graph saves under; its ending comes with the bytes. */
function fileName(workflow: Workflow): string {
  const prefixes = Object.values(workflow).map(({ inputs }) => inputs.filename_prefix);
  const prefix = prefixes.find((value) => typeof value === 'string' && value.trim() !== '');
  return typeof prefix === 'string' ? `${prefix}_gemini` : 'gemini';
}
