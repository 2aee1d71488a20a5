import {
  isFolderType,
  normalizeInside,
  sha256,
  splitPath,
  type FileStore,
  type StoredFile,
} from '../files/fileStore.ts';
import { decodePng } from '../media/png.ts';
import { NodeError } from './nodeInputs.ts';
import type { NodeType } from './nodeType.ts';

/** `sub/name.png` or `name.png [output]` (comfyui.md 1.5). */
function fileNamed(value: string, files: FileStore): StoredFile | undefined {
  const [, name = value, type = 'input'] = /^(.*) \[(\w+)\]$/.exec(value) ?? [];
  const path = normalizeInside(name);
  if (path === undefined || !isFolderType(type)) return undefined;
  const place = splitPath(path);
  return files.get(type, place.subfolder, place.name);
}

/** It looks for the file itself, not in the list of its own definition. */
const loadImage: NodeType = {
  name: 'LoadImage',
  facts: (lists) => ({
    display: 'Load Image',
    category: 'image',
    module: 'nodes',
    required: { image: [lists.inputFiles(), { image_upload: true }] },
    outputs: [
      ['IMAGE', 'IMAGE'],
      ['MASK', 'MASK'],
    ],
    essentials: 'Basics',
  }),
  check: {
    inputs: ['image'],
    refuse: (_input, value, files) =>
      // An empty name is the input folder itself, which exists.
      value === '' || (typeof value === 'string' && fileNamed(value, files) !== undefined)
        ? undefined
        : `Invalid image file: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  },
  fingerprint: (inputs, files) => {
    const file = typeof inputs['image'] === 'string' ? fileNamed(inputs['image'], files) : undefined;
    return file === undefined ? 'missing' : sha256(file.bytes);
  },
  run: (inputs, context) => {
    const name = inputs.text('image');
    if (name === '') throw new NodeError('IsADirectoryError', "[Errno 21] Is a directory: '/ComfyUI/input'");
    const file = fileNamed(name, context.files);
    if (file === undefined) throw new NodeError('FileNotFoundError', `No such file or directory: '${name}'`);
    try {
      const { width, height, rgb, alpha } = decodePng(file.bytes);
      // ComfyUI's mask is what is transparent.
      const data = alpha?.map((value) => 255 - value) ?? new Uint8Array(64 * 64);
      const mask = alpha === undefined ? { width: 64, height: 64, data } : { width, height, data };
      return {
        outputs: [
          { kind: 'image', frames: [{ width, height, rgb }] },
          { kind: 'mask', masks: [mask] },
        ],
      };
    } catch {
      throw new NodeError('UnidentifiedImageError', `cannot identify image file '${name}'`);
    }
  },
};

/** What reads pictures from the server's folders. */
export const LOAD_NODES: readonly NodeType[] = [loadImage];
