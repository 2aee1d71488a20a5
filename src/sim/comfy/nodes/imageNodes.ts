import { clampByte, cropToRatio, mapFrame, newFrame, scaleFrame, type Frame } from '../media/frame.ts';
import type { NodeInputs } from './nodeInputs.ts';
import type { InputSpec, Lists, NodeResult, NodeType } from './nodeType.ts';

const SCALE_METHODS = ['nearest-exact', 'bilinear', 'area', 'bicubic', 'lanczos'];
const BLEND_MODES = ['normal', 'multiply', 'screen', 'overlay', 'soft_light', 'difference'];
const MAX_SIZE = 16384;

export function images(frames: Frame[]): NodeResult {
  return { outputs: [{ kind: 'image', frames }] };
}

/** A combo in the form that V3 classes use. */
export function combo(options: readonly string[], extra: Record<string, string | boolean> = {}): InputSpec {
  return ['COMBO', { ...extra, multiselect: false, options: [...options] }];
}

export function isNewest(lists: Lists): boolean {
  return lists.traits.profile === '0.33.0';
}

function size(fallback: number, min: number): InputSpec {
  return ['INT', { default: fallback, min, max: MAX_SIZE, step: 1 }];
}

function resize(frame: Frame, width: number, height: number, method: string): Frame {
  return scaleFrame(frame, Math.max(1, width), Math.max(1, height), method === 'nearest-exact');
}

const emptyImage: NodeType = {
  name: 'EmptyImage',
  facts: (lists) => ({
    display: isNewest(lists) ? 'Empty Image' : 'EmptyImage',
    category: 'image',
    module: 'nodes',
    required: {
      width: size(512, 1),
      height: size(512, 1),
      batch_size: ['INT', { default: 1, min: 1, max: 4096 }],
      color: ['INT', { default: 0, min: 0, max: 0xffffff, step: 1, display: 'color' }],
    },
    outputs: [['IMAGE', 'IMAGE']],
  }),
  run: (inputs) => {
    const frame = newFrame(inputs.number('width'), inputs.number('height'), inputs.number('color'));
    return images(Array.from({ length: inputs.number('batch_size') }, () => frame));
  },
};

const imageInvert: NodeType = {
  name: 'ImageInvert',
  facts: (lists) => ({
    display: isNewest(lists) ? 'Invert Image Colors' : 'Invert Image',
    category: isNewest(lists) ? 'image/color' : 'image',
    module: 'nodes',
    required: { image: ['IMAGE'] },
    outputs: [['IMAGE', 'IMAGE']],
    essentials: 'Image Tools',
  }),
  run: (inputs) => images(inputs.frames('image').map((frame) => mapFrame(frame, (value) => 255 - value))),
};

const imageScale: NodeType = {
  name: 'ImageScale',
  facts: () => ({
    display: 'Upscale Image',
    category: 'image/upscaling',
    module: 'nodes',
    required: {
      image: ['IMAGE'],
      upscale_method: [SCALE_METHODS],
      width: size(512, 0),
      height: size(512, 0),
      crop: [['disabled', 'center']],
    },
    outputs: [['IMAGE', 'IMAGE']],
    essentials: 'Image Tools',
  }),
  run: (inputs) => {
    const method = inputs.text('upscale_method');
    return images(
      inputs.frames('image').map((frame) => {
        const [width, height] = targetSize(inputs, frame);
        const source = inputs.text('crop') === 'center' ? cropToRatio(frame, width, height) : frame;
        return resize(source, width, height, method);
      }),
    );
  },
};

/** A side of 0 follows the other one's proportion. */
function targetSize(inputs: NodeInputs, frame: Frame): [width: number, height: number] {
  const width = inputs.number('width');
  const height = inputs.number('height');
  if (width === 0 && height === 0) return [frame.width, frame.height];
  if (width === 0) return [Math.max(1, Math.round((frame.width * height) / frame.height)), height];
  if (height === 0) return [width, Math.max(1, Math.round((frame.height * width) / frame.width))];
  return [width, height];
}

const imageScaleBy: NodeType = {
  name: 'ImageScaleBy',
  facts: () => ({
    display: 'Upscale Image By',
    category: 'image/upscaling',
    module: 'nodes',
    required: {
      image: ['IMAGE'],
      upscale_method: [SCALE_METHODS],
      scale_by: ['FLOAT', { default: 1.0, min: 0.01, max: 8.0, step: 0.01 }],
    },
    outputs: [['IMAGE', 'IMAGE']],
    essentials: 'Image Tools',
  }),
  run: (inputs) => {
    const factor = inputs.number('scale_by');
    const method = inputs.text('upscale_method');
    return images(
      inputs
        .frames('image')
        .map((frame) => resize(frame, Math.round(frame.width * factor), Math.round(frame.height * factor), method)),
    );
  },
};

