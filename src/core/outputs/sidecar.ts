import { readFile, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod/mini';
import { Fault } from '../kernel/fault.ts';
import { fileFault } from './fileFault.ts';
import { markOf, partEnding } from './partName.ts';
import { placeFile } from './placeFile.ts';

const money = z.object({
  /** Micro-dollars; null when it is not known. */
  micros: z.nullable(z.int()),
  basis: z.enum(['measured', 'estimated', 'unknown']),
});

/** Where a file came from. Times are ISO 8601 in UTC. */
const sidecarSchema = z.object({
  version: z.literal(1),
  jobId: z.string(),
  output: z.object({ file: z.string(), bytes: z.int(), kind: z.enum(['image', 'video', 'other']) }),
  /** The graph that ran, in API format; null when the backend ran none (Gemini). */
  workflow: z.unknown(),
  /** What was asked for, before input files were sent and a checkpoint was filled in: what Repeat runs again. */
  request: z.optional(
    z.object({
      workflow: z.unknown(),
      /** Where its input files are, from the output's folder; '/' between the names. */
      inputFolder: z.optional(z.string()),
    }),
  ),
  /** What of the request means something to a person, by name: prompt, size, steps. */
  inputs: z.record(z.string(), z.unknown()),
  /** Text when it is over 2^53: ComfyUI's seeds have 64 bits. */
  seed: z.nullable(z.union([z.int(), z.string()])),
  backend: z.object({ id: z.string(), label: z.string(), tier: z.enum(['local', 'cloud', 'gemini']) }),
  gpu: z.nullable(z.string()),
  /** In order, the last one being the one that made this file. */
  attempts: z.array(
    z.object({
      backend: z.string(),
      outcome: z.enum(['done', 'failed', 'cancelled', 'skipped']),
      /** Why it was not done here: a sentence. */
      reason: z.optional(z.string()),
      startedAt: z.optional(z.string()),
      milliseconds: z.optional(z.number()),
      micros: z.optional(z.int()),
    }),
  ),
  cost: money,
  times: z.object({ requestedAt: z.string(), startedAt: z.nullable(z.string()), finishedAt: z.string() }),
  /** What a fallback could not honour, as shown to the person. */
  dropped: z.array(z.string()),
  /** True when the simulator made it. */
  simulated: z.optional(z.boolean()),
});

export type Sidecar = z.infer<typeof sidecarSchema>;

/** The story of 'cat.png' is in 'cat.png.podrelay.json'. */
export function sidecarPath(outputPath: string): string {
  return `${outputPath}.podrelay.json`;
}

/** Writes the story beside the output. Never replaces one: an output is saved once. Faults: 'io', 'bug'. */
export async function writeSidecar(outputPath: string, data: Sidecar): Promise<string> {
  const target = sidecarPath(outputPath);
  const checked = sidecarSchema.safeParse(data);
  if (!checked.success) throw new Fault('bug', `The sidecar is not valid: ${z.prettifyError(checked.error)}`);
  // The job's own: what an earlier try of it has left is written over.
  const part = target + partEnding(markOf(data.jobId));
  try {
    await writeFile(part, `${JSON.stringify(checked.data, undefined, 2)}\n`);
    if (!(await placeFile(part, target))) throw new Fault('io', `${path.basename(target)} exists already`);
  } catch (error) {
    await unlink(part).catch(() => undefined);
    throw fileFault(error, path.dirname(outputPath));
  }
  return target;
}

/** Faults: 'io' when it cannot be read, 'protocol' when it is not ours or damaged. */
export async function readSidecar(outputPath: string): Promise<Sidecar> {
  const file = sidecarPath(outputPath);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new Fault('io', `${path.basename(file)} cannot be read`, {}, { cause: error });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Fault('protocol', `${path.basename(file)} is not JSON`, {}, { cause: error });
  }
  const parsed = sidecarSchema.safeParse(json);
  if (!parsed.success) {
    throw new Fault('protocol', `${path.basename(file)} is not a PodRelay sidecar: ${z.prettifyError(parsed.error)}`);
  }
  return parsed.data;
}
