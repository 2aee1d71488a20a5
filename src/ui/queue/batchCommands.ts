import * as vscode from 'vscode';
import { commands, views } from '../../contract.ts';
import type { JobRequest } from '../../core/backends/backend.ts';
import type { BackendManager } from '../../core/backends/backendManager.ts';
import type { Core } from '../../core/createCore.ts';
import { mediaOf } from '../../core/generate/mediaOf.ts';
import { Fault } from '../../core/kernel/fault.ts';
import type { Clock } from '../../core/kernel/ports.ts';
import { readBatch } from '../../core/queue/batch.ts';
import type { Batch } from '../../core/queue/batch.ts';
import type { Command } from '../commands/runCommand.ts';
import { newSeed } from '../jobs/jobStarter.ts';
import type { WantedJob } from '../jobs/jobStarter.ts';
import { readWorkflow } from '../jobs/readWorkflow.ts';
import { withProgress } from '../withProgress.ts';
import { batchFailure, batchQuestion, batchReport } from './batchTexts.ts';
import type { BatchForecast, BatchNames } from './batchTexts.ts';
import { chooseBatch, chooseWorkflow } from './chooseBatch.ts';
import { enqueueJobs, requireTrust } from './enqueueJobs.ts';
import type { EnqueueServices } from './enqueueJobs.ts';
import type { TextDocuments } from './textDocuments.ts';

export interface BatchCommandServices extends EnqueueServices {
  readonly backends: BackendManager;
  readonly predictBatch: Core['predictBatch'];
  readonly documents: TextDocuments;
  readonly clock: Clock;
}

/** The queue's bound. */
const mostQueued = 10_000;
/** Read and queued before a notification of it could be seen. */
const quickText = 500_000;
const quickJobs = 1_000;

export function batchCommands(services: BatchCommandServices): readonly Command[] {
  return [
    {
      id: commands.queueBatch,
      failure: vscode.l10n.t('The batch was not queued'),
      run: ([file], signal) => queueBatch(services, file instanceof vscode.Uri ? file : undefined, signal),
    },
    {
      id: commands.addToQueue,
      failure: vscode.l10n.t('The workflow was not queued'),
      run: async ([file], signal) => {
        const { label, workflow, inputFolder } = await readWorkflow(file instanceof vscode.Uri ? file : undefined);
        const folder = inputFolder === undefined ? {} : { inputFolder };
        await enqueueJobs(services, { label, jobs: [{ label, workflow }], ...folder }, signal);
        vscode.window.setStatusBarMessage(`$(check) ${vscode.l10n.t('{0} is queued', label)}`, 6_000);
      },
    },
  ];
}

async function queueBatch(
  services: BatchCommandServices,
  file: vscode.Uri | undefined,
  signal: AbortSignal,
): Promise<void> {
  requireTrust();
  const { queue, clock, documents } = services;
  const source = await chooseBatch(file);
  const wanted = await chooseWorkflow(source, newSeed);
  await queue.refresh();
  const queued = queue.view.known ? queue.view.value.counts.queued : 0;
  const title = vscode.l10n.t('PodRelay: reading {0}', source.name);
  const options = { workflow: wanted.workflow, maxJobs: Math.max(0, mostQueued - queued), newSeed, clock };
  const reading = (at: AbortSignal): Promise<Batch> => readBatch(source, options, at);
  const batch = await (source.text.length < quickText
    ? reading(signal)
    : withProgress(title, signal, (_report, at) => reading(at)));
  const names = { file: source.name, workflow: wanted.label, encoding: source.encoding };
  if (batch.problemCount > 0) return refuse(batch, names, documents);
  await ask(batch, names, await forecastOf(services, batch, wanted, queued));
  const { inputFolder } = wanted;
  const folder = inputFolder === undefined ? {} : { inputFolder };
  const queueing = (at: AbortSignal): Promise<void> =>
    enqueueJobs(services, { label: source.name, jobs: batch.jobs, ...folder }, at);
  await (batch.jobs.length < quickJobs
    ? queueing(signal)
    : withProgress(vscode.l10n.t('PodRelay: queueing {0}', source.name), signal, (_report, at) => queueing(at)));
  await vscode.commands.executeCommand(`${views.jobs}.focus`);
}

/** One report of everything, and one message with the first of it. */
async function refuse(batch: Batch, names: BatchNames, documents: TextDocuments): Promise<never> {
  await documents.show(`${names.file}: problems.txt`, batchReport(batch, names));
  throw new Fault('rejected', `${names.file}: ${batchFailure(batch)}`, {
    nextStep: vscode.l10n.t('The report beside it has all of it. Correct the file and queue it again.'),
  });
}

async function ask(batch: Batch, names: BatchNames, forecast: BatchForecast): Promise<void> {
  const { message, detail } = batchQuestion(batch, names, forecast);
  const queue = vscode.l10n.t('Queue');
  const chosen = await vscode.window.showInformationMessage(message, { modal: true, detail }, queue);
  if (chosen !== queue) throw new Fault('cancelled', 'The batch was not wanted');
}

async function forecastOf(
  { backends, queue, settings, predictBatch }: BatchCommandServices,
  { jobs }: Batch,
  wanted: WantedJob,
  queued: number,
): Promise<BatchForecast> {
  const workflow = jobs[0]?.workflow ?? wanted.workflow;
  const prediction = await predictBatch(workflow, jobs.length);
  const selected = backends.selected();
  const backend = backends.statuses().find((status) => status.backend.id === selected)?.backend;
  const localOnly = settings()['privacy.localOnly'];
  const request: JobRequest = { id: 'quote', label: wanted.label, workflow, media: mediaOf(workflow), localOnly };
  return {
    prediction,
    next: backend === undefined ? undefined : { label: backend.label, quote: backend.quote(request) },
    queued,
    isPaused: queue.view.known && queue.view.value.paused,
  };
}
