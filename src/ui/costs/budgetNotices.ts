import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import { budgetText, leftMicros } from '../../core/cost/budget.ts';
import type { BudgetNotice, Budgets } from '../../core/cost/budgets.ts';
import { formatUsd } from '../../core/cost/price.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Log } from '../../core/kernel/ports.ts';

/** One message each when a budget has passed 50, 80 and 100 %. */
export function tellBudgets(budgets: Pick<Budgets, 'onDidNotice'>, log: Log, life: Lifetime): void {
  life.own(
    budgets.onDidNotice((notice) => {
      log.info(`Budget: ${noticeText(notice)}`);
      tell(notice).catch((error: unknown) => log.error('A budget could not be told', error));
    }),
  );
}

async function tell(notice: BudgetNotice): Promise<void> {
  const show = vscode.l10n.t('Show Costs');
  const set = vscode.l10n.t('Set Budget…');
  const text = `PodRelay: ${noticeText(notice)}`;
  const chosen =
    notice.mark === 50
      ? await vscode.window.showInformationMessage(text, show, set)
      : await vscode.window.showWarningMessage(text, show, set);
  if (chosen === show) await vscode.commands.executeCommand(commands.showCosts);
  if (chosen === set) await vscode.commands.executeCommand(commands.setBudget);
}

function noticeText({ use, mark }: BudgetNotice): string {
  const name = budgetText(use.name);
  const [spent, limit] = [formatUsd(use.spentMicros), formatUsd(use.limitMicros)];
  if (mark < 100) {
    return vscode.l10n.t(
      '{0} % of {1} is spent: {2} of {3}, {4} left.',
      mark,
      name,
      spent,
      limit,
      formatUsd(leftMicros(use)),
    );
  }
  return vscode.l10n.t(
    '{0} is spent ({1} of {2}). What runs is ended; nothing that costs money starts, and idle pods of PodRelay are stopped.',
    name[0]?.toUpperCase() + name.slice(1),
    spent,
    limit,
  );
}
