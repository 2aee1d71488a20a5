import * as vscode from 'vscode';
import { views } from '../../contract.ts';
import type { EndpointService } from '../../core/serverless/endpointService.ts';
import type { PodLayout } from '../trees/podLayout.ts';
import type { PodGrouping } from '../trees/podScene.ts';
import { podStatuses, podStatusName, statusOrder } from '../trees/podText.ts';
import { requireRunpodKey } from './podChoice.ts';
import type { PodChoiceServices } from './podChoice.ts';

export interface PodLookServices extends PodChoiceServices {
  readonly endpoints: EndpointService;
  readonly layout: PodLayout;
}

/** A failure is a row of the view already; the command says it too, for whoever does not see the view. */
export async function refreshPods({ pods, endpoints, keys }: PodLookServices, signal: AbortSignal): Promise<void> {
  await requireRunpodKey(keys);
  await vscode.window.withProgress({ location: { viewId: views.pods } }, () =>
    Promise.all([pods.refresh(signal), endpoints.refresh(signal)]),
  );
}

/** 'all' takes the filter away; else it is asked for. */
export async function filterPods({ pods, layout }: PodLookServices, arg: unknown): Promise<void> {
  if (arg === 'all') return layout.show([]);
  const seen = pods.lastSeen?.pods ?? [];
  const statuses = [...new Set([...podStatuses, ...seen.map((pod) => pod.status)])].sort(statusOrder);
  const items = statuses.map((status) => ({
    label: podStatusName(status),
    description: String(seen.filter((pod) => pod.status === status).length),
    picked: layout.filter.includes(status),
    status,
  }));
  const chosen = await vscode.window.showQuickPick(items, {
    title: vscode.l10n.t('Show only pods that are …'),
    placeHolder: vscode.l10n.t('None ticked: every pod'),
    canPickMany: true,
  });
  if (chosen === undefined) return;
  const all = chosen.length === items.length;
  await layout.show(all ? [] : chosen.map(({ status }) => status));
}

export async function groupPods({ layout }: PodLookServices): Promise<void> {
  const item = (label: string, by: PodGrouping) => ({
    label,
    description: layout.groupBy === by ? vscode.l10n.t('now') : '',
    by,
  });
  const items = [
    item(vscode.l10n.t('$(list-flat) Not grouped'), 'none'),
    item(vscode.l10n.t('$(pulse) By status'), 'status'),
    item(vscode.l10n.t('$(circuit-board) By GPU'), 'gpu'),
  ];
  const chosen = await vscode.window.showQuickPick(items, { title: vscode.l10n.t('Group the pods') });
  if (chosen !== undefined) await layout.group(chosen.by);
}
