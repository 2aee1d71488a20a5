import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import type { Budgets } from '../../core/cost/budgets.ts';
import type { BillComparison } from '../../core/cost/compareBill.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Clock, Log } from '../../core/kernel/ports.ts';
import type { KeyRing } from '../../core/keyRing.ts';
import type { Settings } from '../../core/settings.ts';
import { requireRunpodKey } from '../commands/podChoice.ts';
import type { Command } from '../commands/runCommand.ts';
import { moneySnapshot } from '../moneySnapshot.ts';
import type { MoneyServices, Spending } from '../moneySnapshot.ts';
import { costsCsv } from './costsCsv.ts';
import { openCosts } from './costsPanel.ts';
import type { CostsPanel } from './costsPanel.ts';
import { setBudget } from './setBudget.ts';

export interface CostsCommandServices extends MoneyServices {
  readonly ledger: Spending;
  readonly budgets: Budgets;
  readonly compareBill: (days: number, signal: AbortSignal) => Promise<BillComparison>;
  readonly keys: KeyRing;
  readonly settings: () => Settings;
  readonly extension: vscode.Extension<unknown>;
  readonly isDemo: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** Days of an export: as far as anybody reconciles. */
const exportDays = 366;

/** One page of costs a session: a second call shows the first one's. */
export function costsCommands(services: CostsCommandServices, session: Lifetime): readonly Command[] {
  let open: CostsPanel | undefined;
  const show = (): CostsPanel => {
    if (open === undefined) {
      const life = session.child();
      life.own({ dispose: () => (open = undefined) });
      const { extensionUri } = services.extension;
      const runningUsdPerHourMicros = (): number | undefined => moneySnapshot(services).runningUsdPerHourMicros;
      open = openCosts({ ...services, extensionUri, runningUsdPerHourMicros }, life);
    } else open.reveal();
    return open;
  };
  return [
    {
      id: commands.showCosts,
      failure: vscode.l10n.t('The costs could not be shown'),
      run: () => Promise.resolve(show()),
    },
    {
      id: commands.compareBill,
      failure: vscode.l10n.t("RunPod's bill could not be compared"),
      run: async () => {
        await requireRunpodKey(services.keys);
        return show().compare();
      },
    },
    {
      id: commands.exportCosts,
      failure: vscode.l10n.t('The costs could not be exported'),
      run: async () => {
        const content = costsCsv(await services.ledger.statement(exportDays));
        const document = await vscode.workspace.openTextDocument({ content, language: 'csv' });
        return vscode.window.showTextDocument(document);
      },
    },
    {
      id: commands.setBudget,
      failure: vscode.l10n.t('The budget could not be set'),
      run: () => setBudget(services),
    },
  ];
}
