import { usesOf } from './readGraph.ts';
import type { WorkflowGraph } from './readGraph.ts';

/** What a loaded image is for. 'control' drives a ControlNet. */
export type ImageRole = 'start' | 'end' | 'edit' | 'reference' | 'control' | 'unused';

export interface InputImageUse {
  /** Name in ComfyUI's input folder */
  readonly file: string;
  readonly nodeId: string;
  readonly role: ImageRole;
}

const loaders = /^(LoadImage|LoadImageOutput|Load Image.*|ImageLoad.*)$/i;
const imageToVideo = /ImageToVideo|Img2Vid|I2V|FirstLastFrame|StartEnd|_img2vid/i;
const references =
  /IPAdapter|StyleModel|CLIPVision|Reference|PuLID|InstantID|PhotoMaker|TextEncode.*(Edit|Image|Plus)/i;
/** The strongest claim on an image comes first. */
const strength: readonly ImageRole[] = ['start', 'end', 'edit', 'reference', 'control', 'unused'];

export function isImageLoader(classType: string): boolean {
  return loaders.test(classType);
}

/** Each loaded image with its role: found by following it down to the first node that gives it one. */
export function readInputImages(graph: WorkflowGraph, active: readonly string[]): readonly InputImageUse[] {
  return active.flatMap((id) => {
    const node = graph[id];
    if (node === undefined || !loaders.test(node.class_type)) return [];
    const { image } = node.inputs;
    if (typeof image !== 'string') return [];
    const roles = rolesOf(graph, id, active);
    return [{ file: image, nodeId: id, role: strength.find((role) => roles.has(role)) ?? 'unused' }];
  });
}

function rolesOf(graph: WorkflowGraph, start: string, active: readonly string[]): ReadonlySet<ImageRole> {
  const roles = new Set<ImageRole>();
  const seen = new Set([start]);
  for (const id of seen) {
    for (const use of usesOf(graph, id, active)) {
      const role = roleAt(graph, use.by, use.input, active);
      if (role === undefined) seen.add(use.by);
      else roles.add(role);
    }
  }
  return roles;
}

function roleAt(graph: WorkflowGraph, by: string, input: string, active: readonly string[]): ImageRole | undefined {
  const classType = graph[by]?.class_type ?? '';
  if (/ControlNet|T2IAdapter|ControlLora/i.test(classType)) return 'control';
  if (imageToVideo.test(classType)) {
    if (/clip_vision/i.test(input)) return 'reference';
    return /end|last/i.test(input) ? 'end' : 'start';
  }
  if (references.test(classType)) return 'reference';
  if (/VAEEncode/i.test(classType)) {
    const takers = usesOf(graph, by, active).map((use) => graph[use.by]?.class_type ?? '');
    return takers.some((taker) => references.test(taker)) ? 'reference' : 'edit';
  }
  return undefined;
}
