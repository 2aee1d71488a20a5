import { findRefusals } from './findRefusals.ts';
import type { ImageSize, VideoResolution } from './price.ts';
import { readFrame } from './readFrame.ts';
import type { Frame } from './readFrame.ts';
import { integerOf, linkOf, upstreamOf } from './readGraph.ts';
import type { WorkflowGraph } from './readGraph.ts';
import { readInputImages } from './readInputImages.ts';
import type { InputImageUse } from './readInputImages.ts';
import { describeLosses, isSampler, outputsOf } from './graphFeatures.ts';
import { cleanPrompt, negativeWords, readPromptTexts } from './readPrompt.ts';

/** What Gemini's two default models can do (Gemini API docs, image generation and omni). */
export interface GeminiLimits {
  readonly imageRatios: readonly string[];
  readonly imageInputs: number;
  readonly videoReferences: number;
  readonly minSeconds: number;
  readonly maxSeconds: number;
}

export const geminiLimits: GeminiLimits = {
  imageRatios: '1:1 2:3 3:2 3:4 4:3 4:5 5:4 9:16 16:9 21:9 1:4 4:1 1:8 8:1'.split(' '),
  imageInputs: 14,
  videoReferences: 6,
  minSeconds: 3,
  maxSeconds: 10,
};

/** A picture, or `count` of them as so many requests. `images` are names in ComfyUI's input folder, in order. */
export interface MappedImage {
  readonly kind: 'image';
  readonly prompt: string;
  /** Undefined = as the input image is */
  readonly aspectRatio: string | undefined;
  readonly imageSize: ImageSize;
  readonly seed: number | undefined;
  readonly images: readonly string[];
  readonly count: number;
}

export interface MappedVideo {
  readonly kind: 'video';
  readonly prompt: string;
  readonly aspectRatio: '16:9' | '9:16';
  readonly resolution: VideoResolution;
  readonly seconds: number;
  readonly task: 'text_to_video' | 'image_to_video' | 'reference_to_video';
  readonly images: readonly string[];
  readonly count: number;
}

/** Sentences for a person. `refused` = the graph's purpose cannot be expressed: nothing is sent. */
export interface LossReport {
  readonly kept: readonly string[];
  readonly approximated: readonly string[];
  readonly lost: readonly string[];
  readonly refused: readonly string[];
}

export interface WorkflowMapping {
  /** Undefined exactly when something is refused. */
  readonly request: MappedImage | MappedVideo | undefined;
  readonly report: LossReport;
}

interface Draft {
  readonly kept: string[];
  readonly approximated: string[];
  readonly lost: string[];
}

/** Reads out of a graph what Gemini can be asked for, and says what of the rest is lost. Pure. */
export function mapWorkflow(graph: WorkflowGraph, limits: GeminiLimits): WorkflowMapping {
  const outputs = outputsOf(graph);
  const active = upstreamOf(
    graph,
    outputs.map((output) => output.id),
  );
  const images = readInputImages(graph, active);
  const refused = [...findRefusals(graph, active, outputs, images)];
  const [output] = outputs;
  const samplers = active.filter((id) => isSampler(graph[id]));
  const [sampler] = samplers;
  if (output === undefined || sampler === undefined) return refusal(refused);

  const positive = readPromptTexts(graph, sampler, 'positive');
  if (positive.length === 0) refused.push(`No prompt can be read: the sampler (node ${sampler}) gets no text`);
  else if (cleanPrompt(positive.join(', ')).text === '') refused.push('The prompt has no words, only LoRAs or weights');
  const frame = readFrame(graph, output.id);
  const draft: Draft = { kept: [], approximated: [], lost: [] };
  const isVideo = output.kind === 'video';
  if (isVideo) checkLength(frame, limits, refused);
  const prompt = mapPrompt(positive, readPromptTexts(graph, sampler, 'negative'), isVideo, draft);
  if (refused.length > 0) return refusal(refused);

  const used = images.filter((image) => image.role !== 'unused');
  const request = isVideo
    ? mapVideo(prompt, frame, used, limits, draft)
    : mapImage(prompt, frame, used, seedOf(graph, sampler), limits, draft);
  draft.lost.push(...describeLosses(graph, active, samplers));
  return { request, report: { ...draft, refused: [] } };
}

