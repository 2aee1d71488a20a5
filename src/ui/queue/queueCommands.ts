import { access } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import { Fault } from '../../core/kernel/fault.ts';
import type { JobRunner } from '../../core/jobs/jobRunner.ts';
import type { QueueJob, QueueService } from '../../core/queue/queueView.ts';
import type { JobReports } from '../../core/store/jobReports.ts';
import type { Command } from '../commands/runCommand.ts';
import { jobIcon, jobStateName, jobSummary } from '../trees/jobText.ts';
import { dotted } from '../trees/row.ts';
import { requireTrust } from './enqueueJobs.ts';
import { jobStoryText } from './jobStoryText.ts';
import type { TextDocuments } from './textDocuments.ts';

export interface QueueCommandServices {
  readonly queue: QueueService;
  readonly jobs: JobRunner;
  readonly jobReports: Pick<JobReports, 'attempts'>;
  readonly documents: TextDocuments;
  readonly clock: { now(): number };
}

interface JobQuestion {
  readonly title: string;
  readonly fits: (job: QueueJob) => boolean;
  /** Said when no job fits. */
  readonly none: string;
  readonly many?: boolean;
}

const isQueued = ({ state }: QueueJob): boolean => state === 'queued';
const isActive = ({ state }: QueueJob): boolean => state === 'queued' || state === 'running';
const canRetry = ({ state }: QueueJob): boolean => state === 'failed' || state === 'cancelled' || state === 'lost';

export function queueCommands(services: QueueCommandServices): readonly Command[] {
  const { queue } = services;
  const moved = vscode.l10n.t('The job could not be moved');
  const move = async (args: readonly unknown[], to: 'top' | 'up' | 'down'): Promise<void> => {
    const title = vscode.l10n.t('Move which job?');
    const none = vscode.l10n.t('No job waits in the queue');
    const chosen = await chooseJobs(services, args, { title, fits: isQueued, none });
    // The last one first, so that they keep their order.
    const ids = chosen.map(({ id }) => id);
    for (const id of to === 'top' ? ids.reverse() : ids) await queue.move(id, to);
  };
  return [
    {
      id: commands.cancelJob,
      failure: vscode.l10n.t('The job could not be cancelled'),
      run: (args) => cancelJobs(services, args),
    },
    {
      id: commands.retryJob,
      failure: vscode.l10n.t('The job could not be tried again'),
      run: async (args) => {
        requireTrust();
        const title = vscode.l10n.t('Try which jobs again?');
        const none = vscode.l10n.t('No job has failed');
        const chosen = await chooseJobs(services, args, { title, fits: canRetry, none, many: true });
        await queue.retry(chosen.map(({ id }) => id));
      },
    },
    { id: commands.moveJobUp, failure: moved, run: (args) => move(args, 'up') },
    { id: commands.moveJobDown, failure: moved, run: (args) => move(args, 'down') },
    { id: commands.moveJobToTop, failure: moved, run: (args) => move(args, 'top') },
    {
      id: commands.pauseQueue,
      failure: vscode.l10n.t('The queue could not be paused'),
      run: () => queue.pause(),
    },
    {
      id: commands.resumeQueue,
      failure: vscode.l10n.t('The queue could not be resumed'),
      run: () => queue.resume(),
    },
    {
      id: commands.clearJobs,
      failure: vscode.l10n.t('The finished jobs could not be cleared'),
      run: () => queue.clearEnded(),
    },
    {
      id: commands.refreshJobs,
      failure: vscode.l10n.t('The jobs could not be loaded'),
      run: () => queue.refresh(),
    },
    {
      id: commands.explainJob,
      failure: vscode.l10n.t('The reasons could not be shown'),
      run: (args) => explainJob(services, args),
    },
    {
      id: commands.openJobOutput,
      failure: vscode.l10n.t('The output could not be opened'),
      run: (args) => openOutput(services, args),
    },
  ];
}

