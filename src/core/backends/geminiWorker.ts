import { awaitVideoDefaults } from '../gemini/awaitVideo.ts';
import type { VideoTimings } from '../gemini/awaitVideo.ts';
import type { Consent } from '../gemini/consentQuestion.ts';
import { createGeminiClient, geminiTimeouts } from '../gemini/geminiClient.ts';
import type { GeminiClient, GeminiClientOptions } from '../gemini/geminiClient.ts';
import { quoteRequest } from '../gemini/geminiQuote.ts';
import type { GeminiModels, GeminiRequest } from '../gemini/geminiQuote.ts';
import { geminiLimits, mapWorkflow } from '../gemini/mapWorkflow.ts';
import type { LossReport, WorkflowMapping } from '../gemini/mapWorkflow.ts';
import { readGeminiInputs } from '../gemini/readGeminiInputs.ts';
import type { GeminiInputs } from '../gemini/readGeminiInputs.ts';
import { resumeOnGemini } from '../gemini/resumeOnGemini.ts';
import type { Charge } from '../gemini/runCost.ts';
import { runOnGemini } from '../gemini/runOnGemini.ts';
import type { GeminiRunOptions } from '../gemini/runOnGemini.ts';
import { formatUsd } from '../cost/price.ts';
import type { Transport } from '../http/transport.ts';
import { Fault, throwIfAborted, toFault } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { Settings } from '../settings.ts';
import type { Backend, Health, JobRequest, JobRun, RunContext } from './backend.ts';

export interface GeminiWorkerOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly userAgent: string;
  /** Origin of the service; the key goes nowhere else. */
  readonly baseUrl: string;
  readonly transport: () => Promise<Transport>;
  readonly apiKey: () => Promise<string | undefined>;
  readonly settings: () => Pick<
    Settings,
    'gemini.enabled' | 'gemini.fallback' | 'gemini.imageModel' | 'gemini.videoModel'
  >;
  readonly models: () => GeminiModels;
  readonly consent: Consent;
  readonly timings?: VideoTimings;
  /** What a job was charged, or may have been, also when it has failed. */
  readonly onCharge: (job: JobRun, charge: Charge) => Promise<void>;
}

export interface GeminiWorker extends Pick<Required<Backend>, 'probe' | 'refusals' | 'run' | 'resume'> {
  /** Undefined when the graph cannot be put to Gemini. */
  quote(job: JobRequest): ReturnType<Backend['quote']> | undefined;
}

/** What the Gemini backend does, as against whether it may. */
export function createGeminiWorker(options: GeminiWorkerOptions): GeminiWorker {
  const { models, settings, log } = options;

  const client = (onUsage?: GeminiClientOptions['onUsage']): GeminiClient =>
    createGeminiClient({
      ...options,
      storageOrigins: [],
      timeouts: geminiTimeouts,
      ...(onUsage === undefined ? {} : { onUsage }),
    });
  const read = (job: JobRequest): WorkflowMapping => mapWorkflow(job.workflow, geminiLimits);

  const runOptions = (request: GeminiRequest, job: JobRun): GeminiRunOptions => ({
    client,
    clock: options.clock,
    log,
    address: options.baseUrl,
    model: models()[request.kind],
    estimate: quoteRequest({ ...request, count: 1 }, models()),
    timings: options.timings ?? awaitVideoDefaults,
    onCharge: (charge) => options.onCharge(job, charge),
  });

  async function allowed(
    job: JobRequest,
    request: GeminiRequest,
    report: LossReport,
    context: RunContext,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { micros, basis } = quoteRequest(request, models());
    const price = `about ${formatUsd(micros)}`;
    if (settings()['gemini.fallback'] !== 'always') {
      context.onProgress({ phase: `Waiting for your word: Gemini costs ${price}` });
      const { kind, count, images } = request;
      const { kept, approximated, lost } = report;
      const model = models()[kind];
      const question = { label: job.label, media: kind, count, model, micros, basis, kept, approximated, lost, images };
      const isAllowed = await options.consent(question, signal);
      throwIfAborted(signal);
      if (!isAllowed) return false;
    }
    context.onProgress({ phase: `Sending to Gemini: ${price}` });
    log.info(`${job.label}: sent to Gemini (${models()[request.kind]}), ${price} (${basis})`);
    return true;
  }

  return {
    probe: (signal) => probeGemini(client(), options, signal),
    async refusals(job, signal) {
      if (job.localOnly) return ["it is marked 'local only' and never leaves this machine"];
      const { request, report } = read(job);
      if (request === undefined) return report.refused;
      const inputs = await readGeminiInputs(request.images, job.inputFolder, signal);
      return inputs.refused;
    },
    quote: (job) => {
      const { request } = read(job);
      return request === undefined ? undefined : quoteRequest(request, models());
    },
    async run(job, context, signal) {
      const mapping = read(job);
      const { request, report } = mapping;
      const inputs: GeminiInputs =
        request === undefined
          ? { images: [], refused: report.refused }
          : await readGeminiInputs(request.images, job.inputFolder, signal);
      if (request === undefined || inputs.refused.length > 0 || job.localOnly) {
        throw new Fault('mismatch', inputs.refused.join('; ') || 'It never leaves this machine', { delivered: 'no' });
      }
      if (!(await allowed(job, request, report, context, signal))) {
        // Not 'cancelled': the person shall read why it came to this question, and no dearer backend is tried instead.
        throw new Fault('rejected', 'It was not sent to Gemini, because you did not agree', { delivered: 'no' });
      }
      const order = { request, report, images: inputs.images, workflow: job.workflow };
      return runOnGemini(runOptions(request, job), order, context, signal);
    },
    async resume(remote, job, context, signal) {
      const { request, report } = read(job);
      if (request === undefined) return { is: 'lost', why: report.refused.join('; ') };
      return resumeOnGemini(runOptions(request, job), remote, { request, report }, job, context, signal);
    },
  };
}

/** Both configured models are looked up: that is free, proves the key, and tells of a model that was shut down. */
async function probeGemini(
  client: GeminiClient,
  { clock, models }: GeminiWorkerOptions,
  signal: AbortSignal,
): Promise<Health> {
  const startedAt = clock.now();
  const gone: Fault[] = [];
  const look = async (id: string): Promise<string | undefined> => {
    try {
      return (await client.model(id, signal)).displayName;
    } catch (error) {
      throwIfAborted(signal);
      if (!(error instanceof Fault) || error.kind !== 'mismatch') throw error;
      gone.push(error);
      return undefined;
    }
  };
  try {
    const { image, video } = models();
    const names = (await Promise.all([look(image), look(video)])).filter((name) => name !== undefined);
    const latencyMs = clock.now() - startedAt;
    const [first] = gone;
    if (first === undefined) return { state: 'healthy', why: `Gemini answers: ${names.join(' and ')}`, latencyMs };
    const missing = [image, video].length === gone.length ? 'Both models are' : 'One model is';
    const why = `${missing} gone: ${first.message}`;
    return names.length > 0
      ? { state: 'degraded', why, latencyMs }
      : { state: 'unhealthy', why, latencyMs, fault: first };
  } catch (error) {
    throwIfAborted(signal);
    const fault = toFault(error);
    return { state: 'unhealthy', why: fault.message, fault };
  }
}
