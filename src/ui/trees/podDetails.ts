import { commands } from '../../contract.ts';
import type { Spend } from '../../core/cost/ledger.ts';
import { isBilled } from '../../core/cost/podMeter.ts';
import { formatUsd, formatUsdPerHour } from '../../core/cost/price.ts';
import { diskMicrosPerHour } from '../../core/fleet/podCost.ts';
import { comfyPort } from '../../core/fleet/proxyAddress.ts';
import { gpuUtilizationPercent, isOurs, isZeroGpu } from '../../core/runpod/pod.ts';
import type { Pod } from '../../core/runpod/pod.ts';
import { whyText } from '../fleet/whyText.ts';
import type { PodScene } from './podScene.ts';
import { isRunningComfy, podStatusName, readPort, upMs, upText } from './podText.ts';
import { dotted, plainMarkdown } from './row.ts';
import type { Row } from './row.ts';

/** What RunPod does not tell. */
const unknownText = '–';

/** The rows below a pod. Load and age belong to a running pod only; elsewhere a dash stands for what is not known. */
export function podDetails(pod: Pod, scene: PodScene): readonly Row[] {
  const running = pod.status === 'RUNNING';
  const row = (name: string, label: string, description: string, icon: string): Row => ({
    id: `pod:${pod.id}:${name}`,
    label,
    description,
    icon: { id: icon },
  });
  const up = upMs(pod, scene);
  return [
    row('status', 'Status', dotted(statusText(pod), pod.locked && 'locked'), 'pulse'),
    ...whyRows(pod, scene),
    ...(running
      ? [
          row('load', 'GPU load', percent(gpuUtilizationPercent(pod)), 'dashboard'),
          row('memory', 'GPU memory', percent(mean(pod.runtime?.gpuMemoryPercent ?? [])), 'layers'),
          row('up', 'Running for', up === undefined ? unknownText : upText(up), 'clock'),
        ]
      : []),
    row('price', 'Price', priceText(pod), 'tag'),
    row('cost', 'Cost so far', spentText(scene.spent?.get(pod.id)), 'credit-card'),
    row('idle', 'Idle stop', idleText(pod), 'watch'),
    row('place', 'Data centre', placeText(pod), 'globe'),
    row('image', 'Image', pod.image === '' ? unknownText : pod.image, 'package'),
    row('disk', 'Disks', diskText(pod), 'database'),
    ...accessRows(pod, scene),
    ...pod.ports.map((port) => portRow(pod, port, scene)),
    ...jobsText(pod, scene).map((text) => row('jobs', 'Jobs', text, 'star-full')),
    row('id', 'Pod id', pod.id, 'symbol-key'),
    row('maker', 'Deployed by', isOurs(pod) ? 'PodRelay' : 'someone else', 'account'),
  ];
}

function jobsText(pod: Pod, { configured, useAll }: PodScene): readonly string[] {
  if (pod.id === configured) return ['run here when the local ComfyUI cannot'];
  return useAll && isOurs(pod) && isRunningComfy(pod) ? ['run here too, while it runs'] : [];
}

/** Longer than the view is wide: all of it is in the tooltip, and a click leads to the others. */
function whyRows({ id }: Pod, { decisionOn }: PodScene): readonly Row[] {
  const decision = decisionOn?.(id);
  if (decision === undefined) return [];
  const text = whyText(decision);
  return [
    {
      id: `pod:${id}:why`,
      label: 'Why',
      description: text,
      icon: { id: 'question' },
      tooltip: `${plainMarkdown(text)}

Click for every start and stop with its reason.`,
      command: { id: commands.showFleet, title: 'Show Fleet Decisions' },
    },
  ];
}

/** Whom the pod's address lets in. RunPod's proxy asks nobody. */
function accessRows(pod: Pod, { closed }: PodScene): readonly Row[] {
  if (!pod.ports.includes(`${comfyPort}/http`)) return [];
  const [description, icon, tooltip] = accessOf(pod, closed?.has(pod.id) ?? false);
  return [{ id: `pod:${pod.id}:access`, label: 'Access', description, icon, tooltip: plainMarkdown(tooltip) }];
}

