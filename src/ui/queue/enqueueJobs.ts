import { randomUUID } from 'node:crypto';
import * as vscode from 'vscode';
import type { Workflow } from '../../core/comfy/workflow.ts';
import { mediaOf } from '../../core/generate/mediaOf.ts';
import { Fault } from '../../core/kernel/fault.ts';
import type { QueueService } from '../../core/queue/queueView.ts';
import type { Settings } from '../../core/settings.ts';
import { batchJobId } from '../../core/store/jobReports.ts';
import type { BatchNews } from './batchNews.ts';

export interface EnqueueServices {
  readonly queue: QueueService;
  readonly settings: () => Settings;
  readonly news: BatchNews;
}

export interface WantedBatch {
  /** Begins the message at its end: the name of the file. */
  readonly label: string;
  readonly jobs: readonly { readonly label: string; readonly workflow: Workflow; readonly priority?: number }[];
  /** Where the input files that the graphs name are looked for. */
  readonly inputFolder?: string;
}

/** Puts jobs into the queue, all or none, to be told of once when the last has ended. @throws Fault */
export async function enqueueJobs(
  { queue, settings, news }: EnqueueServices,
  { label, jobs, inputFolder }: WantedBatch,
  signal: AbortSignal,
): Promise<void> {
  requireTrust();
  const id = randomUUID();
  const localOnly = settings()['privacy.localOnly'];
  const requests = jobs.map((job, index) => ({
    ...job,
    id: batchJobId(id, index + 1),
    media: mediaOf(job.workflow),
    localOnly,
    ...(inputFolder === undefined ? {} : { inputFolder }),
  }));
  await queue.enqueue(requests, signal);
  await news.expect({ id, label });
}

/** Only a trusted workspace may make PodRelay run anything. */
export function requireTrust(): void {
  if (vscode.workspace.isTrusted) return;
  throw new Fault('rejected', 'This workspace is not trusted', {
    nextStep: vscode.l10n.t('Trust the workspace to run workflows.'),
  });
}
