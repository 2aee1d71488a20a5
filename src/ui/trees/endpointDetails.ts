import { viewItem } from '../../contract.ts';
import { formatUsdPerHour } from '../../core/cost/price.ts';
import type { Observed } from '../../core/kernel/observed.ts';
import type { Endpoint, GpuPrice } from '../../core/serverless/endpoint.ts';
import type { Worker } from '../../core/serverless/endpointClient.ts';
import type { EndpointStatus } from '../../core/serverless/endpointService.ts';
import { pricesOf, workerMicrosPerHour } from '../../core/serverless/workerCost.ts';
import type { EndpointScene } from './endpointScene.ts';
import {
  endpointHealth,
  priceBothWays,
  unknownText,
  workerLook,
  workerPriceText,
  workersText,
} from './endpointText.ts';
import { shortGpuName } from './gpuText.ts';
import { upText } from './podText.ts';
import { dotted } from './row.ts';
import type { Row } from './row.ts';

/** The rows below an endpoint; a dash stands for what is not known. */
export function endpointDetails(status: EndpointStatus, scene: EndpointScene): readonly Row[] {
  const { endpoint, health, workers } = status;
  const { prices, used } = scene;
  const row = (name: string, label: string, description: string, icon: string): Row => ({
    id: `endpoint:${endpoint.id}:${name}`,
    label,
    description,
    icon: { id: icon },
  });
  const { jobs } = health.known ? health.value : {};
  const noQueue = endpoint.kind === 'loadBalancer';
  return [
    row('status', 'Status', endpointHealth(status)?.why ?? why(health), 'pulse'),
    gpusRow(row('gpus', 'GPU types', gpusText(endpoint, prices), 'circuit-board'), endpoint, prices),
    workersRow(row('workers', 'Workers', workersText(status) ?? why(workers), 'vm'), workers, prices),
    row('queue', 'Queue', noQueue ? 'none: a load balancer' : queueText(jobs), 'list-ordered'),
    row('price', 'Price of a worker', priceText(endpoint, prices), 'tag'),
    row('range', 'Workers from – to', rangeText(endpoint), 'arrow-both'),
    row('idle', 'Idle timeout', idleText(endpoint), 'watch'),
    row('image', 'Image', endpoint.image ?? unknownText, 'package'),
    row('jobs', 'Jobs of PodRelay', used.includes(endpoint.id) ? 'run here after the pods' : 'do not run here', 'star'),
    row('id', 'Endpoint id', endpoint.id, 'symbol-key'),
  ];
}

function why(observed: Observed<unknown>): string {
  return observed.known || observed.why === undefined ? unknownText : `${unknownText} (${observed.why.message})`;
}

function gpusText(endpoint: Endpoint, prices: readonly GpuPrice[] | undefined): string {
  if (endpoint.gpuPools.length === 0) return 'none: CPU workers';
  const names = pricesOf(endpoint, prices ?? []).map(({ name }) => name);
  const count = endpoint.gpuCount > 1 ? `${endpoint.gpuCount} × ` : '';
  return count + (names.length > 0 ? names.join(', ') : endpoint.gpuPools.join(', '));
}

function gpusRow(row: Row, endpoint: Endpoint, prices: readonly GpuPrice[] | undefined): Row {
  const possible = pricesOf(endpoint, prices ?? []);
  if (possible.length < 2) return row;
  const children = possible.map(({ gpuId, name, usdPerHourMicros }): Row => ({
    id: `${row.id}:${gpuId}`,
    label: name,
    description: priceBothWays(usdPerHourMicros),
    icon: { id: 'circuit-board' },
  }));
  return { ...row, children };
}

function workersRow(row: Row, workers: Observed<readonly Worker[]>, prices: readonly GpuPrice[] | undefined): Row {
  if (!workers.known || workers.value.length === 0) return row;
  const children = workers.value.map(({ id, status, gpuId, gpuCount, uptimeSeconds }): Row => {
    const look = workerLook(status);
    const price = prices?.find((one) => one.gpuId === gpuId)?.usdPerHourMicros;
    const description = dotted(
      look.name,
      gpuId === undefined ? `GPU ${unknownText}` : shortGpuName({ id: gpuId, count: gpuCount }),
      price !== undefined && formatUsdPerHour(price * gpuCount),
      uptimeSeconds !== undefined && `up ${upText(uptimeSeconds * 1_000)}`,
    );
    return { id: `${row.id}:${id}`, label: id, description, icon: look.icon, context: viewItem('worker') };
  });
  return { ...row, children };
}

function queueText(
  jobs: { readonly inQueue: number | undefined; readonly inProgress: number | undefined } | undefined,
): string {
  return `${jobs?.inQueue ?? unknownText} waiting · ${jobs?.inProgress ?? unknownText} running`;
}

function priceText(endpoint: Endpoint, prices: readonly GpuPrice[] | undefined): string {
  const most = workerMicrosPerHour(endpoint, prices);
  if (most === undefined) return unknownText;
  const always = endpoint.minWorkers * most;
  return dotted(
    `${workerPriceText(endpoint, prices) ?? unknownText} (${formatUsdPerHour(most)}) while it is up`,
    always > 0 && `up to ${formatUsdPerHour(always)} even without jobs`,
  );
}

function rangeText({ minWorkers, maxWorkers }: Endpoint): string {
  return maxWorkers === 0 ? '0: it takes jobs and runs none' : `${minWorkers} – ${maxWorkers}`;
}

function idleText({ idleSeconds }: Endpoint): string {
  return idleSeconds === undefined ? unknownText : `${idleSeconds} s, which are billed`;
}
