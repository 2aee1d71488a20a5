import { readGraph } from '../comfy/workflow.ts';
import type { Workflow } from '../comfy/workflow.ts';
import { defaultWorkflow } from '../generate/defaultWorkflow.ts';
import type { JobRecord } from '../store/jobRecord.ts';
import { fingerprintOf } from './fingerprint.ts';
import type { Fingerprint } from './fingerprint.ts';

export interface UsualJob {
  /** Undefined = none of them: what 'Generate from Prompt' makes. */
  readonly label: string | undefined;
  readonly workflow: Workflow;
  readonly fingerprint: Fingerprint;
}

/** Most of these jobs are like it; of several the one that comes first. Pure. */
export function usualJob(jobs: readonly Pick<JobRecord, 'label' | 'workflow'>[]): UsualJob {
  const read = jobs.flatMap(({ label, workflow: text }) => {
    const workflow = tolerantly(text);
    return workflow === undefined ? [] : [{ label, workflow, fingerprint: fingerprintOf(workflow) }];
  });
  const alike = [...Map.groupBy(read, ({ fingerprint }) => fingerprint.key).values()];
  const most = alike.reduce((a, b) => (b.length > a.length ? b : a), [])[0];
  if (most !== undefined) return most;
  const workflow = defaultWorkflow({ prompt: '', width: 1_024, height: 1_024, seed: 0 });
  return { label: undefined, workflow, fingerprint: fingerprintOf(workflow) };
}

/** A graph of an older version that cannot be read any more says nothing. */
function tolerantly(text: string): Workflow | undefined {
  try {
    return readGraph(text);
  } catch {
    return undefined;
  }
}
