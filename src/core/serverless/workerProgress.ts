import type { JobProgress } from '../backends/backend.ts';

const longest = 120;

/**
 * What a worker says while a job runs on it: RunPod shows its last message as the job's output. Worker-comfyui says nothing;
 * images made from it may send a text, a share, or both (runpod-python, `progress_update`). Undefined = nothing that can be
 * read. Pure.
 */
export function workerProgress(output: unknown): JobProgress | undefined {
  if (typeof output === 'string') return output.trim() === '' ? undefined : { phase: shortened(output) };
  if (typeof output !== 'object' || output === null) return undefined;
  const { message, status, progress, percent } = output as Readonly<Record<string, unknown>>;
  const text = [message, status].find((one): one is string => typeof one === 'string' && one.trim() !== '');
  const fraction = [share(progress, 1), share(percent, 100)].find((one) => one !== undefined);
  if (text === undefined && fraction === undefined) return undefined;
  const phase = text === undefined ? 'Generating on a worker' : shortened(text);
  return { phase, ...(fraction === undefined ? {} : { fraction }) };
}

/** 0 to 1. A share is told from 0 to 1 or in per cent: what is above `whole` is per cent. */
function share(value: unknown, whole: number): number | undefined {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0 || value > 100) return undefined;
  return value > whole || whole === 100 ? value / 100 : value;
}

function shortened(text: string): string {
  const line = (text.trim().split(/\r?\n/, 1)[0] ?? '').trim();
  return line.length > longest ? `${line.slice(0, longest - 1)}…` : line;
}
