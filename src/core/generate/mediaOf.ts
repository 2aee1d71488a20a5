import type { Workflow } from '../comfy/workflow.ts';

/** Nodes that save moving pictures (ComfyUI's own, and the Video Helper Suite). */
const videoSavers = /^(SaveVideo|SaveWEBM|SaveAnimatedWEBP|SaveAnimatedPNG|VHS_VideoCombine)$/;

export function mediaOf(workflow: Workflow): 'image' | 'video' {
  return Object.values(workflow).some(({ class_type }) => videoSavers.test(class_type)) ? 'video' : 'image';
}
