import * as vscode from 'vscode';
import { throwIfAborted } from '../../core/kernel/fault.ts';
import type { EndpointStatus } from '../../core/serverless/endpointService.ts';
import { endpointDetails } from '../trees/endpointDetails.ts';
import { queued } from '../trees/endpointText.ts';
import { openInBrowser } from './backendCommands.ts';
import { chooseEndpoint, endpointIdOf } from './endpointChoice.ts';
import type { EndpointChoiceServices } from './endpointChoice.ts';
import { requireRunpodKey, requireTrust } from './podChoice.ts';
import type { PodLogs } from './podLogs.ts';

export interface EndpointControlServices extends EndpointChoiceServices {
  readonly logs: Pick<PodLogs, 'showWorker'>;
  readonly isDemo: boolean;
  readonly useEndpoints: (endpointIds: readonly string[]) => Promise<void>;
}

/** RunPod's own page of an endpoint. */
const consolePage = 'https://console.runpod.io/serverless/user/endpoint';

export async function useEndpoint(services: EndpointControlServices, arg: unknown, signal: AbortSignal): Promise<void> {
  requireTrust();
  const { endpointIds, useEndpoints } = services;
  const title = vscode.l10n.t('Which endpoint shall get jobs?');
  const fits = ({ endpoint: { id, kind } }: EndpointStatus): boolean =>
    kind !== 'loadBalancer' && !endpointIds().includes(id);
  const none = 'No endpoint is there that could get jobs and does not yet';
  const { endpoint } = await chooseEndpoint(services, arg, { title, fits, none }, signal);
  if (!endpointIds().includes(endpoint.id)) await useEndpoints([...endpointIds(), endpoint.id]);
  say(vscode.l10n.t('{0} gets jobs after the pods', endpoint.name));
}

export async function stopUsingEndpoint(
  services: EndpointControlServices,
  arg: unknown,
  signal: AbortSignal,
): Promise<void> {
  const { endpointIds, useEndpoints } = services;
  const title = vscode.l10n.t('Which endpoint shall get no more jobs?');
  const fits = ({ endpoint }: EndpointStatus): boolean => endpointIds().includes(endpoint.id);
  // One that is gone from the account can be taken off the list too.
  const given = endpointIdOf(arg);
  const none = 'No endpoint gets jobs';
  const id = given ?? (await chooseEndpoint(services, undefined, { title, fits, none }, signal)).endpoint.id;
  await useEndpoints(endpointIds().filter((one) => one !== id));
  say(vscode.l10n.t('The endpoint gets no more jobs of PodRelay; those that run there end there'));
}

export async function purgeQueue(services: EndpointControlServices, arg: unknown, signal: AbortSignal): Promise<void> {
  const { endpoints } = services;
  const title = vscode.l10n.t('Empty the queue of which endpoint?');
  const fits = ({ endpoint }: EndpointStatus): boolean => endpoint.kind !== 'loadBalancer';
  const status = await chooseEndpoint(services, arg, { title, fits }, signal);
  const { name, id } = status.endpoint;
  const purge = vscode.l10n.t('Empty the Queue');
  const waiting = queued(status);
  const text = vscode.l10n.t('Remove all waiting jobs of {0}?', name);
  const detail = [
    waiting === undefined
      ? vscode.l10n.t('How many wait is not known.')
      : vscode.l10n.t('{0} waited when last seen.', waiting),
    vscode.l10n.t('Jobs of other people and programs are removed too; running ones go on. This cannot be undone.'),
  ].join(' ');
  if ((await vscode.window.showWarningMessage(text, { modal: true, detail }, purge)) !== purge) return;
  throwIfAborted(signal);
  const removed = await inBackground(vscode.l10n.t('Emptying the queue of {0}', name), () =>
    endpoints.purgeQueue(id, signal),
  );
  say(
    removed === 1
      ? vscode.l10n.t('1 waiting job removed from {0}', name)
      : vscode.l10n.t('{0} waiting jobs removed from {1}', removed, name),
  );
}

export async function deleteEndpoint(
  services: EndpointControlServices,
  arg: unknown,
  signal: AbortSignal,
): Promise<void> {
  const { endpoints, endpointIds, useEndpoints } = services;
  const title = vscode.l10n.t('Delete which endpoint?');
  const { endpoint } = await chooseEndpoint(services, arg, { title, fits: () => true }, signal);
  const { id, name } = endpoint;
  const isUsed = endpointIds().includes(id);
  const remove = vscode.l10n.t('Delete');
  const detail = [
    vscode.l10n.t('Its waiting and running jobs are cancelled, and its workers end.'),
    ...(isUsed ? [vscode.l10n.t('PodRelay runs jobs there.')] : []),
    vscode.l10n.t('This cannot be undone.'),
  ].join(' ');
  const text = vscode.l10n.t('Delete the endpoint {0}?', name);
  if ((await vscode.window.showWarningMessage(text, { modal: true, detail }, remove)) !== remove) return;
  throwIfAborted(signal);
  await inBackground(vscode.l10n.t('Deleting {0}', name), () => endpoints.delete(id, signal));
  if (isUsed) await useEndpoints(endpointIds().filter((one) => one !== id));
  say(vscode.l10n.t('{0} is deleted', name));
}

export async function openEndpointConsole(
  services: EndpointControlServices,
  arg: unknown,
  signal: AbortSignal,
): Promise<void> {
  if (services.isDemo) {
    const text = vscode.l10n.t("PodRelay: this is the demo; its endpoints are simulated and not in RunPod's console.");
    void vscode.window.showInformationMessage(text);
    return;
  }
  const title = vscode.l10n.t("Open which endpoint in RunPod's console?");
  const { endpoint } = await chooseEndpoint(services, arg, { title, fits: () => true }, signal);
  await openInBrowser(`${consolePage}/${encodeURIComponent(endpoint.id)}`);
}

/** Asked now, and shown with everything else that is known of the endpoint. */
export async function showEndpointHealth(
  services: EndpointControlServices,
  arg: unknown,
  signal: AbortSignal,
): Promise<void> {
  const { endpoints, endpointIds, keys } = services;
  await requireRunpodKey(keys);
  const title = vscode.l10n.t('Show the health of which endpoint?');
  const { endpoint } = await chooseEndpoint(services, arg, { title, fits: () => true }, signal);
  const { id, name } = endpoint;
  const status = await inBackground(vscode.l10n.t('Asking {0}', name), async () => {
    // A price is a line, not a condition.
    const [now] = await Promise.all([endpoints.look(id, signal), endpoints.gpuPrices(signal).catch(() => undefined)]);
    return now;
  });
  const { prices, lastSeen } = endpoints;
  const details = endpointDetails(status, {
    endpoints: endpoints.endpoints,
    lastSeen,
    prices: prices.known ? prices.value : undefined,
    hasKey: true,
    used: endpointIds(),
    nowMs: 0,
  });
  const lines = details.flatMap(({ label, description, children }) => [
    { label, description: description ?? '' },
    ...(children ?? []).map((one) => ({ label: `$(blank) ${one.label}`, description: one.description ?? '' })),
  ]);
  await vscode.window.showQuickPick(lines, { title: vscode.l10n.t('Endpoint {0}', name), matchOnDescription: true });
}

/** In the status bar: an action of seconds, which a click cannot take back. */
export function inBackground<T>(title: string, work: () => Promise<T>): Thenable<T> {
  return vscode.window.withProgress({ location: vscode.ProgressLocation.Window, title: `PodRelay: ${title}` }, work);
}

export function say(text: string): void {
  vscode.window.setStatusBarMessage(`$(check) ${text}`, 6_000);
}
