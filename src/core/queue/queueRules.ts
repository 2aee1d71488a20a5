import type { BackendManager } from '../backends/backendManager.ts';
import type { PodService } from '../fleet/podService.ts';
import { routePolicy } from '../routing/routePolicy.ts';
import type { Settings } from '../settings.ts';
import type { QueuePolicy } from './queueScene.ts';

export interface QueuePrice {
  readonly usdPerHourMicros: number;
  readonly microsPerJob: number;
}

/** What the settings mean to the queue. */
export function queuePolicy(settings: Settings): QueuePolicy {
  return {
    ...routePolicy(settings),
    strategy: settings['routing.strategy'],
    secondsPerUsd: settings['routing.secondsPerUsd'],
    localOnly: settings['privacy.localOnly'],
    mayPayGemini: settings['gemini.fallback'] === 'always',
    mayStart: settings['cloud.autoStart'],
    secondRunMostMicros: settings['queue.secondRuns']
      ? Math.round(settings['queue.secondRunMaxUsd'] * 1_000_000)
      : undefined,
  };
}

const usualJob = { id: '', label: '', workflow: {}, media: 'image', localOnly: false } as const;

/** By the hour on a pod, by the job elsewhere. */
export function queuePrice(
  backends: Pick<BackendManager, 'find'>,
  pods: Pick<PodService, 'lastSeen'>,
  id: string,
): QueuePrice {
  const backend = backends.find(id);
  if (backend === undefined || backend.billing === 'free') return { usdPerHourMicros: 0, microsPerJob: 0 };
  if (backend.billing === 'job') return { usdPerHourMicros: 0, microsPerJob: backend.quote(usualJob).micros };
  const names = [backend.id, backend.alias?.()];
  const pod = pods.lastSeen?.pods.find((one) => names.includes(`pod:${one.id}`));
  return { usdPerHourMicros: pod?.usdPerHourMicros ?? 0, microsPerJob: 0 };
}
