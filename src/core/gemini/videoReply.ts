import { Fault } from '../kernel/fault.ts';
import type { FaultKind } from '../kernel/fault.ts';
import { isSafetyToken } from './geminiFault.ts';
import { meteredUsage } from './meteredUsage.ts';
import type { GeminiUsage } from './price.ts';
import type { WireInteraction } from './wire.ts';

/** Where the bytes of a clip are. */
export type VideoSource =
  | { readonly in: 'reply'; readonly bytes: Uint8Array; readonly mimeType: string }
  | { readonly in: 'file'; readonly uri: string; readonly mimeType: string };

/** Google tells no percentage: a running job has a status word and nothing else. */
export type VideoState =
  | { readonly is: 'running'; readonly status: string }
  | { readonly is: 'done'; readonly source: VideoSource; readonly usage: GeminiUsage | undefined }
  | { readonly is: 'failed'; readonly fault: Fault; readonly usage: GeminiUsage | undefined };

/** Every word that ends a job without a clip; a word we do not know ends it when it sounds like a failure. */
const failures: ReadonlyMap<string, FaultKind> = new Map<string, FaultKind>([
  ['failed', 'jobFailed'],
  ['cancelled', 'cancelled'],
  ['incomplete', 'jobFailed'],
  ['budget_exceeded', 'noCredit'],
  ['requires_action', 'jobFailed'],
  ['requires_continuation', 'jobFailed'],
]);

/** How a video job is, by its interaction. Pure. */
export function readVideoState(interaction: WireInteraction): VideoState {
  const { status } = interaction;
  const raw = JSON.stringify(interaction).slice(0, 4_000);
  const usage = readVideoUsage(interaction);
  const failed = (kind: FaultKind, message: string): VideoState => ({
    is: 'failed',
    fault: new Fault(kind, message, { delivered: 'yes', raw }),
    usage,
  });
  const failure = failures.get(status) ?? (/fail|error|cancel|expire|reject/i.test(status) ? 'jobFailed' : undefined);
  if (failure !== undefined) {
    const [error] = interaction.errors ?? [];
    const why = error?.message ?? status;
    const codes = [status, String(error?.code ?? '')];
    if (codes.some(isSafetyToken)) return failed('blocked', `Google blocked the video: ${why}`);
    return failed(failure, `Gemini made no video: ${why}`);
  }
  if (status !== 'completed') return { is: 'running', status };

  // Only what the model put out: the input may hold a clip as well. Its step need not be the last one.
  const parts = (interaction.steps ?? []).flatMap((step) => (step.type === 'model_output' ? (step.content ?? []) : []));
  const video = parts.findLast((part) => part.type === 'video' && (part.data ?? part.uri) !== undefined);
  if (video !== undefined) {
    const mimeType = video.mime_type ?? 'video/mp4';
    if (video.data !== undefined) {
      const bytes = new Uint8Array(Buffer.from(video.data, 'base64'));
      return { is: 'done', source: { in: 'reply', bytes, mimeType }, usage };
    }
    if (video.uri !== undefined) return { is: 'done', source: { in: 'file', uri: video.uri, mimeType }, usage };
  }
  const words = parts
    .map((part) => part.text ?? '')
    .join('')
    .trim();
  if ((usage?.mediaTokens ?? 0) === 0 && words !== '') {
    return failed('blocked', `Gemini refused the video: ${words.slice(0, 500)}`);
  }
  // Not 'protocol': it would be no better when asked again, and made elsewhere it would be paid for twice.
  return failed('jobFailed', 'Gemini says that the video is done, but the answer has none that can be read');
}

/** What was metered; undefined when the answer does not say. */
export function readVideoUsage({ usage }: WireInteraction): GeminiUsage | undefined {
  return meteredUsage('video', {
    input: usage?.total_input_tokens,
    output: usage?.total_output_tokens,
    thoughts: usage?.total_thought_tokens,
    total: usage?.total_tokens,
    kinds: (usage?.output_tokens_by_modality ?? []).map(({ modality, tokens }) => ({ modality, tokens })),
  });
}
