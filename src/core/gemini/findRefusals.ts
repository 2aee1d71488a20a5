import { isSampler } from './graphFeatures.ts';
import type { GraphOutput } from './graphFeatures.ts';
import { linksOf, numberOf } from './readGraph.ts';
import type { WorkflowGraph } from './readGraph.ts';
import { isImageLoader } from './readInputImages.ts';
import type { InputImageUse } from './readInputImages.ts';

/**
 * Why a graph's purpose cannot be put to Gemini, a sentence each; empty = it can. Such a graph is refused rather than
 * silently degraded.
 */
export function findRefusals(
  graph: WorkflowGraph,
  active: readonly string[],
  outputs: readonly GraphOutput[],
  images: readonly InputImageUse[],
): readonly string[] {
  const refused = new Set<string>();
  if (outputs.length === 0) refused.add('Nothing in the graph saves an output');
  const kinds = new Set(outputs.map((output) => output.kind));
  if (kinds.size > 1) refused.add(`It makes more than one kind of output: ${[...kinds].sort().join(', ')}`);
  else if (kinds.has('audio') || kinds.has('other')) refused.add('It makes neither images nor video');
  for (const id of active) {
    const reason = refusalOf(graph, id);
    if (reason !== undefined) refused.add(reason);
  }
  if (outputs.length > 0 && !active.some((id) => isSampler(graph[id]))) {
    refused.add(
      images.length > 0
        ? 'It works on an existing image without a prompt (upscaling, scaling or filtering)'
        : 'It has no sampler, so there is no prompt to read',
    );
  }
  return [...refused];
}

function refusalOf(graph: WorkflowGraph, id: string): string | undefined {
  const node = graph[id];
  if (node === undefined) return undefined;
  const { class_type: classType, inputs } = node;
  if (/ControlNet|T2IAdapter|ControlLora/i.test(classType) && !/Loader/i.test(classType)) {
    // A control of no strength does nothing; Gemini does as much.
    return numberOf(graph, inputs.strength) === 0
      ? undefined
      : `ControlNet (node ${id}): Gemini takes no pose, depth or edges`;
  }
  if (/inpaint|SetLatentNoiseMask|LoadImageMask/i.test(classType)) {
    return `Mask (node ${id}): Gemini cannot keep to the edges of an inpainting mask`;
  }
  if (/LoadVideo|LoadImagesFromDir|VideoFromPath/i.test(classType)) {
    return `Input video (node ${id}): sending videos to Gemini is not supported`;
  }
  if (linksOf(node).some((link) => link.slot === 1 && isImageLoader(graph[link.id]?.class_type ?? ''))) {
    return `Mask (node ${id}): Gemini cannot keep to the edges of an inpainting mask`;
  }
  return undefined;
}
