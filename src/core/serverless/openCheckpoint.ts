import type { Workflow } from '../comfy/workflow.ts';
import type { Endpoint } from './endpoint.ts';

/**
 * Checkpoints inside the images of worker-comfyui that RunPod builds (its Dockerfile). The other models, such as those of
 * 'flux1-dev' and 'z-image-turbo', are in parts, which a checkpoint loader cannot load.
 */
const inside: Readonly<Record<string, readonly string[]>> = {
  base: [],
  sdxl: ['sd_xl_base_1.0.safetensors'],
  sd3: ['sd3_medium_incl_clips_t5xxlfp8.safetensors'],
  'flux1-dev-fp8': ['flux1-dev-fp8.safetensors'],
  'flux1-dev': [],
  'flux1-schnell': [],
  'z-image-turbo': [],
};
const stockImage =
  /^(?:docker\.io\/)?runpod\/worker-comfyui:[\w.]+-(?<variant>[a-z0-9-]+?)(?:-cuda[\d.]+)?(?:@sha256:\w+)?$/;

/** Undefined = not known: an image of somebody else's, or a network volume, which may hold any. */
export function checkpointsOf({
  image,
  hasVolume,
}: Pick<Endpoint, 'image' | 'hasVolume'>): readonly string[] | undefined {
  const variant = hasVolume ? undefined : stockImage.exec(image ?? '')?.groups?.['variant'];
  return variant === undefined ? undefined : inside[variant];
}

/** The loaders whose checkpoint was left open, by node id. */
export function openLoaders(workflow: Workflow): readonly string[] {
  return Object.entries(workflow).flatMap(([id, { class_type: type, inputs }]) =>
    type === 'CheckpointLoaderSimple' && inputs.ckpt_name === '' ? [id] : [],
  );
}

const nextStep = "name one of the endpoint's in the workflow or in the setting 'podrelay.workflow.checkpoint'";

/**
 * The checkpoint for loaders that leave it open: the wanted one, else the one inside the endpoint's image, since an endpoint
 * cannot be asked for those that it has. Or why there is none, a sentence. Pure.
 */
export function openCheckpoint(
  wanted: string | undefined,
  endpoint: Endpoint | undefined,
): { readonly name: string } | { readonly why: string } {
  const known = endpoint === undefined ? undefined : checkpointsOf(endpoint);
  if (wanted !== undefined) {
    if (known === undefined || known.includes(wanted)) return { name: wanted };
    const has = known.length === 0 ? 'no checkpoint' : `only ${known.join(', ')}`;
    return { why: `the endpoint's image has ${has}, not '${wanted}' of the setting 'podrelay.workflow.checkpoint'` };
  }
  const [name] = known ?? [];
  if (name !== undefined) return { name };
  return known === undefined
    ? { why: `the workflow names no checkpoint, and an endpoint cannot be asked for those that it has: ${nextStep}` }
    : { why: `the workflow names no checkpoint, and the endpoint's image has none inside: ${nextStep}` };
}

/** Gives the open loaders that checkpoint. */
export function nameCheckpoint(workflow: Workflow, name: string): Workflow {
  const open = openLoaders(workflow);
  if (open.length === 0) return workflow;
  return Object.fromEntries(
    Object.entries(workflow).map(([id, node]) =>
      open.includes(id) ? [id, { ...node, inputs: { ...node.inputs, ckpt_name: name } }] : [id, node],
    ),
  );
}
