import type { Workflow } from '../comfy/workflow.ts';

export interface PromptRequest {
  readonly prompt: string;
  /** Pixels; multiples of 8, as latent images need. */
  readonly width: number;
  readonly height: number;
  /** 0 to 2^53 - 1 */
  readonly seed: number;
}

/**
 * Text to image with whatever checkpoint the backend has: its name is left empty, which is filled in where the job runs.
 * Twenty Euler steps at CFG 7 suit SD 1.5 and SDXL alike.
 */
export function defaultWorkflow({ prompt, width, height, seed }: PromptRequest): Workflow {
  const node = (class_type: string, title: string, inputs: Record<string, unknown>) => ({
    class_type,
    inputs,
    _meta: { title },
  });
  return {
    '1': node('CheckpointLoaderSimple', 'Model', { ckpt_name: '' }),
    '2': node('CLIPTextEncode', 'Prompt', { text: prompt, clip: ['1', 1] }),
    '3': node('CLIPTextEncode', 'Not in the picture', { text: 'blurry, text, watermark', clip: ['1', 1] }),
    '4': node('EmptyLatentImage', 'Size', { width, height, batch_size: 1 }),
    '5': node('KSampler', 'Sampler', {
      seed,
      steps: 20,
      cfg: 7,
      sampler_name: 'euler',
      scheduler: 'normal',
      denoise: 1,
      model: ['1', 0],
      positive: ['2', 0],
      negative: ['3', 0],
      latent_image: ['4', 0],
    }),
    '6': node('VAEDecode', 'Decode', { samples: ['5', 0], vae: ['1', 2] }),
    '7': node('SaveImage', 'Save', { filename_prefix: 'podrelay', images: ['6', 0] }),
  };
}
