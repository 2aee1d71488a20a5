import * as vscode from 'vscode';
import { commands } from '../contract.ts';
import type { BackendManager } from '../core/backends/backendManager.ts';
import type { Budgets } from '../core/cost/budgets.ts';
import type { PodService } from '../core/fleet/podService.ts';
import type { Event } from '../core/kernel/event.ts';
import type { Lifetime } from '../core/kernel/lifetime.ts';
import type { EndpointService } from '../core/serverless/endpointService.ts';
import { moneySnapshot } from './moneySnapshot.ts';
import type { Spending } from './moneySnapshot.ts';
import { statusText } from './statusText.ts';
import { backendsState } from './trees/backendRows.ts';

export interface StatusBarServices {
  readonly backends: BackendManager;
  readonly pods: PodService;
  readonly endpoints: EndpointService;
  readonly ledger: Spending | undefined;
  readonly budgets: Budgets;
  readonly hasRunpodKey: () => boolean;
  readonly isDemo: boolean;
  /** The person has set something up: a key, an address of their own. */
  readonly isSetUp: () => boolean;
  readonly onDidChangeSetup: Event<unknown>;
}

/** The backend of the next job, with the running cost. */
export function registerStatusBar(services: StatusBarServices, life: Lifetime): void {
  const { backends, pods, endpoints, ledger, onDidChangeSetup } = services;
  const item = life.own(vscode.window.createStatusBarItem('podrelay.status', vscode.StatusBarAlignment.Left, 10));
  item.name = vscode.l10n.t('PodRelay: backend and running cost');
  item.command = commands.showMenu;
  const render = (): void => {
    const statuses = backends.statuses();
    const shown = statusText({
      statuses,
      setUp: backendsState({ statuses, setUp: services.isSetUp() }) === 'listed',
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
  for (const change of [backends.onDidChange, pods.onDidChange, endpoints.onDidChange, onDidChangeSetup])
    life.own(change(render));
  if (ledger !== undefined) life.own(ledger.onDidChange(render));
  life.own(services.budgets.onDidChange(render));
  life.own(vscode.workspace.onDidGrantWorkspaceTrust(render));
  render();
  item.show();
}
