import { findInputFile } from '../inputs/findInputFile.ts';
import { inputFileName } from '../inputs/inputFilesOf.ts';
import { Fault } from '../kernel/fault.ts';
import type { InputImage } from './geminiClient.ts';
import { sniffImage } from './sniffImage.ts';

export interface GeminiInputs {
  /** In the order asked for; empty when anything is refused */
  readonly images: readonly InputImage[];
  /** A sentence for each file that cannot be sent. */
  readonly refused: readonly string[];
}

/** A request stays below 20 MB, and base64 adds a third (Gemini API docs, image understanding). */
const largestTogetherBytes = 14 * 1024 ** 2;

/** The files that Gemini is to be shown: unlike a ComfyUI, it has none of its own. */
export async function readGeminiInputs(
  names: readonly string[],
  folder: string | undefined,
  signal: AbortSignal,
): Promise<GeminiInputs> {
  const images: InputImage[] = [];
  const refused: string[] = [];
  let together = 0;
  for (const name of names) {
    const image = await readOne(name, folder, signal);
    if (typeof image === 'string') refused.push(image);
    else {
      images.push(image);
      together += image.bytes.length;
    }
  }
  if (together > largestTogetherBytes) {
    const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1024 ** 2)} MB`;
    refused.push(`the input images have ${megabytes(together)}, Gemini takes ${megabytes(largestTogetherBytes)}`);
  }
  return refused.length > 0 ? { images: [], refused } : { images, refused };
}

async function readOne(name: string, folder: string | undefined, signal: AbortSignal): Promise<InputImage | string> {
  if (folder === undefined) {
    return `input image ${name} is needed, and a workflow that is not saved in a file has no folder to look in`;
  }
  try {
    const file = inputFileName(name);
    const found = file === undefined ? undefined : await findInputFile(folder, file, signal);
    if (found === undefined) return `input image ${name} is needed and was not found in ${folder}`;
    const kind = sniffImage(found.bytes);
    if (kind === undefined) return `input image ${name} is neither PNG, JPEG nor WebP`;
    return { bytes: found.bytes, mimeType: kind.mimeType };
  } catch (error) {
    if (error instanceof Fault && (error.kind === 'rejected' || error.kind === 'io')) return error.message;
    throw error;
  }
}
