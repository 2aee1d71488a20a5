import { resumePrompt } from '../comfy/resumePrompt.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { ComfyClient } from '../comfy/comfyClient.ts';
import type { RemoteRun } from '../store/jobStore.ts';
import type { JobRequest, RemoteFile, Resumed, RunContext } from './backend.ts';
import { jobProgress, remoteFile } from './comfyResult.ts';

export interface ComfyResumeOptions {
  readonly client: ComfyClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
}

export type ResumedOnComfy =
  | { readonly is: 'files'; readonly files: readonly RemoteFile[]; readonly ranMs: number | undefined }
  | Exclude<Resumed, { readonly is: 'result' }>;

/** Asks one ComfyUI for a job that an earlier window sent there. */
export async function resumeOnComfy(
  { client, clock, log, newId }: ComfyResumeOptions,
  { promptId, clientId, sentBefore }: RemoteRun,
  job: JobRequest,
  context: RunContext,
  signal: AbortSignal,
): Promise<ResumedOnComfy> {
  if (promptId === undefined) return { is: 'lost', why: 'It had not been sent to the server yet', end: 'neverSent' };
  const resumed = await resumePrompt(
    {
      client,
      workflow: job.workflow,
      promptId,
      ...(sentBefore === undefined ? {} : { sentBefore }),
      clientId: clientId ?? newId(),
      clock,
      log,
      onProgress: (at) => context.onProgress(jobProgress(at)),
    },
    signal,
  );
  if (resumed.is !== 'files') return resumed;
  return { ...resumed, files: resumed.files.map((file) => remoteFile(client, file)) };
}
