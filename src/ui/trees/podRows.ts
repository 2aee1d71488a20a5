import { commands, viewItem } from '../../contract.ts';
import { isBilled } from '../../core/cost/podMeter.ts';
import { formatUsdPerHour } from '../../core/cost/price.ts';
import { gpuUtilizationPercent, isOurs, isZeroGpu, mayDo } from '../../core/runpod/pod.ts';
import type { Pod } from '../../core/runpod/pod.ts';
import { ago } from './backendRows.ts';
import { shortGpuName } from './gpuText.ts';
import { podDetails } from './podDetails.ts';
import { podFleetRow } from './podFleetRow.ts';
import { loadingRow, podsState } from './podsHead.ts';
import type { PodScene } from './podScene.ts';
import { isRunningComfy, podIcon, podStatusName, statusOrder, statusRank, upMs, upText } from './podText.ts';
import { dotted, plainMarkdown } from './row.ts';
import type { Row } from './row.ts';

/** Every pod of the account: those that cost money first. */
export function podRows(scene: PodScene): readonly Row[] {
  const { pods, lastSeen, filter } = scene;
  if (podsState(scene) !== 'listed') return [];
  if (!pods.known && pods.why === undefined && lastSeen === undefined) return [loadingRow];
  const seen = pods.known ? pods.value : (lastSeen?.pods ?? []);
  const shown = filter.length === 0 ? seen : seen.filter((pod) => filter.includes(pod.status));
  const sorted = [...shown].sort((a, b) => rank(a, scene) - rank(b, scene));
  const hidden = seen.filter((pod) => !shown.includes(pod));
  return [
    ...failureRows(scene),
    ...(scene.fleet === undefined
      ? []
      : [podFleetRow(scene.fleet, seen.filter((pod) => isOurs(pod) && isBilled(pod)).length)]),
    ...grouped(sorted, scene),
    ...hiddenRows(shown.length, hidden),
  ];
}

/** Those of other computers, and those whose token was lost. */
export async function closedPods(
  doors: { opens(pod: Pod): Promise<boolean> },
  pods: readonly Pod[],
): Promise<ReadonlySet<string>> {
  const open = await Promise.all(pods.map((pod) => doors.opens(pod)));
  return new Set(pods.filter((_, index) => open[index] === false).map(({ id }) => id));
}

/** By status; within it the pod that runs jobs, then ours, then the rest. */
function rank(pod: Pod, { configured }: PodScene): number {
  return statusRank(pod.status) * 3 + (pod.id === configured ? 0 : isOurs(pod) ? 1 : 2);
}

/** A failed load is told, with a way to try again, above the pods as they were last seen. */
function failureRows({ pods, lastSeen, nowMs }: PodScene): readonly Row[] {
  if (pods.known || pods.why === undefined) return [];
  const { kind, message } = pods.why;
  const age = lastSeen === undefined ? undefined : `Below: as seen ${ago(nowMs - lastSeen.at)} ago`;
  const key = kind === 'unauthorized';
  return [
    {
      id: 'pods:failed',
      label: 'Pods not loaded',
      description: message,
      icon: { id: 'error', color: 'list.errorForeground' },
      tooltip: [plainMarkdown(message), ...(age === undefined ? [] : [age])].join('\n\n'),
      context: viewItem('failed'),
      spoken: dotted(`The pods could not be loaded: ${message}`, age),
    },
    key
      ? {
          id: 'pods:key',
          label: 'Set RunPod API Key…',
          icon: { id: 'key' },
          command: { id: commands.setRunpodKey, title: 'Set RunPod API Key…' },
        }
      : {
          id: 'pods:retry',
          label: 'Try Again',
          icon: { id: 'refresh' },
          command: { id: commands.refreshPods, title: 'Try Again' },
        },
  ];
}

/** What costs money must not vanish behind a filter without a word. */
function hiddenRows(shown: number, hidden: readonly Pod[]): readonly Row[] {
  const billed = hidden.filter(isBilled).length;
  if (hidden.length === 0 || (shown > 0 && billed === 0)) return [];
  return [
    {
      id: 'pods:hidden',
      label:
        billed > 0 ? `${billed} running ${billed === 1 ? 'pod is' : 'pods are'} hidden` : 'No pod matches the filter',
      description: 'show every pod',
      icon: billed > 0 ? { id: 'warning', color: 'list.warningForeground' } : { id: 'filter' },
      tooltip: `The filter hides ${hidden.length} of ${hidden.length + shown} pods`,
      command: { id: commands.filterPods, title: 'Show Every Pod', args: ['all'] },
    },
  ];
}

