import type { JobRequest } from '../backends/backend.ts';
import { markedLocalOnly } from '../generate/markedLocalOnly.ts';
import { detailsFor } from '../jobs/jobRecorder.ts';
import type { Clock } from '../kernel/ports.ts';
import { GraphPacker } from '../store/graphPack.ts';
import type { NewQueuedJob } from '../store/queueStore.ts';
import { fingerprintOf } from './fingerprint.ts';

/** Prepared in one go, so that the editor does not wait for the rest of a large batch. */
const atOnce = 250;

/** Requests as the records take them. */
export async function prepareJobs(
  requests: readonly (JobRequest & { readonly priority?: number })[],
  outputFolder: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly NewQueuedJob[]> {
  const packer = new GraphPacker();
  const jobs: NewQueuedJob[] = [];
  for (let from = 0; from < requests.length; from += atOnce) {
    if (from > 0) await clock.sleep(0, signal);
    for (const wanted of requests.slice(from, from + atOnce)) {
      const request = markedLocalOnly(wanted);
      const { key: fingerprint, models } = fingerprintOf(request.workflow);
      const { id, label, localOnly, priority = 0 } = request;
      const details = { ...detailsFor(request, outputFolder) };
      jobs.push({ id, label, graph: packer.pack(request.workflow), details, priority, fingerprint, models, localOnly });
    }
  }
  return jobs;
}
