import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import { parseWorkflow } from '../../core/comfy/workflow.ts';
import { namedInputs } from '../../core/inputs/namedInputs.ts';
import { Fault } from '../../core/kernel/fault.ts';
import type { Sidecar } from '../../core/outputs/sidecar.ts';
import type { Command } from '../commands/runCommand.ts';
import { OutputScanner } from '../outputs/scanOutputs.ts';
import { markupOf } from './insertAfter.ts';
import { isMarkup } from './mediaMarkup.ts';

/** The newest may be none that can be shown. */
const newest = 50;

export function insertCommand(outputFolder: () => string): Command {
  return {
    id: commands.insertOutput,
    failure: vscode.l10n.t('The output could not be inserted'),
    run: (_args, signal) => insertNewest(outputFolder(), signal),
  };
}

async function insertNewest(folder: string, signal: AbortSignal): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  const language = editor?.document.languageId ?? '';
  if (editor === undefined || !isMarkup(language)) {
    throw new Fault('rejected', 'No Markdown or HTML file is open', {
      nextStep: vscode.l10n.t('Open the file that the image belongs to, and put the cursor there.'),
    });
  }
  const { outputs } = await new OutputScanner().scan(folder, newest, signal);
  const found = outputs.find(({ sidecar }) => sidecar !== undefined && sidecar.output.kind !== 'other');
  if (found?.sidecar === undefined) {
    throw new Fault('rejected', 'Nothing has been generated yet', {
      nextStep: vscode.l10n.t('Generate from a prompt, or run a workflow.'),
    });
  }
  const { path, sidecar } = found;
  const file = { path, kind: sidecar.output.kind };
  const markup = markupOf(language, [file], promptOf(sidecar), editor.document.uri);
  const isDone = await editor.edit((edit) => edit.insert(editor.selection.active, markup));
  if (!isDone) {
    throw new Fault('rejected', 'This file cannot be changed', {
      nextStep: vscode.l10n.t('Open one that can be.'),
    });
  }
}

/** Empty where no graph ran, or its prompt is made by several nodes: then the file's name says what it is. */
function promptOf({ workflow }: Sidecar): string {
  try {
    const prompt = namedInputs(parseWorkflow(JSON.stringify(workflow))).find(({ name }) => name === 'prompt');
    return typeof prompt?.value === 'string' ? prompt.value : '';
  } catch {
    return '';
  }
}
