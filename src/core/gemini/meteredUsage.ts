import type { GeminiUsage } from './price.ts';

/** What Google tells of the tokens of one answer; a figure that is missing is not known. */
export interface ToldUsage {
  readonly input: number | undefined;
  readonly output: number | undefined;
  readonly thoughts: number | undefined;
  readonly total: number | undefined;
  /** Of the output. */
  readonly kinds: readonly { readonly modality: string; readonly tokens: number | undefined }[];
}

/** What an answer was metered at; undefined when the tokens of its picture or clip, the dear ones, are not told. */
export function meteredUsage(medium: 'image' | 'video', told: ToldUsage): GeminiUsage | undefined {
  const { input, thoughts = 0, total, kinds } = told;
  const output = told.output ?? (input === undefined || total === undefined ? undefined : total - input - thoughts);
  const media = mediaTokens(medium, kinds, output);
  if (media === undefined) return undefined;
  return { inputTokens: input ?? 0, textTokens: Math.max(0, (output ?? media) - media) + thoughts, mediaTokens: media };
}

/** Without a figure of their own they are all of the output that is not named as something else: the dearer reading. */
function mediaTokens(medium: string, kinds: ToldUsage['kinds'], output: number | undefined): number | undefined {
  const isOwn = ({ modality }: ToldUsage['kinds'][number]): boolean => modality.toLowerCase() === medium;
  const sum = (some: ToldUsage['kinds']): number => some.reduce((all, { tokens }) => all + (tokens ?? 0), 0);
  const own = kinds.filter(isOwn);
  if (own.length > 0 && own.every(({ tokens }) => tokens !== undefined)) return sum(own);
  return output === undefined ? undefined : Math.max(0, output - sum(kinds.filter((kind) => !isOwn(kind))));
}
