import type { FleetPod } from '../../src/core/fleet/fleetScene.ts';
import type { Worker } from '../../src/core/queue/dispatch.ts';
import { predict } from '../../src/core/queue/measurements.ts';
import type { SpeedBook } from '../../src/core/queue/measurements.ts';
import type { Boots } from './boots.ts';
import type { Machine } from './machine.ts';

/** As the plan sees it; none when it is not in the account. */
export function podOf(machine: Machine, boots: Boots, book: SpeedBook, busySeconds: number): readonly FleetPod[] {
  const { id, kind, phase, offer, usdPerHourMicros, sinceMs, idleSinceMs, bound } = machine;
  if (kind === 'home' || phase === 'gone') return [];
  return [
    {
      ...{ id, name: id, ours: kind === 'ours', keep: false, mayStart: true, phase },
      ...{ gpu: offer.gpu, usdPerHourMicros, sinceMs, idleSinceMs, busySeconds },
      bootSeconds: boots.of(machine),
      inFlight: bound.length,
      jobSeconds: predict(book, 'image', offer.gpu).seconds,
    },
  ];
}

/** As the dispatcher sees it; none when it takes no jobs. */
export function workerOf(
  { id, kind, phase, offer, bound, usdPerHourMicros }: Machine,
  depth: number,
  secondsAhead: number,
  closed: string | undefined,
): readonly Worker[] {
  if (kind === 'foreign' || (phase !== 'ready' && phase !== 'booting')) return [];
  return [
    {
      ...{ id, label: id, rank: kind === 'home' ? 0 : 1, gpu: offer.gpu, secondsAhead, usdPerHourMicros, closed },
      freeSlots: phase === 'ready' ? depth - bound.length : 0,
      ...{ loadedModels: [], loadSeconds: 0, transferSeconds: 0, microsPerJob: 0, lastResort: false },
    },
  ];
}
