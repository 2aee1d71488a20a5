import { formatUsdPerHour, podTimeMicros } from '../cost/price.ts';
import { durationText } from '../queue/dispatch.ts';
import { isBilled, stopKey } from './fleetScene.ts';
import type { FleetChange, FleetPod, PlannedAction, Scene, StopCause } from './fleetScene.ts';
import { idleSecondsToKeep } from './idleTime.ts';
import { planLaunch } from './planLaunch.ts';

/** From here on an idle pod is kept half as long. */
const thriftyShare = 0.8;

type Stop = Extract<FleetChange, { do: 'stop' }>;

/**
 * The autoscaler's decision. The first action is the one to carry out; after it the scene is another, so the rest is
 * only what would follow. Never empty: 'wait' says why nothing is done. Touches pods of ours only, never one with work
 * in flight, and nothing at all while the pods are unknown. Pure.
 */
export function plan(scene: Scene): readonly PlannedAction[] {
  if (!scene.pods.known) {
    return [
      { do: 'wait', untilMs: undefined, because: 'RunPod does not say which pods there are: nothing is changed' },
    ];
  }
  const pods = scene.pods.value;
  const { urgent, idle, nextIdleMs } = planStops(scene, pods);
  const launch = planLaunch(scene, pods);
  if (launch.do !== 'wait') {
    // The successor's launch stops a pod without a GPU.
    const moved = launch.do === 'move' ? launch.podId : undefined;
    return [...urgent.filter(({ podId }) => podId !== moved), launch, ...idle];
  }
  const stops = [...urgent, ...idle];
  if (stops.length > 0) return stops;
  const untilMs = Math.min(launch.untilMs ?? Number.POSITIVE_INFINITY, nextIdleMs);
  return [{ ...launch, untilMs: Number.isFinite(untilMs) ? untilMs : undefined }];
}

interface Stops {
  readonly urgent: readonly Stop[];
  readonly idle: readonly Stop[];
  /** When the next pod will have been idle for too long; Infinity = none is idle. */
  readonly nextIdleMs: number;
}

function planStops(scene: Scene, pods: readonly FleetPod[]): Stops {
  const { nowMs, policy, budget } = scene;
  const active = pods.filter((pod) => pod.ours && isBilled(pod));
  const mayStop = (pod: FleetPod): boolean => (scene.coolingUntilMs.get(stopKey(pod.id)) ?? 0) <= nowMs;
  const free = active.filter((pod) => !pod.keep && pod.inFlight === 0 && mayStop(pod));
  const urgent: Stop[] = [];
  const gone = new Set<string>();
  const add = (pod: FleetPod, cause: StopCause, because: string): void => {
    if (gone.has(pod.id)) return;
    gone.add(pod.id);
    urgent.push(stop(pod, cause, because));
  };
  let nextIdleMs = Number.POSITIVE_INFINITY;

  for (const pod of free) {
    if (pod.phase === 'zeroGpu') add(pod, 'zeroGpu', `${pod.name} came back without a GPU`);
    const bootingSeconds = (nowMs - pod.sinceMs) / 1_000;
    if (pod.phase !== 'booting') continue;
    if (bootingSeconds >= policy.stuckSeconds) {
      add(pod, 'stuck', `${pod.name} has not answered for ${durationText(bootingSeconds)}`);
    } else nextIdleMs = Math.min(nextIdleMs, pod.sinceMs + policy.stuckSeconds * 1_000);
  }
  if (budget.remainingMicros !== undefined && budget.remainingMicros <= 0) {
    for (const pod of free) add(pod, 'budget', `The budget is spent; ${pod.name} has no work`);
  }
  const overLimit = limitText(
    active.filter((pod) => !gone.has(pod.id)),
    scene,
  );
  for (const pod of dearestFirst(free)) {
    const left = active.filter((one) => !gone.has(one.id));
    if (pod.phase === 'booting' || limitText(left, scene) === undefined) continue;
    add(pod, 'limit', `${overLimit ?? 'Over the limit'}; ${pod.name} has no work`);
  }

  const idle: Stop[] = [];
  const working = active.some((pod) => pod.inFlight > 0 || pod.phase === 'booting');
  const resting = dearestFirst(free).filter((pod) => pod.phase === 'ready' && !gone.has(pod.id));
  let staying = active.filter((pod) => !gone.has(pod.id) && pod.phase !== 'zeroGpu').length;
  const least = Math.max(policy.warmPods, policy.rule.by === 'fixed' ? policy.rule.pods : 0);
  for (const [index, pod] of resting.entries()) {
    if (pod.idleSinceMs === undefined || staying <= least) continue;
    // The next job needs one pod: the further ones are less likely to be used, each by its place.
    const nth = resting.length - index + (working ? 1 : 0);
    const keepSeconds = keepingSeconds(pod, nth, scene);
    const dueMs = pod.idleSinceMs + keepSeconds * 1_000;
    if (nowMs < dueMs) {
      nextIdleMs = Math.min(nextIdleMs, dueMs);
      continue;
    }
    staying -= 1;
    const why = `${pod.name} had no work for ${durationText((nowMs - pod.idleSinceMs) / 1_000)}`;
    const boot = `its next start takes ${durationText(pod.bootSeconds)}`;
    idle.push(stop(pod, 'idle', `${why}; ${boot}, and ${formatUsdPerHour(pod.usdPerHourMicros)} is saved`));
  }
  return { urgent, idle, nextIdleMs };
}

function keepingSeconds(pod: FleetPod, nth: number, { gapsSeconds, policy, budget }: Scene): number {
  const whole = idleSecondsToKeep(gapsSeconds, pod.bootSeconds, policy.idleSeconds);
  const thrift = budget.usedShare > thriftyShare ? 0.5 : 1;
  return (whole * thrift) / nth;
}

function dearestFirst(pods: readonly FleetPod[]): readonly FleetPod[] {
  return [...pods].sort((a, b) => microsPerJob(b) - microsPerJob(a) || a.id.localeCompare(b.id));
}

function microsPerJob(pod: FleetPod): number {
  return podTimeMicros(pod.usdPerHourMicros, pod.jobSeconds * 1_000);
}

function limitText(active: readonly FleetPod[], { policy }: Scene): string | undefined {
  if (active.length > policy.maxPods) return `More than ${policy.maxPods} pods run`;
  const usdPerHourMicros = active.reduce((sum, pod) => sum + pod.usdPerHourMicros, 0);
  if (usdPerHourMicros <= policy.maxUsdPerHourMicros) return undefined;
  return `All pods together cost more than ${formatUsdPerHour(policy.maxUsdPerHourMicros)}`;
}

function stop(pod: FleetPod, cause: StopCause, because: string): Stop {
  const hour = 3_600_000;
  const expected = { savedSeconds: undefined, micros: -podTimeMicros(pod.usdPerHourMicros, hour) };
  return { do: 'stop', podId: pod.id, cause, because, expected };
}
