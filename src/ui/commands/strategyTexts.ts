import * as vscode from 'vscode';
import { formatUsd } from '../../core/cost/price.ts';
import { durationText } from '../../core/queue/dispatch.ts';
import type { BackendOutlook, StrategyChoice } from '../../core/queue/strategyOutlook.ts';
import type { Strategy } from '../../core/routing/strategy.ts';
import { dotted } from '../trees/row.ts';

const secondsPerHour = 3_600;

export function strategyName(strategy: Strategy): string {
  const names: Readonly<Record<Strategy, string>> = {
    priority: vscode.l10n.t('In order of priority'),
    cheapest: vscode.l10n.t('Cheapest'),
    fastest: vscode.l10n.t('Fastest'),
    balanced: vscode.l10n.t('Balanced'),
  };
  return names[strategy];
}

export function strategyMeaning({ strategy, secondsPerUsd }: StrategyChoice): string {
  switch (strategy) {
    case 'priority':
      return vscode.l10n.t('the first backend of your order that can');
    case 'cheapest':
      return vscode.l10n.t('what costs least, though it takes longer');
    case 'fastest':
      return vscode.l10n.t('what ends soonest, within the budgets');
    case 'balanced':
      return worthText(secondsPerUsd);
  }
}

/** 'an hour of waiting is worth $3.60' */
export function worthText(secondsPerUsd: number): string {
  if (secondsPerUsd === 0) return vscode.l10n.t('no price is too high to wait less');
  const micros = Math.round((secondsPerHour / secondsPerUsd) * 1_000_000);
  return vscode.l10n.t('an hour of waiting is worth {0}', formatUsd(micros));
}

/** 'RunPod pod podrelay-x: about 12 s, $0.002' */
export function outlookText(backend: BackendOutlook | undefined): string {
  if (backend === undefined) return vscode.l10n.t('no backend can take it now');
  return `${backend.label}: ${figures(backend)}`;
}

/** '12 s, $0.002'; what is not measured says so. */
export function figures({ seconds, micros, basis, why }: BackendOutlook): string {
  if (seconds === undefined) return why ?? vscode.l10n.t('cannot take it now');
  const time = durationText(seconds);
  const cost = micros === 0 ? vscode.l10n.t('free') : costText(micros);
  const measured = basis === 'measured' ? '' : vscode.l10n.t('not measured');
  return dotted(`${basis === 'measured' ? time : vscode.l10n.t('about {0}', time)}, ${cost}`, measured);
}

function costText(micros: number | undefined): string {
  return micros === undefined ? vscode.l10n.t('its price is not known') : formatUsd(micros);
}
