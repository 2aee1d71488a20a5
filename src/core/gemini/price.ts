/** Tokens that a generation was metered at. Thoughts count as text: they cost the same. */
export interface GeminiUsage {
  readonly inputTokens: number;
  readonly textTokens: number;
  /** Of the picture or the clip */
  readonly mediaTokens: number;
}

export type ImageSize = '1K' | '2K' | '4K';
export type VideoResolution = '360p' | '720p' | '1080p' | '4k';

/** How sure a price is: Google's own page, a third party's record of it, or our conclusion. */
export type PriceBasis = 'documented' | 'recorded' | 'inferred';

export interface Priced {
  readonly micros: number;
  /** It is not metered higher, by all that is known: the figure that budgets hold. */
  readonly mostMicros: number;
  readonly basis: PriceBasis;
}

interface Rate {
  readonly micros: number;
  readonly basis: PriceBasis;
}

interface TokenPrices {
  /** US dollars per million tokens: the same number as micro-dollars per token */
  readonly input: number;
  readonly text: number;
  readonly media: number;
  readonly basis: PriceBasis;
}

export interface GeminiPrices {
  /** The day on which the list was read */
  readonly asOf: string;
  readonly images: Readonly<Record<string, TokenPrices & { readonly tokens: Readonly<Record<ImageSize, number>> }>>;
  readonly videos: Readonly<
    Record<string, TokenPrices & { readonly microsPerSecond: Readonly<Record<VideoResolution, Rate>> }>
  >;
}

/** Standard tier (Gemini API docs, pricing; LiteLLM discussion 44983 for nano-banana-2.1). */
export const geminiPrices: GeminiPrices = {
  asOf: '2026-11-22',
  images: {
    'gemini-nano-banana-2.1': {
      input: 1.5,
      text: 7.5,
      media: 30,
      basis: 'recorded',
      tokens: { '1K': 1_120, '2K': 1_680, '4K': 3_780 },
    },
    'gemini-3-pro-image': {
      input: 2,
      text: 12,
      media: 120,
      basis: 'inferred',
      tokens: { '1K': 1_120, '2K': 1_120, '4K': 2_000 },
    },
    'gemini-3.1-flash-lite-image': {
      input: 1.5,
      text: 7.5,
      media: 30,
      basis: 'inferred',
      tokens: { '1K': 1_120, '2K': 1_680, '4K': 3_780 },
    },
  },
  videos: {
    'gemini-omni-1.1-flash': {
      input: 1.5,
      text: 9,
      media: 17.5,
      basis: 'documented',
      microsPerSecond: {
        '360p': { micros: 30_000, basis: 'recorded' },
        // 5,792 tokens a second
        '720p': { micros: 101_360, basis: 'documented' },
        '1080p': { micros: 150_000, basis: 'recorded' },
        '4k': { micros: 300_000, basis: 'recorded' },
      },
    },
    'gemini-omni-1.2-flash': {
      input: 1.5,
      text: 9,
      media: 12.1,
      basis: 'inferred',
      microsPerSecond: {
        '360p': { micros: 23_000, basis: 'inferred' },
        '720p': { micros: 70_000, basis: 'inferred' },
        '1080p': { micros: 105_000, basis: 'inferred' },
        '4k': { micros: 210_000, basis: 'inferred' },
      },
    },
  },
};

/** Recorded at the default thinking level. */
const thoughtTokensPerImage = 900;
/** Thoughts and words of one answer at most: four times what was recorded. No limit below 65,536 is published. */
const mostTextTokens = 4_096;
/** What is recorded or guessed, not documented, may be so much more. */
const unsureShare = 1.25;
/** The upper figure for a picture that is sent along. */
const inputImageTokens = 1_120;
const charactersPerToken = 4;
/** The input limit of these models is in tokens. */
const longestPromptBytes = 65_536;

/** A token has a byte at least; some are added around a prompt. */
function mostPromptTokens(promptBytes: number): number {
  return promptBytes + 64;
}

/** What an image will cost, thinking included. Undefined = the model is not on the list: unknown, not free. */
export function estimateImage(
  order: {
    readonly model: string;
    readonly imageSize: ImageSize;
    readonly inputImages: number;
    readonly promptLength: number;
    /** UTF-8 */
    readonly promptBytes?: number;
  },
  prices: GeminiPrices,
): Priced | undefined {
  const price = prices.images[order.model];
  if (price === undefined) return undefined;
  const usage: GeminiUsage = {
    inputTokens: Math.ceil(order.promptLength / charactersPerToken) + order.inputImages * inputImageTokens,
    textTokens: thoughtTokensPerImage,
    mediaTokens: price.tokens[order.imageSize],
  };
  const most: GeminiUsage = {
    inputTokens: mostPromptTokens(order.promptBytes ?? order.promptLength * 4) + order.inputImages * inputImageTokens,
    textTokens: mostTextTokens,
    mediaTokens: usage.mediaTokens * shareOf(price.basis),
  };
  return { micros: tokensMicros(usage, price), mostMicros: Math.ceil(exactMicros(most, price)), basis: price.basis };
}

function shareOf(basis: PriceBasis): number {
  return basis === 'documented' ? 1 : unsureShare;
}

/** What a clip will cost. Undefined = the model is not on the list. */
export function estimateVideo(
  order: {
    readonly model: string;
    readonly resolution: VideoResolution;
    readonly seconds: number;
    readonly inputImages: number;
    /** UTF-8; absent = as long a prompt as Google takes. */
    readonly promptBytes?: number;
  },
  prices: GeminiPrices,
): Priced | undefined {
  const price = prices.videos[order.model];
  if (price === undefined) return undefined;
  const rate = price.microsPerSecond[order.resolution];
  const inputMicros = order.inputImages * inputImageTokens * price.input;
  const tokens = { inputTokens: mostPromptTokens(order.promptBytes ?? longestPromptBytes), textTokens: mostTextTokens };
  // A clip ends with a whole second at the latest.
  const clipMicros = Math.ceil(order.seconds) * rate.micros * shareOf(rate.basis);
  const most = clipMicros + inputMicros + exactMicros({ ...tokens, mediaTokens: 0 }, price);
  return {
    micros: Math.round(order.seconds * rate.micros + inputMicros),
    mostMicros: Math.ceil(most),
    basis: rate.basis,
  };
}

/** What a generation cost by its metered tokens. Undefined = no usage was told, or the model is not on the list. */
export function actualCost(model: string, usage: GeminiUsage | undefined, prices: GeminiPrices): Rate | undefined {
  const price = prices.images[model] ?? prices.videos[model];
  return price === undefined || usage === undefined
    ? undefined
    : { micros: tokensMicros(usage, price), basis: price.basis };
}

function tokensMicros(usage: GeminiUsage, price: TokenPrices): number {
  return Math.round(exactMicros(usage, price));
}

function exactMicros({ inputTokens, textTokens, mediaTokens }: GeminiUsage, price: TokenPrices): number {
  return inputTokens * price.input + textTokens * price.text + mediaTokens * price.media;
}
