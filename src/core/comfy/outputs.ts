import type { OutputFile } from './comfyClient.ts';
import * as wire from './wire.ts';
import type { WireOutputs } from './wire.ts';

/**
 * The files of a finished prompt. They stand under many keys (`images`, `gifs`, `audio`, `3d` …), so every list of
 * file entries counts. Previews (type 'temp') are taken only when there is nothing else.
 */
export function outputFiles(outputs: WireOutputs): readonly OutputFile[] {
  const files = Object.entries(outputs).flatMap(([nodeId, node]) =>
    Object.values(node ?? {}).flatMap((list) =>
      Array.isArray(list) ? list.flatMap((item) => readFile(nodeId, item)) : [],
    ),
  );
  const kept = files.filter((file) => file.type === 'output');
  return kept.length > 0 ? kept : files.filter((file) => file.type === 'temp');
}

function readFile(nodeId: string, item: unknown): OutputFile[] {
  const parsed = wire.fileEntry.safeParse(item);
  if (!parsed.success) return [];
  const { filename, subfolder, type } = parsed.data;
  return [{ nodeId, filename, subfolder, type }];
}
