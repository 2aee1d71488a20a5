import { randomInt, randomUUID } from 'node:crypto';
import * as vscode from 'vscode';
import { commands, contextKeys } from '../../contract.ts';
import type { JobProgress } from '../../core/backends/backend.ts';
import type { Workflow } from '../../core/comfy/workflow.ts';
import { mediaOf } from '../../core/generate/mediaOf.ts';
import { withFreshSeeds } from '../../core/generate/withFreshSeeds.ts';
import type { JobOutcome, JobRunner } from '../../core/jobs/jobRunner.ts';
import { Fault } from '../../core/kernel/fault.ts';
import type { Settings } from '../../core/settings.ts';
import { afterwards, showFault } from '../notify.ts';
import { withProgress } from '../withProgress.ts';
import { setContext } from '../setContext.ts';
import { dotted } from '../trees/row.ts';
import { outcomeText } from './outcomeText.ts';

export interface JobStarterServices {
  readonly jobs: JobRunner;
  readonly settings: () => Settings;
  /** Called before a job starts: what decisions need and is not known yet. */
  readonly prepare: () => Promise<void>;
}

export interface WantedJob {
  /** Shown while it runs. */
  readonly label: string;
  readonly workflow: Workflow;
  /** Where the input files that it names are looked for. */
  readonly inputFolder?: string;
}

/** What the message of a finished job offers. Disposed once that is no longer possible. */
export interface NextStep {
  /** The button for these files; undefined = there is nothing to do with them. */
  readonly title: (outputs: JobOutcome['outputs']) => string | undefined;
  readonly take: (outputs: JobOutcome['outputs']) => Promise<void>;
  dispose(): void;
}

/** Starts jobs with progress and cancel, opens what they made and says what is worth saying: one message a job. */
export class JobStarter {
  readonly #services: JobStarterServices;
  #last: WantedJob | undefined;

  constructor(services: JobStarterServices) {
    this.#services = services;
  }

  /** @throws Fault */
  async start(wanted: WantedJob, signal: AbortSignal, next?: NextStep): Promise<JobOutcome> {
    try {
      const outcome = await this.#run(wanted, signal);
      await afterwards(vscode.l10n.t('The output could not be opened'), () => openFirst(outcome));
      tell(outcome, next);
      return outcome;
    } catch (error) {
      next?.dispose();
      throw error;
    }
  }

  async #run(wanted: WantedJob, signal: AbortSignal): Promise<JobOutcome> {
    if (!vscode.workspace.isTrusted) {
      throw new Fault('rejected', 'This workspace is not trusted', {
        nextStep: vscode.l10n.t('Trust the workspace to run workflows.'),
      });
    }
    const { jobs, settings, prepare } = this.#services;
    this.#last = wanted;
    setContext(contextKeys.hasLast, true);
    await prepare();
    const { label, workflow } = wanted;
    const localOnly = settings()['privacy.localOnly'];
    const request = { ...wanted, id: randomUUID(), media: mediaOf(workflow), localOnly };
    return withProgress(`PodRelay: ${label}`, signal, (report, at) =>
      jobs.run(request, (progress) => report({ message: progressLine(progress), ...fractionOf(progress) }), at),
    );
  }

  /** The last job of this window with other seeds. */
  async repeatLast(signal: AbortSignal): Promise<JobOutcome> {
    if (this.#last === undefined) {
      throw new Fault('rejected', 'Nothing has run in this window yet', {
        nextStep: vscode.l10n.t('Generate from a prompt, or run a workflow.'),
      });
    }
    return this.repeat(this.#last, signal);
  }

  async repeat(wanted: WantedJob, signal: AbortSignal): Promise<JobOutcome> {
    return this.start({ ...wanted, workflow: withFreshSeeds(wanted.workflow, newSeed) }, signal);
  }
}

/** Of 48 bits: every ComfyUI and JSON keep it exactly. */
export function newSeed(): number {
  return randomInt(2 ** 48 - 1);
}

function progressLine({ phase, node, fraction }: JobProgress): string {
  return dotted(phase, fraction !== undefined && `${Math.round(fraction * 100)} %`, node);
}

function fractionOf({ fraction }: JobProgress): { fraction?: number } {
  return fraction === undefined ? {} : { fraction };
}

/** Beside what the person works on, and without taking the cursor from it. */
async function openFirst({ outputs }: JobOutcome): Promise<void> {
  const [first] = outputs;
  if (first === undefined) return;
  const beside = vscode.window.activeTextEditor !== undefined;
  await vscode.commands.executeCommand('vscode.open', vscode.Uri.file(first.path), {
    viewColumn: beside ? vscode.ViewColumn.Beside : vscode.ViewColumn.Active,
    preserveFocus: beside,
    preview: true,
  } satisfies vscode.TextDocumentShowOptions);
}

function tell(outcome: JobOutcome, next: NextStep | undefined): void {
  const { text, notable } = outcomeText(outcome);
  const title = next?.title(outcome.outputs);
  const costs = vscode.l10n.t('Show Costs');
  const buttons = [...(title === undefined ? [] : [title]), ...(notable ? [costs] : [])];
  if (buttons.length > 0) {
    void tellAtLength(text, buttons, next, async (chosen) => {
      if (chosen === costs) await vscode.commands.executeCommand(commands.showCosts);
      else await next?.take(outcome.outputs);
    });
    return;
  }
  next?.dispose();
  vscode.window.setStatusBarMessage(`$(check) ${text}`, 6_000);
}

/** A message with a button is shown whole; without one it is cut to a line. */
async function tellAtLength(
  text: string,
  buttons: readonly string[],
  next: NextStep | undefined,
  take: (button: string) => Promise<void>,
): Promise<void> {
  try {
    const chosen = await vscode.window.showInformationMessage(`PodRelay: ${text}`, ...buttons);
    if (chosen !== undefined) await take(chosen);
  } catch (error) {
    await showFault(vscode.l10n.t('The output could not be inserted'), error);
  } finally {
    next?.dispose();
  }
}
