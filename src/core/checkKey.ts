import { createGeminiClient, geminiTimeouts } from './gemini/geminiClient.ts';
import type { GeminiClientOptions } from './gemini/geminiClient.ts';
import type { Fault } from './kernel/fault.ts';
import { throwIfAborted, toFault } from './kernel/fault.ts';
import type { SecretId } from './kernel/ports.ts';
import { createRunpodClient } from './runpod/runpodClient.ts';
import { isNotFound } from './runpod/isNotFound.ts';

export type KeyVerdict =
  | { readonly is: 'good' }
  /** It reads and does not write: pods can be watched, and neither started nor stopped. */
  | { readonly is: 'readOnly'; readonly why: Fault }
  | { readonly is: 'refused'; readonly why: Fault }
  /** The service could not be asked. */
  | { readonly is: 'unknown'; readonly why: Fault };

export interface KeyCheckOptions extends Pick<
  GeminiClientOptions,
  'transport' | 'clock' | 'log' | 'random' | 'userAgent'
> {
  readonly runpodApiUrl: string;
  readonly geminiUrl: string;
  readonly geminiModel: string;
}

const timeoutMs = 15_000;
/** Longer than the ids that RunPod makes, so that no pod has it. */
const noSuchPod = 'podrelay0key0check';

/** Tries a key that is not stored yet. It costs nothing and changes nothing. */
export async function checkKey(
  options: KeyCheckOptions,
  id: SecretId,
  key: string,
  signal: AbortSignal,
): Promise<KeyVerdict> {
  const apiKey = (): Promise<string> => Promise.resolve(key);
  try {
    return id === 'runpodApiKey'
      ? await checkRunpod(options, apiKey, signal)
      : await checkGemini(options, apiKey, signal);
  } catch (error) {
    throwIfAborted(signal);
    const why = toFault(error);
    return { is: why.kind === 'unauthorized' ? 'refused' : 'unknown', why };
  }
}

/** RunPod has no call that tells what a key may do, so a stop is tried on a pod that does not exist. */
async function checkRunpod(
  options: KeyCheckOptions,
  apiKey: () => Promise<string>,
  signal: AbortSignal,
): Promise<KeyVerdict> {
  const client = createRunpodClient({ ...options, baseUrl: options.runpodApiUrl, apiKey, retries: 1, timeoutMs });
  await client.listPods(signal);
  try {
    await client.podAction(noSuchPod, 'stop', signal);
  } catch (error) {
    throwIfAborted(signal);
    const why = toFault(error);
    if (why.kind === 'unauthorized') return { is: 'readOnly', why };
    if (!isNotFound(why)) options.log.debug(`Whether the RunPod key may write is not known: ${why.message}`);
  }
  return { is: 'good' };
}

async function checkGemini(
  options: KeyCheckOptions,
  apiKey: () => Promise<string>,
  signal: AbortSignal,
): Promise<KeyVerdict> {
  const timeouts = { ...geminiTimeouts, readMs: timeoutMs };
  const client = createGeminiClient({ ...options, baseUrl: options.geminiUrl, storageOrigins: [], apiKey, timeouts });
  try {
    await client.model(options.geminiModel, signal);
  } catch (error) {
    // A model that is gone was looked for with a key that is taken.
    if (toFault(error).kind !== 'mismatch') throw error;
  }
  return { is: 'good' };
}
