import { link, open, rename, unlink } from 'node:fs/promises';
import { errorCode } from './fileFault.ts';

/** What file systems without hard links answer: exFAT, FAT, many network shares. */
const noLinks = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'EMLINK', 'EXDEV', 'UNKNOWN']);

/** Gives `from` the name `to` in the same folder. False, with nothing changed, when something has that name already. */
export async function placeFile(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    if (!noLinks.has(errorCode(error))) throw error;
    return placeWithoutLinks(from, to);
  }
  await unlink(from);
  return true;
}

/** The same where there are no hard links: an empty file of ours takes the name first, and is then replaced. */
export async function placeWithoutLinks(from: string, to: string): Promise<boolean> {
  try {
    await (await open(to, 'wx')).close();
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
  try {
    await rename(from, to);
  } catch (error) {
    await unlink(to);
    throw error;
  }
  return true;
}
