import { isPassing, throwIfAborted, toFault } from '../kernel/fault.ts';
import type { OutputFile } from './comfyClient.ts';
import { followPrompt } from './runPrompt.ts';
import type { RunPromptOptions } from './runPrompt.ts';
import type { HistoryEntry } from './wire.ts';

export type ResumedPrompt =
  | {
      readonly is: 'files';
      readonly files: readonly OutputFile[];
      /** How long it ran by the server's own clock. */
      readonly ranMs: number | undefined;
    }
  /** 'neverSent': the server knows what was sent to it before, and not this. */
  | { readonly is: 'lost'; readonly why: string; readonly end: 'neverSent' | 'unknown' }
  | { readonly is: 'later'; readonly why: string };

/** A prompt that was on its way when its window ended may still arrive. */
const secondLookMs = 500;

/**
 * What became of a prompt that was sent before (comfyui.md 2.7): its files when it is done, followed to its end while it
 * waits or runs. A server that answers and does not know it has lost it; one that does not answer may still have it.
 * @throws Fault when the prompt failed or was cancelled
 */
export async function resumePrompt(
  options: RunPromptOptions & { readonly sentBefore?: readonly string[] },
  signal: AbortSignal,
): Promise<ResumedPrompt> {
  const { client, promptId, clock, sentBefore = [] } = options;
  const isKnown = async (): Promise<boolean> => (await client.find(promptId, signal)).at !== 'unknown';
  try {
    if (!(await isKnown())) {
      await clock.sleep(secondLookMs, signal);
      if (!(await isKnown())) return await forgottenOr(client, sentBefore, signal);
    }
    const files = await followPrompt(options, signal);
    const entry = await client.history(promptId, signal).catch(() => undefined);
    return { is: 'files', files, ranMs: entry === undefined ? undefined : ranMs(entry) };
  } catch (error) {
    throwIfAborted(signal);
    const fault = toFault(error);
    if (!isPassing(fault)) throw fault;
    const known = await isKnown().catch(() => undefined);
    throwIfAborted(signal);
    return known === false ? forgotten : { is: 'later', why: fault.message };
  }
}

/** A server that was not restarted since still has the history of that time. */
async function forgottenOr(
  client: RunPromptOptions['client'],
  sentBefore: readonly string[],
  signal: AbortSignal,
): Promise<ResumedPrompt> {
  for (const earlier of sentBefore) {
    if ((await client.history(earlier, signal)) === undefined) continue;
    return { is: 'lost', why: 'It had not been sent to the server yet', end: 'neverSent' };
  }
  return forgotten;
}

const forgotten = {
  is: 'lost',
  end: 'unknown',
  why: 'The server no longer knows the job: it was restarted, or its queue or history was cleared',
} as const;

/** From the start of the run to its end; undefined when the server tells no times. */
export function ranMs({ status }: HistoryEntry): number | undefined {
  const at = (type: string): unknown => status?.messages?.find(([name]) => name === type)?.[1].timestamp;
  const from = at('execution_start');
  const to = at('execution_success');
  return typeof from === 'number' && typeof to === 'number' && to >= from ? to - from : undefined;
}
