import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import { budgetText, concerns, leftMicros } from '../../core/cost/budget.ts';
import type { Budgets } from '../../core/cost/budgets.ts';
import { formatUsd } from '../../core/cost/price.ts';
import type { Fleet } from '../../core/fleet/fleet.ts';
import type { Event } from '../../core/kernel/event.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Clock } from '../../core/kernel/ports.ts';
import type { Command } from '../commands/runCommand.ts';
import { DecisionsPage } from './decisionsPage.ts';
import { fleetState } from './fleetState.ts';
import { fleetText } from './fleetText.ts';
import { setUpFleet } from './setUpFleet.ts';
import type { SetUpFleetServices } from './setUpFleet.ts';

export interface FleetCommandServices extends SetUpFleetServices {
  readonly fleet: Fleet;
  readonly budgets: Pick<Budgets, 'uses' | 'refresh' | 'onDidChange'>;
  readonly onDidChangeSetup: Event<unknown>;
  readonly clock: Clock;
}

export function fleetCommands(services: FleetCommandServices, life: Lifetime): readonly Command[] {
  const { fleet, settings, keys, budgets } = services;
  const page = new DecisionsPage(
    {
      text: async () =>
        fleetText({
          ...fleetState(fleet, settings(), vscode.workspace.isTrusted, keys.has('runpodApiKey')),
          decisions: await fleet.decisions(),
          budget: tightestBudget(budgets),
          timeText: (ms) => new Date(ms).toLocaleString(),
        }),
      changes: [fleet.onDidDecide, fleet.onDidPlan, budgets.onDidChange, services.onDidChangeSetup],
      clock: services.clock,
    },
    life,
  );
  return [
    {
      id: commands.showFleet,
      failure: vscode.l10n.t('The decisions could not be shown'),
      run: async () => {
        await Promise.all([keys.load(), budgets.refresh()]);
        await page.show();
      },
    },
    {
      id: commands.setUpFleet,
      failure: vscode.l10n.t('Automatic pods could not be set up'),
      run: () => setUpFleet(services),
    },
  ];
}

function tightestBudget({ uses }: Pick<Budgets, 'uses'>): string | undefined {
  if (!uses.known) return vscode.l10n.t('what is left is not known');
  const [least] = uses.value.filter((use) => concerns(use, 'cloud')).sort((a, b) => leftMicros(a) - leftMicros(b));
  if (least === undefined) return undefined;
  const left = `${budgetText(least.name)} of ${formatUsd(least.limitMicros)} has ${formatUsd(leftMicros(least))} left`;
  const held = least.heldMicros > 0 ? `, ${formatUsd(least.heldMicros)} reserved for what runs` : '';
  return `${left} (${formatUsd(least.spentMicros)} spent${held})`;
}
