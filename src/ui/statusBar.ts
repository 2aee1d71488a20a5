import * as vscode from 'vscode';
import { commands } from '../contract.ts';
import type { BackendManager } from '../core/backends/backendManager.ts';
import type { Lifetime } from '../core/kernel/lifetime.ts';

/** One item: the active backend and the running cost. */
export function registerStatusBar(backends: BackendManager, life: Lifetime): void {
  const item = life.own(vscode.window.createStatusBarItem('podrelay.status', vscode.StatusBarAlignment.Left, 10));
  item.name = 'PodRelay';
  item.command = commands.checkBackends;
  const render = (): void => {
    const active = backends.selected();
    item.text = active === undefined ? '$(warning) PodRelay: no backend' : `$(vm-running) ${active} · $0.00/h`;
    item.tooltip = vscode.l10n.t('PodRelay: active backend and running cost. Click to check the backends.');
  };
  life.own(backends.onDidChange(render));
  render();
  item.show();
}
