import type { BackendStatus } from '../backends/backendManager.ts';
import { gpuKey } from '../queue/gpuSpeed.ts';
import { predict } from '../queue/measurements.ts';
import type { SpeedBook } from '../queue/measurements.ts';
import type { FleetLook } from '../store/fleetStore.ts';
import type { OtherCapacity, QueuedWork } from './fleetScene.ts';

export interface WorkFacts {
  readonly book: SpeedBook;
  /** That there are, or could be. */
  readonly gpus: readonly string[];
  /** Nothing leaves this machine. */
  readonly localOnly: boolean;
  /** What jobs are recorded under → the pod of ours. */
  readonly podOf: ReadonlyMap<string, string>;
}

type Predicted = Pick<QueuedWork, 'seconds' | 'otherSeconds' | 'unmeasured'>;

/** Left of a job at work elsewhere. */
const assumedJobSeconds = 10;

/** The queue as the plan sees it. Pure. */
export function waitingWork({ waiting }: FleetLook, facts: WorkFacts): readonly QueuedWork[] {
  const { book, localOnly, podOf } = facts;
  const gpus = [...new Set(facts.gpus)];
  const byKind = new Map<string, Predicted>();
  const predicted = (kind: string): Predicted => {
    let found = byKind.get(kind);
    if (found === undefined) {
      const seconds = Object.fromEntries(gpus.map((gpu) => [gpu, predict(book, kind, gpu).seconds]));
      const other = predict(book, kind, '');
      const unmeasured = other.basis === 'assumed' ? { unmeasured: true } : {};
      byKind.set(kind, (found = { seconds, otherSeconds: other.seconds, ...unmeasured }));
    }
    return found;
  };
  return waiting.map((work) => {
    const notOn = work.refused.flatMap((backend) => podOf.get(backend) ?? []);
    return {
      id: work.id,
      sinceMs: work.sinceMs,
      ...predicted(work.fingerprint),
      onPods: !localOnly && !work.localOnly,
      onElsewhere: !work.excluded.includes('local'),
      ...(notOn.length === 0 ? {} : { notOn }),
      ...(work.count === 1 ? {} : { count: work.count }),
    };
  });
}

/** What works beside our pods and has shown it: the local ComfyUI, a person's own pod, an endpoint. `own`: ids of ours. */
export function elsewhereOf(statuses: readonly BackendStatus[], own: ReadonlySet<string>): readonly OtherCapacity[] {
  return statuses.flatMap(({ backend, ready, health, breaker, jobs }): readonly OtherCapacity[] => {
    if (backend.tier === 'gemini' || own.has(backend.id) || !ready.ok || breaker.is === 'open') return [];
    if (!health.known) return [];
    const { gpu, state } = health.value;
    const isUp = state === 'healthy' || state === 'degraded';
    const { workers } = backend;
    // An endpoint starts its workers itself: with a minute's wait they are as good as there.
    if (workers !== undefined && (isUp || state === 'stopped' || state === 'starting')) {
      const busySeconds = (isUp ? 0 : workers.startSeconds) + (jobs * assumedJobSeconds) / workers.most;
      return Array.from({ length: workers.most }, () => ({ gpu: backend.id, busySeconds }));
    }
    if (!isUp) return [];
    return [{ gpu: gpu === undefined ? backend.id : gpuKey(gpu), busySeconds: jobs * assumedJobSeconds }];
  });
}
