import { runPrompt } from '../comfy/runPrompt.ts';
import type { PromptProgress } from '../comfy/runPrompt.ts';
import type { ComfyClient } from '../comfy/comfyClient.ts';
import { nodeClasses } from '../comfy/workflow.ts';
import type { Workflow } from '../comfy/workflow.ts';
import { uploadInputs } from '../inputs/uploadInputs.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { JobRequest, RemoteFile, RunContext } from './backend.ts';
import { jobProgress, remoteFile } from './comfyResult.ts';
import { fillCheckpoint } from './fillCheckpoint.ts';

export interface ComfyRunOptions {
  readonly client: ComfyClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
  readonly checkpoint: string | undefined;
}

export interface ComfyRun {
  readonly files: readonly RemoteFile[];
  /** The graph that ran. */
  readonly workflow: Workflow;
  /** Absent = not observed. */
  readonly ranMs?: number;
}

/** One workflow on one ComfyUI, wherever that runs: on this machine or on a pod. */
export async function runOnComfy(
  options: ComfyRunOptions,
  job: JobRequest,
  context: RunContext,
  signal: AbortSignal,
): Promise<ComfyRun> {
  const { client, clock, log, newId } = options;
  const filled = await prepared(options, job.workflow, signal);
  const sending = (file: string): void => context.onProgress({ phase: `Sending ${file}` });
  const workflow = await uploadInputs(client, filled, job.inputFolder, sending, signal);
  const promptId = newId();
  const clientId = newId();
  await context.onIntent({ address: client.baseUrl, promptId, clientId });
  const onProgress = (at: PromptProgress): void => context.onProgress(jobProgress(at));
  let ran: { readonly ranMs?: number } = {};
  const events = {
    onProgress,
    onSend: async () => context.onSend?.(),
    onAccepted: () => context.onAccepted?.(),
    onRan: (ranMs: number) => void (ran = { ranMs }),
  };
  const files = await runPrompt({ client, workflow, promptId, clientId, clock, log, ...events }, signal);
  return { files: files.map((file) => remoteFile(client, file)), workflow, ...ran };
}

async function prepared(options: ComfyRunOptions, workflow: Workflow, signal: AbortSignal): Promise<Workflow> {
  const needed = Object.values(workflow).some(
    (node) => node.class_type === 'CheckpointLoaderSimple' && node.inputs.ckpt_name === '',
  );
  if (!needed) return workflow;
  const info = await options.client.objectInfo(['CheckpointLoaderSimple'], signal);
  return fillCheckpoint(workflow, info, options.checkpoint);
}

/** The classes of the workflow that this server lacks, as sentences. */
export async function missingClasses(
  client: ComfyClient,
  workflow: Workflow,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const classes = nodeClasses(workflow);
  const info = await client.objectInfo(classes, signal);
  return classes.filter((name) => info[name] === undefined).map((name) => `node ${name} is not installed`);
}
