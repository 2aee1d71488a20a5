import { clampByte, scaleFrame, type Frame } from '../media/frame.ts';
import { mix } from '../media/noise.ts';
import { Painting, unfinished } from '../media/paint.ts';
import { outOfMemory } from '../run/nodeFailure.ts';
import { images, isNewest } from './imageNodes.ts';
import { MODEL_GIB } from './modelNodes.ts';
import type { ConditioningValue, LatentValue, MaskValue, ModelFamily, ModelValue, NodeInputs } from './nodeInputs.ts';
import type { InputSpec, NodeContext, NodeType } from './nodeType.ts';

/** ms of one step at 512 x 512 and batch 1 on a GPU of speed 1: 20 steps of SD 1.5 take 4 s. */
const STEP_MS: Record<ModelFamily, number> = { sd15: 200, sdxl: 320, video: 260 };

/** Memory beside the model per megapixel and picture, in GiB. */
const WORK_GIB_PER_MEGAPIXEL: Record<ModelFamily, number> = { sd15: 1.1, sdxl: 1.4, video: 0.3 };

const PREVIEW_SIDE = 192;

export const SAMPLERS = [
  'euler',
  'euler_cfg_pp',
  'euler_ancestral',
  'euler_ancestral_cfg_pp',
  'heun',
  'heunpp2',
  'dpm_2',
  'dpm_2_ancestral',
  'lms',
  'dpm_fast',
  'dpm_adaptive',
  'dpmpp_2s_ancestral',
  'dpmpp_sde',
  'dpmpp_sde_gpu',
  'dpmpp_2m',
  'dpmpp_2m_sde',
  'dpmpp_2m_sde_gpu',
  'dpmpp_3m_sde',
  'dpmpp_3m_sde_gpu',
  'ddpm',
  'lcm',
  'ipndm',
  'ipndm_v',
  'deis',
  'res_multistep',
  'res_multistep_ancestral',
  'gradient_estimation',
  'er_sde',
  'seeds_2',
  'seeds_3',
  'sa_solver',
  'sa_solver_pece',
  'ddim',
  'uni_pc',
  'uni_pc_bh2',
];

export const SCHEDULERS = [
  'simple',
  'sgm_uniform',
  'karras',
  'exponential',
  'ddim_uniform',
  'beta',
  'normal',
  'linear_quadratic',
  'kl_optimal',
];

export interface SampleOrder {
  model: ModelValue;
  positive: ConditioningValue;
  negative: ConditioningValue;
  latent: LatentValue;
  seed: bigint;
  steps: number;
  denoise: number;
  /** Sampler, scheduler, cfg */
  flavour: string;
}

/** Paints the pictures of a latent, step by step, in the time that a real sampler would take. */
export async function sample(order: SampleOrder, context: NodeContext): Promise<LatentValue> {
  const { latent, model, steps } = order;
  requireMemory(order, context);
  const painting = new Painting({
    prompt: [order.positive.text, ...order.positive.hints].join('\n'),
    negative: order.negative.text,
    seed: order.seed,
    flavour: [model.file, ...model.patches, order.flavour, steps].join('|'),
    width: latent.width,
    height: latent.height,
  });
  const share = Math.min(1, PREVIEW_SIDE / Math.max(latent.width, latent.height));
  const sketch = painting.render(
    Math.max(1, Math.round(latent.width * share)),
    Math.max(1, Math.round(latent.height * share)),
    0,
    false,
  );
  const megapixels = (latent.width * latent.height * latent.count) / (512 * 512);
  const stepMs = (STEP_MS[model.family] * megapixels) / context.hardware.speed;
  const taken = Math.max(1, Math.round(steps * Math.max(0.05, order.denoise)));
  for (let step = 1; step <= taken; step++) {
    await context.sleep(stepMs);
    context.progress(step, taken, () => unfinished(sketch, step / taken, step));
  }
  const frames: Frame[] = [];
  for (let index = 0; index < latent.count; index++) {
    const phase = latent.count > 1 ? index / latent.count : 0;
    const fresh = painting.render(latent.width, latent.height, phase);
    const source = latent.frames?.[index % latent.frames.length];
    frames.push(source ? overpaint(source, fresh, order.denoise, latent.mask) : fresh);
  }
  return { kind: 'latent', width: latent.width, height: latent.height, count: latent.count, frames };
}

/** A job that cannot fit fails as it does for real: out of memory. */
function requireMemory(order: SampleOrder, context: NodeContext): void {
  const { hardware } = context;
  if (hardware.isCpu) return;
  const { family } = order.model;
  const megapixels = (order.latent.width * order.latent.height * order.latent.count) / 1_000_000;
  const need = (MODEL_GIB[family] + WORK_GIB_PER_MEGAPIXEL[family] * megapixels) * 1024 ** 3;
  if (need > hardware.vramBytes) throw outOfMemory();
}

