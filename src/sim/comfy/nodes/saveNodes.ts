import { encodePng, type PngText } from '../media/png.ts';
import { newFrame } from '../media/frame.ts';
import { numbered, savePath } from '../files/savePath.ts';
import type { FolderType } from '../files/fileStore.ts';
import { pyJson, type Json } from '../pyJson.ts';
import { isNewest } from './imageNodes.ts';
import type { NodeInputs } from './nodeInputs.ts';
import type { InputSpec, Lists, NodeContext, NodeFacts, NodeResult, NodeType } from './nodeType.ts';

export const IMAGE_HIDDEN = { prompt: 'PROMPT', extra_pnginfo: 'EXTRA_PNGINFO' };

/** From 0.33.0 on, save nodes pass their images through. */
export function passThrough(lists: Lists): NodeFacts['outputs'] {
  return isNewest(lists) ? [['IMAGE', 'images']] : [];
}

export function passed(inputs: NodeInputs, context: NodeContext): unknown[] {
  return isNewest(context.lists) ? [inputs.value('image', 'images')] : [];
}

/** The text chunks of a saved picture: the graph that ran, and the editor's graph if the client sent it. */
export function metadataTexts(context: NodeContext): PngText[] {
  const texts: PngText[] = [['prompt', pyJson(context.prompt)]];
  for (const [key, value] of Object.entries(context.extraPngInfo)) texts.push([key, pyJson(value)]);
  return texts;
}

function saveFrames(
  inputs: NodeInputs,
  context: NodeContext,
  prefix: string,
  type: FolderType,
  level: number,
): NodeResult {
  const frames = inputs.frames('images');
  const size = frames[0] ?? newFrame(1, 1);
  const path = savePath(prefix, type, context.files, size, context.now());
  const texts = metadataTexts(context);
  const entries = frames.map((frame, index): Json => {
    const named = { ...path, base: path.base.replaceAll('%batch_num%', String(index)) };
    const filename = numbered(named, index, 'png');
    context.files.write(type, path.subfolder, filename, encodePng(frame, texts, level));
    return { filename, subfolder: path.subfolder, type };
  });
  return { outputs: passed(inputs, context), ui: { images: entries } };
}

const saveImage: NodeType = {
  name: 'SaveImage',
  facts: (lists) => ({
    display: 'Save Image',
    category: 'image',
    module: 'nodes',
    required: { images: ['IMAGE', {}], filename_prefix: ['STRING', { default: 'ComfyUI' }] satisfies InputSpec },
    hidden: IMAGE_HIDDEN,
    outputs: passThrough(lists),
    outputNode: true,
    essentials: 'Basics',
  }),
  run: (inputs, context) => saveFrames(inputs, context, inputs.text('filename_prefix'), 'output', 4),
};

const LETTERS = 'abcdefghijklmnopqrstupvxyz';

const previewImage: NodeType = {
  name: 'PreviewImage',
  facts: (lists) => ({
    display: 'Preview Image',
    category: 'image',
    module: 'nodes',
    required: { images: ['IMAGE'] },
    hidden: IMAGE_HIDDEN,
    outputs: passThrough(lists),
    outputNode: true,
    essentials: 'Basics',
  }),
  run: (inputs, context) => {
    const tail = Array.from({ length: 5 }, () => LETTERS[Math.floor(context.random() * LETTERS.length)]).join('');
    return saveFrames(inputs, context, `ComfyUI_temp_${tail}`, 'temp', 1);
  },
};

/** Nodes that write PNG files. */
export const SAVE_NODES: readonly NodeType[] = [saveImage, previewImage];
