import { isImageLoader } from './readInputImages.ts';
import type { GraphNode, WorkflowGraph } from './readGraph.ts';

export interface GraphOutput {
  readonly id: string;
  readonly kind: 'image' | 'video' | 'audio' | 'other';
}

const saves = /^Save|VideoCombine|SaveVideo|Image Save|ImageSave/i;
const previews = /^Preview/i;

/** The nodes that make a graph's outputs; previews only where nothing is saved. Nodes that are fed from are no outputs. */
export function outputsOf(graph: WorkflowGraph): readonly GraphOutput[] {
  const matching = (pattern: RegExp): GraphOutput[] =>
    Object.entries(graph).flatMap(([id, node]) =>
      pattern.test(node.class_type) ? [{ id, kind: kindOf(node.class_type) }] : [],
    );
  const saved = matching(saves);
  return saved.length > 0 ? saved : matching(previews);
}

function kindOf(classType: string): GraphOutput['kind'] {
  if (/Video|WEBM|Animated|GIF|MP4/i.test(classType)) return 'video';
  if (/Audio/i.test(classType)) return 'audio';
  return /Image|Websocket/i.test(classType) ? 'image' : 'other';
}

/** A node that turns noise into a latent. A KSamplerSelect only names a method. */
export function isSampler(node: GraphNode | undefined): boolean {
  if (node === undefined || !/sampler/i.test(node.class_type)) return false;
  return ['latent_image', 'positive', 'guider', 'text_embeds', 'conditioning'].some((name) => name in node.inputs);
}

/** Nodes that need no word: they load, decode, hold values or are read elsewhere. */
const unremarkable =
  /^(Save|Preview)|VideoCombine|CreateVideo|TextEncode|VAE|Loader|EmptyLatent|Empty\w*Latent|Primitive|^Int$|^Float$|^String|Reroute|Note|KSamplerSelect|Scheduler|RandomNoise|Guider|ConditioningZeroOut|ModelSampling|CLIPSetLastLayer|ImageToVideo|FluxGuidance|Sampler|ImageScale|LatentUpscale|IPAdapter|CLIPVision|Reference|img2vid|GetImageSize/i;

/** What of a graph Gemini leaves out, a sentence each, none twice. */
export function describeLosses(
  graph: WorkflowGraph,
  active: readonly string[],
  samplers: readonly string[],
): readonly string[] {
  const lost = new Set<string>();
  const others = new Set<string>();
  for (const id of active) {
    const node = graph[id];
    if (node === undefined) continue;
    const said = lossOf(node, id);
    if (said !== undefined) lost.add(said);
    else if (!unremarkable.test(node.class_type) && !isImageLoader(node.class_type)) others.add(node.class_type);
  }
  for (const id of samplers) lost.add(samplingOf(graph[id]));
  if (samplers.length > 1) lost.add(`${samplers.length - 1} further sampling pass(es): one prompt is sent`);
  if (others.size > 0) lost.add(`Nodes without a counterpart: ${[...others].sort().join(', ')}`);
  lost.delete('');
  return [...lost];
}

function lossOf(node: GraphNode, id: string): string | undefined {
  const { class_type: classType, inputs } = node;
  const name = [inputs.lora_name, inputs.lora_name_1, inputs.lora].find((value) => typeof value === 'string');
  if (/lora/i.test(classType)) return `LoRA ${name ?? `of node ${id}`}`;
  for (const model of [inputs.ckpt_name, inputs.unet_name]) {
    if (typeof model !== 'string') continue;
    const named = model === '' ? 'Model' : `Model ${model}`;
    return `${named}: Gemini is another generator and paints differently`;
  }
  if (/UpscaleModel|ImageUpscaleWithModel/i.test(classType)) return 'Upscaling by a model';
  if (/AnimateDiff|^ADE_/i.test(classType)) return 'AnimateDiff motion model';
  if (/Conditioning(SetArea|SetMask|SetTimestep|Average|Combine|Concat)/i.test(classType)) {
    return 'Prompts for areas, times or shares of the picture: all are sent as one text';
  }
  if (typeof inputs.model_name === 'string' && /Model.*Loader|Load.*Model/i.test(classType)) {
    return `Model ${inputs.model_name}`;
  }
  return undefined;
}

function samplingOf(node: GraphNode | undefined): string {
  const names = { steps: 'steps', cfg: 'CFG', sampler_name: 'sampler', scheduler: 'scheduler', denoise: 'denoise' };
  const values = Object.entries(names).flatMap(([input, label]) => {
    const value = node?.inputs[input];
    return typeof value === 'number' || typeof value === 'string' ? [`${label} ${value}`] : [];
  });
  return values.length === 0 ? 'Sampling settings' : `Sampling settings: ${values.join(', ')}`;
}