function accessOf(pod: Pod, isClosed: boolean): readonly [string, NonNullable<Row['icon']>, string] {
  if (pod.tokenSha256 === undefined) {
    return [
      'open to everyone who knows its address',
      { id: 'unlock', color: 'list.warningForeground' },
      "RunPod's addresses are public and ask for no password. Pods that PodRelay deploys now are private.",
    ];
  }
  if (isClosed) {
    return [
      'private: its token is not on this computer; its own agent stops it when nobody uses it',
      { id: 'lock' },
      'Another computer may be using it, so PodRelay does not stop it here by itself. You may stop or terminate it.',
    ];
  }
  return [
    'private: its ComfyUI opens with its token only',
    { id: 'lock' },
    'PodRelay keeps the token on this computer and shows it for you. Others get the answer 401.',
  ];
}

function statusText(pod: Pod): string {
  return isZeroGpu(pod) ? 'Running without a GPU: start it again later, or deploy another' : podStatusName(pod.status);
}

function percent(value: number | undefined): string {
  return value === undefined ? unknownText : `${Math.round(value)} %`;
}

function mean(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, one) => sum + one, 0) / values.length;
}

function priceText(pod: Pod): string {
  const disk = diskMicrosPerHour(pod);
  return dotted(
    isBilled(pod) && formatUsdPerHour(pod.usdPerHourMicros),
    disk > 0 && `${isBilled(pod) ? 'and ' : ''}${formatUsdPerHour(disk)} for its disks`,
    !isBilled(pod) && disk === 0 && formatUsdPerHour(0),
  ).replace(' · and', ' and');
}

/** As far as this computer has watched the pod. */
function spentText(spend: Spend | undefined): string {
  if (spend === undefined) return unknownText;
  const { micros, estimatedMicros } = spend;
  return dotted(formatUsd(micros), estimatedMicros > 0 && `${formatUsd(estimatedMicros)} of it estimated`);
}

function idleText(pod: Pod): string {
  const { idleStopSeconds } = pod;
  if (idleStopSeconds !== undefined) return `after ${Math.round(idleStopSeconds / 60)} min without work`;
  return isOurs(pod) ? unknownText : 'none: it runs until someone stops it';
}

function placeText(pod: Pod): string {
  return dotted(pod.dataCenterId ?? unknownText, pod.cloud !== undefined && `${pod.cloud.toLowerCase()} cloud`);
}

function diskText(pod: Pod): string {
  const volumes = pod.networkVolumeIds.length;
  return dotted(
    `${pod.containerDiskGb} GB container`,
    pod.volumeGb > 0 && `${pod.volumeGb} GB volume`,
    volumes > 0 && `${volumes} network volume${volumes === 1 ? '' : 's'}`,
    pod.volumeGb === 0 && volumes === 0 && 'nothing survives a stop',
  );
}

function portRow(pod: Pod, declared: string, scene: PodScene): Row {
  const id = `pod:${pod.id}:port:${declared}`;
  const read = readPort(declared);
  const label = read === undefined ? `Port ${declared}` : `Port ${read.port}`;
  if (read?.protocol !== 'http') {
    return { id, label, description: read?.protocol.toUpperCase() ?? unknownText, icon: { id: 'plug' } };
  }
  const what = read.port === comfyPort ? 'ComfyUI' : 'HTTP';
  if (pod.status !== 'RUNNING') return { id, label, description: what, icon: { id: 'plug' } };
  const url = scene.address(pod.id, read.port);
  return {
    id,
    label,
    description: dotted(what, url),
    icon: { id: 'link-external' },
    tooltip: `Open ${url}`,
    command: { id: commands.openPodComfy, title: 'Open in Browser', args: [pod.id, read.port] },
  };
}
