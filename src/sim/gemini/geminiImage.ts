import { hasPngSignature, decode } from 'fast-png';
import { classic, GeminiRefusal, refuse } from './geminiErrors.ts';
import { flatJpeg } from './flatJpeg.ts';
import type { GeminiFaults } from './geminiFaults.ts';
import { imageModels, imagePixels, modelRecord, videoModels } from './geminiModels.ts';
import type { ImageModel, ImageSize } from './geminiModels.ts';
import { layOver } from './layOver.ts';
import { encodePng, hashText, paintLandscape } from './paintPng.ts';
import { stamp } from './stamp.ts';

export interface ImageOrder {
  readonly model: ImageModel;
  readonly prompt: string;
  readonly inputImages: readonly Uint8Array[];
  readonly ratio: string;
  readonly size: ImageSize;
  readonly seed: number | undefined;
  readonly thoughtTokens: number;
}

type Json = Record<string, unknown>;

/** Reads a generateContent body as strictly as the real one does; throws a refusal. */
export function readImageOrder(modelId: string, version: string, body: unknown, faults: GeminiFaults): ImageOrder {
  if (videoModels.some((model) => model.id === modelId)) {
    const { omniRefusalStatus: status } = faults;
    throw refuse(status, 'This model only supports Interactions API.');
  }
  const model = imageModels.find((candidate) => candidate.id === modelId);
  if (model === undefined) {
    if (modelRecord(modelId) !== undefined) throw refuse(400, 'The simulator has no text generation.');
    throw modelNotFound(modelId, version);
  }
  const root = record(body, 'The request body must be a JSON object.');
  rejectUnknown(root, ['contents', 'generationConfig', 'safetySettings', 'systemInstruction'], '');
  const config = record(root.generationConfig ?? {}, 'generation_config must be an object.');
  if (version === 'v1' && faults.v1Strict) {
    for (const name of ['responseModalities', 'imageConfig']) {
      if (name in config) throw unknownName(name, 'generation_config');
    }
  }
  const knownConfig = [
    'responseModalities',
    'seed',
    'imageConfig',
    'thinkingConfig',
    'candidateCount',
    'maxOutputTokens',
  ];
  rejectUnknown(config, knownConfig, 'generation_config');
  if ((config.candidateCount ?? 1) !== 1) throw refuse(400, 'Multiple candidates is not enabled for this model');
  const { prompt, inputImages } = readContents(root.contents);
  if (prompt === '' && inputImages.length === 0) throw refuse(400, 'contents are required');
  if (inputImages.length > model.maxInputImages) {
    throw refuse(400, `Too many images: ${inputImages.length}, the maximum is ${model.maxInputImages}.`);
  }
  return {
    model,
    prompt,
    inputImages,
    ...readImageConfig(model, config, inputImages[0]),
    thoughtTokens: readThinking(model, config),
  };
}

function readImageConfig(
  model: ImageModel,
  config: Json,
  inputImage: Uint8Array | undefined,
): Pick<ImageOrder, 'ratio' | 'size' | 'seed'> {
  const image = record(config.imageConfig ?? {}, 'image_config must be an object.');
  rejectUnknown(image, ['aspectRatio', 'imageSize'], 'generation_config.image_config');
  const ratio = image.aspectRatio ?? ratioOf(inputImage, model.ratios);
  if (typeof ratio !== 'string' || !model.ratios.includes(ratio)) {
    throw refuse(400, `Invalid aspect ratio ${JSON.stringify(ratio)}. Supported: ${model.ratios.join(', ')}.`);
  }
  const size = model.sizes.find((known) => known === (image.imageSize ?? '1K'));
  if (size === undefined) throw refuse(400, `Invalid image size ${JSON.stringify(image.imageSize)}.`);
  const { seed } = config;
  if (seed !== undefined && (typeof seed !== 'number' || !Number.isInteger(seed) || seed !== (seed | 0))) {
    throw refuse(400, `Invalid value at 'generation_config.seed' (TYPE_INT32), ${JSON.stringify(seed)}`);
  }
  return { ratio, size, seed };
}

