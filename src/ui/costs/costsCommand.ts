import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Clock, Log } from '../../core/kernel/ports.ts';
import type { Command } from '../commands/runCommand.ts';
import { moneySnapshot } from '../moneySnapshot.ts';
import type { MoneyServices, Spending } from '../moneySnapshot.ts';

export interface CostsCommandServices extends MoneyServices {
  readonly ledger: Spending;
  readonly extension: vscode.Extension<unknown>;
  readonly isDemo: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** One page of costs a session: a second call shows the first one's. */
export function costsCommand(services: CostsCommandServices, session: Lifetime): Command {
  let open: vscode.WebviewPanel | undefined;
  return {
    id: commands.showCosts,
    failure: vscode.l10n.t('The costs could not be shown'),
    run: async () => {
      const { openCosts } = await import('./costsPanel.ts');
      if (open !== undefined) return open.reveal();
      const life = session.child();
      life.own({ dispose: () => (open = undefined) });
      open = openCosts(
        {
          ...services,
          extensionUri: services.extension.extensionUri,
          runningUsdPerHourMicros: () => moneySnapshot(services).runningUsdPerHourMicros,
        },
        life,
      );
    },
  };
}
