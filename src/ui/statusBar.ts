import * as vscode from 'vscode';
import { commands, contextKeys } from '../contract.ts';
import type { BackendManager } from '../core/backends/backendManager.ts';
import type { Budgets } from '../core/cost/budgets.ts';
import type { PodService } from '../core/fleet/podService.ts';
import type { JobRunner } from '../core/jobs/jobRunner.ts';
import type { Event } from '../core/kernel/event.ts';
import type { Lifetime } from '../core/kernel/lifetime.ts';
import { moneySnapshot } from './moneySnapshot.ts';
import type { Spending } from './moneySnapshot.ts';
import { setContext } from './setContext.ts';
import { progressText, statusText } from './statusText.ts';

export interface StatusBarServices {
  readonly backends: BackendManager;
  readonly jobs: JobRunner;
  readonly pods: PodService;
  readonly ledger: Spending | undefined;
  readonly budgets: Budgets;
  readonly hasRunpodKey: () => boolean;
  readonly isDemo: boolean;
  readonly onDidChangeSetup: Event<unknown>;
}

/** Two items: the backend of the next job with the running cost, and the progress of jobs while there are any. */
export function registerStatusBar(services: StatusBarServices, life: Lifetime): void {
  const { backends, jobs, pods, ledger, onDidChangeSetup } = services;
  const item = life.own(vscode.window.createStatusBarItem('podrelay.status', vscode.StatusBarAlignment.Left, 10));
  item.name = vscode.l10n.t('PodRelay: backend and running cost');
  item.command = commands.showMenu;
  const render = (): void => {
    const shown = statusText({
      statuses: backends.statuses(),
      selected: backends.selected(),
      demo: services.isDemo,
      trusted: vscode.workspace.isTrusted,
      ...moneySnapshot(services),
    });
    item.text = shown.text;
    item.tooltip = new vscode.MarkdownString(shown.tooltip, true);
    item.accessibilityInformation = { label: shown.spoken };
    const { background } = shown;
    item.backgroundColor =
      background === undefined ? undefined : new vscode.ThemeColor(`statusBarItem.${background}Background`);
  };
  for (const change of [backends.onDidChange, pods.onDidChange, onDidChangeSetup]) life.own(change(render));
  if (ledger !== undefined) life.own(ledger.onDidChange(render));
  life.own(services.budgets.onDidChange(render));
  life.own(vscode.workspace.onDidGrantWorkspaceTrust(render));
  render();
  item.show();

  const progress = life.own(vscode.window.createStatusBarItem('podrelay.progress', vscode.StatusBarAlignment.Left, 9));
  progress.name = vscode.l10n.t('PodRelay: running jobs');
  progress.command = commands.cancelJob;
  // The editor shows an item of an id that it has seen before, with its old text: that of a session that ended.
  progress.hide();
  life.own(
    jobs.onDidChange(() => {
      const shown = progressText(jobs.running());
      setContext(contextKeys.running, shown !== undefined);
      if (shown === undefined) return progress.hide();
      progress.text = shown.text;
      progress.tooltip = new vscode.MarkdownString(shown.tooltip, true);
      progress.accessibilityInformation = { label: shown.spoken };
      progress.show();
    }),
  );
}
