import * as vscode from 'vscode';
import { budgetNames, leftMicros, spentShare } from '../../core/cost/budget.ts';
import type { BudgetName, BudgetUse } from '../../core/cost/budget.ts';
import type { Budgets } from '../../core/cost/budgets.ts';
import type { Spending as LedgerSums } from '../../core/cost/ledger.ts';
import { formatUsd, parseUsd } from '../../core/cost/price.ts';
import type { Settings } from '../../core/settings.ts';
import type { Spending } from '../moneySnapshot.ts';
import { writeSetting } from '../writeSetting.ts';
import { budgetTitles } from './budgetBars.ts';

export interface SetBudgetServices {
  readonly budgets: Pick<Budgets, 'uses' | 'refresh'>;
  readonly ledger: Spending;
  readonly settings: () => Settings;
}

/** Which budget, then how much: with what is spent now. */
export async function setBudget({ budgets, ledger, settings }: SetBudgetServices): Promise<void> {
  await Promise.allSettled([ledger.refresh(), budgets.refresh()]);
  const uses = budgets.uses.known ? budgets.uses.value : [];
  const sums = ledger.spending.known ? ledger.spending.value : undefined;
  const items = budgetNames.map((name) => {
    const use = uses.find((one) => one.name === name);
    return {
      name,
      label: `$(${iconOf(use)}) ${budgetTitles[name]}`,
      description: use === undefined ? vscode.l10n.t('no limit') : formatUsd(use.limitMicros),
      detail: spentText(name, use, sums),
    };
  });
  const chosen = await vscode.window.showQuickPick(items, {
    title: vscode.l10n.t('PodRelay: Set Budget'),
    placeHolder: vscode.l10n.t('Nothing that costs money starts once a budget is spent'),
  });
  if (chosen === undefined) return;
  const now = amountOf(chosen.name, settings());
  const entered = await vscode.window.showInputBox({
    title: vscode.l10n.t('PodRelay: Budget for {0}', budgetTitles[chosen.name]),
    prompt: `${vscode.l10n.t('US dollars. Empty = no limit; 0 = nothing may be spent.')} ${chosen.detail}`,
    value: now === undefined ? '' : String(now),
    validateInput: (text) =>
      parseUsd(text) === undefined ? vscode.l10n.t('An amount of US dollars, such as 5 or 2.50') : undefined,
  });
  if (entered === undefined) return;
  const usd = parseUsd(entered);
  if (usd === undefined) return;
  await store(chosen.name, usd, settings());
  await budgets.refresh();
}

function amountOf(name: BudgetName, settings: Settings): number | undefined {
  if (name === 'cloud' || name === 'gemini') return settings['budget.perBackendUsd'][name] ?? undefined;
  return settings[settingOf[name]] ?? undefined;
}

const settingOf = {
  session: 'budget.sessionUsd',
  day: 'budget.dayUsd',
  month: 'budget.monthUsd',
} as const satisfies Record<string, keyof Settings>;

async function store(name: BudgetName, usd: number | null, settings: Settings): Promise<void> {
  if (name !== 'cloud' && name !== 'gemini') return writeSetting(settingOf[name], usd ?? undefined);
  const { [name]: _, ...others } = settings['budget.perBackendUsd'];
  const all = usd === null ? others : { ...others, [name]: usd };
  return writeSetting('budget.perBackendUsd', Object.keys(all).length === 0 ? undefined : all);
}

function spentText(name: BudgetName, use: BudgetUse | undefined, sums: LedgerSums | undefined): string {
  if (use !== undefined) {
    const left = vscode.l10n.t('{0} spent, {1} left', formatUsd(use.spentMicros), formatUsd(leftMicros(use)));
    return use.heldMicros > 0 ? `${left}, ${vscode.l10n.t('{0} reserved', formatUsd(use.heldMicros))}` : left;
  }
  if (name === 'cloud' || name === 'gemini') return '';
  return sums === undefined
    ? vscode.l10n.t('what is spent is not known')
    : vscode.l10n.t('{0} spent', formatUsd(sums[name].micros));
}

function iconOf(use: BudgetUse | undefined): string {
  if (use === undefined) return 'dash';
  const share = spentShare(use);
  return share >= 1 ? 'error' : share >= 0.8 ? 'warning' : 'target';
}
