import type { Workflow } from '../comfy/workflow.ts';

/** A file of ComfyUI's input folder that a node loads. */
export interface InputFileUse {
  readonly nodeId: string;
  /** Name of the node's input that holds the file's name */
  readonly input: string;
  /** As it stands in the graph, '[input]' and all */
  readonly value: string;
  /** Relative, with '/' */
  readonly file: string;
}

/** `LoadImage`, `LoadImageMask`, `LoadVideo`, `LoadAudio`, `VHS_LoadVideo`, packs' `Load Image …`. */
const loads = /load/i;
/** Those name a path on the server, its output folder, or an address elsewhere. */
const loadsElsewhere = /path|output|folder|dir|url|http|save|loader/i;
const fileInputs = new Set(['image', 'mask', 'file', 'video', 'audio']);
/** Only media is ever read from the disk: a workflow is data, and must not send other files anywhere. */
const media = /\.(png|jpe?g|webp|gif|bmp|tiff?|mp4|webm|mov|mkv|avi|wav|mp3|flac|ogg|m4a)$/i;

/** The input files that a graph names. Pure. */
export function inputFilesOf(workflow: Workflow): readonly InputFileUse[] {
  return Object.entries(workflow).flatMap(([nodeId, node]) => {
    if (!loads.test(node.class_type) || loadsElsewhere.test(node.class_type)) return [];
    return Object.entries(node.inputs).flatMap(([input, value]) => {
      if (!fileInputs.has(input) || typeof value !== 'string') return [];
      const file = inputFileName(value);
      return file === undefined ? [] : [{ nodeId, input, value, file }];
    });
  });
}

/** `sub\name.png [input]` → `sub/name.png`; undefined when it names no media file of the input folder. */
export function inputFileName(value: string): string | undefined {
  const [, name = value, folder = 'input'] = /^(.*) \[(input|output|temp)\]$/.exec(value) ?? [];
  const file = name.trim().replaceAll('\\', '/');
  return folder === 'input' && media.test(file) ? file : undefined;
}
