import type { ServerResponse } from 'node:http';
import { GeminiRefusal, refuse } from './geminiErrors.ts';
import type { GeminiEffect } from './geminiFaults.ts';

export interface GeminiAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export function jsonAnswer(value: unknown, status = 200): GeminiAnswer {
  return { status, contentType: 'application/json; charset=UTF-8', body: Buffer.from(JSON.stringify(value)) };
}

export function refusalAnswer(error: unknown): GeminiAnswer {
  const refusal = error instanceof GeminiRefusal ? error : refuse(500, 'Internal error encountered.');
  return jsonAnswer(refusal.body, refusal.status);
}

export function scriptedAnswer(effect: Extract<GeminiEffect, { do: 'reply' }>): GeminiAnswer {
  const body =
    effect.base64 !== undefined
      ? Buffer.from(effect.base64, 'base64')
      : Buffer.from(effect.text ?? (effect.body === undefined ? '' : JSON.stringify(effect.body)));
  return {
    status: effect.status,
    contentType: effect.contentType ?? 'application/json; charset=UTF-8',
    ...(effect.headers === undefined ? {} : { headers: effect.headers }),
    body,
  };
}

/** Sends an answer as the effect has it. `after` runs work after so many ms of simulated time. */
export function deliver(
  res: ServerResponse,
  answer: GeminiAnswer,
  effect: GeminiEffect | undefined,
  after: (ms: number, work: () => void) => void,
): void {
  const { body } = answer;
  if (res.destroyed) return;
  if (effect?.do === 'hang') return;
  if (effect?.do === 'cut' && (effect.at === 'beforeHeaders' || effect.at === 'beforeWork')) {
    res.destroy();
    return;
  }
  const sent = effect?.do === 'truncate' ? body.subarray(0, Math.floor(body.length / 2)) : body;
  res.writeHead(answer.status, {
    'content-type': effect?.do === 'contentType' ? effect.value : answer.contentType,
    'content-length': sent.length,
    ...answer.headers,
  });
  if (effect?.do === 'cut') {
    res.flushHeaders();
    if (effect.at === 'halfBody') res.write(body.subarray(0, Math.floor(body.length / 2)));
    // A moment, so that what was written reaches the other side before the reset.
    setImmediate(() => setTimeout(() => res.destroy(), 20));
    return;
  }
  if (effect?.do === 'trickle') {
    trickle(res, sent, effect.pieces, effect.everyMs, after);
    return;
  }
  res.end(sent);
}

function trickle(
  res: ServerResponse,
  body: Buffer,
  pieces: number,
  everyMs: number,
  after: (ms: number, work: () => void) => void,
): void {
  const size = Math.max(1, Math.ceil(body.length / pieces));
  const next = (from: number): void => {
    if (res.destroyed) return;
    if (from >= body.length) {
      res.end();
      return;
    }
    res.write(body.subarray(from, from + size));
    after(everyMs, () => next(from + size));
  };
  next(0);
}
