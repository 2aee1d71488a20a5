import { readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { Fault, throwIfAborted } from '../kernel/fault.ts';

/** What a ComfyUI takes by default (`--max-upload-size`, comfyui.md 1.1). */
export const largestInputBytes = 100 * 1024 ** 2;

export interface InputFile {
  readonly path: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Reads a file that a graph names, from `folder` or below it: neither '..' nor a symbolic link leads out. Undefined when
 * there is no such file.
 * @throws Fault 'rejected' for a file that is too large, 'io' for one that cannot be read
 */
export async function findInputFile(folder: string, file: string, signal: AbortSignal): Promise<InputFile | undefined> {
  const name = file.replaceAll('\\', '/');
  const isInside =
    name !== '' && !name.includes('\0') && !/^([a-z]:|\/)/i.test(name) && !name.split('/').includes('..');
  if (!isInside) return undefined;
  try {
    const root = await realpath(folder);
    const found = await realpath(path.join(root, name));
    const inside = path.relative(root, found);
    if (inside === '' || inside.split(path.sep)[0] === '..' || path.isAbsolute(inside)) return undefined;
    const { size, isRegular } = await stat(found).then((entry) => ({ size: entry.size, isRegular: entry.isFile() }));
    if (!isRegular) return undefined;
    if (size > largestInputBytes) {
      const megabytes = Math.ceil(size / 1024 ** 2);
      throw new Fault(
        'rejected',
        `The input file ${file} has ${megabytes} MB, more than the ${largestInputBytes / 1024 ** 2} MB that can be sent`,
        {
          delivered: 'no',
          nextStep: 'Use a smaller file.',
        },
      );
    }
    throwIfAborted(signal);
    return { path: found, bytes: new Uint8Array(await readFile(found, { signal })) };
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof Fault) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return undefined;
    throw new Fault('io', `The input file ${file} cannot be read: ${message}`, { delivered: 'no' }, { cause: error });
  }
}
