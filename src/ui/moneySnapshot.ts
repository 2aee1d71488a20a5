import type { PodService } from '../core/fleet/podService.ts';
import { isBilled } from '../core/cost/podMeter.ts';
import type { Budgets } from '../core/cost/budgets.ts';
import type { Ledger } from '../core/cost/ledger.ts';
import { shortGpuName } from './trees/gpuText.ts';
import type { StatusSnapshot } from './statusText.ts';

/** What the UI asks of the ledger. */
export type Spending = Pick<Ledger, 'spending' | 'onDidChange' | 'refresh' | 'statement'>;

export interface MoneyServices {
  readonly pods: PodService;
  readonly ledger: Spending | undefined;
  readonly budgets: Pick<Budgets, 'uses'>;
  readonly hasRunpodKey: () => boolean;
}

/** What costs money now and what was spent; undefined where it is not known. Asks nobody. */
export function moneySnapshot({
  pods,
  ledger,
  budgets,
  hasRunpodKey,
}: MoneyServices): Pick<StatusSnapshot, 'runningUsdPerHourMicros' | 'runningPods' | 'spent' | 'budgets'> {
  const running = (pods.lastSeen?.pods ?? []).filter(isBilled);
  const sum = running.reduce((all, pod) => all + pod.usdPerHourMicros, 0);
  const spending = ledger?.spending;
  return {
    // Without a key we have started nothing: that is known.
    runningUsdPerHourMicros: !hasRunpodKey() ? 0 : pods.pods.known ? sum : undefined,
    runningPods: running.map((pod) => ({
      name: pod.name,
      gpu: shortGpuName(pod.gpu),
      usdPerHourMicros: pod.usdPerHourMicros,
    })),
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
