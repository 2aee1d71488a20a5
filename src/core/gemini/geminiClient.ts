import * as z from 'zod/mini';
import { createHttpClient } from '../http/httpClient.ts';
import type { Call } from '../http/httpClient.ts';
import type { Transport } from '../http/transport.ts';
import { Fault } from '../kernel/fault.ts';
import type { FaultFacts } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { downloadFile } from './downloadFile.ts';
import type { Download } from './downloadFile.ts';
import { classifyGeminiError, lookAtUsage } from './geminiFault.ts';
import type { GeminiPurpose } from './geminiFault.ts';
import { readImageReply, readImageUsage } from './imageReply.ts';
import type { GeneratedImage } from './imageReply.ts';
import type { GeminiUsage, ImageSize, VideoResolution } from './price.ts';
import { readVideoState } from './videoReply.ts';
import type { VideoState } from './videoReply.ts';
import { wireFile, wireImageReply, wireInteraction, wireModel } from './wire.ts';
import type { WireImageReply, WireInteraction } from './wire.ts';

export const geminiOrigin = 'https://generativelanguage.googleapis.com';

export interface InputImage {
  readonly bytes: Uint8Array;
  readonly mimeType: string;
}

export interface GeminiImageOrder {
  readonly model: string;
  readonly prompt: string;
  /** Undefined = as the input image is */
  readonly aspectRatio: string | undefined;
  readonly imageSize: ImageSize;
  /** 32-bit signed. The API takes it and promises nothing. */
  readonly seed: number | undefined;
  /** Up to 14 */
  readonly images: readonly InputImage[];
}

export interface GeminiVideoOrder {
  readonly model: string;
  readonly prompt: string;
  readonly aspectRatio: '16:9' | '9:16';
  readonly resolution: VideoResolution;
  /** 3 to 10; a tenth of a second is the finest step that we send */
  readonly seconds: number;
  readonly task: 'text_to_video' | 'image_to_video' | 'reference_to_video';
  /** For image_to_video the first frame and perhaps the last; for reference_to_video up to 6 */
  readonly images: readonly InputImage[];
}

export interface GeminiFile {
  readonly state: 'processing' | 'active' | 'failed';
  readonly mimeType: string | undefined;
  readonly sizeBytes: number | undefined;
}

/**
 * Google's Gemini API over REST. Every failure is a Fault. A paid call (`generateImage`, `createVideo`) is sent a second
 * time only after an answer that proves that the first had no effect: a refused connection or a 429.
 */
export interface GeminiClient {
  /** Free. Proves key, network and that the model still exists; not billing. 'mismatch' = no such model any more. */
  model(id: string, signal: AbortSignal): Promise<{ readonly displayName: string }>;
  /** Paid; aborting does not stop the bill. 'blocked' = refused for safety. */
  generateImage(order: GeminiImageOrder, signal: AbortSignal): Promise<GeneratedImage>;
  /** Paid. Record the id before anything else: with it the clip can be had for 55 days. */
  createVideo(
    order: GeminiVideoOrder,
    signal: AbortSignal,
  ): Promise<{ readonly id: string; readonly state: VideoState }>;
  /** 'jobFailed' = the id is unknown or has expired; 'unavailable' also for a passing 400, which says nothing. */
  video(id: string, signal: AbortSignal): Promise<VideoState>;
  /** Best effort, and never throws: whether Google took the cancellation. The bill may stand. */
  cancelVideo(id: string, signal: AbortSignal): Promise<boolean>;
  /** Removes the stored interaction. One that is gone already is no error. */
  deleteVideo(id: string, signal: AbortSignal): Promise<void>;
  file(id: string, signal: AbortSignal): Promise<GeminiFile>;
  download(uri: string, maxBytes: number, signal: AbortSignal): Promise<Download>;
}

export interface GeminiClientOptions {
  /** Origin of the service; the key goes nowhere else. */
  readonly baseUrl: string;
  /** Further origins that downloads may be redirected to, without the key. None with the real service. */
  readonly storageOrigins: readonly string[];
  readonly transport: () => Promise<Transport>;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly userAgent: string;
  readonly apiKey: () => Promise<string | undefined>;
  readonly timeouts: GeminiTimeouts;
  /** Told of every metered answer, refusals included: they are billed as well. */
  readonly onUsage?: (model: string, usage: GeminiUsage) => void;
}

/** Whole calls, reply included; a download's `readMs` is its longest silence. */
export interface GeminiTimeouts {
  readonly imageMs: number;
  readonly createVideoMs: number;
  readonly readMs: number;
}

/** A 4K picture with much thinking takes minutes; the other calls answer at once (our choice, none is published). */
export const geminiTimeouts: GeminiTimeouts = { imageMs: 180_000, createVideoMs: 60_000, readMs: 30_000 };

/** Times a call is sent again, where the rules allow that at all. */
const retries = 2;