function grouped(pods: readonly Pod[], scene: PodScene): readonly Row[] {
  const { groupBy } = scene;
  if (groupBy === 'none') return pods.map((pod) => podRow(pod, scene));
  const groups = Map.groupBy(pods, (pod) => (groupBy === 'status' ? pod.status : shortGpuName(pod.gpu)));
  const order =
    groupBy === 'status' ? [...groups.keys()].sort(statusOrder) : [...groups.keys()].sort((a, b) => a.localeCompare(b));
  return order.map((name) => {
    const members = groups.get(name) ?? [];
    const micros = members.filter(isBilled).reduce((sum, pod) => sum + pod.usdPerHourMicros, 0);
    const description = dotted(String(members.length), micros > 0 && formatUsdPerHour(micros));
    const label = groupBy === 'status' ? podStatusName(name) : name;
    return {
      id: `pods:${groupBy}:${name}`,
      label,
      description,
      ...(groupBy === 'gpu' ? { icon: { id: 'circuit-board' } } : {}),
      spoken: `${label}, ${members.length} ${members.length === 1 ? 'pod' : 'pods'}`,
      open: true,
      children: members.map((pod) => podRow(pod, scene)),
    };
  });
}

function podRow(pod: Pod, scene: PodScene): Row {
  const { pods, lastSeen, configured } = scene;
  const ours = isOurs(pod);
  const forJobs = pod.id === configured;
  const seenAt = pods.known ? undefined : lastSeen?.at;
  const description = dotted(seenAt !== undefined && `seen ${ago(scene.nowMs - seenAt)} ago`, summary(pod, scene));
  const role = forJobs ? 'Runs jobs' : ours ? 'Deployed by PodRelay' : undefined;
  const details = podDetails(pod, scene);
  return {
    id: `pod:${pod.id}`,
    label: pod.name,
    description,
    icon: pods.known ? podIcon(pod) : { ...podIcon(pod), color: 'disabledForeground' },
    tooltip: tooltip(pod, details),
    context: viewItem(
      'pod',
      mayDo(pod, 'start') && 'startable',
      mayDo(pod, 'stop') && 'stoppable',
      mayDo(pod, 'restart') && 'restartable',
      mayDo(pod, 'terminate') && 'terminable',
      isRunningComfy(pod) && 'reachable',
      !forJobs && 'spare',
    ),
    spoken: dotted(pod.name, pod.status === 'RUNNING' && 'running', description, role).replaceAll(' · ', ', '),
    ...(ours || forJobs ? { mark: { badge: forJobs ? '★' : 'P', tooltip: role ?? '' } } : {}),
    ...(pods.known ? {} : { faded: true }),
    children: details,
  };
}

/** `RTX 4090 · $0.34/h · 1 h 12 m · GPU 87 %`; what is not known is left out, and what the group says already. */
function summary(pod: Pod, scene: PodScene): string {
  const gpu = scene.groupBy !== 'gpu' && shortGpuName(pod.gpu);
  const price = isBilled(pod) && formatUsdPerHour(pod.usdPerHourMicros);
  if (pod.status !== 'RUNNING') {
    return dotted(scene.groupBy !== 'status' && podStatusName(pod.status).toLowerCase(), gpu, price);
  }
  const up = upMs(pod, scene);
  const load = gpuUtilizationPercent(pod);
  return dotted(
    isZeroGpu(pod) ? `no GPU (was ${shortGpuName(pod.gpu)})` : gpu,
    price,
    up !== undefined && upText(up),
    load !== undefined && `GPU ${Math.round(load)} %`,
  );
}

function tooltip(pod: Pod, details: readonly Row[]): string {
  const lines = details.map(
    ({ label, description }) => `| ${plainMarkdown(label)} | ${plainMarkdown(description ?? '')} |`,
  );
  return [`**${plainMarkdown(pod.name)}**`, '', '| | |', '|:--|:--|', ...lines].join('\n');
}
