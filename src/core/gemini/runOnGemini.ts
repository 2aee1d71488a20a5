import type { BackendResult, Quote, RemoteFile, RunContext } from '../backends/backend.ts';
import type { Workflow } from '../comfy/workflow.ts';
import { formatUsd } from '../cost/price.ts';
import { Fault, isPassing, isShutdown, throwIfAborted, toFault } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { VideoTimings } from './awaitVideo.ts';
import { bytesOnce } from './bytesOnce.ts';
import type { GeminiClient, GeminiClientOptions, InputImage } from './geminiClient.ts';
import type { GeminiRequest } from './geminiQuote.ts';
import { makeVideo } from './makeVideo.ts';
import type { LossReport, MappedImage } from './mapWorkflow.ts';
import { RunCost } from './runCost.ts';
import type { Charge } from './runCost.ts';

export interface GeminiRunOptions {
  /** A client of this run's own, so that what it meters is this run's. */
  readonly client: (onUsage: GeminiClientOptions['onUsage']) => GeminiClient;
  readonly clock: Clock;
  readonly log: Log;
  /** Of the service, for the record. */
  readonly address: string;
  readonly model: string;
  /** Of one picture or clip, for answers that tell no usage. */
  readonly estimate: Quote;
  readonly timings: VideoTimings;
  /**
   * Told once, whatever becomes of the run, when something was charged or may have been: a refusal costs as well, and a
   * picture that nobody waits for any more is made all the same.
   */
  readonly onCharge: (charge: Charge) => Promise<void>;
}

export interface GeminiOrder {
  readonly request: GeminiRequest;
  readonly report: LossReport;
  /** The bytes of `request.images`, in their order. */
  readonly images: readonly InputImage[];
  readonly workflow: Workflow;
}

/**
 * Sends a consented request, once for each picture or clip. When a later one fails, the earlier ones are kept and the
 * result says what is missing.
 * @throws Fault of the first one; its message tells what Google charges for it where that is known
 */
export async function runOnGemini(
  options: GeminiRunOptions,
  { request, report, images, workflow }: GeminiOrder,
  context: RunContext,
  signal: AbortSignal,
): Promise<BackendResult> {
  const { clock, log, address, model, timings } = options;
  const cost = new RunCost(request.kind, model, options.estimate);
  const client = options.client((_model, usage) => cost.meter(usage));
  const name = fileName(workflow);
  const files: RemoteFile[] = [];
  const ids: string[] = [];
  const missing: string[] = [];
  const charge = async (): Promise<void> => {
    const { micros, basis } = cost.total;
    if (micros === 0) return;
    await options.onCharge({ micros, basis }).catch((error: unknown) => {
      log.error('What Gemini charges could not be recorded', error);
    });
  };

  for (let i = 0; i < request.count; i++) {
    const [which, fraction] =
      request.count === 1 ? ['', {}] : [` ${i + 1} of ${request.count}`, { fraction: i / request.count }];
    const onPhase = (phase: string): void => context.onProgress({ phase: `${phase}${which}`, ...fraction });
    let isSent = false;
    try {
      throwIfAborted(signal);
      // A picture has no id to be asked for by: the record only says that it may have been sent.
      if (i === 0) await context.onIntent({ address });
      onPhase('Generating');
      isSent = true;
      files.push(
        request.kind === 'image'
          ? await makeImage(client, { ...request, model, seed: nthSeed(request, i) }, images, name, signal)
          : await makeVideo(
              { client, clock, log, timings, name, onUsage: cost.meter, onPhase },
              { ...request, model, images },
              async (id) => context.onIntent({ address, promptId: joinIds(ids, id) }),
              signal,
            ),
      );
      cost.settle('yes');
    } catch (error) {
      const fault = toFault(error);
      // A clip goes on when the window ends or Google cannot be asked: who fetches it counts all of the job.
      const isFindable = ids.length > i && isPassing(fault) && fault.facts.delivered === 'maybe';
      if (signal.aborted ? isShutdown(signal) && request.kind === 'video' : isFindable) {
        throwIfAborted(signal);
        throw fault;
      }
      const told = cost.settle(isSent && mayBeMade(fault, signal) ? 'maybe' : 'no');
      if (signal.aborted || files.length === 0) {
        await charge();
        throwIfAborted(signal);
        throw withCharge(fault, told);
      }
      log.warn(`Gemini:${which} failed: ${fault.message}`, { kind: fault.kind, raw: fault.facts.raw });
      missing.push(`${request.count - i} of ${request.count} were not made: ${fault.message}`);
      break;
    }
  }
  await charge();
  return { files, ...cost.total, dropped: [...missing, ...report.approximated, ...report.lost] };
}

/**
 * Google makes and bills what was asked for also when nobody waits any more; so too a clip that comes too late, and one
 * whose answer we cannot read.
 */
function mayBeMade({ kind, facts }: Fault, signal: AbortSignal): boolean {
  return signal.aborted || facts.delivered === 'maybe' || kind === 'timeout' || kind === 'protocol';
}

/** A record has room for one name: the clips of a batch share it. */
function joinIds(ids: string[], id: string): string {
  ids.push(id);
  return ids.join(' ');
}

export function splitIds(promptId: string): readonly string[] {
  return promptId.split(' ');
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

async function makeImage(
  client: GeminiClient,
  { model, prompt, aspectRatio, imageSize, seed }: MappedImage & { readonly model: string },
  images: readonly InputImage[],
  name: string,
  signal: AbortSignal,
): Promise<RemoteFile> {
  const { bytes } = await client.generateImage({ model, prompt, aspectRatio, imageSize, seed, images }, signal);
  return { name, open: () => Promise.resolve(bytesOnce(bytes)) };
}

/** A batch is meant to differ: Gemini gets one seed a picture, as ComfyUI has one noise a picture. */
function nthSeed({ seed }: MappedImage, n: number): number | undefined {
  return seed === undefined ? undefined : (seed + n) % 2 ** 31;
}

/** The name that the graph saves under; its ending comes with the bytes. */
export function fileName(workflow: Workflow): string {
  const prefixes = Object.values(workflow).map(({ inputs }) => inputs.filename_prefix);
  const prefix = prefixes.find((value) => typeof value === 'string' && value.trim() !== '');
  return typeof prefix === 'string' ? `${prefix}_gemini` : 'gemini';
}
