import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { throwIfAborted } from '../../core/kernel/fault.ts';
import { errorCode, fileFault } from '../../core/outputs/fileFault.ts';
import { readSidecar, sidecarPath } from '../../core/outputs/sidecar.ts';
import type { Sidecar } from '../../core/outputs/sidecar.ts';

export interface FoundOutput {
  /** Name of the file in the output folder. */
  readonly name: string;
  readonly path: string;
  /** When its sidecar was written, ms since the epoch. */
  readonly mtimeMs: number;
  /** Undefined when it is damaged or not ours: the file is shown, its story is unknown. */
  readonly sidecar: Sidecar | undefined;
}

export interface OutputScan {
  /** Newest first. */
  readonly outputs: readonly FoundOutput[];
  /** All that the folder has, shown or not. */
  readonly total: number;
}

const suffix = sidecarPath('');
/** A sidecar holds one graph; what is larger is not read. */
const largestSidecarBytes = 8_000_000;
const statsAtOnce = 64;

interface Candidate {
  readonly name: string;
  readonly mtimeMs: number;
  readonly bytes: number;
}

/** Reads what the output folder says of itself. A sidecar is read once, as long as it does not change. */
export class OutputScanner {
  #read = new Map<string, { readonly key: string; readonly sidecar: Sidecar | undefined }>();

  /** The newest `limit` files that have a sidecar. A missing folder has none. Faults: 'io', the signal's. */
  async scan(folder: string, limit: number, signal: AbortSignal): Promise<OutputScan> {
    const candidates = await listCandidates(folder, signal);
    candidates.sort((a, b) => b.mtimeMs - a.mtimeMs || (a.name < b.name ? 1 : -1));
    const before = this.#read;
    this.#read = new Map();
    const outputs: FoundOutput[] = [];
    for (const { name, mtimeMs, bytes } of candidates.slice(0, limit)) {
      throwIfAborted(signal);
      const file = path.join(folder, name);
      const key = `${mtimeMs}:${bytes}`;
      const known = before.get(file);
      const entry = known?.key === key ? known : { key, sidecar: await readOrUndefined(file, bytes) };
      this.#read.set(file, entry);
      outputs.push({ name, path: file, mtimeMs, sidecar: entry.sidecar });
    }
    return { outputs, total: candidates.length };
  }
}

async function listCandidates(folder: string, signal: AbortSignal): Promise<Candidate[]> {
  const names = await readFolder(folder);
  const there = new Set(names);
  // The file's name comes from the sidecar's name; what a sidecar says inside is not used as a path.
  const wanted = names
    .filter((name) => name.endsWith(suffix) && name.length > suffix.length)
    .map((name) => name.slice(0, -suffix.length))
    .filter((name) => there.has(name));
  const found: Candidate[] = [];
  for (let from = 0; from < wanted.length; from += statsAtOnce) {
    throwIfAborted(signal);
    const some = await Promise.all(wanted.slice(from, from + statsAtOnce).map((name) => candidate(folder, name)));
    found.push(...some.filter((one) => one !== undefined));
  }
  return found;
}

async function readFolder(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw fileFault(error, folder);
  }
}

/** Undefined when it was deleted meanwhile. */
async function candidate(folder: string, name: string): Promise<Candidate | undefined> {
  try {
    const { mtimeMs, size } = await stat(sidecarPath(path.join(folder, name)));
    return { name, mtimeMs, bytes: size };
  } catch {
    return undefined;
  }
}

async function readOrUndefined(file: string, bytes: number): Promise<Sidecar | undefined> {
  if (bytes > largestSidecarBytes) return undefined;
  try {
    return await readSidecar(file);
  } catch {
    return undefined;
  }
}
