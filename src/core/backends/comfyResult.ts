import type { ComfyClient, OutputFile } from '../comfy/comfyClient.ts';
import type { PromptProgress } from '../comfy/runPrompt.ts';
import type { JobProgress, RemoteFile } from './backend.ts';

export function remoteFile(client: ComfyClient, file: OutputFile): RemoteFile {
  return { name: file.filename, open: async (signal) => (await client.download(file, signal)).body };
}

/** What a prompt's progress is to a job. */
export function jobProgress(at: PromptProgress): JobProgress {
  const running =
    at.silentMs === undefined
      ? 'Generating'
      : `Nothing heard for ${Math.round(at.silentMs / 60_000)} min: ComfyUI may hang, or load a model`;
  const phase =
    at.phase === 'sent' ? 'Sending' : at.phase === 'queued' ? `Waiting (${(at.place ?? 0) + 1} in line)` : running;
  return {
    phase,
    ...(at.fraction === undefined ? {} : { fraction: at.fraction }),
    ...(at.node === undefined ? {} : { node: at.node }),
    ...(at.preview === undefined ? {} : { preview: at.preview }),
  };
}
