import { Fault } from '../kernel/fault.ts';
import { isSafetyToken } from './geminiFault.ts';
import { meteredUsage } from './meteredUsage.ts';
import { sniffImage } from './sniffImage.ts';
import type { GeminiUsage } from './price.ts';
import type { WireImageReply } from './wire.ts';

export interface GeneratedImage {
  readonly bytes: Uint8Array;
  /** By the bytes, not by what the reply says. */
  readonly mimeType: string;
  /** Pixels, measured; undefined where the format does not tell easily */
  readonly size: { readonly width: number; readonly height: number } | undefined;
  readonly usage: GeminiUsage | undefined;
  /** Words that came with the picture */
  readonly text: string;
}

/** The picture of an answer: the last one that is no draft. Throws 'blocked', 'jobFailed' or 'protocol'. */
export function readImageReply(reply: WireImageReply): GeneratedImage {
  const raw = (): string => JSON.stringify(reply).slice(0, 4_000);
  const blocked = reply.promptFeedback?.blockReason;
  if (blocked !== undefined) {
    const why = reply.promptFeedback?.blockReasonMessage ?? blocked;
    throw new Fault('blocked', `Google blocked the prompt: ${why}`, { delivered: 'yes', raw: raw() });
  }
  const [candidate] = reply.candidates ?? [];
  if (candidate === undefined) {
    throw new Fault('protocol', 'Gemini answered without a candidate', { delivered: 'yes', raw: raw() });
  }
  const parts = (candidate.content?.parts ?? []).filter((part) => part.thought !== true);
  const text = parts.map((part) => part.text ?? '').join('');
  const picture = parts.findLast((part) => part.inlineData !== undefined)?.inlineData;
  const reason = candidate.finishReason ?? 'STOP';
  if (isSafetyToken(reason)) {
    const why = candidate.finishMessage ?? reason;
    throw new Fault('blocked', `Google blocked the picture: ${why}`, { delivered: 'yes', raw: raw() });
  }
  if (picture === undefined) throw noPicture(reason, candidate.finishMessage, text, raw());
  const bytes = new Uint8Array(Buffer.from(picture.data, 'base64'));
  const kind = sniffImage(bytes);
  if (kind === undefined) {
    const head = picture.data.slice(0, 200);
    throw new Fault('protocol', `The ${picture.mimeType} in the answer is no image`, { delivered: 'yes', raw: head });
  }
  return { bytes, mimeType: kind.mimeType, size: kind.size, usage: readImageUsage(reply), text };
}

function noPicture(reason: string, message: string | undefined, text: string, raw: string): Fault {
  if (reason === 'STOP' && text !== '') {
    return new Fault('blocked', `Gemini answered with words instead of a picture: ${text.slice(0, 500)}`, {
      delivered: 'yes',
      raw,
    });
  }
  return new Fault('jobFailed', `Gemini made no picture: ${message ?? reason}`, { delivered: 'yes', raw });
}

/** What was metered; undefined when the answer does not say. */
export function readImageUsage({ usageMetadata: usage }: WireImageReply): GeminiUsage | undefined {
  return meteredUsage('image', {
    input: usage?.promptTokenCount,
    output: usage?.candidatesTokenCount,
    thoughts: usage?.thoughtsTokenCount,
    total: usage?.totalTokenCount,
    kinds: (usage?.candidatesTokensDetails ?? []).map(({ modality, tokenCount: tokens }) => ({ modality, tokens })),
  });
}