/** Image to image: the source shines through as far as `denoise` lets it; a mask limits where. */
function overpaint(source: Frame, fresh: Frame, denoise: number, mask: MaskValue | undefined): Frame {
  const base = scaleFrame(source, fresh.width, fresh.height);
  const area = mask?.masks[0];
  const rgb = new Uint8Array(fresh.rgb.length);
  for (let y = 0; y < fresh.height; y++) {
    for (let x = 0; x < fresh.width; x++) {
      const allowed = area ? maskAt(area, x / fresh.width, y / fresh.height) : 1;
      for (let c = 0; c < 3; c++) {
        const at = (y * fresh.width + x) * 3 + c;
        rgb[at] = clampByte(mix(base.rgb[at] ?? 0, fresh.rgb[at] ?? 0, denoise * allowed));
      }
    }
  }
  return { width: fresh.width, height: fresh.height, rgb };
}

function maskAt(mask: { width: number; height: number; data: Uint8Array }, u: number, v: number): number {
  const x = Math.min(mask.width - 1, Math.floor(u * mask.width));
  const y = Math.min(mask.height - 1, Math.floor(v * mask.height));
  return (mask.data[y * mask.width + x] ?? 0) / 255;
}

export const SEED: InputSpec = [
  'INT',
  { default: 0, min: 0, max: 18446744073709551615n, control_after_generate: true },
];

const CFG: InputSpec = ['FLOAT', { default: 8.0, min: 0.0, max: 100.0, step: 0.1, round: 0.01 }];

const kSampler: NodeType = {
  name: 'KSampler',
  facts: (lists) => ({
    display: 'KSampler',
    category: isNewest(lists) ? 'model/sampling' : 'sampling',
    module: 'nodes',
    required: {
      model: ['MODEL', {}],
      seed: SEED,
      steps: ['INT', { default: 20, min: 1, max: 10000 }],
      cfg: CFG,
      sampler_name: [SAMPLERS, {}],
      scheduler: [SCHEDULERS, {}],
      positive: ['CONDITIONING', {}],
      negative: ['CONDITIONING', {}],
      latent_image: ['LATENT', {}],
      denoise: ['FLOAT', { default: 1.0, min: 0.0, max: 1.0, step: 0.01 }],
    },
    outputs: [['LATENT', 'LATENT']],
    describesOutputs: true,
  }),
  run: async (inputs, context) => ({ outputs: [await sample(orderOf(inputs), context)] }),
};

function orderOf(inputs: NodeInputs): SampleOrder {
  return {
    model: inputs.value('model', 'model'),
    positive: inputs.value('conditioning', 'positive'),
    negative: inputs.value('conditioning', 'negative'),
    latent: inputs.value('latent', 'latent_image'),
    seed: inputs.bigint('seed'),
    steps: inputs.number('steps'),
    denoise: inputs.number('denoise', 1),
    flavour: `${inputs.text('sampler_name')}/${inputs.text('scheduler')}/${inputs.number('cfg')}`,
  };
}

const vaeDecode: NodeType = {
  name: 'VAEDecode',
  facts: (lists) => ({
    display: 'VAE Decode',
    category: isNewest(lists) ? 'model/latent' : 'latent',
    module: 'nodes',
    required: { samples: ['LATENT', {}], vae: ['VAE', {}] },
    outputs: [['IMAGE', 'IMAGE']],
    describesOutputs: true,
  }),
  run: async (inputs, context) => {
    inputs.value('vae', 'vae');
    const latent = inputs.value('latent', 'samples');
    await context.sleep((250 * latent.count) / context.hardware.speed);
    const empty = (): Frame => ({
      width: latent.width,
      height: latent.height,
      rgb: new Uint8Array(latent.width * latent.height * 3).fill(127),
    });
    return images(latent.frames ?? Array.from({ length: latent.count }, empty));
  },
};

const vaeEncode: NodeType = {
  name: 'VAEEncode',
  facts: (lists) => ({
    display: 'VAE Encode',
    category: isNewest(lists) ? 'model/latent' : 'latent',
    module: 'nodes',
    required: { pixels: ['IMAGE'], vae: ['VAE'] },
    outputs: [['LATENT', 'LATENT']],
  }),
  run: async (inputs, context) => {
    inputs.value('vae', 'vae');
    const frames = inputs.frames('pixels');
    await context.sleep((150 * frames.length) / context.hardware.speed);
    return { outputs: [latentOf(frames)] };
  },
};

/** The latent of pictures: sides are cut to multiples of 8. */
export function latentOf(frames: Frame[], mask?: MaskValue): LatentValue {
  const first = frames[0];
  return {
    kind: 'latent',
    width: Math.max(8, (first?.width ?? 8) & ~7),
    height: Math.max(8, (first?.height ?? 8) & ~7),
    count: frames.length,
    frames,
    ...(mask && { mask }),
  };
}

/** Samplers and the VAE around them. */
export const SAMPLER_NODES: readonly NodeType[] = [kSampler, vaeDecode, vaeEncode];
