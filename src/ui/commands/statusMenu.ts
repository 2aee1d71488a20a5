import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import type { CommandId } from '../../contract.ts';
import type { JobRunner } from '../../core/jobs/jobRunner.ts';
import type { Command } from './runCommand.ts';

export interface StatusMenuServices {
  readonly jobs: JobRunner;
  readonly billedPods: () => number;
}

/** What a click on the status bar item offers. */
export function statusMenu({ jobs, billedPods }: StatusMenuServices): Command {
  const item = (label: string, id: CommandId, description = '') => ({ label, description, id });
  return {
    id: commands.showMenu,
    failure: vscode.l10n.t('The menu could not be shown'),
    run: async () => {
      const running = jobs.running().length;
      const pods = billedPods();
      /** Restricted Mode refuses what runs or starts something. */
      const ifTrusted = (label: string, id: CommandId) => (vscode.workspace.isTrusted ? [item(label, id)] : []);
      const items = [
        ...ifTrusted(vscode.l10n.t('$(wand) Generate from Prompt…'), commands.generateFromPrompt),
        ...(running > 0 ? [item(vscode.l10n.t('$(stop-circle) Cancel Job'), commands.cancelJob, String(running))] : []),
        item(vscode.l10n.t('$(list-selection) Choose Backend…'), commands.chooseBackend),
        item(vscode.l10n.t('$(law) Choose Strategy…'), commands.chooseStrategy),
        item(vscode.l10n.t('$(refresh) Check Backends Now'), commands.checkBackends),
        ...(pods > 0
          ? [item(vscode.l10n.t('$(debug-stop) Stop All Pods'), commands.stopAllPods, `${pods} running`)]
          : []),
        ...ifTrusted(vscode.l10n.t('$(rocket) Start Pods Automatically…'), commands.setUpFleet),
        item(vscode.l10n.t('$(server) Show Backends and Pods'), commands.showViews),
        item(vscode.l10n.t('$(graph) Show Costs'), commands.showCosts),
        item(vscode.l10n.t('$(target) Set Budget…'), commands.setBudget),
        item(vscode.l10n.t('$(output) Show Log'), commands.showLog),
      ];
      const chosen = await vscode.window.showQuickPick(items, { title: 'PodRelay' });
      if (chosen !== undefined) await vscode.commands.executeCommand(chosen.id);
    },
  };
}