/** Those of the rows, of ids, else those that are picked. Never empty. */
async function chooseJobs(
  { queue, clock }: QueueCommandServices,
  args: readonly unknown[],
  question: JobQuestion,
): Promise<QueueJob[]> {
  if (!queue.view.known) await queue.refresh();
  if (!queue.view.known) throw queue.view.why ?? new Fault('io', 'The jobs are not known');
  const { jobs } = queue.view.value;
  const ids = jobIdsOf(args);
  const fitting = jobs.filter(question.fits);
  const named = fitting.filter(({ id }) => ids.includes(id));
  if (named.length > 0) return named;
  if (fitting.length === 0 || ids.length > 0) throw new Fault('rejected', question.none);
  const items = fitting.map((job) => ({
    label: `$(${jobIcon(job).id}) ${job.label}`,
    description: dotted(jobStateName(job.state).toLowerCase(), jobSummary(job, clock.now())),
    job,
  }));
  const chosen =
    question.many === true
      ? await vscode.window.showQuickPick(items, { title: question.title, canPickMany: true, matchOnDescription: true })
      : [await vscode.window.showQuickPick(items, { title: question.title, matchOnDescription: true })];
  const picked = (chosen ?? []).filter((item) => item !== undefined).map(({ job }) => job);
  if (picked.length === 0) throw new Fault('cancelled', 'No job was chosen');
  return picked;
}

/** Of rows of the Jobs view, of rows below them, or ids; with several selected, VS Code gives the one and then all. */
export function jobIdsOf([first, all]: readonly unknown[]): readonly string[] {
  const given = Array.isArray(all) && all.length > 0 ? (all as readonly unknown[]) : [first];
  const ids = given.flatMap((one) => {
    const id = typeof one === 'object' && one !== null && 'id' in one ? one.id : one;
    const found = typeof id === 'string' ? /^(?:job:)?([\w.-]+)(?::|$)/.exec(id)?.[1] : undefined;
    return found === undefined ? [] : [found];
  });
  return [...new Set(ids)];
}

/** A job of this window ends even where its record cannot be written. */
async function cancelJobs(services: QueueCommandServices, args: readonly unknown[]): Promise<void> {
  const { queue, jobs } = services;
  const end = async (ids: readonly string[]): Promise<void> => {
    const here = jobs.running().filter(({ id }) => ids.includes(id));
    for (const job of here) job.cancel();
    const others = ids.filter((id) => !here.some((job) => job.id === id));
    if (others.length > 0) await queue.cancel(others);
  };
  const named = jobIdsOf(args);
  if (named.length > 0) return end(named);
  const running = jobs.running();
  const known = queue.view.known ? queue.view.value.jobs.filter(isActive) : [];
  const [only] = running;
  if (only !== undefined && running.length === 1 && known.every(({ id }) => id === only.id)) return end([only.id]);
  const unlisted = running.filter(({ id }) => !known.some((job) => job.id === id));
  if (known.length + unlisted.length === 0) {
    void vscode.window.showInformationMessage(vscode.l10n.t('PodRelay: nothing is running.'));
    return;
  }
  const items = [
    ...unlisted.map(({ id, label, backendLabel, progress }) => ({
      label,
      description: dotted(backendLabel, progress.phase),
      id,
    })),
    ...known.map((job) => ({
      label: `$(${jobIcon(job).id}) ${job.label}`,
      description: jobSummary(job, services.clock.now()),
      id: job.id,
    })),
  ];
  const title = vscode.l10n.t('Which jobs shall end?');
  const chosen = await vscode.window.showQuickPick(items, { title, canPickMany: true, matchOnDescription: true });
  await end((chosen ?? []).map(({ id }) => id));
}

async function explainJob(services: QueueCommandServices, args: readonly unknown[]): Promise<void> {
  const title = vscode.l10n.t('Why is which job where it is?');
  const none = vscode.l10n.t('There is no job');
  const [job] = await chooseJobs(services, args.slice(0, 1), { title, fits: () => true, none });
  if (job === undefined) return;
  const attempts = await services.jobReports.attempts(job.id);
  await services.documents.show(`${job.label}: why there.txt`, jobStoryText(job, attempts));
}

async function openOutput(services: QueueCommandServices, args: readonly unknown[]): Promise<void> {
  const title = vscode.l10n.t('Open the output of which job?');
  const none = vscode.l10n.t('This job has no output');
  const fits = ({ outputs }: QueueJob): boolean => outputs.length > 0;
  const [job] = await chooseJobs(services, args.slice(0, 1), { title, fits, none });
  const [, index] = args;
  const file = job?.outputs[typeof index === 'number' ? index : 0];
  if (file === undefined) return;
  const isThere = await access(file).then(
    () => true,
    () => false,
  );
  if (!isThere) {
    throw new Fault('rejected', `${path.basename(file)} is not there any more`, {
      nextStep: vscode.l10n.t('It was in {0}.', path.dirname(file)),
    });
  }
  await vscode.commands.executeCommand('vscode.open', vscode.Uri.file(file), { preview: true });
}
