import * as vscode from 'vscode';
import { comfyPort } from '../../core/fleet/proxyAddress.ts';
import { isRunningComfy, podConsoleUrl } from '../trees/podText.ts';
import { showFault } from '../notify.ts';
import { openInBrowser } from './backendCommands.ts';
import { choosePod } from './podChoice.ts';
import type { PodChoiceServices } from './podChoice.ts';

export interface PodLinkServices extends PodChoiceServices {
  readonly isDemo: boolean;
}

export async function openPodComfy(
  services: PodLinkServices,
  arg: unknown,
  port: unknown,
  signal: AbortSignal,
): Promise<void> {
  const title = vscode.l10n.t('Open the ComfyUI of which pod?');
  const none = 'No pod with ComfyUI runs';
  const pod = await choosePod(services, arg, { title, fits: isRunningComfy, none }, signal);
  await openInBrowser(await services.pods.link(pod.id, typeof port === 'number' ? port : comfyPort));
}

export async function openPodConsole(services: PodLinkServices, arg: unknown, signal: AbortSignal): Promise<void> {
  if (services.isDemo) {
    const text = vscode.l10n.t("PodRelay: this is the demo; its pods are simulated and not in RunPod's console.");
    void vscode.window.showInformationMessage(text);
    return;
  }
  const title = vscode.l10n.t("Open which pod in RunPod's console?");
  const pod = await choosePod(services, arg, { title, fits: () => true }, signal);
  await openInBrowser(podConsoleUrl(pod.id));
}

export async function copyPodAddress(services: PodLinkServices, arg: unknown, signal: AbortSignal): Promise<void> {
  const title = vscode.l10n.t('Copy the address of which pod?');
  const pod = await choosePod(services, arg, { title, fits: () => true }, signal);
  const address = services.pods.address(pod.id);
  await vscode.env.clipboard.writeText(address);
  if (pod.tokenSha256 === undefined) {
    vscode.window.setStatusBarMessage(vscode.l10n.t('$(copy) {0} copied', address), 4_000);
    return;
  }
  const text = vscode.l10n.t(
    'The address of {0} is copied. The pod is private: without its token the address answers 401. PodRelay opens it with the token.',
    pod.name,
  );
  const open = vscode.l10n.t('Open ComfyUI');
  void offer(text, isRunningComfy(pod) ? [open] : [], async () => openInBrowser(await services.pods.link(pod.id)));
}

/** Not to be awaited: a message may stay for minutes, and the command has done its work. */
export async function offer(text: string, buttons: readonly string[], act: () => Promise<void>): Promise<void> {
  try {
    if ((await vscode.window.showInformationMessage(text, ...buttons)) !== undefined) await act();
  } catch (error) {
    await showFault(vscode.l10n.t('That could not be done'), error);
  }
}