/** Without a ratio the input image decides (SDK documentation of aspectRatio); only PNGs are measured here. */
function ratioOf(image: Uint8Array | undefined, ratios: readonly string[]): string {
  if (image === undefined || !hasPngSignature(image)) return '1:1';
  const { width, height } = decode(image);
  const distance = (ratio: string): number => {
    const { width: w, height: h } = imagePixels(ratio, '1K');
    return Math.abs(Math.log((width * h) / (height * w)));
  };
  return [...ratios].sort((a, b) => distance(a) - distance(b))[0] ?? '1:1';
}

/** 900 is recorded for the default level; the other two are our guess. */
function readThinking(model: ImageModel, config: Json): number {
  if (config.thinkingConfig === undefined) return model.thinkingLevels.length === 0 ? 0 : 900;
  const { thinkingLevel: level } = record(config.thinkingConfig, 'thinking_config must be an object.');
  if (typeof level !== 'string' || !model.thinkingLevels.includes(level)) {
    throw refuse(400, `Thinking level ${JSON.stringify(level)} is not supported for this model.`);
  }
  return level === 'minimal' ? 120 : level === 'high' ? 1_800 : 900;
}

function readContents(contents: unknown): { prompt: string; inputImages: Uint8Array[] } {
  const texts: string[] = [];
  const inputImages: Uint8Array[] = [];
  if (!Array.isArray(contents)) throw refuse(400, 'contents are required');
  for (const content of contents as unknown[]) {
    const { parts } = record(content, 'content must be an object.');
    if (!Array.isArray(parts)) throw refuse(400, 'content.parts are required');
    for (const part of parts as unknown[]) {
      const { text, inlineData } = record(part, 'part must be an object.');
      if (typeof text === 'string') texts.push(text);
      else if (inlineData !== undefined) inputImages.push(readInputImage(record(inlineData, 'inline_data').data));
      else throw refuse(400, "Part must have exactly one of 'text', 'inline_data'.");
    }
  }
  return { prompt: texts.join('\n'), inputImages };
}

function readInputImage(data: unknown): Uint8Array {
  const bytes = typeof data === 'string' ? Buffer.from(data, 'base64') : Buffer.alloc(0);
  if (!imageDecodes(bytes)) throw refuse(400, 'Unable to process input image. Please retry or report.');
  return bytes;
}

/** Whether bytes are an image: PNGs are decoded, others are known by their first bytes. */
export function imageDecodes(bytes: Uint8Array): boolean {
  const head = Buffer.from(bytes.subarray(0, 12)).toString('latin1');
  if (head.startsWith('\xff\xd8\xff') || (head.startsWith('RIFF') && head.endsWith('WEBP'))) return true;
  if (!hasPngSignature(bytes)) return false;
  try {
    decode(bytes, { checkCrc: true });
    return true;
  } catch {
    return false;
  }
}

export interface Picture {
  readonly bytes: Buffer;
  readonly mimeType: string;
}

/** `salt` is different for every call, unless the faults ask for repeatable pictures. */
export async function paintPicture(order: ImageOrder, faults: GeminiFaults, salt: string): Promise<Picture> {
  const { width, height } = imagePixels(order.ratio, order.size);
  const { format, paddingBytes, repeatable } = faults.image;
  if (format === 'image/jpeg') return { bytes: flatJpeg(width, height), mimeType: format };
  const base = `${order.model.id}|${order.prompt}|${order.ratio}|${order.seed ?? 'any'}`;
  const pixels = paintLandscape(width, height, hashText(repeatable ? base : `${base}|${salt}`));
  const [first] = order.inputImages;
  if (first !== undefined) layOver(pixels, width, height, first);
  stamp(pixels, width, height, 'simulated');
  return { bytes: await encodePng(pixels, width, height, paddingBytes), mimeType: format };
}