const imageBlend: NodeType = {
  name: 'ImageBlend',
  facts: (lists) => ({
    display: isNewest(lists) ? 'Blend Images' : null,
    category: isNewest(lists) ? 'image/filters' : 'image/postprocessing',
    module: 'comfy_extras.nodes_post_processing',
    required: {
      image1: ['IMAGE', {}],
      image2: ['IMAGE', {}],
      blend_factor: ['FLOAT', { default: 0.5, min: 0.0, max: 1.0, step: 0.01 }],
      blend_mode: combo(BLEND_MODES),
    },
    outputs: [['IMAGE', 'IMAGE']],
    v3: true,
    essentials: 'Image Tools',
  }),
  run: (inputs) => {
    const factor = inputs.number('blend_factor');
    const mode = inputs.text('blend_mode');
    const second = inputs.frames('image2');
    return images(
      inputs.frames('image1').map((frame, index) => {
        const other = second[index % second.length] ?? frame;
        return blend(
          frame,
          scaleFrame(cropToRatio(other, frame.width, frame.height), frame.width, frame.height),
          factor,
          mode,
        );
      }),
    );
  },
};

function blend(a: Frame, b: Frame, factor: number, mode: string): Frame {
  const rgb = new Uint8Array(a.rgb.length);
  for (let i = 0; i < rgb.length; i++) {
    const x = (a.rgb[i] ?? 0) / 255;
    const y = (b.rgb[i] ?? 0) / 255;
    rgb[i] = clampByte((x * (1 - factor) + blended(x, y, mode) * factor) * 255);
  }
  return { width: a.width, height: a.height, rgb };
}

function blended(x: number, y: number, mode: string): number {
  switch (mode) {
    case 'multiply':
      return x * y;
    case 'screen':
      return 1 - (1 - x) * (1 - y);
    case 'overlay':
      return x <= 0.5 ? 2 * x * y : 1 - 2 * (1 - x) * (1 - y);
    case 'soft_light':
      return y <= 0.5 ? x - (1 - 2 * y) * x * (1 - x) : x + (2 * y - 1) * (softRoot(x) - x);
    case 'difference':
      return x - y;
    default:
      return y;
  }
}

function softRoot(x: number): number {
  return x <= 0.25 ? ((16 * x - 12) * x + 4) * x : Math.sqrt(x);
}

const imageBatch: NodeType = {
  name: 'ImageBatch',
  facts: (lists) => ({
    display: isNewest(lists) ? 'Batch Images (DEPRECATED)' : 'Batch Images',
    category: isNewest(lists) ? 'image/batch' : 'image',
    module: 'nodes',
    required: { image1: ['IMAGE'], image2: ['IMAGE'] },
    outputs: [['IMAGE', 'IMAGE']],
    deprecated: lists.traits.profile !== '0.3.64',
  }),
  run: (inputs) => {
    const first = inputs.frames('image1');
    const model = first[0] ?? newFrame(1, 1);
    const second = inputs
      .frames('image2')
      .map((frame) => scaleFrame(cropToRatio(frame, model.width, model.height), model.width, model.height));
    return images([...first, ...second]);
  },
};

const repeatImageBatch: NodeType = {
  name: 'RepeatImageBatch',
  facts: (lists) => ({
    display: { '0.3.64': 'RepeatImageBatch', '0.8.0': null, '0.33.0': 'Repeat Image Batch' }[lists.traits.profile],
    category: 'image/batch',
    module: 'comfy_extras.nodes_images',
    required: {
      image: lists.traits.profile === '0.3.64' ? ['IMAGE'] : ['IMAGE', {}],
      amount: ['INT', { default: 1, min: 1, max: 4096 }],
    },
    outputs: [['IMAGE', 'IMAGE']],
    v3: lists.traits.profile !== '0.3.64',
  }),
  run: (inputs) => {
    const frames = inputs.frames('image');
    return images(Array.from({ length: inputs.number('amount') }, () => frames).flat());
  },
};

/** Nodes that compute pixels from pixels; no model is involved. */
export const IMAGE_NODES: readonly NodeType[] = [
  emptyImage,
  imageInvert,
  imageScale,
  imageScaleBy,
  imageBlend,
  imageBatch,
  repeatImageBatch,
];
