import { randomUUID } from 'node:crypto';
import path from 'node:path';
import * as vscode from 'vscode';
import type { JobProgress } from '../../core/backends/backend.ts';
import { parseWorkflow } from '../../core/comfy/workflow.ts';
import type { JobOutcome, JobRunner } from '../../core/jobs/jobRunner.ts';
import { Fault } from '../../core/kernel/fault.ts';
import { withProgress } from '../withProgress.ts';

/** Runs the workflow of the active editor, or of the file that the command was called on. */
export async function runWorkflow(
  jobs: JobRunner,
  life: AbortSignal,
  file: vscode.Uri | undefined,
): Promise<JobOutcome> {
  const { text, name } = await textOf(file);
  const workflow = parseWorkflow(text);
  const request = { id: randomUUID(), label: name, workflow, media: 'image', localOnly: false } as const;
  const outcome = await withProgress(`PodRelay: ${name}`, life, (report, signal) =>
    jobs.run(request, (progress) => report({ message: progressText(progress), ...fractionOf(progress) }), signal),
  );
  const first = outcome.outputs[0];
  if (first !== undefined) await vscode.commands.executeCommand('vscode.open', vscode.Uri.file(first.path));
  return outcome;
}

function progressText({ phase, node, fraction }: JobProgress): string {
  const percent = fraction === undefined ? '' : ` ${Math.round(fraction * 100)} %`;
  return `${phase}${percent}${node === undefined ? '' : ` · ${node}`}`;
}

function fractionOf({ fraction }: JobProgress): { fraction?: number } {
  return fraction === undefined ? {} : { fraction };
}

async function textOf(file: vscode.Uri | undefined): Promise<{ text: string; name: string }> {
  if (file === undefined) {
    const editor = vscode.window.activeTextEditor;
    if (editor === undefined) {
      throw new Fault('rejected', 'No workflow is open', {
        nextStep: vscode.l10n.t('Open a ComfyUI workflow in API format and run the command again.'),
      });
    }
    return { text: editor.document.getText(), name: path.basename(editor.document.fileName) };
  }
  const document = await vscode.workspace.openTextDocument(file);
  return { text: document.getText(), name: path.basename(file.fsPath) };
}
