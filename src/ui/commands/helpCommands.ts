import os from 'node:os';
import * as vscode from 'vscode';
import { commands, walkthrough } from '../../contract.ts';
import type { KeyRing } from '../../core/keyRing.ts';
import { readSettings } from '../../core/settings.ts';
import type { Settings } from '../../core/settings.ts';
import type { Command } from './runCommand.ts';

export interface HelpCommandServices {
  readonly extension: vscode.Extension<unknown>;
  readonly settings: () => Settings;
  readonly keys: KeyRing;
  readonly isDemo: boolean;
  /** The last lines of the log, without secrets. */
  readonly recentLines: () => readonly string[];
}

export function helpCommands(services: HelpCommandServices): readonly Command[] {
  return [
    {
      id: commands.openWalkthrough,
      failure: vscode.l10n.t('The walkthrough could not be opened'),
      run: async () =>
        vscode.commands.executeCommand('workbench.action.openWalkthrough', {
          category: `${services.extension.id}#${walkthrough}`,
        }),
    },
    {
      id: commands.reportProblem,
      failure: vscode.l10n.t('The report could not be made'),
      run: () => reportProblem(services),
    },
  ];
}

/** Opens the report as a text that the person can change; only what they then copy leaves. */
async function reportProblem({ extension, settings, keys, isDemo, recentLines }: HelpCommandServices): Promise<void> {
  const { problemReport } = await import('./problemReport.ts');
  const { version } = extension.packageJSON as { version: string };
  await keys.load();
  const content = problemReport({
    versions: {
      PodRelay: isDemo ? `${version}, in the demo` : version,
      'VS Code': `${vscode.version} (${vscode.env.appName})`,
      Node: process.versions.node,
      System: `${os.type()} ${os.release()} ${os.arch()}`,
      Window: vscode.env.uiKind === vscode.UIKind.Web ? 'browser' : 'desktop',
      // Of a server in the browser it is the address.
      Remote: vscode.env.remoteName?.replace(/[^\w+-].*$/, '…') ?? 'no',
      Workspace: vscode.workspace.isTrusted ? 'trusted' : 'not trusted',
    },
    settings: settings(),
    defaults: readSettings(() => undefined).settings,
    keys: { RunPod: keys.has('runpodApiKey'), Gemini: keys.has('geminiApiKey') },
    logLines: recentLines(),
    homeFolder: os.homedir(),
  });
  const document = await vscode.workspace.openTextDocument({ language: 'markdown', content });
  await vscode.window.showTextDocument(document, { preview: false });
  const copy = vscode.l10n.t('Copy to Clipboard');
  const text = vscode.l10n.t('Read the report and change what you like. Nothing is sent; copy it when it is ready.');
  // Not awaited: the person takes the time they need, and the command has done its work.
  void vscode.window.showInformationMessage(text, copy).then(async (chosen) => {
    if (chosen === copy) await vscode.env.clipboard.writeText(document.getText());
  });
}