function refusal(refused: readonly string[]): WorkflowMapping {
  const reasons = refused.length > 0 ? refused : ['There is nothing in it that Gemini could be asked for'];
  return { request: undefined, report: { kept: [], approximated: [], lost: [], refused: reasons } };
}

function mapPrompt(positive: readonly string[], negative: readonly string[], isVideo: boolean, draft: Draft): string {
  const clean = cleanPrompt(positive.join(', '));
  if (clean.hadWeights) draft.approximated.push('Prompt: its words are kept, weights and breaks are not');
  else draft.kept.push('Prompt');
  for (const name of clean.dropped) draft.lost.push(`${name}, named in the prompt`);
  const avoid = negative.flatMap(negativeWords);
  if (avoid.length === 0) return clean.text;
  draft.approximated.push('Negative prompt: appended as words to avoid; Gemini has no field for it');
  const sentence = clean.text.replace(/[.\s]+$/, '');
  return isVideo
    ? `${sentence}. ${avoid.map((word, i) => `${i === 0 ? 'No' : 'no'} ${word}`).join(', ')}.`
    : `${sentence}. Avoid: ${avoid.join(', ')}.`;
}

/** Gemini's seed is a signed 32-bit number; ComfyUI's has 64 bits. */
function seedOf(graph: WorkflowGraph, sampler: string): number | undefined {
  const inputs = graph[sampler]?.inputs ?? {};
  const noise = graph[linkOf(inputs.noise)?.id ?? '']?.inputs ?? {};
  const seed =
    integerOf(graph, inputs.seed) ?? integerOf(graph, inputs.noise_seed) ?? integerOf(graph, noise.noise_seed);
  return seed === undefined ? undefined : Number(BigInt.asUintN(31, seed));
}

function mapImage(
  prompt: string,
  frame: Frame,
  used: readonly InputImageUse[],
  seed: number | undefined,
  limits: GeminiLimits,
  draft: Draft,
): MappedImage {
  const edits = used.filter((image) => image.role === 'edit' || image.role === 'start');
  const ordered = [...edits, ...used.filter((image) => !edits.includes(image))];
  const images = ordered.slice(0, limits.imageInputs).map((image) => image.file);
  for (const image of ordered.slice(limits.imageInputs)) draft.lost.push(`Image ${image.file}: too many`);
  for (const image of ordered.slice(0, limits.imageInputs)) {
    draft.approximated.push(
      edits.includes(image)
        ? `Input image ${image.file}: edited by instruction; the denoising strength is lost`
        : `Reference image ${image.file}: sent along; weights are lost`,
    );
  }
  if (seed !== undefined) {
    draft.approximated.push('Seed: sent, but Gemini does not promise the same picture twice, nor ComfyUI’s picture');
  }
  if (frame.batch > 1) draft.kept.push(`Batch: ${frame.batch} pictures, each its own request`);
  const size = mapSize(frame, limits, draft);
  const text = edits.length > 0 ? `Edit this image: ${prompt}` : prompt;
  return { kind: 'image', prompt: text, ...size, seed, images, count: frame.batch };
}

function mapSize(frame: Frame, limits: GeminiLimits, draft: Draft): Pick<MappedImage, 'aspectRatio' | 'imageSize'> {
  const { width, height } = frame;
  if (width === undefined || height === undefined) {
    draft.approximated.push('Size: the graph names none; Gemini decides, by the input image if there is one, at 1K');
    return { aspectRatio: undefined, imageSize: '1K' };
  }
  const aspectRatio = nearestRatio(width, height, limits.imageRatios);
  const imageSize = imageTier(width, height);
  const exact = aspectRatio === '1:1' && width === height && [1024, 2048, 4096].includes(width);
  if (exact) draft.kept.push(`Size ${width} × ${height}`);
  else
    draft.approximated.push(`Size ${width} × ${height}: the nearest that Gemini has, ${aspectRatio} at ${imageSize}`);
  return { aspectRatio, imageSize };
}

function checkLength(frame: Frame, limits: GeminiLimits, refused: string[]): void {
  if (frame.frames === undefined || frame.fps === undefined) return;
  const seconds = frame.frames / frame.fps;
  if (seconds > limits.maxSeconds + 0.5) {
    refused.push(`The clip is ${round(seconds)} s long; Gemini makes at most ${limits.maxSeconds} s`);
  }
}

