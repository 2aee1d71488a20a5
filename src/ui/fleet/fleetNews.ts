import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import { formatUsdPerHour } from '../../core/cost/price.ts';
import type { FleetDecision } from '../../core/fleet/fleetDecision.ts';
import type { PodService } from '../../core/fleet/podService.ts';
import type { Settings } from '../../core/settings.ts';
import { showFault } from '../notify.ts';
import { switchOffFleet, tellSwitchedOff } from './switchFleet.ts';

export interface FleetNewsServices {
  readonly pods: PodService;
  readonly settings: () => Settings;
}

/** Said once in a session: the settings are the consent, and a person learns that they work, and at what price. */
export async function tellFirstPod(
  { pods, settings }: FleetNewsServices,
  { podId, podName, usdPerHourMicros }: FleetDecision,
  signal: AbortSignal,
): Promise<void> {
  if (podId === undefined) return;
  const name = podName ?? podId;
  const text =
    usdPerHourMicros === undefined
      ? vscode.l10n.t(
          'PodRelay started the pod {0} for queued jobs. Its price is not known yet; it stops by itself when no work is left.',
          name,
        )
      : vscode.l10n.t(
          'PodRelay started the pod {0} for queued jobs. It costs {1} and stops by itself when no work is left.',
          name,
          formatUsdPerHour(usdPerHourMicros),
        );
  const why = vscode.l10n.t('Why?');
  const stop = vscode.l10n.t('Stop It');
  const chosen = await vscode.window.showInformationMessage(text, why, stop);
  if (chosen === why) await vscode.commands.executeCommand(commands.showFleet);
  if (chosen !== stop) return;
  try {
    // First, or the jobs that wait would bring it back.
    const before = await switchOffFleet(settings);
    await pods.stop(podId, signal);
    await tellSwitchedOff(vscode.l10n.t('PodRelay: {0} is stopped', name), before);
  } catch (error) {
    await showFault(vscode.l10n.t('The pod could not be stopped and may still cost money'), error);
  }
}
