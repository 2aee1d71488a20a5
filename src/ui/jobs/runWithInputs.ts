import path from 'node:path';
import * as vscode from 'vscode';
import { copyInput, inputPathIn } from '../../core/inputs/copyInput.ts';
import {
  inputText,
  namedInputs,
  readInput,
  stillMeant,
  valueNow,
  withChange,
  withInputs,
} from '../../core/inputs/namedInputs.ts';
import type { InputChanges, NamedInput } from '../../core/inputs/namedInputs.ts';
import { Fault } from '../../core/kernel/fault.ts';
import { requireTrust } from '../queue/enqueueJobs.ts';
import { inputItems, inputLabel, inputQuestion } from './inputItems.ts';
import { newSeed } from './jobStarter.ts';
import type { WantedJob } from './jobStarter.ts';
import { readWorkflow } from './readWorkflow.ts';

/** What was changed for a workflow in this window, by its file: a list that was closed loses nothing. */
export type KeptChanges = Map<string, InputChanges>;

const images = ['png', 'jpg', 'jpeg', 'webp', 'gif', 'bmp', 'tif', 'tiff'];

/**
 * The workflow with the values that a person chose from a list of its inputs; its file stays as it is.
 * @throws Fault; 'cancelled' when the list was closed
 */
export async function chooseInputs(file: vscode.Uri | undefined, kept: KeptChanges): Promise<WantedJob> {
  requireTrust();
  const wanted = await readWorkflow(file);
  const { label, workflow, inputFolder } = wanted;
  const inputs = namedInputs(workflow);
  if (inputs.length === 0) return offerRun(wanted);
  const name = path.join(inputFolder ?? '', label);
  const title = vscode.l10n.t('Run {0} with Inputs', label);
  const placeHolder = vscode.l10n.t('Choose a value to change it for this run; the file stays as it is');
  for (;;) {
    const changes = stillMeant(kept.get(name) ?? new Map(), inputs);
    const items = inputItems(inputs, changes);
    const chosen = await vscode.window.showQuickPick(items, { title, placeHolder, ignoreFocusOut: true });
    if (chosen === undefined) throw new Fault('cancelled', 'The list was closed');
    const { does } = chosen;
    if (does === 'run') return { ...wanted, workflow: withInputs(workflow, inputs, changes) };
    if (does === 'reset') kept.delete(name);
    else {
      const answer = await ask(does, valueNow(does, changes), wanted);
      if (answer !== undefined) kept.set(name, withChange(changes, does, answer.value));
    }
  }
}

/** Undefined = the question was closed: the value stays. */
async function ask(input: NamedInput, present: unknown, wanted: WantedJob): Promise<{ value: unknown } | undefined> {
  if (input.takes === 'image') return chooseImage(wanted);
  const title = inputLabel(input);
  const text = await vscode.window.showInputBox({
    title,
    value: inputText(present),
    prompt: inputQuestion(input),
    ignoreFocusOut: true,
    validateInput: (answer) => {
      const read = readInput(input, present, answer);
      return read.is === 'wrong' ? `${title} ${read.why}.` : undefined;
    },
  });
  if (text === undefined) return undefined;
  const read = readInput(input, present, text);
  if (read.is === 'wrong') return undefined;
  return { value: read.is === 'random' ? newSeed() : read.value };
}

/** Input files are read from the folder of the workflow and from nowhere else. */
async function chooseImage({ label, inputFolder }: WantedJob): Promise<{ value: string } | undefined> {
  if (inputFolder === undefined) {
    throw new Fault('rejected', `${label} is not saved, so it has no folder to take images from`, {
      nextStep: vscode.l10n.t('Save the workflow, then choose an image.'),
    });
  }
  const chosen = await vscode.window.showOpenDialog({
    title: vscode.l10n.t('Which image?'),
    openLabel: vscode.l10n.t('Use Image'),
    defaultUri: vscode.Uri.file(inputFolder),
    filters: { [vscode.l10n.t('Images')]: images },
  });
  const file = chosen?.[0]?.fsPath;
  if (file === undefined) return undefined;
  const inside = await inputPathIn(inputFolder, file);
  if (inside !== undefined) return { value: inside };
  const copy = vscode.l10n.t('Copy It There');
  const answer = await vscode.window.showWarningMessage(
    vscode.l10n.t('{0} is not in the folder of the workflow, which images are taken from.', path.basename(file)),
    { modal: true },
    copy,
  );
  return answer === copy ? { value: await copyInput(inputFolder, file) } : undefined;
}

async function offerRun(wanted: WantedJob): Promise<WantedJob> {
  const run = vscode.l10n.t('Run');
  const chosen = await vscode.window.showInformationMessage(
    vscode.l10n.t('PodRelay: {0} has no inputs that could be changed here.', wanted.label),
    run,
  );
  if (chosen !== run) throw new Fault('cancelled', 'Not run');
  return wanted;
}
