import path from 'node:path';
import type { JobRequest } from '../backends/backend.ts';
import type { Attempt } from '../backends/backendManager.ts';
import type { Workflow } from '../comfy/workflow.ts';
import { namedInputs } from '../inputs/namedInputs.ts';
import type { SavedOutput } from '../outputs/saveOutput.ts';
import { readSidecar, writeSidecar } from '../outputs/sidecar.ts';
import type { Sidecar } from '../outputs/sidecar.ts';
import type { JobOutcome } from './jobOutcome.ts';

export interface StoryContext {
  /** ms since the epoch */
  readonly finishedAt: number;
  readonly simulated: boolean;
}

/** Writes the story of each output beside it, unless an earlier window has done so. Faults: 'io'. */
export async function tellStories(outcome: JobOutcome, context: StoryContext): Promise<void> {
  for (const output of outcome.outputs) {
    const told = await readSidecar(output.path).catch(() => undefined);
    if (told?.jobId !== outcome.request.id) await writeSidecar(output.path, storyOf(outcome, output, context));
  }
}

/** The sidecar of one output. */
export function storyOf(outcome: JobOutcome, output: SavedOutput, context: StoryContext): Sidecar {
  const { request, backend, tier, backendLabel, workflow, attempts } = outcome;
  return {
    version: 1,
    jobId: request.id,
    output: { file: path.basename(output.path), bytes: output.bytes, kind: output.kind },
    workflow: workflow ?? null,
    request: askedFor(request, path.dirname(output.path)),
    inputs: Object.fromEntries(namedInputs(request.workflow).map(({ key, value }) => [key, value])),
    seed: seedOf(workflow ?? request.workflow),
    backend: { id: backend, label: backendLabel, tier },
    gpu: outcome.gpu ?? null,
    attempts: attempts.map(toldAttempt),
    cost: { micros: outcome.basis === 'unknown' ? null : outcome.micros, basis: outcome.basis },
    times: {
      requestedAt: iso(outcome.startedAt),
      startedAt: startOf(attempts.at(-1), context.finishedAt),
      finishedAt: iso(context.finishedAt),
    },
    dropped: [...outcome.dropped],
    ...(context.simulated ? { simulated: true } : {}),
  };
}

/** On the backend that made it; null when an earlier window had sent it there. */
function startOf(last: Attempt | undefined, finishedAt: number): string | null {
  return last?.outcome === 'done' ? iso(finishedAt - last.ms) : null;
}

function askedFor({ workflow, inputFolder }: JobRequest, folder: string): Sidecar['request'] {
  if (inputFolder === undefined) return { workflow };
  // A workspace that is moved or shared takes both along. Another drive has no relative path: it stays absolute.
  return { workflow, inputFolder: path.relative(folder, inputFolder).split(path.sep).join('/') };
}

function toldAttempt({ backend, outcome, why, ms }: Attempt): Sidecar['attempts'][number] {
  return {
    backend,
    outcome: outcome === 'refused' ? 'skipped' : outcome,
    ...(why === undefined ? {} : { reason: why }),
    ...(outcome === 'refused' ? {} : { milliseconds: ms }),
  };
}

/** The first seed that stands in the graph as a number; as text when it is over 2^53. */
export function seedOf(workflow: Workflow): Sidecar['seed'] {
  for (const node of Object.values(workflow)) {
    const value = node.inputs.seed ?? node.inputs.noise_seed;
    if (typeof value === 'number') return Number.isSafeInteger(value) ? value : String(value);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const text = JSON.stringify(value);
      if (/^-?\d+$/.test(text)) return text;
    }
  }
  return null;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
