import * as vscode from 'vscode';
import type { RecoveredJob } from '../../core/jobs/jobOutcome.ts';
import type { JobRecovery } from '../../core/jobs/recoverJobs.ts';
import type { Late } from '../../core/kernel/late.ts';
import type { Clock, Log } from '../../core/kernel/ports.ts';
import { isBatchJob } from '../../core/store/jobReports.ts';
import { isSecondRun } from '../../core/store/secondRuns.ts';
import { showFault } from '../notify.ts';
import type { JobStarter } from './jobStarter.ts';
import { recoveredText } from './recoveredText.ts';

export interface RecoverServices {
  readonly recovery: JobRecovery;
  readonly starter: Late<JobStarter>;
  /** False on a machine where PodRelay has done nothing yet: then there is nothing to look for. */
  readonly hasRecords: () => boolean;
  /** What the backends need before they are asked. */
  readonly prepare: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Jobs that end within this time are told in one message. */
const gatherMs = 1_500;

/** Brings the jobs of windows that have gone to their end, and says what became of them. */
export async function recover(services: RecoverServices, signal: AbortSignal): Promise<void> {
  const { recovery, clock, prepare } = services;
  let ended: RecoveredJob[] = [];
  await prepare();
  await recovery.watch((job) => {
    ended.push(job);
    if (ended.length > 1) return;
    clock.sleep(gatherMs, signal).then(
      () => {
        const told = ended;
        ended = [];
        tell(services, told, signal).catch((error: unknown) => services.log.error('The message has failed', error));
      },
      () => undefined,
    );
  }, signal);
}

async function tell(services: RecoverServices, jobs: readonly RecoveredJob[], signal: AbortSignal): Promise<void> {
  const { starter, log } = services;
  for (const job of jobs) log.info(`${job.request.label}: ${job.state}${'why' in job ? ` (${job.why})` : ''}`);
  // A second run is of a batch's job, too.
  const isNews = ({ request }: RecoveredJob): boolean => !isBatchJob(request.id) && !isSecondRun(request.id);
  const said = recoveredText(jobs.filter(isNews));
  if (said === undefined) return;
  const open = vscode.l10n.t('Open');
  const again = vscode.l10n.t('Run Again');
  const buttons = [...(said.open === undefined ? [] : [open]), ...(said.again.length === 0 ? [] : [again])];
  const show = said.again.length === 0 ? vscode.window.showInformationMessage : vscode.window.showWarningMessage;
  const chosen = await show(`PodRelay: ${said.text}`, ...buttons);
  if (chosen === open && said.open !== undefined) {
    await vscode.commands.executeCommand('vscode.open', vscode.Uri.file(said.open));
  }
  if (chosen !== again) return;
  await Promise.all(
    said.again.map(({ label, workflow, inputFolder }) =>
      starter
        .start({ label, workflow, ...(inputFolder === undefined ? {} : { inputFolder }) }, signal)
        .catch((error: unknown) => showFault(vscode.l10n.t('{0} could not be run again', label), error)),
    ),
  );
}
