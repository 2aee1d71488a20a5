import { createHash } from 'node:crypto';
import { isLink } from '../comfy/workflow.ts';
import type { Workflow } from '../comfy/workflow.ts';

/** What decides how long a workflow runs: equal keys mean comparable times. */
export interface Fingerprint {
  /** 16 hex digits. */
  readonly key: string;
  /** Model files that the graph loads, sorted; a server that holds them already starts sooner. */
  readonly models: readonly string[];
}

const modelInput = /^(ckpt|unet|vae|clip|lora|control_net|style_model|upscale_model|model|motion_model|ipadapter)\w*$/;
const modelFile = /\.(safetensors|ckpt|pt|pth|bin|gguf|sft|onnx)$/i;
const sizeInputs = new Set(['width', 'height', 'batch_size', 'length', 'frames', 'video_frames', 'num_frames']);
const stepInputs = new Set(['steps', 'max_steps', 'num_inference_steps']);

/**
 * By node classes, models, and steps and sizes in buckets of half an octave. Seeds, texts, file names and node ids are
 * left out: they do not change the time.
 */
export function fingerprintOf(workflow: Workflow): Fingerprint {
  const models = new Set<string>();
  const nodes = Object.values(workflow).map(({ class_type, inputs }) => {
    const facts = [class_type];
    for (const [name, value] of Object.entries(inputs)) {
      if (isLink(value)) continue;
      if (typeof value === 'string') {
        if (!modelInput.test(name) || !modelFile.test(value)) continue;
        // Windows servers list paths with '\'.
        const model = value.replaceAll('\\', '/');
        models.add(model);
        facts.push(`${name}=${model}`);
      } else if (typeof value === 'number' && (sizeInputs.has(name) || stepInputs.has(name))) {
        facts.push(`${name}~${String(halfOctave(value))}`);
      }
    }
    return [facts[0], ...facts.slice(1).sort()].join(' ');
  });
  const key = createHash('sha256').update(nodes.sort().join('\n')).digest('hex').slice(0, 16);
  return { key, models: [...models].sort() };
}

function halfOctave(value: number): number {
  return value <= 0 ? -1 : Math.round(Math.log2(value) * 2);
}
