import path from 'node:path';
import * as vscode from 'vscode';
import { parseWorkflow } from '../../core/comfy/workflow.ts';
import { Fault } from '../../core/kernel/fault.ts';
import type { WantedJob } from '../jobs/jobStarter.ts';

/** The workflow of the file that a command was called on, else of the active editor, saved or not. */
export async function readWorkflow(file: vscode.Uri | undefined): Promise<WantedJob> {
  const document =
    file === undefined ? vscode.window.activeTextEditor?.document : await vscode.workspace.openTextDocument(file);
  if (document === undefined) {
    throw new Fault('rejected', 'No workflow is open', {
      nextStep: vscode.l10n.t('Open a ComfyUI workflow in API format and run the command again.'),
    });
  }
  const workflow = parseWorkflow(document.getText());
  const label = path.basename(document.fileName);
  // Input files are looked for beside the workflow; an unsaved one lies nowhere.
  return document.uri.scheme === 'file'
    ? { label, workflow, inputFolder: path.dirname(document.uri.fsPath) }
    : { label, workflow };
}
