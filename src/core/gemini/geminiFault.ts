import type { ErrorReply } from '../http/httpClient.ts';
import { commonFault } from '../http/httpClient.ts';
import { retryAfterMs } from '../http/rateLimit.ts';
import { Fault } from '../kernel/fault.ts';
import type { FaultFacts, FaultKind } from '../kernel/fault.ts';
import { wireError } from './wire.ts';

/** What was asked for: the same status means different things on different routes. */
export type GeminiPurpose = 'model' | 'image' | 'createVideo' | 'pollVideo' | 'file';

interface Envelope {
  readonly message: string;
  /** Codes, status words and reasons, in upper case, each a whole token. */
  readonly tokens: ReadonlySet<string>;
  readonly details: readonly Record<string, unknown>[];
}

/** Words with which Google names a block for safety, in whichever field (Gemini API docs, safety; recorded). */
const safetyTokens = new Set([
  'SAFETY',
  'BLOCKLIST',
  'PROHIBITED_CONTENT',
  'RECITATION',
  'SPII',
  'IMAGE_SAFETY',
  'IMAGE_PROHIBITED_CONTENT',
  'IMAGE_RECITATION',
  'MODEL_ARMOR',
  'JAILBREAK',
  'CONTENT_FILTERED',
  'CONTENT_BLOCKED',
]);

export function isSafetyToken(word: string): boolean {
  return safetyTokens.has(word.toUpperCase());
}

/** What Google's error reply means. Undefined = nothing of Google's in it, the common reading holds. */
export function classifyGeminiError(reply: ErrorReply, purpose: GeminiPurpose, nowMs: number): Fault | undefined {
  const envelope = readEnvelope(reply.json);
  const { status } = reply;
  if (envelope === undefined) {
    if (isPaid(purpose)) return status >= 500 ? outcomeUnknown(reply, nowMs) : undefined;
    return purpose === 'model' ? undefined : foreignRefusal(reply, nowMs);
  }
  const { message, tokens } = envelope;
  const fault = (kind: FaultKind, text: string, more: FaultFacts = {}): Fault =>
    new Fault(kind, text, { status, raw: hideKeys(reply.text.slice(0, 4_000)), delivered: 'no', ...more });
  const said = message === '' ? `HTTP ${status}` : message;

  if (status === 429) return rateFault(reply, envelope, nowMs, fault);
  if (status >= 500 || status === 408) {
    return isPaid(purpose) ? outcomeUnknown(reply, nowMs) : fault('unavailable', said, { delivered: 'maybe' });
  }
  if (status === 401 || [...tokens].some((token) => token.startsWith('API_KEY_') || token === 'UNAUTHENTICATED')) {
    return fault('unauthorized', 'Google does not accept the Gemini API key', { nextStep: setKey });
  }
  if (purpose === 'file' && (status === 404 || status === 410 || (status === 403 && /may not exist/.test(message)))) {
    return fault('jobFailed', 'Google no longer has the file: files are kept for 48 hours');
  }
  if (status === 403) return fault('unauthorized', `The Gemini API key may not do this: ${said}`, { nextStep: setKey });
  if ([...tokens].some(isSafetyToken) || /\bblocked\b.*\b(safety|policy|policies)\b/is.test(message)) {
    return fault('blocked', `Google refused the request: ${said}`);
  }
  if (status === 404 && purpose !== 'pollVideo') {
    return fault('mismatch', `Gemini has no such model any more: ${said}`, { nextStep: 'Choose another Gemini model' });
  }
  if (tokens.has('FAILED_PRECONDITION')) {
    return fault('noCredit', `Gemini needs billing, or is not offered in your country: ${said}`, {
      nextStep: 'Check billing in Google AI Studio',
    });
  }
  if (tokens.has('CANCELLED') || status === 499) return fault('jobFailed', 'Google cancelled the request');
  if (purpose === 'pollVideo') return pollFault(status, message, fault);
  return fault('rejected', said);
}

const setKey = 'Set a Gemini API key';
/** What is left to do when nobody can say whether a paid request was made. */
export const lookAtUsage = 'Look at your usage in Google AI Studio before trying again';

function isPaid(purpose: GeminiPurpose): boolean {
  return purpose === 'image' || purpose === 'createVideo';
}

