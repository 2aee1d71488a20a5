import type { JobRequest, RemoteFile, Resumed, RunContext } from '../backends/backend.ts';
import { isPassing, throwIfAborted, toFault } from '../kernel/fault.ts';
import type { RemoteRun } from '../store/jobStore.ts';
import type { GeminiRequest } from './geminiQuote.ts';
import { followVideo } from './makeVideo.ts';
import type { LossReport } from './mapWorkflow.ts';
import { RunCost } from './runCost.ts';
import { fileName, splitIds } from './runOnGemini.ts';
import type { GeminiRunOptions } from './runOnGemini.ts';

/**
 * Asks for what an earlier window ordered. A clip can be had by its id; a picture comes with the answer to its request or
 * not at all. Orders nothing.
 * @throws Fault when Google could not make it
 */
export async function resumeOnGemini(
  options: GeminiRunOptions,
  { address, promptId }: RemoteRun,
  { request, report }: { readonly request: GeminiRequest; readonly report: LossReport },
  job: JobRequest,
  context: RunContext,
  signal: AbortSignal,
): Promise<Resumed> {
  const { clock, log, model, timings } = options;
  if (promptId === undefined || request.kind === 'image') {
    return { is: 'lost', why: 'Gemini gives its answer once; whether it was made and billed is not known' };
  }
  // The key goes to the configured address alone.
  if (address !== options.address) return { is: 'later', why: `It was ordered at ${address}, which is not used now` };
  const cost = new RunCost(request.kind, model, options.estimate);
  const client = options.client(undefined);
  const name = fileName(job.workflow);
  const files: RemoteFile[] = [];
  const onPhase = (phase: string): void => context.onProgress({ phase });
  const ids = splitIds(promptId);
  try {
    for (const id of ids) {
      files.push(await followVideo({ client, clock, log, timings, name, onUsage: cost.meter, onPhase }, id, signal));
      cost.settle('yes');
    }
  } catch (error) {
    throwIfAborted(signal);
    const fault = toFault(error);
    if (!isPassing(fault)) {
      cost.settle('no');
      const { micros, basis } = cost.total;
      if (micros > 0) await options.onCharge({ micros, basis });
      throw fault;
    }
    return { is: 'later', why: `Gemini cannot be asked: ${fault.message}` };
  }
  const unordered = request.count - ids.length;
  const missing = unordered > 0 ? [`${unordered} of ${request.count} were not ordered before the window closed`] : [];
  const dropped = [...missing, ...report.approximated, ...report.lost];
  return { is: 'result', result: { files, ...cost.total, dropped } };
}
