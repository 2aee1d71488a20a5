import * as vscode from 'vscode';
import { Fault, throwIfAborted } from '../../core/kernel/fault.ts';
import type { Worker } from '../../core/serverless/endpointClient.ts';
import { workerLook } from '../trees/endpointText.ts';
import { shortGpuName } from '../trees/gpuText.ts';
import { dotted } from '../trees/row.ts';
import { chooseEndpoint } from './endpointChoice.ts';
import type { EndpointControlServices } from './endpointControl.ts';

/** The log of one worker in an output channel: of the row that was clicked, of the only one, or of the one that is picked. */
export async function showWorkerLogs(
  services: EndpointControlServices,
  arg: unknown,
  signal: AbortSignal,
): Promise<void> {
  const { endpoints, logs } = services;
  const title = vscode.l10n.t('Show the logs of which endpoint?');
  const { endpoint } = await chooseEndpoint(services, arg, { title, fits: () => true }, signal);
  const workerId = workerIdOf(arg) ?? (await chooseWorker(services, endpoint, signal));
  throwIfAborted(signal);
  if (workerId !== undefined) logs.showWorker(workerId, endpoint, endpoints);
}

/** Of a worker's row in the Pods view. */
function workerIdOf(arg: unknown): string | undefined {
  const id = typeof arg === 'object' && arg !== null && 'id' in arg ? arg.id : undefined;
  return typeof id === 'string' ? /^endpoint:[^:]+:workers:(.+)$/.exec(id)?.[1] : undefined;
}

async function chooseWorker(
  { endpoints }: EndpointControlServices,
  endpoint: { readonly id: string; readonly name: string },
  signal: AbortSignal,
): Promise<string | undefined> {
  const { workers } = await endpoints.look(endpoint.id, signal);
  if (!workers.known) throw workers.why ?? new Fault('unavailable', 'The workers are not known');
  const [first, ...others] = workers.value;
  if (first === undefined) {
    throw new Fault('rejected', `No worker of ${endpoint.name} is up: RunPod tells a log while its worker lives`, {
      nextStep: vscode.l10n.t("Open the endpoint in RunPod's console to read older logs."),
    });
  }
  if (others.length === 0) return first.id;
  const items = workers.value.map(workerItem);
  const picked = await vscode.window.showQuickPick(items, { title: vscode.l10n.t('Show the log of which worker?') });
  return picked?.id;
}

function workerItem({ id, status, gpuId, gpuCount }: Worker): vscode.QuickPickItem & { readonly id: string } {
  const look = workerLook(status);
  const description = dotted(look.name, gpuId !== undefined && shortGpuName({ id: gpuId, count: gpuCount }));
  return { id, label: `$(${look.icon.id}) ${id}`, description };
}
