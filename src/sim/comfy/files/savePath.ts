import { NodeError } from '../nodes/nodeInputs.ts';
import { normalizeInside, splitPath, type FileStore, type FolderType } from './fileStore.ts';

/** Where a save node writes: names are `base_00001_.ext`, counted by what is in the folder already. */
export interface SavePath {
  subfolder: string;
  /** Base name with its placeholders filled in */
  base: string;
  /** First free number */
  counter: number;
}

/**
 * Resolves a `filename_prefix` (sub-folders, `%width%`, `%date parts%`). Throws NodeError when it leaves the folder,
 * which is an execution error, not a validation error (comfyui.md 5.2).
 */
export function savePath(
  prefix: string,
  type: FolderType,
  files: FileStore,
  size: { width: number; height: number },
  nowMs: number,
): SavePath {
  const filled = fillPlaceholders(prefix, size, new Date(nowMs));
  const path = normalizeInside(filled);
  if (path === undefined) {
    throw new NodeError(
      'Exception',
      `**** ERROR: Saving image outside the output folder is not allowed.\n full_output_folder: /ComfyUI/output/${filled}`,
    );
  }
  const { subfolder, name: base } = splitPath(path);
  let counter = 0;
  for (const name of files.names(type, subfolder)) {
    if (!name.startsWith(`${base}_`)) continue;
    const digits = /^\d+/.exec(name.slice(base.length + 1))?.[0];
    if (digits !== undefined) counter = Math.max(counter, Number(digits));
  }
  return { subfolder, base, counter: counter + 1 };
}

export function numbered(path: SavePath, index: number, extension: string): string {
  return `${path.base}_${String(path.counter + index).padStart(5, '0')}_.${extension}`;
}

function fillPlaceholders(prefix: string, size: { width: number; height: number }, date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const values: Record<string, string> = {
    width: String(size.width),
    height: String(size.height),
    year: String(date.getUTCFullYear()),
    month: two(date.getUTCMonth() + 1),
    day: two(date.getUTCDate()),
    hour: two(date.getUTCHours()),
    minute: two(date.getUTCMinutes()),
    second: two(date.getUTCSeconds()),
  };
  return prefix.replace(/%(width|height|year|month|day|hour|minute|second)%/g, (_, key: string) => values[key] ?? '');
}
