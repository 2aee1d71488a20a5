import type { FleetPolicy } from '../../src/core/fleet/fleetScene.ts';

/** What the product starts with, as far as a simulated day is concerned. */
export const drainPolicy: FleetPolicy = {
  rule: { by: 'drain', targetWaitSeconds: 90 },
  strategy: 'priority',
  secondsPerUsd: 1_000,
  maxPods: 4,
  maxUsdPerHourMicros: 5_000_000,
  warmPods: 0,
  idleSeconds: { least: 60, most: 900 },
  stuckSeconds: 1_200,
  restSeconds: 300,
};

/** RunPod Serverless' default: one more worker while a request has waited over 4 s, an idle one goes after 5 s. */
export const queueDelayPolicy: FleetPolicy = {
  ...drainPolicy,
  rule: { by: 'queueDelay', delaySeconds: 4 },
  idleSeconds: { least: 5, most: 5 },
};

export const queueLengthPolicy: FleetPolicy = { ...drainPolicy, rule: { by: 'queueLength', jobsPerPod: 4 } };

export function fixedPolicy(pods: number): FleetPolicy {
  return { ...drainPolicy, rule: { by: 'fixed', pods } };
}
