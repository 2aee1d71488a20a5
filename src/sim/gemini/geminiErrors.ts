import type { GeminiEffect } from './geminiFaults.ts';

/** An answer that is not the wanted one: thrown by the routes, sent by the server. */
export class GeminiRefusal extends Error {
  readonly status: number;
  readonly body: unknown;
  constructor(status: number, body: unknown) {
    super(`Refused with ${status}`);
    this.status = status;
    this.body = body;
  }
}

const statusWords: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  410: 'NOT_FOUND',
  413: 'INVALID_ARGUMENT',
  429: 'RESOURCE_EXHAUSTED',
  499: 'CANCELLED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};

/** The envelope of models and files: a numeric code and a status word. */
export function classic(status: number, message: string, details?: readonly object[], word?: string): object {
  return {
    error: {
      code: status,
      message,
      status: word ?? statusWords[status] ?? 'UNKNOWN',
      ...(details === undefined ? {} : { details }),
    },
  };
}

/** The envelope of interactions: a code in words, no status. */
export function worded(code: string, message: string): object {
  return { error: { code, message } };
}

export function refuse(status: number, message: string, details?: readonly object[]): GeminiRefusal {
  return new GeminiRefusal(status, classic(status, message, details));
}

export function invalidRequest(message: string): GeminiRefusal {
  return new GeminiRefusal(400, worded('invalid_request', message));
}

export const multipleCredentials = 'Multiple authentication credentials received. Please pass only one.';

/** The answers of S33, S34, S39 and 8.1, ready for a script. */
export const geminiReplies = {
  /** A per-minute limit. The delay may stand in three places, or in none. */
  rateLimit(delaySeconds: number, where: 'details' | 'message' | 'header' | 'nowhere'): GeminiEffect {
    const message =
      'You exceeded your current quota, please check your plan and billing details.' +
      (where === 'message' ? ` Please retry in ${delaySeconds}s.` : '');
    const details = [
      {
        '@type': 'type.googleapis.com/google.rpc.QuotaFailure',
        violations: [
          {
            quotaMetric: 'generativelanguage.googleapis.com/generate_requests_per_model',
            quotaId: 'GenerateRequestsPerMinutePerProjectPerModel',
            quotaDimensions: { location: 'global', model: 'gemini-nano-banana-2.1' },
            quotaValue: '10',
          },
        ],
      },
      ...(where === 'details'
        ? [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: `${delaySeconds}s` }]
        : []),
    ];
    return {
      do: 'reply',
      status: 429,
      body: classic(429, message, details),
      ...(where === 'header' ? { headers: { 'retry-after': String(delaySeconds) } } : {}),
    };
  },
  /** A limit that no wait of ours will lift. */
  quota(kind: 'perDay' | 'limitZero' | 'spendCap'): GeminiEffect {
    const quotaId =
      kind === 'perDay'
        ? 'GenerateRequestsPerDayPerProjectPerModel'
        : 'GenerateRequestsPerMinutePerProjectPerModel-FreeTier';
    const details = [
      {
        '@type': 'type.googleapis.com/google.rpc.QuotaFailure',
        violations: [{ quotaMetric: 'generate_requests', quotaId, quotaValue: kind === 'perDay' ? '100' : '0' }],
      },
      { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '2s' },
    ];
    const message = {
      perDay: 'You exceeded your current quota, please check your plan and billing details.',
      limitZero:
        'You exceeded your current quota. * Quota exceeded for metric: generate_content_free_tier_requests, limit: 0',
      spendCap: 'Your project has exceeded its monthly spending cap. Raise the spend limit to continue.',
    }[kind];
    return { do: 'reply', status: 429, body: classic(429, message, kind === 'spendCap' ? undefined : details) };
  },
  error(status: number, message: string, envelope: 'object' | 'array' = 'object'): GeminiEffect {
    const body = classic(status, message);
    return { do: 'reply', status, body: envelope === 'array' ? [body] : body };
  },
  html(status: number): GeminiEffect {
    const text = `<!DOCTYPE html><html><title>Error ${status}</title><p>The server encountered a temporary error.</html>`;
    return { do: 'reply', status, text, contentType: 'text/html; charset=UTF-8' };
  },
  notUtf8(status: number): GeminiEffect {
    return { do: 'reply', status, base64: Buffer.from([0x7b, 0xff, 0xfe, 0x80, 0x7d]).toString('base64') };
  },
};
