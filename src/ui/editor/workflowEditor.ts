import path from 'node:path';
import * as vscode from 'vscode';
import { commands, contextKeys } from '../../contract.ts';
import type { BackendManager } from '../../core/backends/backendManager.ts';
import { parseWorkflow } from '../../core/comfy/workflow.ts';
import { workflowFormat } from '../../core/comfy/workflowFormat.ts';
import type { WorkflowFormat } from '../../core/comfy/workflowFormat.ts';
import type { JobRunner } from '../../core/jobs/jobRunner.ts';
import type { Event } from '../../core/kernel/event.ts';
import { toFault } from '../../core/kernel/fault.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Log } from '../../core/kernel/ports.ts';
import type { Choice } from '../../core/queue/choice.ts';
import { queuePolicy } from '../../core/queue/queueRules.ts';
import type { BackendOutlook } from '../../core/queue/strategyOutlook.ts';
import type { Settings } from '../../core/settings.ts';
import { setContext } from '../setContext.ts';
import { lensKey, lensText } from './lensText.ts';
import { mayBeWorkflow } from './mayBeWorkflow.ts';

export interface WorkflowEditorServices {
  readonly backends: Pick<BackendManager, 'statuses' | 'onDidChange'>;
  readonly jobs: Pick<JobRunner, 'running' | 'onDidChange'>;
  readonly choice: Pick<Choice, 'outlook'>;
  readonly settings: () => Settings;
  readonly onDidChangeSetup: Event<unknown>;
  readonly log: Log;
}

const top = new vscode.Range(0, 0, 0, 0);

/** What is shown above a workflow. Asks no backend: it tells what was last seen and measured. */
export class WorkflowEditor {
  readonly #services: WorkflowEditorServices;
  readonly #formats = new WeakMap<vscode.TextDocument, { readonly version: number; readonly format: WorkflowFormat }>();
  #paths: readonly string[] = [];

  /** `changed` is called when lenses that are shown may be others now. */
  constructor(services: WorkflowEditorServices, changed: () => void, life: Lifetime) {
    this.#services = services;
    const { backends, jobs, onDidChangeSetup } = services;
    // Progress of a job and a check that says the same change nothing here; the end of a job is a measurement.
    const onOther = (read: () => string): (() => void) => {
      let before = read();
      return () => {
        const now = read();
        if (now === before) return;
        before = now;
        changed();
      };
    };
    life.own(backends.onDidChange(onOther(() => lensKey(backends.statuses()))));
    life.own(
      jobs.onDidChange(
        onOther(() =>
          jobs
            .running()
            .map(({ id }) => id)
            .join(),
        ),
      ),
    );
    life.own(onDidChangeSetup(changed));
  }

  /** Tells the menus which of the visible files are workflows. */
  look(documents: readonly vscode.TextDocument[]): Promise<void> {
    const paths = documents.filter((one) => this.#formatOf(one) !== 'none').map(({ uri }) => uri.fsPath);
    if (paths.join('\n') !== this.#paths.join('\n')) setContext(contextKeys.workflows, paths);
    this.#paths = paths;
    return Promise.resolve();
  }

  async lenses(document: vscode.TextDocument): Promise<vscode.CodeLens[]> {
    const format = this.#formatOf(document);
    const { fsPath } = document.uri;
    // The file became one, or ceased to be, while it was edited.
    if ((format !== 'none') !== this.#paths.includes(fsPath)) {
      this.#paths = format === 'none' ? this.#paths.filter((one) => one !== fsPath) : [...this.#paths, fsPath];
      setContext(contextKeys.workflows, this.#paths);
    }
    if (format === 'none') return [];
    const ofFile = [document.uri];
    if (format === 'editor') {
      const title = vscode.l10n.t('ComfyUI editor format: how to run it');
      return [lens({ title, command: commands.runWorkflow, arguments: ofFile })];
    }
    return [
      lens({ title: vscode.l10n.t('▷ Run'), command: commands.runWorkflow, arguments: ofFile }),
      lens({ title: vscode.l10n.t('Run with Inputs…'), command: commands.runWithInputs, arguments: ofFile }),
      ...(await this.#backendLenses(document)),
    ];
  }

  async #backendLenses(document: vscode.TextDocument): Promise<readonly vscode.CodeLens[]> {
    const { backends, settings } = this.#services;
    const statuses = backends.statuses();
    // Before anybody was asked there is nothing to reckon with, and no reason to open the records.
    const isAsked = statuses.some(({ ready, health }) => ready.ok && health.known);
    const outlook = isAsked ? await this.#outlook(document) : undefined;
    if (isAsked && outlook === undefined) return [];
    const { title, tooltip, unknown } = lensText({ statuses, outlook, policy: queuePolicy(settings()) });
    const command = commands.chooseStrategy;
    return [
      ...(title === undefined ? [] : [lens({ title, tooltip, command, arguments: [document.uri] })]),
      ...(unknown === 'some'
        ? [lens({ title: vscode.l10n.t('Check Backends'), command: commands.checkBackends })]
        : []),
      ...(unknown === 'checking' ? [lens({ title: vscode.l10n.t('Checking Backends…'), command: '' })] : []),
    ];
  }

  /** Undefined = the file cannot be run as it is; running it says why. */
  async #outlook(document: vscode.TextDocument): Promise<readonly BackendOutlook[] | undefined> {
    const { choice, log } = this.#services;
    try {
      const workflow = parseWorkflow(document.getText());
      const { backends } = await choice.outlook([], { label: path.basename(document.fileName), workflow });
      return backends;
    } catch (error) {
      log.debug(`Nothing can be foretold of ${document.fileName}: ${toFault(error).message}`);
      return undefined;
    }
  }

  /** Each version of a text is read once. What is no JSON while it is written stays what it was. */
  #formatOf(document: vscode.TextDocument): WorkflowFormat {
    const { version } = document;
    const before = this.#formats.get(document);
    if (before?.version === version) return before.format;
    const read = mayBeWorkflow(document) ? workflowFormat(document.getText()) : 'none';
    const format = read === 'broken' ? (before?.format ?? 'none') : read;
    this.#formats.set(document, { version, format });
    return format;
  }
}

function lens(command: vscode.Command): vscode.CodeLens {
  return new vscode.CodeLens(top, command);
}
