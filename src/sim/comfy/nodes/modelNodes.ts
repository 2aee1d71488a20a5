import { isNewest } from './imageNodes.ts';
import type { LatentValue, ModelFamily, ModelValue } from './nodeInputs.ts';
import type { InputSpec, NodeContext, NodeType } from './nodeType.ts';

/** Seconds that a first load takes on a GPU of speed 1, from disk to memory. */
const LOAD_SECONDS: Record<ModelFamily, number> = { sd15: 6, sdxl: 14, video: 20 };

/** Memory that a loaded model takes, in GiB. */
export const MODEL_GIB: Record<ModelFamily, number> = { sd15: 2.6, sdxl: 6.8, video: 9.5 };

export function familyOf(file: string): ModelFamily {
  if (/xl|pony|illustrious/i.test(file)) return 'sdxl';
  return /wan|ltx|hunyuan|video/i.test(file) ? 'video' : 'sd15';
}

/** Waits as long as loading takes, the first time; a model that is in memory costs nothing. */
export async function loadModel(file: string, context: NodeContext, share = 1): Promise<void> {
  const { hardware } = context;
  if (hardware.loaded.has(file)) return;
  const family = familyOf(file);
  // Loading is bound by the disk, so a faster GPU helps little and a CPU hurts little.
  await context.sleep((LOAD_SECONDS[family] * share * 1000) / Math.min(1.5, Math.max(0.5, hardware.speed)));
  hardware.loaded.set(file, MODEL_GIB[family] * share * 1024 ** 3);
}

const strength: InputSpec = ['FLOAT', { default: 1.0, min: -100.0, max: 100.0, step: 0.01 }];

const checkpointLoader: NodeType = {
  name: 'CheckpointLoaderSimple',
  facts: (lists) => ({
    display: 'Load Checkpoint',
    category: isNewest(lists) ? 'model/loaders' : 'loaders',
    module: 'nodes',
    required: { ckpt_name: [lists.models('checkpoints'), {}] },
    outputs: [
      ['MODEL', 'MODEL'],
      ['CLIP', 'CLIP'],
      ['VAE', 'VAE'],
    ],
    describesOutputs: true,
  }),
  run: async (inputs, context) => {
    const file = inputs.text('ckpt_name');
    await loadModel(file, context);
    const model: ModelValue = { kind: 'model', file, family: familyOf(file), patches: [] };
    return { outputs: [model, { kind: 'clip', file }, { kind: 'vae', file }] };
  },
};

const clipTextEncode: NodeType = {
  name: 'CLIPTextEncode',
  facts: (lists) => ({
    display: 'CLIP Text Encode (Prompt)',
    category: isNewest(lists) ? 'model/conditioning' : 'conditioning',
    module: 'nodes',
    required: { text: ['STRING', { multiline: true, dynamicPrompts: true }], clip: ['CLIP', {}] },
    outputs: [['CONDITIONING', 'CONDITIONING']],
    describesOutputs: true,
  }),
  run: async (inputs, context) => {
    inputs.value('clip', 'clip');
    await context.sleep(60 / context.hardware.speed);
    return { outputs: [{ kind: 'conditioning', text: inputs.text('text'), hints: [] }] };
  },
};

const emptyLatent: NodeType = {
  name: 'EmptyLatentImage',
  facts: (lists) => {
    const side: InputSpec = ['INT', { default: 512, min: 16, max: 16384, step: 8 }];
    return {
      display: 'Empty Latent Image',
      category: isNewest(lists) ? 'model/latent' : 'latent',
      module: 'nodes',
      required: { width: side, height: side, batch_size: ['INT', { default: 1, min: 1, max: 4096 }] },
      outputs: [['LATENT', 'LATENT']],
      describesOutputs: true,
    };
  },
  run: (inputs) => {
    const latent: LatentValue = {
      kind: 'latent',
      width: inputs.number('width') & ~7,
      height: inputs.number('height') & ~7,
      count: inputs.number('batch_size'),
    };
    return { outputs: [latent] };
  },
};

const loraLoader: NodeType = {
  name: 'LoraLoader',
  facts: (lists) => ({
    display: isNewest(lists) ? 'Load LoRA (Model and CLIP)' : 'Load LoRA',
    category: isNewest(lists) ? 'model/loaders' : 'loaders',
    module: 'nodes',
    required: {
      model: ['MODEL', {}],
      clip: ['CLIP', {}],
      lora_name: [lists.models('loras'), {}],
      strength_model: strength,
      strength_clip: strength,
    },
    outputs: [
      ['MODEL', 'MODEL'],
      ['CLIP', 'CLIP'],
    ],
    describesOutputs: true,
    essentials: 'Image Generation',
  }),
  run: async (inputs, context) => {
    const name = inputs.text('lora_name');
    await loadModel(name, context, 0.1);
    return {
      outputs: [
        patched(inputs.value('model', 'model'), `${name}@${inputs.number('strength_model')}`),
        inputs.value('clip', 'clip'),
      ],
    };
  },
};

const loraLoaderModelOnly: NodeType = {
  name: 'LoraLoaderModelOnly',
  facts: (lists) => ({
    display: isNewest(lists) ? 'Load LoRA' : 'LoraLoaderModelOnly',
    category: isNewest(lists) ? 'model/loaders' : 'loaders',
    module: 'nodes',
    required: { model: ['MODEL'], lora_name: [lists.models('loras')], strength_model: strength },
    outputs: [['MODEL', 'MODEL']],
    describesOutputs: 2,
    essentials: 'Image Generation',
  }),
  run: async (inputs, context) => {
    const name = inputs.text('lora_name');
    await loadModel(name, context, 0.1);
    return { outputs: [patched(inputs.value('model', 'model'), `${name}@${inputs.number('strength_model')}`)] };
  },
};

export function patched(model: ModelValue, patch: string): ModelValue {
  return { ...model, patches: [...model.patches, patch] };
}

/** Loaders and encoders around a sampler. */
export const MODEL_NODES: readonly NodeType[] = [
  checkpointLoader,
  clipTextEncode,
  emptyLatent,
  loraLoader,
  loraLoaderModelOnly,
];
