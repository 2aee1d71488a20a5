import * as vscode from 'vscode';
import { commands } from '../contract.ts';
import { formatUsd } from '../core/cost/price.ts';
import type { Ledger } from '../core/cost/ledger.ts';
import type { PodService } from '../core/fleet/podService.ts';
import { toFault } from '../core/kernel/fault.ts';
import type { Lifetime } from '../core/kernel/lifetime.ts';
import type { Log } from '../core/kernel/ports.ts';

export interface LookBackServices {
  /** False on a machine where PodRelay has done nothing yet: then there is nothing to look at. */
  readonly hasRecords: () => boolean;
  readonly ledger: Ledger;
  readonly pods: PodService;
  readonly podsMayRun: () => Promise<boolean>;
  readonly log: Log;
}

/**
 * After a window has opened: what was spent, and whether pods of an earlier run still cost money. RunPod is asked only
 * when our records give a reason to.
 */
export function lookBack(services: LookBackServices, life: Lifetime): void {
  const { hasRecords, log } = services;
  const start = setImmediate(() => {
    if (!hasRecords()) return;
    look(services, life.signal).catch((error: unknown) => {
      const fault = toFault(error);
      if (fault.kind !== 'cancelled') log.warn(`The look at earlier pods has failed: ${fault.message}`);
    });
  });
  life.own({ dispose: () => clearImmediate(start) });
}

async function look({ ledger, pods, podsMayRun, log }: LookBackServices, signal: AbortSignal): Promise<void> {
  await ledger.refresh();
  if (!(await podsMayRun())) return;
  const { adopted, running } = await pods.reconcile(signal);
  for (const pod of adopted) log.info(`Pod ${pod.name} was asked for in an earlier run: it is ours`);
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
