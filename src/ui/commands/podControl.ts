import * as vscode from 'vscode';
import { isBilled } from '../../core/cost/podMeter.ts';
import { formatUsdPerHour } from '../../core/cost/price.ts';
import { diskMicrosPerHour } from '../../core/fleet/podCost.ts';
import type { ReadyProgress } from '../../core/fleet/waitUntilReady.ts';
import { throwIfAborted, toFault } from '../../core/kernel/fault.ts';
import type { QueueService } from '../../core/queue/queueView.ts';
import { isOurs, mayDo } from '../../core/runpod/pod.ts';
import type { Pod } from '../../core/runpod/pod.ts';
import type { Settings } from '../../core/settings.ts';
import { isRunningComfy, podConsoleUrl } from '../trees/podText.ts';
import { afterwards } from '../notify.ts';
import { withProgress } from '../withProgress.ts';
import type { ProgressReport } from '../withProgress.ts';
import { openInBrowser } from './backendCommands.ts';
import { choosePod, requireRunpodKey, requireTrust } from './podChoice.ts';
import { offerSwitchOff, switchOffFleet, tellSwitchedOff } from '../fleet/switchFleet.ts';
import { offer } from './podLinks.ts';
import type { PodLinkServices } from './podLinks.ts';
import type { PodLookServices } from './podLook.ts';

export interface PodControlServices extends PodLinkServices, PodLookServices {
  readonly settings: () => Settings;
  /** Jobs of this window that use the pod, or wait for it. */
  readonly jobsOn: (podId: string) => number;
  readonly queue: Pick<QueueService, 'view'>;
  /** Undefined = none runs jobs. */
  readonly chooseForJobs: (podId: string | undefined) => Promise<void>;
}

/**
 * A pod that we deployed, or that runs our jobs, is followed until its ComfyUI answers, and stopped again when that is
 * cancelled. Of any other pod nobody knows what it runs: it is started, and that is all.
 */
export async function startPod(services: PodControlServices, arg: unknown, signal: AbortSignal): Promise<void> {
  requireTrust();
  const { pods, podId, settings } = services;
  const title = vscode.l10n.t('Start which pod?');
  const fits = (pod: Pod): boolean => mayDo(pod, 'start');
  const chosen = await choosePod(services, arg, { title, fits, none: 'No pod is stopped' }, signal);
  const follow = isOurs(chosen) || chosen.id === podId();
  const readyTimeoutMs = settings()['cloud.readyTimeoutMinutes'] * 60_000;
  await withProgress(vscode.l10n.t('PodRelay: starting {0}', chosen.name), signal, async (report, at) => {
    report({ message: vscode.l10n.t('Asking RunPod') });
    if (follow) {
      const onProgress = (progress: ReadyProgress): void => report(readyReport(progress));
      await pods.ensureReady(chosen.id, { readyTimeoutMs, onProgress }, at);
    } else await pods.start(chosen.id, at);
  });
  const pod = pods.lastSeen?.pods.find(({ id }) => id === chosen.id) ?? chosen;
  const text = vscode.l10n.t('PodRelay: {0} runs and costs {1}.', pod.name, formatUsdPerHour(pod.usdPerHourMicros));
  const open = vscode.l10n.t('Open ComfyUI');
  void offer(text, isRunningComfy(pod) ? [open] : [], async () => openInBrowser(await pods.link(pod.id)));
}

/** Allocation, container, ComfyUI: a share of the bar each. How long it will take, nobody can say. */
export function readyReport({ phase, text, waitedMs }: ReadyProgress): ProgressReport {
  const fractions = { allocation: 0.1, container: 0.35, comfyui: 0.7, ready: 1 } as const;
  const seconds = Math.round(waitedMs / 1_000);
  const waited = seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return { message: `${text} · ${waited}`, fraction: fractions[phase] };
}

