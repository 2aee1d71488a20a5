import { commands, viewItem } from '../../contract.ts';
import { podNamePrefix } from '../../core/runpod/pod.ts';
import type { EndpointStatus } from '../../core/serverless/endpointService.ts';
import { formatUsdPerHour } from '../../core/cost/price.ts';
import type { Endpoint } from '../../core/serverless/endpoint.ts';
import { workerMicrosPerHour } from '../../core/serverless/workerCost.ts';
import { ago } from './backendRows.ts';
import { endpointDetails } from './endpointDetails.ts';
import type { EndpointScene } from './endpointScene.ts';
import { endpointIcon, queued, unknownText, workerPriceText, workersText } from './endpointText.ts';
import { dotted, plainMarkdown } from './row.ts';
import type { Row } from './row.ts';

/** The group of the account's endpoints; none when there is nothing to tell of any. */
export function endpointRows(scene: EndpointScene): readonly Row[] {
  const { endpoints, lastSeen, hasKey, used } = scene;
  if (!hasKey) return [];
  const seen = endpoints.known ? endpoints.value : (lastSeen?.endpoints ?? []);
  const failed = failureRows(scene);
  const missing = endpoints.known ? used.filter((id) => !seen.some(({ endpoint }) => endpoint.id === id)) : [];
  const ofThese = [...seen].sort((a, b) => rank(a, scene) - rank(b, scene));
  const children = [...failed, ...ofThese.map((status) => endpointRow(status, scene)), ...missing.map(missingRow)];
  if (children.length === 0) return [];
  const forJobs = seen.filter(({ endpoint }) => used.includes(endpoint.id)).length;
  const description = dotted(
    failed.length > 0 && seen.length === 0 ? unknownText : String(seen.length),
    forJobs > 0 && `${forJobs} for jobs`,
  );
  return [
    {
      id: 'endpoints',
      label: 'Serverless',
      description,
      icon: { id: 'cloud' },
      context: viewItem('endpoints'),
      spoken: `Serverless endpoints, ${description.replaceAll(' · ', ', ')}`,
      open: true,
      children,
    },
  ];
}

/** Those that get jobs, then ours, then the rest. */
function rank({ endpoint: { id, name } }: EndpointStatus, { used }: EndpointScene): number {
  return used.includes(id) ? 0 : isOurName(name) ? 1 : 2;
}

function isOurName(name: string): boolean {
  return name.startsWith(podNamePrefix);
}

/**
 * A key that may not see endpoints is no news to a person who has none; anything else that keeps us from knowing is told,
 * with a way to try again.
 */
function failureRows({ endpoints, lastSeen, used, nowMs }: EndpointScene): readonly Row[] {
  if (endpoints.known || endpoints.why === undefined) return [];
  const { kind, message } = endpoints.why;
  if (kind === 'unauthorized' && used.length === 0 && (lastSeen?.endpoints ?? []).length === 0) return [];
  const age = lastSeen === undefined ? undefined : `Below: as seen ${ago(nowMs - lastSeen.at)} ago`;
  return [
    {
      id: 'endpoints:failed',
      label: 'Endpoints not loaded',
      description: message,
      icon: { id: 'error', color: 'list.errorForeground' },
      tooltip: [plainMarkdown(message), ...(age === undefined ? [] : [age])].join('\n\n'),
      context: viewItem('failed'),
      spoken: dotted(`The endpoints could not be loaded: ${message}`, age),
    },
    {
      id: 'endpoints:retry',
      label: 'Try Again',
      icon: { id: 'refresh' },
      command: { id: commands.refreshPods, title: 'Try Again' },
    },
  ];
}

function endpointRow(status: EndpointStatus, scene: EndpointScene): Row {
  const { endpoint } = status;
  const { endpoints, lastSeen, used, nowMs } = scene;
  const forJobs = used.includes(endpoint.id);
  const seenAt = endpoints.known ? undefined : lastSeen?.at;
  const description = dotted(seenAt !== undefined && `seen ${ago(nowMs - seenAt)} ago`, summary(status, scene));
  const role = forJobs ? 'Gets jobs' : isOurName(endpoint.name) ? 'Created by PodRelay' : undefined;
  const details = endpointDetails(status, scene);
  const icon = endpointIcon(status);
  const waiting = queued(status) ?? 0;
  return {
    id: `endpoint:${endpoint.id}`,
    label: endpoint.name,
    description,
    icon: endpoints.known ? icon : { ...icon, color: 'disabledForeground' },
    tooltip: tooltip(endpoint.name, details),
    context: viewItem(
      'endpoint',
      forJobs ? 'used' : endpoint.kind !== 'loadBalancer' && 'unused',
      waiting > 0 && 'waiting',
    ),
    spoken: dotted(endpoint.name, 'serverless endpoint', description, role).replaceAll(' · ', ', '),
    ...(role === undefined ? {} : { mark: { badge: forJobs ? '★' : 'P', tooltip: role } }),
    ...(endpoints.known ? {} : { faded: true }),
    children: details,
  };
}

/** `1 running · 0 idle · 2 queued · $0.00031/s`; what is not known is a dash. */
function summary(status: EndpointStatus, { prices }: EndpointScene): string {
  const { endpoint } = status;
  const waiting = queued(status);
  const stopped = endpoint.maxWorkers === 0;
  return dotted(
    stopped && 'stopped',
    // What nobody may overlook comes first: a narrow view cuts the end.
    endpoint.minWorkers > 0 && alwaysText(endpoint, prices),
    !stopped && (workersText(status) ?? `workers ${unknownText}`),
    endpoint.kind !== 'loadBalancer' && `${waiting ?? unknownText} queued`,
    !stopped && (workerPriceText(endpoint, prices) ?? `price ${unknownText}`),
  );
}

/** What workers that stay up cost. */
function alwaysText(endpoint: Endpoint, prices: EndpointScene['prices']): string {
  const each = workerMicrosPerHour(endpoint, prices);
  const cost = each === undefined ? `an unknown price` : formatUsdPerHour(each * endpoint.minWorkers);
  return `${cost} even without jobs`;
}

/** One that the settings name. */
function missingRow(id: string): Row {
  return {
    id: `endpoint:${id}`,
    label: id,
    description: 'not in this account, but meant to get jobs',
    icon: { id: 'warning', color: 'list.warningForeground' },
    context: viewItem('used'),
    mark: { badge: '★', tooltip: 'Meant to get jobs' },
  };
}

function tooltip(name: string, details: readonly Row[]): string {
  const lines = details.map(
    ({ label, description }) => `| ${plainMarkdown(label)} | ${plainMarkdown(description ?? '')} |`,
  );
  return [`**${plainMarkdown(name)}**`, '', '| | |', '|:--|:--|', ...lines].join('\n');
}
