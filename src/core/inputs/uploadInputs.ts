import { createHash } from 'node:crypto';
import path from 'node:path';
import type { ComfyClient } from '../comfy/comfyClient.ts';
import type { Workflow } from '../comfy/workflow.ts';
import { findInputFile } from './findInputFile.ts';
import { inputFilesOf } from './inputFilesOf.ts';

const mimeTypes: Readonly<Record<string, string>> = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webp': 'image/webp',
  '.gif': 'image/gif',
  '.mp4': 'video/mp4',
  '.webm': 'video/webm',
};

/**
 * Sends the files that a graph names and that lie beside its own file to a ComfyUI, and gives the graph with the names that
 * they have there. A name made of the content overwrites nothing and is sent once only in effect: the server keeps equal
 * files as one. A file that is not here is left for the server to judge: it may have its own.
 * @throws Fault
 */
export async function uploadInputs(
  client: Pick<ComfyClient, 'upload'>,
  workflow: Workflow,
  folder: string | undefined,
  onFile: (name: string) => void,
  signal: AbortSignal,
): Promise<Workflow> {
  if (folder === undefined) return workflow;
  const uses = inputFilesOf(workflow);
  const uploaded = new Map<string, string>();
  for (const file of new Set(uses.map((use) => use.file))) {
    const found = await findInputFile(folder, file, signal);
    if (found === undefined) continue;
    onFile(file);
    const ending = path.extname(file).toLowerCase();
    const hash = createHash('sha256').update(found.bytes).digest('hex').slice(0, 24);
    const mimeType = mimeTypes[ending] ?? 'application/octet-stream';
    uploaded.set(
      file,
      await client.upload({ name: `podrelay-${hash}${ending}`, bytes: found.bytes, mimeType }, signal),
    );
  }
  if (uploaded.size === 0) return workflow;
  const renamed: Record<string, Workflow[string]> = { ...workflow };
  for (const { nodeId, input, file } of uses) {
    const name = uploaded.get(file);
    const node = renamed[nodeId];
    if (name !== undefined && node !== undefined) {
      renamed[nodeId] = { ...node, inputs: { ...node.inputs, [input]: name } };
    }
  }
  return renamed;
}
