import path from 'node:path';
import { parseWorkflow } from '../../core/comfy/workflow.ts';
import { Fault } from '../../core/kernel/fault.ts';
import type { WantedJob } from '../jobs/jobStarter.ts';
import type { FoundOutput } from './scanOutputs.ts';

/**
 * What was asked for when this file was made: any backend can run that, which the graph that ran, with one server's names
 * of files and checkpoints, may not.
 * @throws Fault 'rejected' when it cannot be run again
 */
export function repeatOf(
  { path: file, sidecar }: Pick<FoundOutput, 'path' | 'sidecar'>,
  isInWorkspace: (folder: string) => boolean,
): WantedJob {
  const { workflow, inputFolder } = sidecar?.request ?? { workflow: sidecar?.workflow };
  const wanted = { label: path.basename(file), workflow: parseWorkflow(JSON.stringify(workflow ?? {})) };
  if (inputFolder === undefined) return wanted;
  const folder = path.resolve(path.dirname(file), inputFolder);
  // A record is a file like any other, and could name any folder of this machine to be sent from.
  if (!isInWorkspace(folder)) {
    throw new Fault('rejected', `Its input files are in ${folder}, which is not in this workspace`, {
      nextStep: 'Open its workflow from there and run that, or open that folder.',
    });
  }
  return { ...wanted, inputFolder: folder };
}