export function createGeminiClient(options: GeminiClientOptions): GeminiClient {
  const origin = new URL(options.baseUrl).origin;
  const { clock, transport, random, userAgent, timeouts } = options;

  const credentials = async (): Promise<Record<string, string>> => {
    const key = await options.apiKey();
    if (key === undefined || key.trim() === '') {
      const nextStep = 'Set a Gemini API key';
      throw new Fault('unauthorized', 'No Gemini API key is set', { delivered: 'no', nextStep });
    }
    return { 'x-goog-api-key': key.trim() };
  };

  /** v1beta is pinned: v1 has refused the image fields (js-genai issue 1322). */
  function send<T>(purpose: GeminiPurpose, call: Call<T>, signal: AbortSignal): Promise<T> {
    const http = createHttpClient({
      baseUrl: `${options.baseUrl.replace(/\/+$/, '')}/v1beta`,
      transport,
      clock,
      log: options.log,
      random,
      userAgent,
      credentials,
      classify: (reply) => classifyGeminiError(reply, purpose, clock.now()),
      retries,
      timeoutMs: timeouts.readMs,
    });
    return http.send(call, signal);
  }

  /** Sends what is paid for and reads the answer. One that cannot be read may hold what was paid for. */
  async function pay<T, R>(
    purpose: GeminiPurpose,
    call: Pick<Call<T>, 'path' | 'body' | 'reply' | 'timeoutMs'>,
    read: (reply: T) => R,
    signal: AbortSignal,
  ): Promise<R> {
    try {
      return read(await send(purpose, { ...call, method: 'POST', repeatable: false }, signal));
    } catch (error) {
      if (!(error instanceof Fault) || error.kind !== 'protocol' || error.facts.delivered === 'no') throw error;
      const facts: FaultFacts = { ...error.facts, delivered: 'maybe', nextStep: lookAtUsage };
      throw new Fault('protocol', error.message, facts, { cause: error });
    }
  }

  const interaction = (id: string): string => `interactions/${encodeURIComponent(id)}`;

  return {
    async model(id, signal) {
      const path = `models/${encodeURIComponent(id)}`;
      const model = await send('model', { method: 'GET', path, reply: wireModel, repeatable: true }, signal);
      return { displayName: model.displayName ?? id };
    },
    async generateImage(order, signal) {
      const path = `models/${encodeURIComponent(order.model)}:generateContent`;
      const call = { path, body: imageBody(order), reply: wireImageReply, timeoutMs: timeouts.imageMs };
      const read = (reply: WireImageReply): GeneratedImage => {
        const usage = readImageUsage(reply);
        if (usage !== undefined) options.onUsage?.(order.model, usage);
        return readImageReply(reply);
      };
      return pay('image', call, read, signal);
    },
    async createVideo(order, signal) {
      const call = { path: 'interactions', body: videoBody(order), timeoutMs: timeouts.createVideoMs };
      const read = (reply: WireInteraction): { readonly id: string; readonly state: VideoState } => ({
        id: reply.id,
        state: readVideoState(reply),
      });
      return pay('createVideo', { ...call, reply: wireInteraction }, read, signal);
    },
    async video(id, signal) {
      const call = { method: 'GET', path: interaction(id), reply: wireInteraction, repeatable: true } as const;
      return readVideoState(await send('pollVideo', call, signal));
    },
    async cancelVideo(id, signal) {
      try {
        const path = `${interaction(id)}/cancel`;
        await send('pollVideo', { method: 'POST', path, reply: z.unknown(), repeatable: false }, signal);
        return true;
      } catch (error) {
        options.log.info(`Gemini did not cancel ${id}`, {
          why: error instanceof Error ? error.message : String(error),
        });
        return false;
      }
    },
    async deleteVideo(id, signal) {
      try {
        const call = { method: 'DELETE', path: interaction(id), reply: z.unknown(), repeatable: true } as const;
        await send('pollVideo', call, signal);
      } catch (error) {
        if (!(error instanceof Fault && error.kind === 'jobFailed')) throw error;
      }
    },
    async file(id, signal) {
      const call = {
        method: 'GET',
        path: `files/${encodeURIComponent(id)}`,
        reply: wireFile,
        repeatable: true,
      } as const;
      const { state, mimeType, sizeBytes } = await send('file', call, signal);
      const known = { ACTIVE: 'active', FAILED: 'failed' } as const;
      return {
        state: known[state as keyof typeof known] ?? 'processing',
        mimeType,
        sizeBytes: sizeBytes === undefined ? undefined : Number(sizeBytes),
      };
    },
    download: (uri, maxBytes, signal) =>
      downloadFile(
        {
          origin,
          storageOrigins: options.storageOrigins,
          credentials,
          transport,
          clock,
          random,
          userAgent,
          headersTimeoutMs: timeouts.readMs,
          bodyTimeoutMs: timeouts.readMs,
          retries,
        },
        uri,
        maxBytes,
        signal,
      ),
  };
}

function imageBody(order: GeminiImageOrder): object {
  return {
    contents: [
      {
        role: 'user',
        parts: [
          { text: order.prompt },
          ...order.images.map(({ bytes, mimeType }) => ({ inlineData: { mimeType, data: base64(bytes) } })),
        ],
      },
    ],
    generationConfig: {
      responseModalities: ['IMAGE'],
      ...(order.seed === undefined ? {} : { seed: order.seed }),
      imageConfig: {
        ...(order.aspectRatio === undefined ? {} : { aspectRatio: order.aspectRatio }),
        imageSize: order.imageSize,
      },
    },
  };
}

/** In the background: the id survives a lost connection, a synchronous result would not. */
function videoBody(order: GeminiVideoOrder): object {
  return {
    model: order.model,
    input: [
      ...order.images.map(({ bytes, mimeType }) => ({ type: 'image', data: base64(bytes), mime_type: mimeType })),
      { type: 'text', text: order.prompt },
    ],
    background: true,
    response_format: {
      type: 'video',
      delivery: 'uri',
      aspect_ratio: order.aspectRatio,
      resolution: order.resolution,
      duration: `${Math.round(order.seconds * 10) / 10}s`,
    },
    generation_config: { video_config: { task: order.task } },
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