export async function stopPod(services: PodControlServices, arg: unknown, signal: AbortSignal): Promise<void> {
  const { pods } = services;
  const title = vscode.l10n.t('Stop which pod?');
  const fits = (pod: Pod): boolean => mayDo(pod, 'stop');
  const pod = await choosePod(services, arg, { title, fits, none: 'No pod runs' }, signal);
  const stopped = await inBackground(vscode.l10n.t('Stopping {0}', pod.name), () => pods.stop(pod.id, signal));
  const disk = stopped === undefined ? 0 : diskMicrosPerHour(stopped);
  const done =
    disk === 0
      ? vscode.l10n.t('{0} is stopped', pod.name)
      : vscode.l10n.t('{0} is stopped; its disk costs {1}', pod.name, formatUsdPerHour(disk));
  if (mayComeBack(services)) void offerSwitchOff(`PodRelay: ${done}`, services.settings);
  else say(done);
}

/** Automation would start a pod for the jobs that wait. */
function mayComeBack({ settings, queue }: PodControlServices): boolean {
  const { view } = queue;
  return settings()['fleet.maxPods'] > 0 && view.known && view.value.counts.queued > 0 && !view.value.paused;
}

export async function restartPod(services: PodControlServices, arg: unknown, signal: AbortSignal): Promise<void> {
  requireTrust();
  const { pods } = services;
  const title = vscode.l10n.t('Restart which pod?');
  const fits = (pod: Pod): boolean => mayDo(pod, 'restart');
  const pod = await choosePod(services, arg, { title, fits, none: 'No pod runs' }, signal);
  await inBackground(vscode.l10n.t('Restarting {0}', pod.name), () => pods.restart(pod.id, signal));
  say(vscode.l10n.t('{0} restarts', pod.name));
}

export async function terminatePod(services: PodControlServices, arg: unknown, signal: AbortSignal): Promise<void> {
  const { pods, podId, chooseForJobs } = services;
  const title = vscode.l10n.t('Terminate which pod?');
  const pod = await choosePod(services, arg, { title, fits: (one) => mayDo(one, 'terminate') }, signal);
  const terminate = vscode.l10n.t('Terminate');
  const chosen = await vscode.window.showWarningMessage(
    vscode.l10n.t('Terminate {0}?', pod.name),
    { modal: true, detail: terminateDetail(pod, pod.id === podId(), jobsAt(services, pod.id)) },
    terminate,
  );
  if (chosen !== terminate) return;
  throwIfAborted(signal);
  await inBackground(vscode.l10n.t('Terminating {0}', pod.name), () => pods.terminate(pod.id, signal));
  if (pod.id === podId()) {
    const failure = vscode.l10n.t('{0} is terminated, but it is still chosen for jobs', pod.name);
    if (!(await afterwards(failure, () => chooseForJobs(undefined)))) return;
  }
  say(vscode.l10n.t('{0} is terminated', pod.name));
}

/** Of this window, and those that others are known to have there. */
function jobsAt({ jobsOn, podId, queue }: PodControlServices, id: string): number {
  const backend = id === podId() ? 'cloud' : `pod:${id}`;
  const jobs = queue.view.known ? queue.view.value.jobs : [];
  const running = jobs.filter((job) => job.state === 'running' && job.backend === backend).length;
  return Math.max(jobsOn(id), running);
}

function terminateDetail(pod: Pod, runsJobs: boolean, jobs: number): string {
  const disks =
    pod.volumeGb > 0
      ? vscode.l10n.t('The pod and its disks ({0} GB) are destroyed, with all models and files on them.', pod.volumeGb)
      : vscode.l10n.t('The pod is destroyed, with all files on it.');
  return [
    disks,
    ...(pod.networkVolumeIds.length > 0 ? [vscode.l10n.t('Its network volume stays, and is billed on.')] : []),
    ...(jobs === 1 ? [vscode.l10n.t('A job runs on it now: it is tried again on another backend.')] : []),
    ...(jobs > 1 ? [vscode.l10n.t('{0} jobs are on it now: they are tried again on another backend.', jobs)] : []),
    ...(runsJobs ? [vscode.l10n.t('PodRelay runs jobs on this pod.')] : []),
    ...(isOurs(pod) ? [] : [vscode.l10n.t('PodRelay did not deploy it.')]),
    vscode.l10n.t('This cannot be undone.'),
  ].join(' ');
}

