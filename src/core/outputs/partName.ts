import { createHash } from 'node:crypto';

/** Stands for a job in the names of its unfinished files, so that whoever goes on with it knows them. */
export function markOf(jobId: string): string {
  return createHash('sha256').update(jobId).digest('hex').slice(0, 12);
}

/** Follows the name that the file is to have. */
export function partEnding(mark: string): string {
  return `.${mark}.part`;
}
