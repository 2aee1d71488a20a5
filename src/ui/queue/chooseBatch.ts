import path from 'node:path';
import * as vscode from 'vscode';
import { parseWorkflow } from '../../core/comfy/workflow.ts';
import { defaultWorkflow } from '../../core/generate/defaultWorkflow.ts';
import { Fault } from '../../core/kernel/fault.ts';
import type { BatchFormat, BatchSource } from '../../core/queue/batch.ts';
import { decodeText } from '../../core/queue/batchText.ts';
import type { WantedJob } from '../jobs/jobStarter.ts';
import { readWorkflow } from '../jobs/readWorkflow.ts';

export interface ChosenBatch extends BatchSource {
  readonly uri: vscode.Uri;
  readonly encoding: string;
}

const formats: Readonly<Record<string, BatchFormat>> = {
  '.csv': 'csv',
  '.tsv': 'csv',
  '.txt': 'csv',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
};
/** A hundred thousand long prompts have less. */
const largestBytes = 64 * 1024 ** 2;
const largestWorkflowBytes = 4 * 1024 ** 2;
const mostWorkflows = 30;

/** The file that the command was called on, else that of the active editor, else the one that is picked. */
export async function chooseBatch(given: vscode.Uri | undefined): Promise<ChosenBatch> {
  const active = vscode.window.activeTextEditor?.document.uri;
  const isBatch = active !== undefined && formatOf(active) !== undefined && path.extname(active.path) !== '.txt';
  return readBatchFile(given ?? (isBatch ? active : await pickBatchFile()));
}

async function pickBatchFile(): Promise<vscode.Uri> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const chosen = await vscode.window.showOpenDialog({
    title: vscode.l10n.t('Queue which batch file?'),
    openLabel: vscode.l10n.t('Queue…'),
    filters: {
      [vscode.l10n.t('CSV and JSON Lines')]: Object.keys(formats).map((ending) => ending.slice(1)),
    },
    ...(folder === undefined ? {} : { defaultUri: folder }),
  });
  const [uri] = chosen ?? [];
  if (uri === undefined) throw new Fault('cancelled', 'No file was chosen');
  return uri;
}

async function readBatchFile(uri: vscode.Uri): Promise<ChosenBatch> {
  const name = path.basename(uri.path);
  const format = formatOf(uri);
  if (format === undefined) {
    throw new Fault('rejected', `${name} is neither CSV nor JSON Lines`, {
      nextStep: vscode.l10n.t('Save it as .csv, .tsv or .jsonl.'),
    });
  }
  // What the person sees in the editor, saved or not.
  const open = vscode.workspace.textDocuments.find((document) => document.uri.toString() === uri.toString());
  if (open?.isDirty === true || (open !== undefined && uri.scheme === 'untitled')) {
    return { uri, name, format, text: open.getText(), encoding: 'UTF-8' };
  }
  const { size } = await vscode.workspace.fs.stat(uri);
  if (size > largestBytes) {
    const megabytes = Math.ceil(size / 1024 ** 2);
    throw new Fault(
      'rejected',
      `${name} has ${megabytes} MB, more than the ${largestBytes / 1024 ** 2} MB of a batch`,
      {
        nextStep: vscode.l10n.t('Split the file.'),
      },
    );
  }
  return { uri, name, format, ...decodeText(await vscode.workspace.fs.readFile(uri)) };
}

function formatOf(uri: vscode.Uri): BatchFormat | undefined {
  return formats[path.extname(uri.path).toLowerCase()];
}

/** What the lines of a batch change: an open workflow, one beside the batch file, the built-in one, or any file. */
export async function chooseWorkflow({ uri, name }: ChosenBatch, newSeed: () => number): Promise<WantedJob> {
  const known = await workflowsNear(uri);
  const builtIn = {
    label: vscode.l10n.t('$(wand) Text to image'),
    description: vscode.l10n.t('built in; needs a column prompt; 768 × 768 unless the file says otherwise'),
    read: (): Promise<WantedJob> =>
      Promise.resolve({
        label: vscode.l10n.t('Text to image'),
        workflow: defaultWorkflow({ prompt: '', width: 768, height: 768, seed: newSeed() }),
      }),
  };
  const other = {
    label: vscode.l10n.t('$(folder-opened) Choose a file…'),
    description: vscode.l10n.t('a workflow in API format'),
    read: async (): Promise<WantedJob> => readWorkflow(await pickWorkflowFile()),
  };
  const items = known.map((file) => ({
    label: `$(file-code) ${path.basename(file.path)}`,
    description: vscode.workspace.asRelativePath(file),
    read: (): Promise<WantedJob> => readWorkflow(file),
  }));
  const chosen = await vscode.window.showQuickPick([...items, builtIn, other], {
    title: vscode.l10n.t('Which workflow runs with the lines of {0}?', name),
    ignoreFocusOut: true,
  });
  if (chosen === undefined) throw new Fault('cancelled', 'No workflow was chosen');
  return chosen.read();
}

async function pickWorkflowFile(): Promise<vscode.Uri> {
  const chosen = await vscode.window.showOpenDialog({
    title: vscode.l10n.t('Which workflow?'),
    filters: { [vscode.l10n.t('Workflows')]: ['json'] },
  });
  const [uri] = chosen ?? [];
  if (uri === undefined) throw new Fault('cancelled', 'No workflow was chosen');
  return uri;
}

/** Open ones first, then those in the folder of the batch file. */
async function workflowsNear(batch: vscode.Uri): Promise<readonly vscode.Uri[]> {
  const tabs = vscode.window.tabGroups.all.flatMap(({ tabs: all }) =>
    all.flatMap(({ input }) => (input instanceof vscode.TabInputText ? [input.uri] : [])),
  );
  const near = batch.scheme === 'untitled' ? [] : await jsonFilesBeside(batch);
  const files = new Map([...tabs, ...near].filter(isJson).map((uri) => [uri.toString(), uri]));
  const found: vscode.Uri[] = [];
  for (const uri of files.values()) {
    if (found.length >= mostWorkflows) break;
    if (await isWorkflow(uri)) found.push(uri);
  }
  return found;
}

function isJson(uri: vscode.Uri): boolean {
  return /\.json$/i.test(uri.path) && !/\.podrelay\.json$/i.test(uri.path);
}

async function jsonFilesBeside(batch: vscode.Uri): Promise<readonly vscode.Uri[]> {
  const folder = vscode.Uri.joinPath(batch, '..');
  const entries = await vscode.workspace.fs.readDirectory(folder).then(
    (all) => all,
    () => [],
  );
  return entries
    .filter(([, type]) => type === vscode.FileType.File)
    .map(([name]) => vscode.Uri.joinPath(folder, name))
    .filter(isJson)
    .slice(0, mostWorkflows);
}

async function isWorkflow(uri: vscode.Uri): Promise<boolean> {
  try {
    const open = vscode.workspace.textDocuments.find((document) => document.uri.toString() === uri.toString());
    if (open === undefined && (await vscode.workspace.fs.stat(uri)).size > largestWorkflowBytes) return false;
    parseWorkflow(open?.getText() ?? decodeText(await vscode.workspace.fs.readFile(uri)).text);
    return true;
  } catch {
    return false;
  }
}
