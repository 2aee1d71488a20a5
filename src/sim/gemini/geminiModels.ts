/**
 * What the simulated Gemini offers: models, their options, sizes and prices. Facts are Google's as of 2026-11-22
 * (Gemini API docs: deprecations, image generation, omni, pricing); figures nobody published are marked.
 */
export interface ImageModel {
  readonly id: string;
  readonly kind: 'image';
  readonly displayName: string;
  readonly ratios: readonly string[];
  readonly sizes: readonly ImageSize[];
  readonly thinkingLevels: readonly string[];
  readonly maxInputImages: number;
  readonly imageTokens: Readonly<Record<ImageSize, number>>;
  readonly price: TokenPrice;
}

export interface VideoModel {
  readonly id: string;
  readonly kind: 'video';
  readonly displayName: string;
  readonly minSeconds: number;
  readonly maxSeconds: number;
  readonly price: TokenPrice;
}

export type ImageSize = '1K' | '2K' | '4K';
export type VideoResolution = '360p' | '720p' | '1080p' | '4k';

/** US dollars per million tokens, which is the same number as micro-dollars per token. */
export interface TokenPrice {
  readonly input: number;
  readonly text: number;
  readonly media: number;
}

const tenRatios = ['1:1', '2:3', '3:2', '3:4', '4:3', '4:5', '5:4', '9:16', '16:9', '21:9'];
const allRatios = [...tenRatios, '1:4', '4:1', '1:8', '8:1'];

export const imageModels: readonly ImageModel[] = [
  {
    id: 'gemini-nano-banana-2.1',
    kind: 'image',
    displayName: 'Nano Banana 2.1',
    ratios: allRatios,
    sizes: ['1K', '2K', '4K'],
    thinkingLevels: ['minimal', 'medium', 'high'],
    maxInputImages: 14,
    imageTokens: { '1K': 1120, '2K': 1680, '4K': 3780 },
    price: { input: 1.5, text: 7.5, media: 30 },
  },
  {
    id: 'gemini-3-pro-image',
    kind: 'image',
    displayName: 'Gemini 3 Pro Image',
    ratios: tenRatios,
    sizes: ['1K', '2K', '4K'],
    thinkingLevels: [],
    maxInputImages: 14,
    imageTokens: { '1K': 1120, '2K': 1120, '4K': 2000 },
    price: { input: 2, text: 12, media: 120 },
  },
  {
    id: 'gemini-3.1-flash-lite-image',
    kind: 'image',
    displayName: 'Gemini 3.1 Flash-Lite Image',
    ratios: tenRatios,
    sizes: ['1K'],
    thinkingLevels: ['minimal', 'high'],
    maxInputImages: 14,
    imageTokens: { '1K': 1120, '2K': 1680, '4K': 3780 },
    price: { input: 1.5, text: 7.5, media: 30 },
  },
];

export const videoModels: readonly VideoModel[] = [
  {
    id: 'gemini-omni-1.1-flash',
    kind: 'video',
    displayName: 'Gemini Omni 1.1 Flash',
    minSeconds: 3,
    maxSeconds: 10,
    price: { input: 1.5, text: 9, media: 17.5 },
  },
  {
    id: 'gemini-omni-1.2-flash',
    kind: 'video',
    displayName: 'Gemini Omni 1.2 Flash',
    minSeconds: 3,
    maxSeconds: 15,
    // The price of 1.2 is not published; this one gives the $0.07 per second at 720p that resellers name.
    price: { input: 1.5, text: 9, media: 12.1 },
  },
];

/** A text model, so that the list is not ours alone and paging has something to page. */
const textModels = ['gemini-3.5-flash', 'gemini-3.5-pro', 'gemini-3.1-flash-lite', 'gemini-embedding-2'];

export function modelRecord(id: string): object | undefined {
  const named = [...imageModels, ...videoModels].find((model) => model.id === id);
  if (named === undefined && !textModels.includes(id)) return undefined;
  return {
    name: `models/${id}`,
    version: '001',
    displayName: named?.displayName ?? id,
    description: `Simulated ${named?.kind ?? 'text'} model.`,
    inputTokenLimit: 65536,
    outputTokenLimit: 65536,
    // Omni advertises generateContent and then refuses it, as the real one does.
    supportedGenerationMethods: id.includes('embedding') ? ['embedContent'] : ['generateContent', 'countTokens'],
    thinking: named?.kind === 'image',
  };
}

export const modelIds: readonly string[] = [
  ...textModels,
  ...imageModels.map((m) => m.id),
  ...videoModels.map((m) => m.id),
];

/** Ids that a key could use once and that now answer 404 (Gemini API docs, deprecations). */
export const retiredModelIds: readonly string[] = [
  'imagen-4.0-generate-001',
  'imagen-4.0-fast-generate-001',
  'imagen-4.0-ultra-generate-001',
  'gemini-2.5-flash-image',
  'gemini-3.1-flash-image-preview',
  'gemini-3-pro-image-preview',
  'gemini-3.1-flash-image',
  'gemini-omni-flash-preview',
  'veo-2.0-generate-001',
  'veo-3.0-generate-001',
  'veo-3.0-fast-generate-001',
  'veo-3.1-generate-preview',
  'veo-3.1-fast-generate-preview',
  'veo-3.1-lite-generate-preview',
  'veo-3.1-generate-001',
  'veo-3.1-fast-generate-001',
];

const oneK: Readonly<Record<string, readonly [number, number]>> = {
  '1:1': [1024, 1024],
  '2:3': [848, 1264],
  '3:2': [1264, 848],
  '3:4': [896, 1200],
  '4:3': [1200, 896],
  '4:5': [928, 1152],
  '5:4': [1152, 928],
  '9:16': [768, 1376],
  '16:9': [1376, 768],
  '21:9': [1584, 672],
  '1:4': [512, 2048],
  '4:1': [2048, 512],
  '1:8': [384, 3072],
  '8:1': [3072, 384],
};

/** Output pixels of a ratio and tier; 2K doubles and 4K quadruples each side. */
export function imagePixels(ratio: string, size: ImageSize): { width: number; height: number } {
  const [width, height] = oneK[ratio] ?? [1024, 1024];
  const times = size === '4K' ? 4 : size === '2K' ? 2 : 1;
  return { width: width * times, height: height * times };
}

/** Video tokens per second: 720p is published, the others follow from the resellers' dollars per second. */
export const videoTokensPerSecond: Readonly<Record<VideoResolution, number>> = {
  '360p': 1714,
  '720p': 5792,
  '1080p': 8571,
  '4k': 17143,
};