export interface ImageUsage {
  readonly promptTokens: number;
  readonly imageTokens: number;
  readonly thoughtTokens: number;
  readonly textTokens: number;
}

/** What an order is metered at: four letters a token, 560 tokens an input image (our guess). */
export function meterImage(order: ImageOrder, faults: GeminiFaults): ImageUsage {
  const made = faults.image.outcome.is === 'picture';
  return {
    promptTokens: Math.ceil(order.prompt.length / 4) + 560 * order.inputImages.length,
    imageTokens: made ? order.model.imageTokens[order.size] * faults.image.pictures : 0,
    thoughtTokens: faults.image.outcome.is === 'promptBlocked' ? 0 : order.thoughtTokens,
    textTokens: faults.image.outcome.is === 'textOnly' ? Math.ceil(faults.image.outcome.text.length / 4) : 0,
  };
}

export function imageReply(
  order: ImageOrder,
  pictures: readonly Picture[],
  draft: Picture | undefined,
  usage: ImageUsage,
  faults: GeminiFaults,
  responseId: string,
): object {
  const { outcome, textFirst } = faults.image;
  const tail = { usageMetadata: usageMetadata(usage), modelVersion: order.model.id, responseId };
  switch (outcome.is) {
    case 'promptBlocked':
      return { promptFeedback: { blockReason: outcome.reason }, ...tail };
    case 'noCandidates':
      return { candidates: [], ...tail };
    case 'finish':
      return {
        candidates: [
          {
            finishReason: outcome.reason,
            ...(outcome.message === undefined ? {} : { finishMessage: outcome.message }),
            index: 0,
          },
        ],
        ...tail,
      };
    case 'textOnly':
      return { candidates: [candidate([{ text: outcome.text }])], ...tail };
    case 'picture':
      return {
        candidates: [
          candidate([
            ...(textFirst ? [{ text: 'Here is your picture.' }] : []),
            ...(draft === undefined ? [] : [{ thought: true, ...inline(draft) }]),
            ...pictures.map(inline),
          ]),
        ],
        ...tail,
      };
  }
}

function candidate(parts: readonly object[]): object {
  return { content: { role: 'model', parts }, finishReason: 'STOP', index: 0 };
}

function inline(picture: Picture): { inlineData: object } {
  return { inlineData: { mimeType: picture.mimeType, data: picture.bytes.toString('base64') } };
}

function usageMetadata(usage: ImageUsage): object {
  const { promptTokens, imageTokens, thoughtTokens, textTokens } = usage;
  return {
    promptTokenCount: promptTokens,
    candidatesTokenCount: imageTokens + textTokens,
    thoughtsTokenCount: thoughtTokens,
    totalTokenCount: promptTokens + imageTokens + textTokens + thoughtTokens,
    promptTokensDetails: [{ modality: 'TEXT', tokenCount: promptTokens }],
    candidatesTokensDetails: [
      ...(imageTokens > 0 ? [{ modality: 'IMAGE', tokenCount: imageTokens }] : []),
      ...(textTokens > 0 ? [{ modality: 'TEXT', tokenCount: textTokens }] : []),
    ],
  };
}

export function modelNotFound(id: string, version: string): GeminiRefusal {
  const message = `models/${id} is not found for API version ${version}, or is not supported for generateContent. Call ListModels to see the list of available models and their supported methods.`;
  return new GeminiRefusal(404, classic(404, message));
}

function unknownName(name: string, at: string): GeminiRefusal {
  const where = at === '' ? '' : ` at '${at}'`;
  return refuse(400, `Invalid JSON payload received. Unknown name "${name}"${where}: Cannot find field.`);
}

function rejectUnknown(value: Json, known: readonly string[], at: string): void {
  for (const name of Object.keys(value)) if (!known.includes(name)) throw unknownName(name, at);
}

function record(value: unknown, message: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse(400, message);
  return value as Json;
}
