import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import { defaultWorkflow } from '../../core/generate/defaultWorkflow.ts';
import { Fault } from '../../core/kernel/fault.ts';
import type { Late } from '../../core/kernel/late.ts';
import { insertAfterSelection } from '../insert/insertAfter.ts';
import { newSeed } from '../jobs/jobStarter.ts';
import type { JobStarter, WantedJob } from '../jobs/jobStarter.ts';
import { readWorkflow } from '../jobs/readWorkflow.ts';
import { chooseInputs } from '../jobs/runWithInputs.ts';
import type { KeptChanges } from '../jobs/runWithInputs.ts';
import type { Command } from './runCommand.ts';

export interface JobCommandServices {
  readonly starter: Late<JobStarter>;
}

const longestLabel = 40;
/** ComfyUI's text nodes take more, but a prompt of this length was not meant as one. */
const longestPrompt = 8_000;

export function jobCommands({ starter }: JobCommandServices): readonly Command[] {
  const failure = vscode.l10n.t('The picture could not be made');
  const kept: KeptChanges = new Map();
  return [
    {
      id: commands.runWorkflow,
      failure: vscode.l10n.t('The workflow could not be run'),
      run: async ([file], signal) =>
        starter.start(await readWorkflow(file instanceof vscode.Uri ? file : undefined), signal),
    },
    {
      id: commands.runWithInputs,
      failure: vscode.l10n.t('The workflow could not be run'),
      run: async ([file], signal) =>
        starter.start(await chooseInputs(file instanceof vscode.Uri ? file : undefined, kept), signal),
    },
    {
      id: commands.generateFromPrompt,
      failure,
      run: async ([given], signal) => {
        const prompt = typeof given === 'string' ? given : await askPrompt();
        return starter.start(await fromPrompt(prompt), signal);
      },
    },
    {
      id: commands.generateFromSelection,
      failure,
      run: async (_args, signal) => {
        const { text, editor } = selected();
        // From now on: the text may be edited while the size is chosen and the picture is made.
        const next = insertAfterSelection(editor);
        try {
          return await starter.start(await fromPrompt(text), signal, next);
        } catch (error) {
          next?.dispose();
          throw error;
        }
      },
    },
    {
      id: commands.repeatLast,
      failure: vscode.l10n.t('The last job could not be repeated'),
      run: (_args, signal) => starter.repeatLast(signal),
    },
  ];
}

async function askPrompt(): Promise<string> {
  const prompt = await vscode.window.showInputBox({
    title: vscode.l10n.t('Generate from Prompt'),
    prompt: vscode.l10n.t('What shall be in the picture?'),
    placeHolder: vscode.l10n.t('a lighthouse on a cliff at dawn, soft light'),
    ignoreFocusOut: true,
  });
  if (prompt === undefined) throw new Fault('cancelled', 'No prompt was given');
  return prompt;
}

function selected(): { readonly text: string; readonly editor: vscode.TextEditor } {
  const editor = vscode.window.activeTextEditor;
  const text = editor?.document.getText(editor.selection) ?? '';
  if (editor !== undefined && text.trim() !== '') return { text, editor };
  throw new Fault('rejected', 'Nothing is selected', {
    nextStep: vscode.l10n.t('Select the text that describes the picture.'),
  });
}

async function fromPrompt(text: string): Promise<WantedJob> {
  const prompt = text.replace(/\s+/g, ' ').trim();
  if (prompt === '') {
    throw new Fault('rejected', 'The prompt is empty', {
      nextStep: vscode.l10n.t('Say what shall be in the picture.'),
    });
  }
  if (prompt.length > longestPrompt) {
    throw new Fault('rejected', `The prompt has ${prompt.length} characters, ${longestPrompt} at most are sensible`, {
      nextStep: vscode.l10n.t('Select less text.'),
    });
  }
  const { width, height } = await pickSize();
  const label = prompt.length > longestLabel ? `${prompt.slice(0, longestLabel - 1).trimEnd()}…` : prompt;
  return { label, workflow: defaultWorkflow({ prompt, width, height, seed: newSeed() }) };
}

/** Sizes that SD 1.5 and SDXL models both draw well. */
async function pickSize(): Promise<{ width: number; height: number }> {
  const size = (label: string, width: number, height: number) => ({
    label,
    description: `${width} × ${height}`,
    width,
    height,
  });
  const sizes = [
    size(vscode.l10n.t('$(primitive-square) Square'), 768, 768),
    size(vscode.l10n.t('$(screen-normal) Landscape'), 960, 640),
    size(vscode.l10n.t('$(device-mobile) Portrait'), 640, 960),
    size(vscode.l10n.t('$(zap) Small and quick'), 512, 512),
  ];
  const chosen = await vscode.window.showQuickPick(sizes, {
    title: vscode.l10n.t('Which size?'),
    ignoreFocusOut: true,
  });
  if (chosen === undefined) throw new Fault('cancelled', 'No size was chosen');
  return chosen;
}
