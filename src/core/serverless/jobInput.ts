import { uploadInputs } from '../inputs/uploadInputs.ts';
import type { Workflow } from '../comfy/workflow.ts';

/** RunPod's pages say 10 MB for `/run`; whether these are decimal is not told, so the smaller reading holds. */
export const largestRunBytes = 10_000_000;

/** RunPod's ranges (send-requests, execution policies), ms. */
const policyMs = { least: { executionTimeout: 5_000, ttl: 10_000 }, most: 7 * 86_400_000 };

/** Limits that RunPod itself keeps, whatever becomes of us: what a lost reply leaves behind ends by them. All ms. */
export interface JobPolicy {
  /** Of the run on a worker. */
  readonly executionTimeoutMs: number;
  /** From the submission on, whatever the state: then the job and its result are deleted. */
  readonly ttlMs: number;
}

export interface JobInput {
  /** The body of `/run`: what worker-comfyui takes (reference runpod.md, 6.1). */
  readonly json: string;
  readonly bytes: number;
  /** Bytes of the input files in it, encoded. */
  readonly fileBytes: number;
  /** The graph as it will run, its input files renamed. */
  readonly workflow: Workflow;
}

/**
 * Puts a graph and the input files that lie beside it into one request. The files travel inside it: a worker fetches
 * nothing. A name made of the content makes equal files one.
 * @throws Fault for a file that cannot be read
 */
export async function buildJobInput(
  workflow: Workflow,
  inputFolder: string | undefined,
  policy: JobPolicy,
  signal: AbortSignal,
): Promise<JobInput> {
  const images: { readonly name: string; readonly image: string }[] = [];
  const collect: Parameters<typeof uploadInputs>[0] = {
    upload: ({ name, bytes, mimeType }) => {
      const base64 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
      if (!images.some((one) => one.name === name)) images.push({ name, image: `data:${mimeType};base64,${base64}` });
      return Promise.resolve(name);
    },
  };
  const renamed = await uploadInputs(collect, workflow, inputFolder, () => undefined, signal);
  const within = (ms: number, least: number): number => Math.round(Math.min(policyMs.most, Math.max(least, ms)));
  const body = {
    input: { workflow: renamed, ...(images.length === 0 ? {} : { images }) },
    policy: {
      executionTimeout: within(policy.executionTimeoutMs, policyMs.least.executionTimeout),
      ttl: within(policy.ttlMs, policyMs.least.ttl),
    },
  };
  const json = JSON.stringify(body);
  const fileBytes = images.reduce((sum, { image }) => sum + image.length, 0);
  return { json, bytes: Buffer.byteLength(json), fileBytes, workflow: renamed };
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** Why a request cannot be sent, as a sentence; undefined = it can. */
export function oversize({ bytes, fileBytes }: JobInput): string | undefined {
  if (bytes <= largestRunBytes) return undefined;
  const what = fileBytes > 0 ? 'the workflow with its input files' : 'the workflow';
  return `${what} makes a request of ${megabytes(bytes)} MB, and RunPod takes ${megabytes(largestRunBytes)} MB at most`;
}

/** Why the workflow cannot run on worker-comfyui, as sentences. Pure. */
export function workerRefusals(workflow: Workflow): readonly string[] {
  const classes = Object.values(workflow).map(({ class_type: type }) => type);
  const returned = classes.some((type) => returnedSavers.test(type));
  const dropped = [...new Set(classes.filter((type) => droppedSavers.test(type)))];
  return [
    ...(dropped.length > 0 && !returned
      ? [`worker-comfyui returns nothing that ${dropped.join(' or ')} saves, only what nodes report as images`]
      : []),
  ];
}

/** Their files are reported under other names than `images`, which the worker leaves behind (worker-comfyui issue 232). */
const droppedSavers = /^(VHS_VideoCombine|SaveAudio\w*|PreviewAudio)$/;
const returnedSavers = /^Save(?!Audio)\w*Image|^SaveImage|^SaveAnimated|^SaveWEBM$|^SaveVideo$|Image\s?Save/i;
