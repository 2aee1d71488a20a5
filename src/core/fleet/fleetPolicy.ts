import type { Settings } from '../settings.ts';
import type { FleetPolicy } from './fleetScene.ts';

/**
 * So many hours of its disk are reckoned to a pod that is created, beside its boot: stopped, it costs on. Until it is started
 * again, or is no longer worth it (idleDisks.ts), more pass than these; chosen on the simulated days 1 to 20.
 */
export const diskHours = 6;

/** An idle pod is kept at least so long, when the settings allow more. */
const leastIdleSeconds = 60;
/** After an idle stop nothing is started for so long, unless new work has come. */
const restSeconds = 300;
/** Work that is done so soon needs no other pod. */
const targetWaitSeconds = 90;
/** RunPod Serverless counts four requests for a worker by default (RunPod docs, serverless/endpoints). */
const jobsPerPod = 4;

/** The person's limits and wishes, as the plan reads them. */
export function policyOf(settings: Settings): FleetPolicy {
  const most = settings['cloud.idleMinutes'] * 60;
  return {
    rule:
      settings['fleet.rule'] === 'queueLength' ? { by: 'queueLength', jobsPerPod } : { by: 'drain', targetWaitSeconds },
    strategy: settings['routing.strategy'],
    secondsPerUsd: settings['routing.secondsPerUsd'],
    maxPods: settings['fleet.maxPods'],
    maxUsdPerHourMicros: Math.round(settings['fleet.maxUsdPerHour'] * 1_000_000),
    warmPods: Math.min(settings['fleet.warmPods'], settings['fleet.maxPods']),
    idleSeconds: { least: Math.min(leastIdleSeconds, most), most },
    stuckSeconds: settings['cloud.readyTimeoutMinutes'] * 60,
    restSeconds,
  };
}
