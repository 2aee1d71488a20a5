import * as vscode from 'vscode';
import { formatUsdPerHour, parseUsd } from '../../core/cost/price.ts';
import type { Settings } from '../../core/settings.ts';
import { requireRunpodKey, requireTrust } from '../commands/podChoice.ts';
import type { PodChoiceServices } from '../commands/podChoice.ts';
import { dotted } from '../trees/row.ts';
import { writeSetting } from '../writeSetting.ts';
import { upToText } from './fleetState.ts';

export interface SetUpFleetServices extends Pick<PodChoiceServices, 'keys'> {
  readonly settings: () => Settings;
}

interface Choice extends vscode.QuickPickItem {
  readonly do: 'pods' | 'price';
  readonly pods: number;
}

const offered = [1, 2, 3, 5, 10] as const;

/** How many pods may come by themselves, and at what price together. Nothing starts before the choice. */
export async function setUpFleet({ keys, settings }: SetUpFleetServices): Promise<void> {
  requireTrust();
  await requireRunpodKey(keys);
  for (;;) {
    const chosen = await vscode.window.showQuickPick(choices(settings()), {
      title: vscode.l10n.t('PodRelay: Start Pods Automatically'),
      placeHolder: vscode.l10n.t('How many pods may run at one time for queued jobs?'),
    });
    if (chosen === undefined) return;
    if (chosen.do === 'pods') return choosePods(chosen.pods, settings());
    await choosePrice(settings());
  }
}

function choices(settings: Settings): readonly Choice[] {
  const now = settings['fleet.maxPods'];
  const most = settings['fleet.maxUsdPerHour'] * 1_000_000;
  const isNow = (pods: number): string | false => pods === now && vscode.l10n.t('now');
  const atMost = (pods: number): string =>
    vscode.l10n.t(
      'at most {0}',
      formatUsdPerHour(Math.round(Math.min(most, pods * settings['cloud.maxUsdPerHour'] * 1_000_000))),
    );
  const counts = [...new Set([...offered, ...(now > 0 ? [now] : [])])].sort((a, b) => a - b);
  return [
    {
      do: 'pods',
      pods: 0,
      label: vscode.l10n.t('$(circle-slash) Off'),
      description: dotted(isNow(0)),
      detail: vscode.l10n.t('PodRelay starts no pod but the one that you chose for jobs.'),
    },
    ...counts.map((pods): Choice => ({
      do: 'pods',
      pods,
      label: `$(rocket) ${upperFirst(upToText(pods))}`,
      description: dotted(isNow(pods), atMost(pods)),
    })),
    { do: 'pods', pods: now, label: vscode.l10n.t('Price'), kind: vscode.QuickPickItemKind.Separator },
    {
      do: 'price',
      pods: now,
      label: vscode.l10n.t('$(credit-card) At most {0} for all of them together…', formatUsdPerHour(Math.round(most))),
      detail: vscode.l10n.t('Budgets hold as well. A pod is stopped when it has no work.'),
    },
  ];
}

async function choosePods(pods: number, settings: Settings): Promise<void> {
  if (pods > 0) {
    // Without these none would ever be started.
    if (!settings['cloud.enabled']) await writeSetting('cloud.enabled', true);
    if (!settings['cloud.useAllPods']) await writeSetting('cloud.useAllPods', true);
  }
  await writeSetting('fleet.maxPods', pods);
  const text =
    pods === 0
      ? vscode.l10n.t('PodRelay starts no pods by itself')
      : vscode.l10n.t('PodRelay starts {0} for queued jobs', upToText(pods));
  vscode.window.setStatusBarMessage(`$(check) ${text}`, 6_000);
}

async function choosePrice(settings: Settings): Promise<void> {
  const entered = await vscode.window.showInputBox({
    title: vscode.l10n.t('PodRelay: Price of All Automatic Pods'),
    prompt: vscode.l10n.t('US dollars per hour that they may cost together'),
    value: String(settings['fleet.maxUsdPerHour']),
    validateInput: (text) =>
      typeof parseUsd(text) === 'number' ? undefined : vscode.l10n.t('An amount of US dollars, such as 2 or 1.50'),
  });
  const usd = entered === undefined ? undefined : parseUsd(entered);
  if (typeof usd === 'number') await writeSetting('fleet.maxUsdPerHour', usd);
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
