import { Fault } from '../kernel/fault.ts';
import type { FaultFacts } from '../kernel/fault.ts';
import type { RemoteJob } from './remoteJob.ts';
import { tracebackText, workerOutput } from './wire.ts';

/** A file as the worker handed it over: its bytes in base64, or the address of a bucket. */
export interface WorkerFile {
  readonly name: string;
  readonly data: { readonly in: 'base64'; readonly text: string } | { readonly in: 'bucket'; readonly url: string };
}

export interface WorkerResult {
  readonly files: readonly WorkerFile[];
  /** What went wrong beside them. */
  readonly errors: readonly string[];
}

/** The version that has both the endless wait for ComfyUI and outputs with more than one image (reference 6.5). */
const wantedWorker = 'worker-comfyui 5.8 or newer';
const bucketStep =
  "Results above 20 MB do not come back that way: give the endpoint an S3 bucket (worker-comfyui's BUCKET_ENDPOINT_URL).";

/**
 * The files of a job that has ended, or why it has none.
 * @throws Fault; each says `delivered: 'yes'`, since a worker has had the job
 */
export function readResult(job: RemoteJob): WorkerResult {
  switch (job.status) {
    case 'completed':
      return readOutput(job.output);
    case 'failed':
      throw failure(job);
    case 'cancelled':
      throw new Fault('cancelled', 'The job was cancelled at RunPod', { delivered: 'yes' });
    case 'timedOut':
      throw new Fault('timeout', 'RunPod ended the job: it ran longer than its limit', {
        delivered: 'yes',
        nextStep: "Raise the endpoint's execution timeout, or use a faster GPU.",
      });
    case 'queued':
    case 'running':
    case 'unknown':
      throw new Fault('bug', 'The job has not ended');
  }
}

function readOutput(raw: unknown): WorkerResult {
  const parsed = workerOutput.safeParse(raw);
  if (!parsed.success) {
    throw new Fault('protocol', `The endpoint's worker does not answer as ${wantedWorker} does`, {
      delivered: 'yes',
      raw: JSON.stringify(raw ?? null).slice(0, 2_000),
      nextStep: 'Choose an endpoint that runs worker-comfyui.',
    });
  }
  const { images, errors = [], message, status, error } = parsed.data;
  if (error !== undefined && error !== null && (images ?? []).length === 0) throw workerFault(textOf(error), errors);
  const listed = (images ?? []).map((image, index): WorkerFile => {
    const name = image.filename ?? `output-${index + 1}`;
    const inBucket = image.type === 's3_url' || (image.type !== 'base64' && isUrl(image.data));
    return { name, data: inBucket ? { in: 'bucket', url: image.data } : { in: 'base64', text: image.data } };
  });
  if (listed.length > 0) return { files: listed, errors };
  // Before 5.0.0: one result, as text.
  if (images === undefined && message !== undefined && message !== '') {
    const data = isUrl(message)
      ? ({ in: 'bucket', url: message } as const)
      : ({ in: 'base64', text: message } as const);
    return { files: [{ name: 'output', data }], errors };
  }
  const nothing =
    status === 'success_no_images' ? 'The workflow ran and saved no image' : 'The worker returned no image';
  throw new Fault('jobFailed', [nothing, ...errors].join(': '), {
    delivered: 'yes',
    nextStep:
      'Worker-comfyui returns only what nodes report as images: no temporary previews, audio or videos of packs.',
  });
}

function failure({ error, output }: RemoteJob): Fault {
  const parsed = workerOutput.safeParse(output ?? {});
  const details = parsed.success ? [...(parsed.data.details ?? []), ...(parsed.data.errors ?? [])] : [];
  const text = textOf(error);
  if (text !== '' || details.length > 0) return workerFault(text, details);
  return new Fault('jobFailed', 'The job failed at RunPod, which does not say why', {
    delivered: 'yes',
    nextStep: bucketStep,
  });
}

/** The handler's error, or the message inside the traceback that RunPod's SDK makes of an exception. */
function textOf(error: unknown): string {
  const raw = typeof error === 'string' ? error : error === undefined || error === null ? '' : JSON.stringify(error);
  try {
    const traceback = tracebackText.safeParse(JSON.parse(raw));
    return traceback.success ? traceback.data.error_message : raw;
  } catch {
    return raw;
  }
}

const nodeText = /^Workflow execution error: Node Type: (.*?), Node ID: (.*?), Message: (.*)$/s;

/** What an error of worker-comfyui means (texts: reference runpod.md, 6.3). */
export function workerFault(error: string, details: readonly string[]): Fault {
  const all = [error, ...details].join('\n');
  const raw = all.slice(0, 4_000);
  const base: FaultFacts = { delivered: 'yes', raw };
  const [, nodeType, nodeId, message] =
    details.map((line) => nodeText.exec(line)).find((found) => found !== null) ?? [];
  const node = nodeId === undefined || nodeType === undefined ? {} : { nodeId, nodeType };
  const said = message ?? [error, ...details].filter((line) => line !== 'Job processing failed').join('; ');
  if (/out of memory|OutOfMemory|Allocation on device/i.test(all)) {
    return new Fault('outOfMemory', `The worker's GPU ran out of memory: ${said}`, { ...base, ...node });
  }
  if (error.startsWith('Workflow validation failed')) {
    const nextStep = 'Use an endpoint whose image has the nodes and models of the workflow.';
    return new Fault('mismatch', `The endpoint cannot run the workflow: ${plain(said)}`, { ...base, nextStep });
  }
  if (/^ComfyUI server .* not reachable/.test(error)) {
    return new Fault('unavailable', 'ComfyUI did not start on the worker', {
      ...base,
      nextStep: `Use an image of ${wantedWorker}: older ones give up during a cold start.`,
    });
  }
  if (
    /^(WebSocket communication error|HTTP communication error|Error queuing workflow|Prompt ID .* not found|Job processing failed, prompt ID not found)/.test(
      error,
    )
  ) {
    return new Fault('unavailable', `ComfyUI broke down on the worker: ${plain(said)}`, base);
  }
  if (/job timed out after \d+ retries/.test(error)) {
    return new Fault('unavailable', 'The workers died under the job, twice', {
      ...base,
      nextStep: "Read the workers' logs with 'PodRelay: Show Worker Logs…': often the GPU's memory does not suffice.",
    });
  }
  if (error.startsWith('Failed to return job results')) {
    return new Fault('jobFailed', 'The result is larger than RunPod hands over', { ...base, nextStep: bucketStep });
  }
  const where = nodeType === undefined ? '' : ` in node ${nodeId} (${nodeType})`;
  return new Fault('jobFailed', `The workflow failed on the worker${where}: ${plain(said)}`, { ...base, ...node });
}

function plain(text: string): string {
  return text
    .replace(/^Workflow validation failed:\s*/, '')
    .replace(/\s*\n\s*•?\s*/g, '; ')
    .replace(/^[•;\s]+/, '')
    .slice(0, 600);
}

function isUrl(text: string): boolean {
  return /^https?:\/\//i.test(text);
}
