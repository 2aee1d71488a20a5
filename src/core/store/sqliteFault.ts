import { Fault, toFault } from '../kernel/fault.ts';

/** SQLite's primary result codes (sqlite.org/rescode.html), as far as they differ for a person. */
const primary = {
  busy: 5,
  locked: 6,
  readonly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
};

/** The primary code of an error of node:sqlite; undefined for any other error. */
export function sqliteCode(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return undefined;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined;
}

/** Another window is writing at this moment: wait a little. */
export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === primary.busy || code === primary.locked;
}

export function isDamage(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === primary.corrupt || code === primary.notADatabase;
}

export function sqliteFault(error: unknown, file: string): Fault {
  if (error instanceof Fault) return error;
  const because = error instanceof Error ? error.message : String(error);
  const io = (message: string, nextStep: string): Fault =>
    new Fault('io', message, { nextStep, raw: because }, { cause: error });
  switch (sqliteCode(error)) {
    case primary.busy:
    case primary.locked:
      return io('PodRelay’s records are locked by another program', 'Close other VS Code windows, then try again.');
    case primary.full:
      return io('There is no room left on the disk for PodRelay’s records', 'Free some space, then try again.');
    case primary.readonly:
    case primary.cannotOpen:
    case primary.ioError:
      return io(`PodRelay’s records cannot be written: ${because}`, `Check that ${file} can be written to.`);
    case primary.corrupt:
    case primary.notADatabase:
      return io('PodRelay’s records are damaged', 'Try again: the damaged file is kept and a new one is started.');
    default:
      // The file system refused to move a damaged file, which another program holds open.
      if (error instanceof Error && 'syscall' in error) {
        return io(`PodRelay’s records cannot be repaired: ${because}`, 'Close other VS Code windows, then try again.');
      }
      return toFault(error);
  }
}
