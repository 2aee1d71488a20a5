import type { BackendStatus } from '../backends/backendManager.ts';
import type { Workflow } from '../comfy/workflow.ts';
import { fingerprintOf } from './fingerprint.ts';
import { predict } from './measurements.ts';
import type { SpeedBook } from './measurements.ts';
import type { QueuePrice } from './queueRules.ts';
import { gpuOf } from './queueScene.ts';

export interface BatchPrediction {
  readonly ms: number;
  /** Micro-dollars. */
  readonly micros: number;
  /** Backends that would share the work, fastest first. */
  readonly labels: readonly string[];
}

export interface BatchScene {
  readonly workflow: Workflow;
  readonly count: number;
  readonly statuses: readonly BackendStatus[];
  readonly book: SpeedBook;
  readonly priceOf: (backend: string) => QueuePrice;
}

/**
 * How long so many jobs of a workflow take together on what is up now, and what they cost. Undefined while none of those
 * backends has a measured time for it. Pure.
 */
export function predictBatch({ workflow, count, statuses, book, priceOf }: BatchScene): BatchPrediction | undefined {
  const { key } = fingerprintOf(workflow);
  const workers = statuses.flatMap((status) => {
    const { backend, ready, health } = status;
    const state = health.known ? health.value.state : undefined;
    const comesUp = backend.workers !== undefined && (state === 'stopped' || state === 'starting');
    const isUp = ready.ok && (state === 'healthy' || state === 'degraded');
    if (!(isUp || (ready.ok && comesUp)) || backend.tier === 'gemini') return [];
    const { seconds, basis } = predict(book, key, gpuOf(status));
    if (basis === 'assumed') return [];
    const { usdPerHourMicros, microsPerJob } = priceOf(backend.id);
    const each = seconds / Math.max(1, backend.workers?.most ?? 1);
    return [{ label: backend.label, seconds: each, micros: (usdPerHourMicros * seconds) / 3_600 + microsPerJob }];
  });
  const perSecond = workers.reduce((sum, { seconds }) => sum + 1 / seconds, 0);
  if (perSecond === 0) return undefined;
  const micros = workers.reduce((sum, one) => sum + (one.micros * count) / (one.seconds * perSecond), 0);
  return {
    ms: Math.round((count / perSecond) * 1_000),
    micros: Math.round(micros),
    labels: workers.toSorted((a, b) => a.seconds - b.seconds).map(({ label }) => label),
  };
}
