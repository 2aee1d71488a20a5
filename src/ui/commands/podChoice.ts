import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import { isBilled } from '../../core/cost/podMeter.ts';
import { formatUsdPerHour } from '../../core/cost/price.ts';
import type { PodService } from '../../core/fleet/podService.ts';
import { Fault } from '../../core/kernel/fault.ts';
import type { KeyRing } from '../../core/keyRing.ts';
import type { Pod } from '../../core/runpod/pod.ts';
import { shortGpuName } from '../trees/gpuText.ts';
import { podIcon, podStatusName, statusRank } from '../trees/podText.ts';
import { dotted } from '../trees/row.ts';

export interface PodChoiceServices {
  readonly pods: PodService;
  readonly keys: KeyRing;
  /** The pod that runs jobs; undefined = none is configured. */
  readonly podId: () => string | undefined;
}

export interface PodQuestion {
  readonly title: string;
  readonly fits: (pod: Pod) => boolean;
  /** Said when no pod fits: 'No pod runs'. */
  readonly none?: string;
}

/** The pod of a row, or of an id, as last seen; else the one that is picked from those that fit. A Fault when there is none. */
export async function choosePod(
  services: PodChoiceServices,
  arg: unknown,
  question: PodQuestion,
  signal: AbortSignal,
): Promise<Pod> {
  await requireRunpodKey(services.keys);
  const id = podIdOf(arg);
  return id === undefined ? pickPod(services, question, signal) : findPod(services.pods, id, signal);
}

/** Without a key the person is asked for one, which is what they have to do next. */
export async function requireRunpodKey(keys: KeyRing): Promise<void> {
  await keys.load();
  if (keys.has('runpodApiKey')) return;
  await vscode.commands.executeCommand(commands.setRunpodKey);
  await keys.load();
  if (!keys.has('runpodApiKey')) throw new Fault('cancelled', 'No RunPod API key is set');
}

/** Only a trusted workspace may make PodRelay spend money. */
export function requireTrust(): void {
  if (vscode.workspace.isTrusted) return;
  throw new Fault('rejected', 'This workspace is not trusted', {
    nextStep: vscode.l10n.t('Trust the workspace to start pods.'),
  });
}

/** Of a row of the Pods view, of one below it, or the id itself. */
export function podIdOf(arg: unknown): string | undefined {
  const id = typeof arg === 'object' && arg !== null && 'id' in arg ? arg.id : arg;
  return typeof id === 'string' ? /^(?:pod:)?([A-Za-z0-9_-]+)/.exec(id)?.[1] : undefined;
}

async function findPod(pods: PodService, id: string, signal: AbortSignal): Promise<Pod> {
  const isIt = (pod: Pod): boolean => pod.id === id;
  const pod = pods.lastSeen?.pods.find(isIt) ?? (await pods.refresh(signal)).find(isIt);
  if (pod !== undefined) return pod;
  throw new Fault('mismatch', `There is no pod '${id}' in this account`, {
    nextStep: vscode.l10n.t('Refresh the pods.'),
  });
}

async function pickPod({ pods, podId }: PodChoiceServices, question: PodQuestion, signal: AbortSignal): Promise<Pod> {
  // A list that is being asked for must not keep the box from opening.
  const items = pods.refresh(signal).then((seen) => {
    const fitting = seen.filter(question.fits).sort((a, b) => statusRank(a.status) - statusRank(b.status));
    if (fitting.length > 0) return fitting.map((pod) => podItem(pod, podId()));
    throw new Fault('rejected', question.none ?? 'There is no pod in this account', {
      nextStep: seen.length === 0 ? vscode.l10n.t('Deploy a pod first.') : vscode.l10n.t('The Pods view shows them.'),
    });
  });
  const options = { title: question.title, placeHolder: vscode.l10n.t('Choose a pod'), matchOnDescription: true };
  const hide = new vscode.CancellationTokenSource();
  const failed = items.catch((error: unknown) => {
    hide.cancel();
    throw error;
  });
  try {
    const [chosen] = await Promise.all([vscode.window.showQuickPick(items, options, hide.token), failed]);
    if (chosen === undefined) throw new Fault('cancelled', 'No pod was chosen');
    return chosen.pod;
  } finally {
    hide.dispose();
  }
}

function podItem(pod: Pod, configured: string | undefined): vscode.QuickPickItem & { readonly pod: Pod } {
  const isConfigured = pod.id === configured && vscode.l10n.t('for jobs');
  const price = isBilled(pod) && formatUsdPerHour(pod.usdPerHourMicros);
  return {
    label: `$(${podIcon(pod).id}) ${pod.name}`,
    description: dotted(podStatusName(pod.status).toLowerCase(), shortGpuName(pod.gpu), price, isConfigured),
    pod,
  };
}
