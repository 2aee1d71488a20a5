import { constants } from 'node:fs';
import { copyFile, readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import { Fault } from '../kernel/fault.ts';
import { errorCode } from '../outputs/fileFault.ts';

const mostNames = 1_000;

/** How a graph beside `folder` names a file: relative, with '/'; undefined when it lies elsewhere. Faults: 'io'. */
export async function inputPathIn(folder: string, file: string): Promise<string | undefined> {
  try {
    const relative = path.relative(await realpath(folder), await realpath(file));
    const isInside = relative !== '' && relative.split(path.sep)[0] !== '..' && !path.isAbsolute(relative);
    return isInside ? relative.replaceAll(path.sep, '/') : undefined;
  } catch (error) {
    throw unusable(file, error);
  }
}

/** Copies a file into the folder under a name that is free, or that the same file has already. Faults: 'io'. */
export async function copyInput(folder: string, file: string): Promise<string> {
  const { name, ext } = path.parse(file);
  try {
    const bytes = await readFile(file);
    for (let number = 1; number <= mostNames; number += 1) {
      const free = number === 1 ? `${name}${ext}` : `${name}-${number}${ext}`;
      const target = path.join(folder, free);
      try {
        await copyFile(file, target, constants.COPYFILE_EXCL);
        return free;
      } catch (error) {
        if (errorCode(error) !== 'EEXIST') throw error;
        if (bytes.equals(await readFile(target))) return free;
      }
    }
    throw new Error(`There are ${mostNames} files called ${name} already`);
  } catch (error) {
    throw unusable(file, error);
  }
}

function unusable(file: string, error: unknown): Fault {
  const why = error instanceof Error ? error.message : String(error);
  return new Fault('io', `${path.basename(file)} cannot be used: ${why}`, { delivered: 'no' }, { cause: error });
}
