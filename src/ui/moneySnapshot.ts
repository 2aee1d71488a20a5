import type { PodService } from '../core/fleet/podService.ts';
import { isBilled } from '../core/cost/podMeter.ts';
import type { Budgets } from '../core/cost/budgets.ts';
import type { Ledger } from '../core/cost/ledger.ts';
import { billedWorkers } from '../core/serverless/workerCost.ts';
import type { BilledWorker } from '../core/serverless/workerCost.ts';
import type { EndpointService } from '../core/serverless/endpointService.ts';
import { shortGpuName } from './trees/gpuText.ts';
import { podConsoleUrl } from './trees/podText.ts';
import type { StatusSnapshot } from './statusText.ts';

/** What the UI asks of the ledger. */
export type Spending = Pick<Ledger, 'spending' | 'onDidChange' | 'refresh' | 'statement'>;

export interface MoneyServices {
  readonly pods: Pick<PodService, 'pods' | 'lastSeen'>;
  readonly endpoints: Pick<EndpointService, 'lastSeen' | 'prices'>;
  readonly ledger: Spending | undefined;
  readonly budgets: Pick<Budgets, 'uses'>;
  readonly hasRunpodKey: () => boolean;
}

/** What costs money now and what was spent; undefined where it is not known. Asks nobody. */
export function moneySnapshot({
  pods,
  endpoints,
  ledger,
  budgets,
  hasRunpodKey,
}: MoneyServices): Pick<StatusSnapshot, 'runningUsdPerHourMicros' | 'runningPods' | 'spent' | 'budgets'> {
  const running = (pods.lastSeen?.pods ?? []).filter(isBilled);
  const { lastSeen, prices } = endpoints;
  const workers = billedWorkers(lastSeen?.endpoints ?? [], prices.known ? prices.value : undefined);
  const sum = sumOf([...running, ...workers]);
  const spending = ledger?.spending;
  return {
    // Without a key we have started nothing: that is known.
    runningUsdPerHourMicros: !hasRunpodKey() ? 0 : pods.pods.known ? sum : undefined,
    runningPods: [
      ...running.map(({ id, name, gpu, usdPerHourMicros }) => ({
        ...{ name, link: podConsoleUrl(id), gpu: shortGpuName(gpu), usdPerHourMicros },
      })),
      ...[...Map.groupBy(workers, ({ endpoint, gpuId, gpuCount }) => `${endpoint} ${gpuId} ${gpuCount}`).values()].map(
        groupText,
      ),
    ],
    spent: spending?.known
      ? {
          session: spending.value.session.micros,
          day: spending.value.day.micros,
          month: spending.value.month.micros,
        }
      : undefined,
    budgets: budgets.uses.known ? budgets.uses.value : [],
  };
}

/** Workers of one endpoint with equal cards. */
function groupText(workers: readonly BilledWorker[]): StatusSnapshot['runningPods'][number] {
  const [{ endpoint, gpuId, gpuCount } = { endpoint: '', gpuId: undefined, gpuCount: 1 }] = workers;
  return {
    name: workers.length === 1 ? `1 worker of ${endpoint}` : `${workers.length} workers of ${endpoint}`,
    gpu: gpuId === undefined ? undefined : shortGpuName({ id: gpuId, count: gpuCount * workers.length }),
    usdPerHourMicros: sumOf(workers),
  };
}

/** Unknown as soon as one is. */
function sumOf(all: readonly { readonly usdPerHourMicros: number | undefined }[]): number | undefined {
  return all.reduce<number | undefined>(
    (sum, { usdPerHourMicros }) =>
      sum === undefined || usdPerHourMicros === undefined ? undefined : sum + usdPerHourMicros,
    0,
  );
}
