import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import type { Ledger } from '../../core/cost/ledger.ts';
import { toFault } from '../../core/kernel/fault.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Clock, Log } from '../../core/kernel/ports.ts';
import { costReport } from './costReport.ts';
import { costsPage } from './costsPage.ts';
import type { CostsPageInput } from './costsPage.ts';

export interface CostsPanelServices {
  readonly extensionUri: vscode.Uri;
  readonly ledger: Pick<Ledger, 'statement' | 'onDidChange'>;
  /** Of all pods that bill now; undefined = not known. */
  readonly runningUsdPerHourMicros: () => number | undefined;
  readonly isDemo: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** Changes within this time are drawn together. */
const drawEveryMs = 500;

/** One page of costs, drawn again as long as it is on the screen and something changes. Ends with the session. */
export function openCosts(services: CostsPanelServices, life: Lifetime): vscode.WebviewPanel {
  const { extensionUri, ledger, isDemo, clock, log } = services;
  const media = vscode.Uri.joinPath(extensionUri, 'media', 'webview');
  const panel = life.own(
    vscode.window.createWebviewPanel('podrelay.costs', vscode.l10n.t('PodRelay Costs'), vscode.ViewColumn.Active, {
      enableScripts: false,
      enableCommandUris: [commands.showLog],
      localResourceRoots: [media],
    }),
  );
  panel.iconPath = vscode.Uri.joinPath(extensionUri, 'media', 'podrelay.svg');
  const { webview } = panel;

  const read = async (): Promise<CostsPageInput['report']> => {
    try {
      return costReport(await ledger.statement());
    } catch (error) {
      const fault = toFault(error);
      log.error('The costs could not be read', fault);
      return { unknown: fault.message };
    }
  };
  let stale = true;
  let drawing = false;
  const draw = async (): Promise<void> => {
    stale = true;
    if (drawing) return;
    drawing = true;
    try {
      while (stale && panel.visible && !life.signal.aborted) {
        stale = false;
        const report = await read();
        if (life.signal.aborted) return;
        webview.html = costsPage({
          report,
          runningUsdPerHourMicros: services.runningUsdPerHourMicros(),
          demo: isDemo,
          cspSource: webview.cspSource,
          styleUri: webview.asWebviewUri(vscode.Uri.joinPath(media, 'costs.css')).toString(),
        });
        await clock.sleep(drawEveryMs, life.signal);
      }
    } catch (error) {
      const fault = toFault(error);
      if (fault.kind !== 'cancelled') log.error('The costs could not be shown', fault);
    } finally {
      drawing = false;
    }
  };
  life.own(ledger.onDidChange(() => void draw()));
  life.own(panel.onDidChangeViewState(() => void (stale && draw())));
  life.own(panel.onDidDispose(() => life.dispose()));
  void draw();
  return panel;
}
