import { open, rename, stat, unlink } from 'node:fs/promises';

/** A window that dies while it repairs must not stop the others for longer than this. */
const staleLockMs = 30_000;

/**
 * Renames a damaged database, so that nothing of it is lost and a new one can be started. Only one window does it:
 * the others would move the new file away. Returns the new path, or undefined when there was nothing left to do here,
 * or another window is at it; the caller opens again and looks.
 */
export async function setAside(file: string, isDamaged: () => boolean, nowMs: number): Promise<string | undefined> {
  const lock = `${file}.repair`;
  if (!(await takeLock(lock, nowMs))) return undefined;
  try {
    if (!isDamaged()) return undefined;
    const kept = `${file}.damaged-${new Date(nowMs).toISOString().replace(/[:.]/g, '-')}`;
    // The write-ahead log goes first: replayed into a new database, it would damage that one as well.
    for (const suffix of ['-wal', '-shm', '']) {
      await rename(`${file}${suffix}`, `${kept}${suffix}`).catch((error: unknown) => {
        if (suffix === '' || !isMissing(error)) throw error;
      });
    }
    return kept;
  } finally {
    await unlink(lock);
  }
}

async function takeLock(lock: string, nowMs: number): Promise<boolean> {
  try {
    await (await open(lock, 'wx')).close();
    return true;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  try {
    if (nowMs - (await stat(lock)).mtimeMs > staleLockMs) await unlink(lock);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  return false;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
