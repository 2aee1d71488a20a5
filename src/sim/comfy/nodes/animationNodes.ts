import { encodeExif } from '../media/exif.ts';
import { newFrame } from '../media/frame.ts';
import { encodeApng } from '../media/png.ts';
import { encodeWebp } from '../media/webp.ts';
import { numbered, savePath } from '../files/savePath.ts';
import type { Json } from '../pyJson.ts';
import { combo, isNewest } from './imageNodes.ts';
import type { NodeInputs } from './nodeInputs.ts';
import type { InputSpec, Lists, NodeContext, NodeFacts, NodeResult, NodeType } from './nodeType.ts';
import { IMAGE_HIDDEN, metadataTexts, passed, passThrough } from './saveNodes.ts';

const METHODS = ['default', 'fastest', 'slowest'];
/** EXIF tags that ComfyUI uses: Model for the graph, Make and those below it for the rest. */
const MODEL_TAG = 0x0110;

function isOld(lists: Lists): boolean {
  return lists.traits.profile === '0.3.64';
}

function animationFacts(lists: Lists, display: string, name: string, own: Record<string, InputSpec>): NodeFacts {
  const old = isOld(lists);
  return {
    display: old ? name : isNewest(lists) ? display : null,
    category: isNewest(lists) ? 'image' : 'image/animation',
    module: 'comfy_extras.nodes_images',
    v3: !old,
    required: {
      images: old ? ['IMAGE'] : ['IMAGE', {}],
      filename_prefix: ['STRING', { default: 'ComfyUI', ...(!old && { multiline: false }) }],
      fps: ['FLOAT', { default: 6, min: 0.01, max: 1000, step: 0.01 }],
      ...own,
    },
    hidden: IMAGE_HIDDEN,
    outputs: passThrough(lists),
    outputNode: true,
  };
}

function saved(inputs: NodeInputs, context: NodeContext, extension: string, bytes: Buffer, marked: Json[]): NodeResult {
  const size = inputs.frames('images')[0] ?? newFrame(1, 1);
  const path = savePath(inputs.text('filename_prefix'), 'output', context.files, size, context.now());
  const filename = numbered(path, 0, extension);
  context.files.write('output', path.subfolder, filename, bytes);
  const images = [{ filename, subfolder: path.subfolder, type: 'output' }];
  return {
    outputs: passed(inputs, context),
    ui: { images, ...(marked.length > 0 && { animated: marked }) },
  };
}

const saveAnimatedWebp: NodeType = {
  name: 'SaveAnimatedWEBP',
  facts: (lists) =>
    animationFacts(lists, 'Save Animated WEBP', 'SaveAnimatedWEBP', {
      lossless: ['BOOLEAN', { default: true }],
      quality: ['INT', { default: 80, min: 0, max: 100 }],
      method: isOld(lists) ? [METHODS] : combo(METHODS),
    }),
  run: (inputs, context) => {
    const frames = inputs.frames('images');
    const texts = metadataTexts(context).map(([key, text], index): [number, string] => [
      MODEL_TAG - index,
      `${key}:${text}`,
    ]);
    const bytes = encodeWebp(frames, inputs.number('fps'), encodeExif(new Map(texts)));
    const animated = frames.length > 1;
    // 0.3.64 says false where later versions say nothing.
    const marked = animated ? [true] : isOld(context.lists) ? [false] : [];
    return saved(inputs, context, 'webp', bytes, marked);
  },
};

const saveAnimatedPng: NodeType = {
  name: 'SaveAnimatedPNG',
  facts: (lists) =>
    animationFacts(lists, 'Save Animated PNG', 'SaveAnimatedPNG', {
      compress_level: ['INT', { ...(isNewest(lists) && { advanced: true }), default: 4, min: 0, max: 9 }],
    }),
  run: (inputs, context) => {
    const frames = inputs.frames('images');
    const level = inputs.number('compress_level');
    const bytes = encodeApng(frames, inputs.number('fps'), metadataTexts(context), level);
    const marked = isOld(context.lists) || frames.length > 1 ? [true] : [];
    return saved(inputs, context, 'png', bytes, marked);
  },
};

/** Nodes that write moving pictures without a video codec. */
export const ANIMATION_NODES: readonly NodeType[] = [saveAnimatedWebp, saveAnimatedPng];
