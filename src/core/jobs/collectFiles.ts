import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, unlink } from 'node:fs/promises';
import path from 'node:path';
import type { RemoteFile } from '../backends/backend.ts';
import { throwIfAborted, toFault, treatments } from '../kernel/fault.ts';
import type { Fault } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { numberedName, sanitizeName, splitName } from '../outputs/outputName.ts';
import { markOf } from '../outputs/partName.ts';
import { removeParts, saveOutput } from '../outputs/saveOutput.ts';
import type { SavedOutput } from '../outputs/saveOutput.ts';
import { sidecarPath } from '../outputs/sidecar.ts';

export interface CollectOptions {
  readonly files: readonly RemoteFile[];
  /** Of the job: what a crash leaves of it can be found by it. */
  readonly jobId: string;
  /** What an earlier window has saved of it: the first so many files. Absent = there was no such window. */
  readonly before?: readonly SavedOutput[];
  /** Another run of the job makes the same files: one that is there already may be that run's. */
  readonly hasOther?: boolean;
  readonly folder: string;
  readonly clock: Clock;
  readonly log: Log;
  /** All that is saved so far, after every file. */
  readonly onSaved: (outputs: readonly SavedOutput[]) => Promise<void>;
}

/** Times that one file is fetched before the job fails: the result is made and paid for, so we do not give up at once. */
const tries = 3;
const pauseMs = 500;
/** Numbers that are looked through for a file that a crash has left. */
const mostTwins = 1_000;

/** Fetches and saves the files of a job, in order. @throws Fault; what was saved until then is told to `onSaved` */
export async function collectFiles(options: CollectOptions, signal: AbortSignal): Promise<readonly SavedOutput[]> {
  const { files, folder, jobId, before, hasOther = false, onSaved } = options;
  if (before !== undefined) await removeParts(folder, markOf(jobId));
  let saved = before ?? [];
  for (const file of files.slice(saved.length)) {
    const output = await fetchFile(options, file, signal);
    const isNew = before === undefined || hasOther;
    saved = [...saved, isNew ? output : await firstOfTwins(output, sanitizeName(file.name))];
    await onSaved(saved);
  }
  return saved;
}

/**
 * A window that crashed between saving a file and writing that down has left it: the same bytes under a name tried
 * before, and no story beside it. Then that one stays and the new one goes.
 */
async function firstOfTwins(output: SavedOutput, wanted: string): Promise<SavedOutput> {
  const folder = path.dirname(output.path);
  const named = splitName(wanted).extension === '' ? wanted + path.extname(output.path) : wanted;
  for (let n = 1; n <= mostTwins; n++) {
    const twin = path.join(folder, numberedName(named, n));
    if (twin === output.path) break;
    const info = await lstat(twin).catch(() => undefined);
    if (info?.isFile() !== true || info.size !== output.bytes) continue;
    if (await lstat(sidecarPath(twin)).catch(() => undefined)) continue;
    if ((await hashOf(twin)) !== (await hashOf(output.path))) continue;
    await unlink(output.path);
    return { ...output, path: twin };
  }
  return output;
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}

/** The files of a job that nobody wants any more; one that is gone already is no error. */
export async function removeFiles(outputs: readonly SavedOutput[]): Promise<void> {
  for (const output of outputs) {
    await unlink(output.path).catch(() => undefined);
    await unlink(sidecarPath(output.path)).catch(() => undefined);
  }
}

async function fetchFile(
  { jobId, folder, clock, log }: CollectOptions,
  file: RemoteFile,
  signal: AbortSignal,
): Promise<SavedOutput> {
  for (let attempt = 1; ; attempt++) {
    try {
      const body = await file.open(signal);
      return await saveOutput({ folder, serverName: file.name, body, mark: markOf(jobId) }, signal);
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
