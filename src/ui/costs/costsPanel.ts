import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import type { Budgets } from '../../core/cost/budgets.ts';
import type { BillComparison } from '../../core/cost/compareBill.ts';
import type { Ledger } from '../../core/cost/ledger.ts';
import { toFault } from '../../core/kernel/fault.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Clock, Log } from '../../core/kernel/ports.ts';
import type { BillState } from './billTable.ts';
import { costDays } from './costDays.ts';
import { costReport } from './costReport.ts';
import { costsPage } from './costsPage.ts';
import type { CostsPageInput } from './costsPage.ts';

export interface CostsPanelServices {
  readonly extensionUri: vscode.Uri;
  readonly ledger: Pick<Ledger, 'statement' | 'onDidChange'>;
  readonly budgets: Pick<Budgets, 'uses' | 'refresh' | 'onDidChange'>;
  readonly compareBill: (days: number, signal: AbortSignal) => Promise<BillComparison>;
  /** Of all pods that bill now; undefined = not known. */
  readonly runningUsdPerHourMicros: () => number | undefined;
  readonly isDemo: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

export interface CostsPanel {
  reveal(): void;
  /** Asks RunPod for its bill and shows it on the page; what goes wrong is told there. */
  compare(): Promise<void>;
}

/** Changes within this time are drawn together. */
const drawEveryMs = 500;
const chartDays = 30;
const billDays = 14;

/** One page of costs, drawn again as long as it is on the screen and something changes. Ends with the session. */
export function openCosts(services: CostsPanelServices, life: Lifetime): CostsPanel {
  const { extensionUri, ledger, budgets, isDemo, clock, log } = services;
  const media = vscode.Uri.joinPath(extensionUri, 'media', 'webview');
  const panel = life.own(
    vscode.window.createWebviewPanel('podrelay.costs', vscode.l10n.t('PodRelay Costs'), vscode.ViewColumn.Active, {
      enableScripts: false,
      enableCommandUris: [commands.showLog, commands.setBudget, commands.compareBill, commands.exportCosts],
      localResourceRoots: [media],
    }),
  );
  panel.iconPath = vscode.Uri.joinPath(extensionUri, 'media', 'podrelay.svg');
  const { webview } = panel;
  let bill: BillState = { is: 'unasked' };

  const read = async (): Promise<CostsPageInput['report']> => {
    try {
      const statement = await ledger.statement(chartDays);
      return { ...costReport(statement), days: costDays(statement, chartDays) };
    } catch (error) {
      const fault = toFault(error);
      log.error('The costs could not be read', fault);
      return { unknown: fault.message };
    }
  };
  let stale = true;
  let drawing = false;
  let drawn = '';
  const draw = async (): Promise<void> => {
    stale = true;
    if (drawing) return;
    drawing = true;
    try {
      while (stale && panel.visible && !life.signal.aborted) {
        stale = false;
        const report = await read();
        if (life.signal.aborted) return;
        const page = costsPage({
          report,
          budgets: budgets.uses.known ? budgets.uses.value : undefined,
          bill,
          runningUsdPerHourMicros: services.runningUsdPerHourMicros(),
          demo: isDemo,
          cspSource: webview.cspSource,
          styleUri: webview.asWebviewUri(vscode.Uri.joinPath(media, 'costs.css')).toString(),
        });
        // A page that is set anew begins at its top.
        if (page !== drawn) webview.html = drawn = page;
        await clock.sleep(drawEveryMs, life.signal);
      }
    } catch (error) {
      const fault = toFault(error);
      if (fault.kind !== 'cancelled') log.error('The costs could not be shown', fault);
    } finally {
      drawing = false;
    }
  };
  for (const change of [ledger.onDidChange, budgets.onDidChange]) life.own(change(() => void draw()));
  life.own(panel.onDidChangeViewState(() => void (stale && draw())));
  life.own(panel.onDidDispose(() => life.dispose()));
  void budgets.refresh();
  void draw();

  return {
    reveal: () => panel.reveal(),
    async compare() {
      if (bill.is === 'asking') return;
      bill = { is: 'asking' };
      void draw();
      try {
        bill = { is: 'known', comparison: await services.compareBill(billDays, life.signal) };
      } catch (error) {
        const fault = toFault(error);
        if (fault.kind !== 'cancelled') log.error("RunPod's bill could not be read", fault);
        bill = { is: 'unknown', why: fault.message };
      }
      void draw();
    },
  };
}
