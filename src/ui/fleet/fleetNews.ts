import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import { formatUsdPerHour } from '../../core/cost/price.ts';
import type { FleetDecision } from '../../core/fleet/fleetDecision.ts';
import type { PodService } from '../../core/fleet/podService.ts';
import { showFault } from '../notify.ts';

export interface FleetNewsServices {
  readonly pods: PodService;
}

/** Said once in a session: the settings are the consent, and a person learns that they work, and at what price. */
export async function tellFirstPod(
  { pods }: FleetNewsServices,
  { podId, podName, usdPerHourMicros, what }: FleetDecision,
  signal: AbortSignal,
): Promise<void> {
  if (podId === undefined) return;
  const name = podName ?? podId;
  const price =
    usdPerHourMicros === undefined ? vscode.l10n.t('a price not known yet') : formatUsdPerHour(usdPerHourMicros);
  const text =
    what === 'create'
      ? vscode.l10n.t(
          'PodRelay: the pod {0} was created for queued jobs, at {1}. It is stopped without work.',
          name,
          price,
        )
      : vscode.l10n.t(
          'PodRelay: the pod {0} was started for queued jobs, at {1}. It is stopped without work.',
          name,
          price,
        );
  const why = vscode.l10n.t('Why?');
  const stop = vscode.l10n.t('Stop It');
  const chosen = await vscode.window.showInformationMessage(text, why, stop);
  if (chosen === why) await vscode.commands.executeCommand(commands.showFleet);
  if (chosen !== stop) return;
  try {
    await pods.stop(podId, signal);
  } catch (error) {
    await showFault(vscode.l10n.t('The pod could not be stopped'), error);
  }
}