/** Pods that somebody else started may be at work: they are stopped only after a word. */
export async function stopAllPods(services: PodControlServices, signal: AbortSignal): Promise<void> {
  const { pods, keys } = services;
  await requireRunpodKey(keys);
  const seen = await inBackground(vscode.l10n.t('Looking for running pods'), () => pods.refresh(signal));
  const running = seen.filter(isBilled);
  const foreign = running.filter((pod) => !isOurs(pod));
  if (running.length === 0) {
    void vscode.window.showInformationMessage(vscode.l10n.t('PodRelay: no pod runs.'));
    return;
  }
  const which = foreign.length === 0 ? 'all' : await askWhich(running.length, foreign);
  if (which === undefined) return;
  throwIfAborted(signal);
  const automatic = await switchOffFleet(services.settings);
  const { stopped, failed } = await inBackground(vscode.l10n.t('Stopping pods'), () => pods.stopAll(which, signal));
  const done =
    stopped.length === 1 ? vscode.l10n.t('1 pod stopped') : vscode.l10n.t('{0} pods stopped', stopped.length);
  if (automatic > 0) void tellSwitchedOff(`PodRelay: ${done}`, automatic);
  else if (failed.length === 0) say(done);
  if (failed.length === 0) return;
  const again = vscode.l10n.t('Try Again');
  const page = vscode.l10n.t("Open RunPod's Console");
  const chosen = await vscode.window.showErrorMessage(
    `PodRelay: ${done}. ${failed.map(stillCosts).join(' ')}`,
    again,
    ...(services.isDemo ? [] : [page]),
  );
  if (chosen === again) await stopAllPods(services, signal);
  if (chosen === page && failed[0] !== undefined) await openInBrowser(podConsoleUrl(failed[0].pod.id));
}

function stillCosts({ pod, why }: { readonly pod: Pod; readonly why: unknown }): string {
  const { message } = toFault(why);
  const price = formatUsdPerHour(pod.usdPerHourMicros);
  return vscode.l10n.t('{0} may still cost {1}: {2}.', pod.name, price, message.replace(/[.\s]+$/, ''));
}

async function askWhich(count: number, foreign: readonly Pod[]): Promise<'all' | 'ours' | undefined> {
  const ours = count - foreign.length;
  const all = vscode.l10n.t('Stop All {0}', count);
  const own = vscode.l10n.t("Stop PodRelay's {0}", ours);
  const names = foreign.map(({ name }) => name).join(', ');
  const chosen = await vscode.window.showWarningMessage(
    foreign.length === count
      ? vscode.l10n.t('PodRelay did not deploy the pods that run: stop them?')
      : vscode.l10n.t('Some of the pods that run were not deployed by PodRelay: stop them too?'),
    {
      modal: true,
      detail: vscode.l10n.t('Not deployed by PodRelay: {0}. A stop erases their container disks.', names),
    },
    ...(ours > 0 ? [own] : []),
    all,
  );
  return chosen === all ? 'all' : chosen === own ? 'ours' : undefined;
}

export async function usePodForJobs(services: PodControlServices, arg: unknown, signal: AbortSignal): Promise<void> {
  const { podId, chooseForJobs } = services;
  const title = vscode.l10n.t('Which pod shall run jobs?');
  const pod = await choosePod(services, arg, { title, fits: (one) => one.id !== podId() }, signal);
  await chooseForJobs(pod.id);
  say(vscode.l10n.t('{0} runs jobs that the local ComfyUI cannot', pod.name));
}

/** In the status bar: an action of seconds, which a click cannot take back. */
function inBackground<T>(title: string, work: () => Promise<T>): Thenable<T> {
  return vscode.window.withProgress({ location: vscode.ProgressLocation.Window, title: `PodRelay: ${title}` }, work);
}

function say(text: string): void {
  vscode.window.setStatusBarMessage(`$(check) ${text}`, 6_000);
}
