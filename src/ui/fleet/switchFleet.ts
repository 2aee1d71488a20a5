import * as vscode from 'vscode';
import type { Settings } from '../../core/settings.ts';
import { writeSetting } from '../writeSetting.ts';

/** What a person stops must not be started again by itself. Resolves with the limit that was set; 0 = it was off. */
export async function switchOffFleet(settings: () => Settings): Promise<number> {
  const before = settings()['fleet.maxPods'];
  if (before > 0) await writeSetting('fleet.maxPods', 0);
  return before;
}

/** @param what what was done, a sentence without its full stop: 'PodRelay: 2 pods stopped' */
export async function tellSwitchedOff(what: string, before: number): Promise<void> {
  const again = vscode.l10n.t('Start Automatically Again');
  const text = vscode.l10n.t('{0}. No pod is started by itself any more.', what);
  const chosen = await vscode.window.showInformationMessage(text, again);
  if (chosen === again) await writeSetting('fleet.maxPods', before);
}

/** @param what as above */
export async function offerSwitchOff(what: string, settings: () => Settings): Promise<void> {
  const off = vscode.l10n.t('Start No More Pods');
  const text = vscode.l10n.t('{0}. Jobs wait, so PodRelay may start it or another pod again.', what);
  const chosen = await vscode.window.showInformationMessage(text, off);
  if (chosen === off) await switchOffFleet(settings);
}
