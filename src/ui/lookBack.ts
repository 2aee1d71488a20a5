import { toFault } from '../core/kernel/fault.ts';
import { late } from '../core/kernel/late.ts';
import type { Lifetime } from '../core/kernel/lifetime.ts';
import type { Log } from '../core/kernel/ports.ts';
import type { PodsToLookAt } from './lookAtPods.ts';

const { lookAtPods } = late(() => import('./lookAtPods.ts'));

export interface LookBackServices extends PodsToLookAt {
  /** False on a machine where PodRelay has done nothing yet: then there is nothing to look at. */
  readonly hasRecords: () => boolean;
  readonly log: Log;
}

/**
 * After a window has opened: what was spent, and whether pods of an earlier run still cost money. RunPod is asked only
 * when our records give a reason to.
 */
export function lookBack(services: LookBackServices, life: Lifetime): void {
  const { hasRecords, log } = services;
  const start = setImmediate(() => {
    if (!hasRecords()) return;
    lookAtPods(services, life.signal).catch((error: unknown) => {
      const fault = toFault(error);
      if (fault.kind !== 'cancelled') log.warn(`The look at earlier pods has failed: ${fault.message}`);
    });
  });
  life.own({ dispose: () => clearImmediate(start) });
}
