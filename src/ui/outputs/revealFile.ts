import { access } from 'node:fs/promises';
import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import { Fault } from '../../core/kernel/fault.ts';
import type { Command } from '../commands/runCommand.ts';

/** Only there the editor can open the system's own file manager. */
export function onDesktop(): boolean {
  return vscode.env.uiKind === vscode.UIKind.Desktop && vscode.env.remoteName === undefined;
}

/** In the file manager of the system, else in the editor's explorer. */
export async function revealFile(file: string): Promise<void> {
  await vscode.commands.executeCommand(onDesktop() ? 'revealFileInOS' : 'revealInExplorer', vscode.Uri.file(file));
}

export function outputFolderCommand(outputFolder: () => string): Command {
  return {
    id: commands.openOutputFolder,
    failure: vscode.l10n.t('The output folder could not be opened'),
    run: async () => {
      const folder = outputFolder();
      const isThere = await access(folder).then(
        () => true,
        () => false,
      );
      if (!isThere) {
        throw new Fault('rejected', `${folder} does not exist yet`, {
          nextStep: vscode.l10n.t('It is made with the first result.'),
        });
      }
      await revealFile(folder);
    },
  };
}
