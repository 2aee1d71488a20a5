import { unlink } from 'node:fs/promises';
import type { RemoteFile } from '../backends/backend.ts';
import { throwIfAborted, toFault, treatments } from '../kernel/fault.ts';
import type { Fault } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { saveOutput } from '../outputs/saveOutput.ts';
import type { SavedOutput } from '../outputs/saveOutput.ts';
import { sidecarPath } from '../outputs/sidecar.ts';

export interface CollectOptions {
  readonly files: readonly RemoteFile[];
  /** What an earlier window has saved: the first so many files. */
  readonly before: readonly SavedOutput[];
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Log;
  /** All that is saved so far, after every file. */
  readonly onSaved: (outputs: readonly SavedOutput[]) => Promise<void>;
}

/** Times that one file is fetched before the job fails: the result is made and paid for, so we do not give up at once. */
const tries = 3;
const pauseMs = 500;

/** Fetches and saves the files of a job, in order. @throws Fault; what was saved until then is told to `onSaved` */
export async function collectFiles(options: CollectOptions, signal: AbortSignal): Promise<readonly SavedOutput[]> {
  let saved = options.before;
  for (const file of options.files.slice(saved.length)) {
    saved = [...saved, await fetchFile(options, file, signal)];
    await options.onSaved(saved);
  }
  return saved;
}

/** The files of a job that nobody wants any more; one that is gone already is no error. */
export async function removeFiles(outputs: readonly SavedOutput[]): Promise<void> {
  for (const { path } of outputs) {
    await unlink(path).catch(() => undefined);
    await unlink(sidecarPath(path)).catch(() => undefined);
  }
}

async function fetchFile(
  { folder, clock, log }: CollectOptions,
  file: RemoteFile,
  signal: AbortSignal,
): Promise<SavedOutput> {
  for (let attempt = 1; ; attempt++) {
    try {
      const body = await file.open(signal);
      return await saveOutput({ folder, serverName: file.name, body }, signal);
    } catch (error) {
      throwIfAborted(signal);
      const fault = toFault(error);
      if (!mayPass(fault) || attempt >= tries) throw fault;
      log.warn(`Fetching ${file.name} failed (${fault.message}): trying again`);
      await clock.sleep(pauseMs * attempt, signal);
    }
  }
}

/** A file that came garbled may come whole; a refusal stays one. */
function mayPass({ kind, facts }: Fault): boolean {
  return treatments[kind].retry !== 'never' || (kind === 'protocol' && facts.status === undefined);
}