/** A 5xx on a paid call: nobody can say whether it was made and billed, so it is never sent again. */
function outcomeUnknown(reply: ErrorReply, nowMs: number): Fault {
  const { kind, facts } = commonFault(reply, nowMs);
  return new Fault(
    kind,
    `Google failed (HTTP ${reply.status}); whether the generation was made and billed is not known`,
    {
      ...facts,
      raw: hideKeys(facts.raw ?? ''),
      delivered: 'maybe',
      nextStep: lookAtUsage,
    },
  );
}

/** A proxy on the way, or a front end: whoever refuses without Google's words cannot know of the job or its file. */
function foreignRefusal(reply: ErrorReply, nowMs: number): Fault {
  const fault = commonFault(reply, nowMs);
  const { message, facts } = fault;
  return fault.kind === 'rejected' ? new Fault('unavailable', message, { ...facts, delivered: 'maybe' }) : fault;
}

/**
 * An unknown or expired id answers 400 'Invalid interaction name', not 404. Any other 400 is a passing fault of Google's
 * front end: recorded on polls of running jobs.
 */
function pollFault(
  status: number,
  message: string,
  fault: (kind: FaultKind, text: string, more?: FaultFacts) => Fault,
): Fault {
  if (status === 404 || /^Invalid interaction name/i.test(message)) {
    return fault('jobFailed', 'Google no longer knows this video job');
  }
  return fault('unavailable', `Google refused to say how the job is: ${message}`, { delivered: 'maybe' });
}

function rateFault(
  reply: ErrorReply,
  envelope: Envelope,
  nowMs: number,
  fault: (kind: FaultKind, text: string, more?: FaultFacts) => Fault,
): Fault {
  const { message, details } = envelope;
  const quotas = JSON.stringify(details.map((detail) => detail.violations ?? []));
  if (/\blimit: 0\b/.test(message) || /"quotaValue":"0"/.test(quotas)) {
    const text = 'The Gemini API key has no paid plan: Google makes images and videos for paying projects only';
    return fault('noCredit', text, { nextStep: 'Set up billing in Google AI Studio' });
  }
  if (/spend(ing)?[ -](cap|limit)/i.test(message)) {
    return fault('noCredit', message, { nextStep: 'Raise the spend limit in Google AI Studio' });
  }
  if (/PerDay/.test(quotas)) {
    const text = "The day's Gemini quota is used up; it starts anew at midnight Pacific time";
    return fault('rateLimited', text, { retryAfterMs: untilPacificMidnightMs(nowMs) });
  }
  const waitMs = statedDelayMs(envelope) ?? retryAfterMs(reply.headers, nowMs);
  return fault('rateLimited', 'Too many Gemini requests (429)', waitMs === undefined ? {} : { retryAfterMs: waitMs });
}

/** RetryInfo's delay or, where it is missing, the one in the message; in ms, rounded up. */
function statedDelayMs(envelope: Envelope): number | undefined {
  for (const detail of envelope.details) {
    const match = typeof detail.retryDelay === 'string' ? /^(\d+(?:\.\d+)?)s$/.exec(detail.retryDelay) : null;
    if (match !== null) return Math.ceil(Number(match[1]) * 1_000);
  }
  const match = /retry in (\d+(?:\.\d+)?)s/i.exec(envelope.message);
  return match === null ? undefined : Math.ceil(Number(match[1]) * 1_000);
}

/** Daily limits start anew at midnight Pacific time (Gemini API docs, rate limits). */
export function untilPacificMidnightMs(nowMs: number): number {
  const clock = new Intl.DateTimeFormat('en-GB', {
    timeZone: 'America/Los_Angeles',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  }).format(nowMs);
  const [hours = 0, minutes = 0, seconds = 0] = clock.split(':').map(Number);
  return (86_400 - hours * 3_600 - minutes * 60 - seconds) * 1_000;
}

function readEnvelope(json: unknown): Envelope | undefined {
  const parsed = wireError.safeParse(Array.isArray(json) ? (json as unknown[])[0] : json);
  if (!parsed.success) return undefined;
  const { code, message, status, details = [] } = parsed.data.error;
  const reasons = details.map((detail) => detail.reason).filter((reason) => typeof reason === 'string');
  const words = [typeof code === 'string' ? code : '', status ?? '', ...reasons];
  return {
    message: hideKeys(message ?? ''),
    tokens: new Set(words.filter((word) => word !== '').map((word) => word.toUpperCase())),
    details,
  };
}

/** Google may quote a key in what it says; both kinds of key are cut out. */
export function hideKeys(text: string): string {
  return text.replace(/\b(AIza|AQ\.)[\w.-]{6,}/g, '$1…').replace(/([?&]key=)[^&\s"]+/g, '$1…');
}
