import { GeminiRefusal, invalidRequest, worded } from './geminiErrors.ts';
import { imageDecodes } from './geminiImage.ts';
import { videoModels } from './geminiModels.ts';
import type { VideoModel, VideoResolution } from './geminiModels.ts';

export interface VideoOrder {
  readonly model: VideoModel;
  readonly prompt: string;
  readonly content: readonly object[];
  readonly images: number;
  readonly ratio: '16:9' | '9:16';
  readonly resolution: VideoResolution;
  readonly seconds: number;
  readonly delivery: 'inline' | 'uri';
  readonly background: boolean;
  readonly store: boolean;
}

type Json = Record<string, unknown>;

const tasks = ['text_to_video', 'image_to_video', 'reference_to_video', 'edit', 'extend', 'upscale'];
const resolutions: readonly VideoResolution[] = ['360p', '720p', '1080p', '4k'];
const knownFields = [
  'model',
  'input',
  'background',
  'store',
  'stream',
  'response_format',
  'generation_config',
  'previous_interaction_id',
];

/** Reads an interactions body as strictly as the real one does; throws a refusal. */
export function readVideoOrder(body: unknown): VideoOrder {
  const root = record(body, 'The request body must be a JSON object.');
  for (const name of Object.keys(root)) {
    if (!knownFields.includes(name)) throw invalidRequest(`Unknown or unsupported parameter: ${name}`);
  }
  const id = typeof root.model === 'string' ? root.model.replace(/^models\//, '') : '';
  const model = videoModels.find((candidate) => candidate.id === id);
  if (model === undefined) throw new GeminiRefusal(404, worded('not_found', `Model not found: ${id}`));
  if (root.stream === true) throw invalidRequest('The simulator does not stream.');
  const background = flag(root.background, false);
  const store = flag(root.store, true);
  if (background && !store) throw invalidRequest('background=true requires store=true.');
  const format = record(root.response_format ?? {}, 'response_format must be an object.');
  if (format.type !== 'video') throw invalidRequest('This model only supports response_format of type video.');
  const { prompt, images, content } = readInput(root.input);
  checkTask(record(root.generation_config ?? {}, 'generation_config must be an object.'), images);
  return {
    model,
    prompt,
    content,
    images,
    ratio: oneOf(format.aspect_ratio ?? '16:9', ['16:9', '9:16'], 'aspect_ratio'),
    resolution: oneOf(format.resolution ?? '720p', resolutions, 'resolution'),
    seconds: readDuration(format.duration, model),
    delivery: oneOf(format.delivery ?? 'inline', ['inline', 'uri'], 'delivery'),
    background,
    store,
  };
}

function checkTask(config: Json, images: number): void {
  for (const name of Object.keys(config)) {
    if (name !== 'video_config' && name !== 'seed') throw invalidRequest(`Unsupported parameter: ${name}`);
  }
  const { task } = record(config.video_config ?? {}, 'video_config must be an object.');
  if (task === undefined) return;
  if (typeof task !== 'string' || !tasks.includes(task)) throw invalidRequest(`Unknown task ${JSON.stringify(task)}.`);
  if (task === 'image_to_video' && (images < 1 || images > 2)) {
    throw invalidRequest(`image_to_video takes 1 or 2 images, ${images} given.`);
  }
}

/** The field is a protobuf Duration; the limits are recorded, their wording is ours. */
function readDuration(value: unknown, model: VideoModel): number {
  if (value === undefined) return 10;
  const match = typeof value === 'string' ? /^(\d+(?:\.\d{1,9})?)s$/.exec(value) : null;
  if (match === null) throw invalidRequest(`Invalid duration ${JSON.stringify(value)}: expected a string like "6s".`);
  const seconds = Number(match[1]);
  const { minSeconds: least, maxSeconds: most } = model;
  if (seconds < least) throw invalidRequest(`Duration ${seconds}s is too short, minimum allowed ${least}s.`);
  if (seconds > most) throw invalidRequest(`Duration ${seconds}s is too long, maximum allowed ${most}s.`);
  return seconds;
}

function readInput(input: unknown): { prompt: string; images: number; content: readonly object[] } {
  if (typeof input === 'string') return { prompt: input, images: 0, content: [{ type: 'text', text: input }] };
  if (!Array.isArray(input)) throw invalidRequest('input is required.');
  const content = (input as unknown[]).flatMap((item) => {
    const part = record(item, 'input items must be objects.');
    if (part.type !== 'user_input') return [part];
    if (!Array.isArray(part.content)) throw invalidRequest('user_input.content must be a list.');
    return (part.content as unknown[]).map((inner) => record(inner, 'content items must be objects.'));
  });
  const texts: string[] = [];
  let images = 0;
  for (const part of content) {
    if (part.type === 'text' && typeof part.text === 'string') texts.push(part.text);
    else if (part.type === 'image') {
      images++;
      const bytes = typeof part.data === 'string' ? Buffer.from(part.data, 'base64') : Buffer.alloc(0);
      if (part.uri === undefined && !imageDecodes(bytes)) throw invalidRequest('Unable to process input image.');
    } else if (part.type !== 'video') throw invalidRequest(`Unsupported content type ${JSON.stringify(part.type)}.`);
  }
  if (content.length === 0) throw invalidRequest('input is required.');
  return { prompt: texts.join('\n'), images, content };
}

function oneOf<T extends string>(value: unknown, allowed: readonly T[], name: string): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found !== undefined) return found;
  throw invalidRequest(`Invalid ${name} ${JSON.stringify(value)}. Supported: ${allowed.join(', ')}.`);
}

function flag(value: unknown, otherwise: boolean): boolean {
  if (value === undefined) return otherwise;
  if (typeof value !== 'boolean') throw invalidRequest('Expected true or false.');
  return value;
}

function record(value: unknown, message: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidRequest(message);
  return value as Json;
}
