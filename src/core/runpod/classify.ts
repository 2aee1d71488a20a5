import { Fault } from '../kernel/fault.ts';
import type { FaultFacts } from '../kernel/fault.ts';
import { commonFault } from '../http/httpClient.ts';
import type { ErrorReply } from '../http/httpClient.ts';
import { keptText } from '../http/keptText.ts';
import { problemReply } from './wire.ts';

/** Refusals for lack of stock have no code of their own: these are the texts RunPod is known to send with a 400. */
const capacityText = /instances? (is |are )?(currently )?available|not enough free gpus/i;
const keyStep = 'Set the RunPod API key.';

/**
 * What an error reply of RunPod means. Undefined where the common reading of the status is right (429, plain 5xx).
 * No refusal below 500 has taken effect, so each says `delivered: 'no'`.
 */
export function classifyRunpod(reply: ErrorReply, nowMs: number): Fault | undefined {
  const { status } = reply;
  const problem = problemReply.safeParse(reply.json);
  const detail = problem.success ? problem.data.detail : undefined;
  const facts = factsOf(reply);
  if (status === 401)
    return new Fault('unauthorized', say('RunPod does not accept the API key', detail), facts(keyStep));
  if (status === 403 && detail === undefined) {
    // A web guard in front of RunPod refused before the key was looked at: 'error code: 1010' dislikes the client.
    const code = /error code: (\d+)/.exec(reply.text)?.[1];
    const why = code === undefined ? '' : ` (Cloudflare error ${code})`;
    return new Fault(
      'unavailable',
      `RunPod's network guard refused the request${why}; the API key is not at fault`,
      facts(),
    );
  }
  if (status === 403) {
    return new Fault('unauthorized', say('The RunPod API key may not do this', detail), {
      ...facts('Use a key that may write, or another GPU.'),
    });
  }
  if (status === 402) {
    return new Fault('noCredit', say('The RunPod balance is too low', detail), facts('Add credit at RunPod.'));
  }
  if (status === 410) {
    return new Fault('protocol', 'RunPod has retired this part of its API: update PodRelay', facts('Update PodRelay.'));
  }
  if (detail === undefined) return undefined;
  if (status >= 500) {
    const { retryAfterMs } = commonFault(reply, nowMs).facts;
    return new Fault('unavailable', say(`RunPod failed (${status})`, detail), {
      ...facts(),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      delivered: 'maybe',
    });
  }
  if (status === 429 || status === 408) return undefined;
  if (status === 400 && capacityText.test(detail)) return new Fault('noCapacity', `RunPod: ${detail}`, facts());
  if (status === 400 && /\blocked\b/i.test(detail)) {
    return new Fault('rejected', 'The pod is locked', facts('Unlock the pod in the RunPod console.'));
  }
  if (status === 409) return new Fault('rejected', say('The pod is not in a state for this', detail), facts());
  const errors = tellingErrors((problem.success ? problem.data.errors : undefined) ?? []);
  return new Fault('rejected', `RunPod: ${[detail, ...errors].join(' ')}`, facts());
}

/** A missing required field makes RunPod's validator report valid fields as unexpected: then only that one is told. */
export function tellingErrors(errors: readonly string[]): readonly string[] {
  const missing = errors.filter((error) => error.includes('missing propert'));
  return missing.length > 0 ? missing : errors;
}

function say(what: string, detail: string | undefined): string {
  return detail === undefined ? what : `${what}: ${detail}`;
}

function factsOf(reply: ErrorReply): (nextStep?: string) => FaultFacts {
  const requestId = reply.headers['x-request-id'];
  return (nextStep) => ({
    status: reply.status,
    delivered: 'no',
    raw: keptText(reply.text),
    ...(requestId === undefined ? {} : { requestId }),
    ...(nextStep === undefined ? {} : { nextStep }),
  });
}
