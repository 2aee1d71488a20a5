import * as vscode from 'vscode';
import { formatUsd } from '../../core/cost/price.ts';
import type { Fleet } from '../../core/fleet/fleet.ts';
import type { IdleDisk } from '../../core/fleet/idleDisks.ts';
import type { PodService } from '../../core/fleet/podService.ts';
import { toFault } from '../../core/kernel/fault.ts';
import type { Clock } from '../../core/kernel/ports.ts';
import { showFault } from '../notify.ts';
import type { ViewMemory } from '../trees/podLayout.ts';

export interface IdleDiskServices {
  readonly fleet: Fleet;
  readonly pods: PodService;
  /** The pod that runs jobs; undefined = none is configured. */
  readonly podId: () => string | undefined;
  readonly memory: ViewMemory;
  readonly clock: Clock;
}

const toldKey = 'fleet.disksToldAt';
const dayMs = 24 * 3_600_000;

/** Says, once a day at most, what stopped pods cost that automation has left behind. Nothing is terminated unasked. */
export async function offerIdleDisks(services: IdleDiskServices, signal: AbortSignal): Promise<void> {
  const { fleet, podId, memory, clock } = services;
  const toldAt = memory.get(toldKey);
  if (typeof toldAt === 'number' && Math.abs(clock.now() - toldAt) < dayMs) return;
  const disks = await fleet.idleDisks(podId());
  if (disks.length === 0 || signal.aborted) return;
  await memory.update(toldKey, clock.now());
  const terminate = vscode.l10n.t('Terminate…');
  const perDay = formatUsd(disks.reduce((sum, { microsPerDay }) => sum + microsPerDay, 0));
  const text =
    disks.length === 1
      ? vscode.l10n.t(
          'A stopped pod that PodRelay created costs {0} a day for its disk, more than it is worth.',
          perDay,
        )
      : vscode.l10n.t(
          '{0} stopped pods that PodRelay created cost {1} a day for their disks, more than they are worth.',
          disks.length,
          perDay,
        );
  if ((await vscode.window.showInformationMessage(text, terminate)) === terminate) {
    await terminateIdle(services, disks, signal);
  }
}

async function terminateIdle(
  { fleet, pods, podId }: IdleDiskServices,
  disks: readonly IdleDisk[],
  signal: AbortSignal,
): Promise<void> {
  const items = disks.map((disk) => ({
    label: disk.name,
    description: vscode.l10n.t('{0} a day', formatUsd(disk.microsPerDay)),
    detail: vscode.l10n.t(
      'Stopped since {0}; its disk has cost {1} since',
      new Date(disk.stoppedSinceMs).toLocaleString(),
      formatUsd(disk.spentMicros),
    ),
    picked: true,
    disk,
  }));
  const title = vscode.l10n.t('Terminate which stopped pods? All that is on their disks is destroyed.');
  const picked = await vscode.window.showQuickPick(items, { title, canPickMany: true });
  if (picked === undefined || picked.length === 0) return;
  const terminate = vscode.l10n.t('Terminate');
  const detail = vscode.l10n.t('Their disks are destroyed, with all models and files on them. This cannot be undone.');
  const question = vscode.l10n.t('Terminate {0}?', picked.map(({ label }) => label).join(', '));
  if ((await vscode.window.showWarningMessage(question, { modal: true, detail }, terminate)) !== terminate) return;
  try {
    // One of them may have been started meanwhile, by hand or for a job.
    await pods.refresh(signal);
    const still = new Set((await fleet.idleDisks(podId())).map((disk) => disk.podId));
    for (const { disk } of picked) if (still.has(disk.podId)) await pods.terminate(disk.podId, signal);
  } catch (error) {
    if (toFault(error).kind !== 'cancelled') {
      await showFault(
        vscode.l10n.t('Not all of the pods could be terminated: their disks may still cost money'),
        error,
      );
    }
  }
}
