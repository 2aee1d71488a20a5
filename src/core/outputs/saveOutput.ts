import { lstat, mkdir, open, readdir, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { abortFault, Fault, throwIfAborted, toFault } from '../kernel/fault.ts';
import { untilAborted } from '../kernel/untilAborted.ts';
import { errorCode, fileFault } from './fileFault.ts';
import { extensionOf, headBytes, isPageInstead, mediaKind } from './mediaKind.ts';
import type { MediaKind } from './mediaKind.ts';
import { numberedName, sanitizeName, splitName } from './outputName.ts';
import { partEnding } from './partName.ts';
import { placeFile } from './placeFile.ts';
import { sidecarPath } from './sidecar.ts';

export interface OutputToSave {
  /** Made when it is missing. May be a symbolic link to a folder: that is the person's choice. */
  readonly folder: string;
  /** As the server sent it: only its last part counts, and that is sanitised. */
  readonly serverName: string;
  readonly body: AsyncIterable<Uint8Array>;
  /** Goes into the name of the unfinished file, so that what a crash leaves can be told from what others are writing. */
  readonly mark?: string;
}

export interface SavedOutput {
  readonly path: string;
  readonly bytes: number;
  readonly kind: MediaKind;
}

const mostNumbers = 10_000;

/**
 * Streams a body into `folder` under a name that nothing has yet: first into 'NAME.part', which gets its name when it
 * is complete. Memory use does not grow with the size. Whatever ends it early, no part is left behind, and files that
 * exist are never touched.
 * Faults: 'io' (disk full, no right to write) with a next step, 'protocol' for an empty body or a web page, the signal's, the body's.
 */
export async function saveOutput(output: OutputToSave, signal: AbortSignal): Promise<SavedOutput> {
  throwIfAborted(signal);
  const folder = path.resolve(output.folder);
  const wanted = sanitizeName(output.serverName);
  const part = await inFolder(folder, async () => {
    await mkdir(folder, { recursive: true });
    return openPart(folder, wanted, output.mark === undefined ? '.part' : partEnding(output.mark));
  });
  try {
    const { bytes, head } = await receive(output.body, part.handle, folder, signal);
    if (bytes === 0) throw new Fault('protocol', `The server sent an empty file for '${wanted}'`);
    if (isPageInstead(head, wanted)) throw new Fault('protocol', `A web page came instead of '${wanted}'`);
    const name = splitName(wanted).extension === '' ? `${wanted}${extensionOf(head)}` : wanted;
    const saved = await inFolder(folder, async () => {
      await part.handle.close();
      return placeNumbered(part.path, folder, name);
    });
    return { path: saved, bytes, kind: mediaKind(head, name) };
  } catch (error) {
    await removePart(part);
    throw error;
  }
}

/** Removes the unfinished files with this mark: only their owner's successor may do that. */
export async function removeParts(folder: string, mark: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((one) => one.endsWith(partEnding(mark)))) {
    await unlink(inside(path.resolve(folder), name)).catch(() => undefined);
  }
}

async function inFolder<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileFault(error, folder);
  }
}

interface Part {
  readonly path: string;
  readonly handle: FileHandle;
}

/** 'wx' neither follows a symbolic link of that name nor opens a part that another save is writing. */
async function openPart(folder: string, name: string, ending: string): Promise<Part> {
  for (let n = 1; n <= mostNumbers; n += 1) {
    const partPath = inside(folder, `${numberedName(name, n)}${ending}`);
    try {
      return { path: partPath, handle: await open(partPath, 'wx') };
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
  }
  throw tooMany(folder, name);
}

/** A name counts as taken also when its sidecar is there: a deleted picture's story must not pass to a new one. */
async function placeNumbered(partPath: string, folder: string, name: string): Promise<string> {
  for (let n = 1; n <= mostNumbers; n += 1) {
    const candidate = inside(folder, numberedName(name, n));
    if (await exists(sidecarPath(candidate))) continue;
    if (await placeFile(partPath, candidate)) return candidate;
  }
  throw tooMany(folder, name);
}

/** The name is sanitised already; this holds even if that were wrong. */
function inside(folder: string, name: string): string {
  const full = path.join(folder, name);
  if (path.basename(full) !== name || path.dirname(full) !== folder) {
    throw new Fault('bug', 'An output name left the output folder');
  }
  return full;
}

async function exists(file: string): Promise<boolean> {
  try {
    await lstat(file);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Reads until the end or the signal. A body that never answers cannot hold a cancel up. */
async function receive(
  body: AsyncIterable<Uint8Array>,
  handle: FileHandle,
  folder: string,
  signal: AbortSignal,
): Promise<{ readonly bytes: number; readonly head: Uint8Array }> {
  const chunks = body[Symbol.asyncIterator]();
  let bytes = 0;
  let head: Uint8Array = new Uint8Array(0);
  try {
    for (;;) {
      throwIfAborted(signal);
      // Promise.race with one promise for all chunks would keep every chunk in memory until the end.
      const next = await untilAborted(chunks.next(), signal);
      if (next.done === true) return { bytes, head };
      if (head.length < headBytes) head = Buffer.concat([head, next.value.subarray(0, headBytes - head.length)]);
      bytes += next.value.length;
      await writeAll(handle, next.value, folder);
    }
  } catch (error) {
    // Not awaited: a generator that hangs in next() answers return() only after that.
    chunks.return?.().catch(() => undefined);
    throw signal.aborted ? abortFault(signal) : toFault(error);
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array, folder: string): Promise<void> {
  await inFolder(folder, async () => {
    for (let from = 0; from < chunk.length;) {
      from += (await handle.write(chunk, from, chunk.length - from)).bytesWritten;
    }
  });
}

/** The first error is the one to tell; a part that cannot be removed now is no reason to hide it. */
async function removePart(part: Part): Promise<void> {
  await part.handle.close().catch(() => undefined);
  await unlink(part.path).catch(() => undefined);
}

function tooMany(folder: string, name: string): Fault {
  return new Fault('io', `There are more than ${String(mostNumbers)} files like '${name}' in ${folder}`, {
    nextStep: 'Move old outputs away, or choose another folder in the setting podrelay.outputFolder.',
  });
}
