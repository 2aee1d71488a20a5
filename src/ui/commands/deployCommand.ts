import * as vscode from 'vscode';
import { formatUsdPerHour } from '../../core/cost/price.ts';
import type { Deployed } from '../../core/fleet/deployPod.ts';
import { deployRequest } from '../../core/fleet/deployRequest.ts';
import { diskMicrosPerHour, hourlyCostMicros } from '../../core/fleet/podCost.ts';
import type { ReadyPod } from '../../core/fleet/waitUntilReady.ts';
import type { GpuCandidate } from '../../core/fleet/rankGpus.ts';
import { throwIfAborted } from '../../core/kernel/fault.ts';
import type { Settings } from '../../core/settings.ts';
import { afterwards } from '../notify.ts';
import { withProgress } from '../withProgress.ts';
import { openInBrowser } from './backendCommands.ts';
import { pickGpu } from './deployCommandPick.ts';
import type { PickGpuServices } from './deployCommandPick.ts';
import { requireRunpodKey, requireTrust } from './podChoice.ts';
import { readyReport } from './podControl.ts';
import type { PodControlServices } from './podControl.ts';

export interface DeployServices extends PodControlServices, PickGpuServices {}

/** GPU types with prices, the price asked, then progress until ComfyUI answers. A cancelled one leaves no pod behind. */
export async function deployPod(services: DeployServices, signal: AbortSignal): Promise<void> {
  requireTrust();
  await requireRunpodKey(services.keys);
  const settings = services.settings();
  const candidates = await pickGpu(services, settings, signal);
  if (candidates === undefined || !(await mayCost(candidates, settings))) return;
  throwIfAborted(signal);
  const readyTimeoutMs = settings['cloud.readyTimeoutMinutes'] * 60_000;
  const title = vscode.l10n.t('PodRelay: deploying a pod (cancel removes it)');
  const deployed = await withProgress(title, signal, (report, at) => {
    report({ message: vscode.l10n.t('Asking RunPod for a GPU') });
    return services.pods.deploy(
      deployRequest(candidates, settings),
      { readyTimeoutMs, onProgress: (progress) => report(readyReport(progress)) },
      at,
    );
  });
  await tellReady(services, deployed, settings);
}

/** The dearest that may be chosen is what is asked for. */
async function mayCost(candidates: readonly GpuCandidate[], settings: Settings): Promise<boolean> {
  const prices = candidates.map(({ usdPerHourMicros }) => usdPerHourMicros);
  const least = formatUsdPerHour(Math.min(...prices));
  const most = formatUsdPerHour(Math.max(...prices));
  const [first] = candidates;
  const deploy = vscode.l10n.t('Deploy');
  const text =
    candidates.length === 1
      ? vscode.l10n.t('Deploy a pod with {0} for {1}?', first?.name ?? '', most)
      : vscode.l10n.t(
          'Deploy a pod with {0}, or the next GPU that is free, from {1} to {2}?',
          first?.name ?? '',
          least,
          most,
        );
  const disks = { containerDiskGb: settings['cloud.diskGb'], volumeGb: settings['cloud.volumeGb'] };
  const detail = vscode.l10n.t(
    'Its {0} GB of disk cost another {1}, and {2} while it is stopped. It stops itself after {3} min without work.',
    disks.containerDiskGb + disks.volumeGb,
    formatUsdPerHour(diskMicrosPerHour({ ...disks, status: 'RUNNING' })),
    formatUsdPerHour(diskMicrosPerHour({ ...disks, status: 'EXITED' })),
    settings['cloud.idleMinutes'],
  );
  return (await vscode.window.showInformationMessage(text, { modal: true, detail }, deploy)) === deploy;
}

async function tellReady(services: DeployServices, deployed: Deployed & ReadyPod, settings: Settings): Promise<void> {
  const { pods, podId, chooseForJobs } = services;
  const { pod, candidate } = deployed;
  // A person who has chosen a pod already keeps it, unless they say otherwise.
  const use = (): Promise<boolean> =>
    afterwards(vscode.l10n.t('{0} runs, but it could not be chosen for jobs', pod.name), () => chooseForJobs(pod.id));
  const isFirst = podId() === undefined && (await use());
  const text = vscode.l10n.t(
    'PodRelay: {0} runs on {1} for {2}, disks included. It stops itself after {3} min without work.',
    pod.name,
    candidate.name,
    formatUsdPerHour(hourlyCostMicros(pod)),
    settings['cloud.idleMinutes'],
  );
  const jobs = isFirst ? ` ${vscode.l10n.t('Jobs that the local ComfyUI cannot run go there.')}` : '';
  const open = vscode.l10n.t('Open ComfyUI');
  const choose = vscode.l10n.t('Use It for Jobs');
  const chosen = await vscode.window.showInformationMessage(text + jobs, open, ...(isFirst ? [] : [choose]));
  if (chosen === choose) await use();
  if (chosen === open) {
    await afterwards(vscode.l10n.t('{0} runs, but ComfyUI could not be opened', pod.name), async () =>
      openInBrowser(await pods.link(pod.id)),
    );
  }
}
