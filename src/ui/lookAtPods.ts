import * as vscode from 'vscode';
import { commands } from '../contract.ts';
import type { Ledger } from '../core/cost/ledger.ts';
import { isBilled } from '../core/cost/podMeter.ts';
import { formatUsd } from '../core/cost/price.ts';
import type { PodService } from '../core/fleet/podService.ts';
import type { Reconciled } from '../core/fleet/reconcilePods.ts';
import type { Pod } from '../core/runpod/pod.ts';

export interface PodsToLookAt {
  readonly ledger: Ledger;
  readonly pods: PodService;
  readonly podsMayRun: () => Promise<boolean>;
}

/** Offers to stop what still runs; what shows up a little later, too. */
export async function lookAtPods({ ledger, pods, podsMayRun }: PodsToLookAt, signal: AbortSignal): Promise<void> {
  await ledger.refresh();
  if (!(await podsMayRun())) return;
  const { running, again } = await pods.reconcile(signal);
  await Promise.all([offer(pods, running, signal), offerLater(pods, again, signal)]);
}

async function offerLater(pods: PodService, later: Reconciled['again'], signal: AbortSignal): Promise<void> {
  if (later === undefined) return;
  const { adopted, again } = await later;
  await Promise.all([offer(pods, adopted.filter(isBilled), signal), offerLater(pods, again, signal)]);
}

async function offer(pods: PodService, running: readonly Pod[], signal: AbortSignal): Promise<void> {
  if (running.length === 0) return;
  const perHour = formatUsd(running.reduce((sum, pod) => sum + pod.usdPerHourMicros, 0));
  const names = running.map((pod) => pod.name).join(', ');
  const show = vscode.l10n.t('Show Pods');
  const stop = running.length === 1 ? vscode.l10n.t('Stop It') : vscode.l10n.t('Stop Them');
  const text =
    running.length === 1
      ? vscode.l10n.t('PodRelay: the pod {0} still runs, at {1}/h.', names, perHour)
      : vscode.l10n.t('PodRelay: {0} pods still run, at {1}/h: {2}.', running.length, perHour, names);
  const closed = await Promise.all(running.map(async (pod) => ((await pods.opens(pod)) ? [] : [pod.name])));
  const elsewhere = vscode.l10n.t(
    'Another computer may be using {0}, whose token is not on this one; its own agent stops it when nobody does.',
    closed.flat().join(', '),
  );
  const told = closed.flat().length === 0 ? text : `${text} ${elsewhere}`;
  const chosen = await vscode.window.showWarningMessage(told, show, stop);
  if (chosen === show) await vscode.commands.executeCommand(commands.showViews);
  if (chosen !== stop) return;
  const { failed } = await pods.stopAll(
    running.map(({ id }) => id),
    signal,
  );
  for (const { pod, why } of failed) {
    void vscode.window.showErrorMessage(
      vscode.l10n.t('PodRelay: {0} could not be stopped and may still cost money: {1}', pod.name, why.message),
    );
  }
}
