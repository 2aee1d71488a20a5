import type { TokenPrice } from './geminiModels.ts';

/** One generation that Google would charge for. Money is micro-dollars. */
export interface GeminiBillLine {
  /** ms since the epoch, simulated */
  readonly at: number;
  readonly kind: 'image' | 'video';
  readonly model: string;
  readonly inputTokens: number;
  /** Answered words and thoughts */
  readonly textTokens: number;
  readonly mediaTokens: number;
  readonly micros: number;
}

/** `refusals` are generations that made nothing: their input and words are billed all the same. */
export interface GeminiBill {
  readonly lines: readonly GeminiBillLine[];
  readonly generations: number;
  readonly refusals: number;
  readonly totalMicros: number;
}

export function billLine(
  at: number,
  kind: GeminiBillLine['kind'],
  model: { readonly id: string; readonly price: TokenPrice },
  tokens: { readonly input: number; readonly text: number; readonly media: number },
): GeminiBillLine {
  const { price } = model;
  const micros = Math.round(tokens.input * price.input + tokens.text * price.text + tokens.media * price.media);
  return {
    at,
    kind,
    model: model.id,
    inputTokens: tokens.input,
    textTokens: tokens.text,
    mediaTokens: tokens.media,
    micros,
  };
}

export function sumBill(lines: readonly GeminiBillLine[]): GeminiBill {
  const made = lines.filter((line) => line.mediaTokens > 0).length;
  return {
    lines: [...lines],
    generations: made,
    refusals: lines.length - made,
    totalMicros: lines.reduce((sum, line) => sum + line.micros, 0),
  };
}
