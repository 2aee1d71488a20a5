import { createHash } from 'node:crypto';

export type FolderType = 'output' | 'input' | 'temp';

export interface StoredFile {
  bytes: Buffer;
  /** ms since the epoch, simulated */
  modifiedMs: number;
  /** Order of writing; the newest is the largest */
  serial: number;
}

export function isFolderType(value: string): value is FolderType {
  return value === 'output' || value === 'input' || value === 'temp';
}

/** The server's output, input and temp folders, in memory. Sub-folders are POSIX paths without leading slash. */
export class FileStore {
  readonly #files = new Map<string, StoredFile>();
  readonly #now: () => number;
  #serial = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  get(type: FolderType, subfolder: string, name: string): StoredFile | undefined {
    return this.#files.get(keyOf(type, subfolder, name));
  }

  write(type: FolderType, subfolder: string, name: string, bytes: Buffer): void {
    this.#files.set(keyOf(type, subfolder, name), { bytes, modifiedMs: this.#now(), serial: ++this.#serial });
  }

  delete(type: FolderType, subfolder: string, name: string): boolean {
    return this.#files.delete(keyOf(type, subfolder, name));
  }

  /** Names directly in a folder. */
  names(type: FolderType, subfolder: string): string[] {
    const prefix = keyOf(type, subfolder, '');
    return [...this.#files.keys()]
      .filter((key) => key.startsWith(prefix) && !key.slice(prefix.length).includes('/'))
      .map((key) => key.slice(prefix.length));
  }

  /** The file of a folder that was written last. */
  newest(type: FolderType): StoredFile | undefined {
    let newest: StoredFile | undefined;
    for (const [key, file] of this.#files) {
      if (key.startsWith(`${type}/`) && (newest === undefined || file.serial > newest.serial)) newest = file;
    }
    return newest;
  }

  /** All files of a folder and its sub-folders, relative paths. */
  paths(type: FolderType): string[] {
    const prefix = `${type}/`;
    return [...this.#files.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
  }

  /** What a restart does to disk: only temp is emptied. */
  clearTemp(): void {
    for (const key of [...this.#files.keys()]) if (key.startsWith('temp/')) this.#files.delete(key);
  }
}

/** Splits `sub/dir/name.png` at its last slash. */
export function splitPath(path: string): { subfolder: string; name: string } {
  const at = path.lastIndexOf('/');
  return at < 0 ? { subfolder: '', name: path } : { subfolder: path.slice(0, at), name: path.slice(at + 1) };
}

/**
 * Resolves `..` and `.` in a relative path. Undefined when it leaves its root.
 */
export function normalizeInside(path: string): string | undefined {
  if (path.startsWith('/')) return undefined;
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join('/');
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function keyOf(type: FolderType, subfolder: string, name: string): string {
  return subfolder === '' ? `${type}/${name}` : `${type}/${subfolder}/${name}`;
}
