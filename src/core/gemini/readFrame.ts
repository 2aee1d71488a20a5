import { linkOf, numberOf } from './readGraph.ts';
import type { WorkflowGraph } from './readGraph.ts';

/** What a graph makes, as far as it says: pixels, pictures in a batch, frames and their rate. */
export interface Frame {
  readonly width: number | undefined;
  readonly height: number | undefined;
  readonly batch: number;
  readonly frames: number | undefined;
  readonly fps: number | undefined;
  /** The latent is made from pixels rather than from nothing. */
  readonly fromPixels: boolean;
}

/** Inputs along which the picture itself travels. */
const pictureInputs = [
  'images',
  'image',
  'pixels',
  'samples',
  'latent_image',
  'latent',
  'latents',
  'image_embeds',
  'video',
  'frames',
  'upscale_image',
];

/** Follows the picture from an output back to where it begins; what is nearest to the output decides the size. */
export function readFrame(graph: WorkflowGraph, outputId: string): Frame {
  let width: number | undefined;
  let height: number | undefined;
  let batch: number | undefined;
  let frames: number | undefined;
  let fps: number | undefined;
  let fromPixels = false;
  let scale = 1;
  const seen = new Set<string>();
  let id: string | undefined = outputId;
  while (id !== undefined && !seen.has(id)) {
    seen.add(id);
    const node: WorkflowGraph[string] | undefined = graph[id];
    if (node === undefined) break;
    const number = (name: string): number | undefined => numberOf(graph, node.inputs[name]);
    const positive = (name: string): number | undefined => {
      const found = number(name);
      return found !== undefined && found > 0 ? found : undefined;
    };
    const [w, h] = [positive('width'), positive('height')];
    if (width === undefined && w !== undefined && h !== undefined) {
      width = Math.round(w * scale);
      height = Math.round(h * scale);
    }
    if (width === undefined) scale *= positive('scale_by') ?? positive('upscale_by') ?? 1;
    batch ??= positive('batch_size');
    frames ??= positive('length') ?? positive('num_frames') ?? positive('video_frames');
    fps ??= positive('fps') ?? positive('frame_rate');
    if (/VAEEncode/i.test(node.class_type)) fromPixels = true;
    id = pictureInputs.map((name) => linkOf(node.inputs[name])?.id).find((next) => next !== undefined);
  }
  return { width, height, batch: batch ?? 1, frames, fps, fromPixels };
}
