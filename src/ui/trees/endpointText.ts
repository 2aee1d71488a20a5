import type { Health } from '../../core/backends/backend.ts';
import { endpointObstacle, healthOf } from '../../core/serverless/endpointHealth.ts';
import type { Endpoint, GpuPrice } from '../../core/serverless/endpoint.ts';
import type { WorkerStatus } from '../../core/serverless/endpointClient.ts';
import type { EndpointStatus } from '../../core/serverless/endpointService.ts';
import { pricesOf, workerMicrosPerHour } from '../../core/serverless/workerCost.ts';
import { formatUsdPerHour } from '../../core/cost/price.ts';
import type { RowIcon } from './row.ts';

/** What RunPod does not tell. */
export const unknownText = '–';

/** '$0.00031/s': two digits that count, since a worker's second costs far below a cent. */
export function formatUsdPerSecond(usdPerHourMicros: number): string {
  const usd = usdPerHourMicros / 1_000_000 / 3_600;
  if (usd === 0) return '$0.00/s';
  const digits = Math.min(8, Math.max(2, 1 - Math.floor(Math.log10(usd))));
  return `$${usd.toFixed(digits)}/s`;
}

/** '$0.00031/s', or 'up to …' when cheaper GPUs may come too. */
export function workerPriceText(endpoint: Endpoint, prices: readonly GpuPrice[] | undefined): string | undefined {
  const most = workerMicrosPerHour(endpoint, prices);
  if (most === undefined) return undefined;
  const possible = pricesOf(endpoint, prices ?? []);
  const isExact = possible.every(({ usdPerHourMicros }) => usdPerHourMicros * endpoint.gpuCount === most);
  return `${isExact ? '' : 'up to '}${formatUsdPerSecond(most)}`;
}

/** '$0.00031/s ($1.12/h)' */
export function priceBothWays(usdPerHourMicros: number): string {
  return `${formatUsdPerSecond(usdPerHourMicros)} (${formatUsdPerHour(usdPerHourMicros)})`;
}

/** '1 running · 0 idle', and what else there is; undefined = not told. */
export function workersText({ workers, health }: EndpointStatus): string | undefined {
  const counts = workerCounts({ workers, health });
  if (counts === undefined) return undefined;
  const { running, idle, ...others } = counts;
  const more = Object.entries(others).flatMap(([name, count]) => (count > 0 ? [`${count} ${workerNames[name]}`] : []));
  return [`${running} running`, `${idle} idle`, ...more].join(' · ');
}

const workerNames: Readonly<Record<string, string>> = {
  initializing: 'starting',
  throttled: 'waiting for a GPU',
  unhealthy: 'unhealthy',
  unknown: 'in an unknown state',
};

/** By the list of workers; by the queue's own counts when that is not known. */
function workerCounts({
  workers,
  health,
}: Pick<EndpointStatus, 'workers' | 'health'>): Readonly<Record<string, number>> | undefined {
  const by = { running: 0, idle: 0, initializing: 0, throttled: 0, unhealthy: 0, unknown: 0 };
  if (workers.known) {
    for (const { status } of workers.value) by[status] += 1;
    return by;
  }
  if (!health.known) return undefined;
  const { running, idle, initializing = 0, throttled = 0, unhealthy = 0 } = health.value.workers;
  return running === undefined || idle === undefined
    ? undefined
    : { running, idle, initializing, throttled, unhealthy, unknown: 0 };
}

/** Jobs that wait; undefined = not told. */
export function queued({ health }: Pick<EndpointStatus, 'health'>): number | undefined {
  return health.known ? health.value.jobs.inQueue : undefined;
}

/** What the endpoint can do now; undefined = not known. */
export function endpointHealth({ endpoint, health }: EndpointStatus): Health | undefined {
  if (health.known) return healthOf(endpoint, health.value);
  const obstacle = endpointObstacle(endpoint);
  return obstacle === undefined ? undefined : { state: 'unhealthy', why: obstacle.why };
}

const icons: Readonly<Record<Health['state'], RowIcon>> = {
  healthy: { id: 'server-process', color: 'testing.iconPassed' },
  degraded: { id: 'warning', color: 'list.warningForeground' },
  starting: { id: 'loading~spin', color: 'charts.blue' },
  stopped: { id: 'server-environment', color: 'charts.blue' },
  unhealthy: { id: 'error', color: 'list.errorForeground' },
  off: { id: 'circle-slash', color: 'descriptionForeground' },
};

export function endpointIcon(status: EndpointStatus): RowIcon {
  // Somebody has wanted it so.
  if (status.endpoint.maxWorkers === 0) return icons.off;
  const health = endpointHealth(status);
  return health === undefined ? { id: 'question', color: 'descriptionForeground' } : icons[health.state];
}

const looks: Readonly<Record<WorkerStatus, { readonly name: string; readonly icon: RowIcon }>> = {
  running: { name: 'running a job', icon: { id: 'vm-running', color: 'testing.iconPassed' } },
  idle: { name: 'idle', icon: { id: 'vm-active', color: 'charts.blue' } },
  initializing: { name: 'starting', icon: { id: 'loading~spin', color: 'charts.blue' } },
  throttled: { name: 'waiting for a GPU', icon: { id: 'watch', color: 'list.warningForeground' } },
  unhealthy: { name: 'unhealthy', icon: { id: 'error', color: 'list.errorForeground' } },
  unknown: { name: 'in an unknown state', icon: { id: 'question', color: 'list.warningForeground' } },
};

export function workerLook(status: WorkerStatus): { readonly name: string; readonly icon: RowIcon } {
  return looks[status];
}