function mapVideo(
  prompt: string,
  frame: Frame,
  used: readonly InputImageUse[],
  limits: GeminiLimits,
  draft: Draft,
): MappedVideo {
  const start = used.find((image) => image.role === 'start' || image.role === 'edit');
  const end = used.find((image) => image.role === 'end');
  const frames = start === undefined ? [] : end === undefined ? [start] : [start, end];
  const rest = used.filter((image) => !frames.includes(image));
  const references = frames.length > 0 ? [] : rest.slice(0, limits.videoReferences);
  for (const image of frames) draft.kept.push(`${image === start ? 'First' : 'Last'} frame ${image.file}`);
  for (const image of references)
    draft.approximated.push(`Reference image ${image.file}: sent along; weights are lost`);
  for (const image of rest)
    if (!references.includes(image)) draft.lost.push(`Image ${image.file}: cannot be sent as well`);
  const tags =
    frames.length === 2
      ? '<FIRST_FRAME> <LAST_FRAME> '
      : frames.length === 1
        ? '<FIRST_FRAME> '
        : references.map((_, i) => `<IMAGE_REF_${i}> `).join('');
  draft.lost.push('Seed: Gemini’s video cannot be repeated');
  draft.approximated.push('Sound: the clip has some, which a graph without audio does not ask for');
  return {
    kind: 'video',
    prompt: `${tags}${prompt.replace(/[.\s]+$/, '')}. One continuous shot, no scene cuts.`,
    aspectRatio: videoRatio(frame, draft),
    resolution: videoResolution(frame, draft),
    seconds: videoSeconds(frame, limits, draft),
    task: frames.length > 0 ? 'image_to_video' : references.length > 0 ? 'reference_to_video' : 'text_to_video',
    images: [...frames, ...references].map((image) => image.file),
    // In a video graph without a length of its own, the batch is the frames.
    count: frame.frames === undefined ? 1 : frame.batch,
  };
}

function videoRatio({ width, height }: Frame, draft: Draft): '16:9' | '9:16' {
  const ratio = width !== undefined && height !== undefined && height > width ? '9:16' : '16:9';
  if (width === undefined || height === undefined)
    draft.approximated.push(`Size: the graph names none; ${ratio} is asked for`);
  else draft.approximated.push(`Size ${width} × ${height}: Gemini has 16:9 and 9:16 only, ${ratio} is asked for`);
  return ratio;
}

/** 720p at most: what is above is an upscale at a higher price. */
function videoResolution({ width, height }: Frame, draft: Draft): VideoResolution {
  const short = Math.min(width ?? 720, height ?? 720);
  if (short > 720) draft.approximated.push('Resolution: 720p; more would be an upscale at a higher price');
  return short <= 360 ? '360p' : '720p';
}

const assumedSeconds = 5;

function videoSeconds(frame: Frame, limits: GeminiLimits, draft: Draft): number {
  const frames = frame.frames ?? (frame.batch > 1 ? frame.batch : undefined);
  if (frames === undefined) {
    draft.approximated.push(`Length: the graph names none; ${assumedSeconds} s are asked for`);
    return assumedSeconds;
  }
  const fps = frame.fps ?? 24;
  const wanted = frames / fps;
  const seconds = round(Math.min(limits.maxSeconds, Math.max(limits.minSeconds, wanted)));
  const told = frame.fps === undefined ? `${frames} frames` : `${frames} frames at ${fps} fps`;
  draft.approximated.push(`Length: ${told} become ${seconds} s at 24 fps`);
  return seconds;
}

function round(seconds: number): number {
  return Math.round(seconds * 10) / 10;
}

/** The ratio whose shape is nearest, by the logarithm, so that 1:2 is as far from 1:1 as 2:1 is. */
export function nearestRatio(width: number, height: number, ratios: readonly string[]): string {
  const distance = (ratio: string): number => {
    const [a = 1, b = 1] = ratio.split(':').map(Number);
    return Math.abs(Math.log((width / height / a) * b));
  };
  return ratios.reduce((best, ratio) => (distance(ratio) < distance(best) ? ratio : best), ratios[0] ?? '1:1');
}

/** The smallest tier that covers the long side (common ratios; 1K reaches 1376 pixels). */
export function imageTier(width: number, height: number): ImageSize {
  const long = Math.max(width, height);
  return long <= 1_376 ? '1K' : long <= 2_752 ? '2K' : '4K';
}
