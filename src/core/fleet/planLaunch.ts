import { formatUsd, formatUsdPerHour } from '../cost/price.ts';
import { durationText } from '../queue/dispatch.ts';
import { chooseLaunch } from './chooseLaunch.ts';
import type { Wish } from './chooseLaunch.ts';
import { drain } from './drain.ts';
import type { Drain } from './drain.ts';
import { allLaunches, countOf, isBilled } from './fleetScene.ts';
import type { FleetChange, FleetPod, PlannedAction, QueuedWork, Scene } from './fleetScene.ts';
import { launchable, serversOf } from './launchOptions.ts';
import type { Valued } from './launchOptions.ts';
import { reckoned } from './unmeasured.ts';

/** What was just queued may be the first of many: they are looked at together. */
const settleSeconds = 5;

/** One launch, or why there is none. `pods` are known. */
export function planLaunch(given: Scene, pods: readonly FleetPod[]): PlannedAction {
  const predicted = { ...given, waiting: given.waiting.map((work) => reachable(work, pods)) };
  const { waiting, isGuess } = reckoned(predicted, pods);
  const scene = { ...predicted, waiting };
  const servers = serversOf(scene, pods);
  const before = drain(scene.waiting, servers);
  const wish = wanted(scene, pods, before, isGuess);
  if ('not' in wish) return wait(wish.not, wish.untilMs);
  const { nowMs, policy } = scene;
  // A container that has failed may cost money all the same.
  const mayCost = (pod: FleetPod): boolean => isBilled(pod) || (pod.phase === 'failed' && pod.usdPerHourMicros > 0);
  const active = pods.filter((pod) => pod.ours && mayCost(pod));
  const lost = active.find((pod) => pod.phase === 'zeroGpu' && !pod.keep && pod.inFlight === 0);
  const others = active.filter((pod) => pod !== lost);
  if (others.length >= policy.maxPods) return wait(`${wish.because}, but the limit is ${podsText(policy.maxPods)}`);
  const restUntilMs = (scene.lastIdleStopMs ?? Number.NEGATIVE_INFINITY) + policy.restSeconds * 1_000;
  if (wish.forWork && nowMs < restUntilMs && !scene.waiting.some((work) => isNew(work.sinceMs, scene))) {
    return wait('A pod was just stopped for lack of work, and no new work has come since', restUntilMs);
  }
  const pausedUntilMs = scene.coolingUntilMs.get(allLaunches) ?? 0;
  if (nowMs < pausedUntilMs) return wait(`${wish.because}, but the last launch failed`, pausedUntilMs);

  const { options, coolsUntilMs, tooDear } = launchable(scene, pods, others);
  if (options.length === 0) {
    if (coolsUntilMs !== undefined) return wait(`${wish.because}, but every GPU tried has failed`, coolsUntilMs);
    if (tooDear) {
      return wait(`${wish.because}, but the limit is ${formatUsdPerHour(policy.maxUsdPerHourMicros)} for all pods`);
    }
    return wait(`${wish.because}, but no fitting GPU is to be had`);
  }
  const chosen = chooseLaunch(options, wish, scene, servers, before, active);
  if (chosen === 'noBudget') return wait(`${wish.because}, but the budget has too little left`);
  if (chosen === 'notWorth') {
    if (Number.isFinite(before.seconds))
      return wait(`What waits is done in ${drainText(before, isGuess)}: another pod is not worth it`);
    return wait(`${wish.because}, and nothing that can be had now could do it either`, coolsUntilMs);
  }
  const { first, created, passedOver } = chosen;
  const reason = passedOver === undefined ? wish.because : `${wish.because}; ${passedOver}`;
  return toAction(first, created, reason, before, lost, others.length + 1);
}

/** A job that all pods have refused which there are: a new one of the same image would refuse it, too. */
function reachable(work: QueuedWork, pods: readonly FleetPod[]): QueuedWork {
  const { notOn } = work;
  if (notOn === undefined || notOn.length === 0) return work;
  const isAble = ({ id, ours, phase, mayStart }: FleetPod): boolean =>
    ours && !notOn.includes(id) && (phase === 'ready' || phase === 'booting' || (phase === 'stopped' && mayStart));
  return pods.some(isAble) ? work : { ...work, onPods: false };
}

/** Does the rule ask for another pod? */
function wanted(
  scene: Scene,
  pods: readonly FleetPod[],
  before: Drain,
  isGuess: boolean,
): Wish | { not: string; untilMs?: number } {
  const { nowMs, policy, waiting } = scene;
  const { rule, warmPods } = policy;
  const active = pods.filter((pod) => pod.ours && isBilled(pod) && pod.phase !== 'zeroGpu');
  if (active.length < warmPods) {
    return {
      because: `${podsText(warmPods)} ${warmPods === 1 ? 'is' : 'are'} to be kept ready`,
      forWork: false,
      needsWorth: false,
    };
  }
  if (rule.by === 'fixed') {
    if (active.length >= rule.pods) return { not: `${podsText(rule.pods)} run, as set` };
    return {
      because: `${podsText(rule.pods)} ${rule.pods === 1 ? 'is' : 'are'} to run`,
      forWork: false,
      needsWorth: false,
    };
  }
  const onPods = waiting.filter((work) => work.onPods);
  if (onPods.length === 0) return { not: 'No work waits for a pod' };
  const booting = active.filter((pod) => pod.phase === 'booting').length;
  const count = countOf(onPods);
  const jobs = jobsText(count);
  switch (rule.by) {
    case 'queueDelay': {
      const late = countOf(onPods.filter(({ sinceMs }) => nowMs - sinceMs > rule.delaySeconds * 1_000));
      if (late > booting) {
        return { because: `${jobsText(late)} waited over ${rule.delaySeconds} s`, forWork: true, needsWorth: false };
      }
      const oldestMs = oldestSinceMs(onPods);
      const dueMs = oldestMs + rule.delaySeconds * 1_000 + 1;
      return { not: 'No job has waited long enough', ...(dueMs > nowMs ? { untilMs: dueMs } : {}) };
    }
    case 'queueLength': {
      const inFlight = active.reduce((sum, pod) => sum + pod.inFlight, 0);
      const target = Math.ceil((count + inFlight) / Math.max(1, rule.jobsPerPod));
      if (target <= active.length) return { not: `${podsText(active.length)} are enough by the queue's length` };
      return {
        because: `${jobs} and ${inFlight} that run ask for ${podsText(target)}`,
        forWork: true,
        needsWorth: false,
      };
    }
    case 'drain': {
      if (!Number.isFinite(before.seconds)) {
        return { because: `Nothing that runs can do ${jobs}`, forWork: true, needsWorth: false };
      }
      const settledMs = oldestSinceMs(onPods) + settleSeconds * 1_000;
      if (nowMs < settledMs) return { not: 'New work is being queued', untilMs: settledMs };
      if (before.seconds <= rule.targetWaitSeconds) {
        return { not: `What waits is done in ${drainText(before, isGuess)}, which is soon enough` };
      }
      return { because: `${jobs} would take ${drainText(before, isGuess)}`, forWork: true, needsWorth: true };
    }
  }
}

function toAction(
  first: Valued,
  created: readonly Valued[],
  reason: string,
  before: Drain,
  lost: FleetPod | undefined,
  nth: number,
): FleetChange {
  const { option, drained, micros } = first;
  const saved = before.seconds - drained.seconds;
  const savedSeconds = Number.isFinite(saved) && saved > 0 ? saved : undefined;
  const saves = savedSeconds === undefined ? '' : `saves ${durationText(savedSeconds)} `;
  const price = formatUsdPerHour(option.usdPerHourMicros);
  const what = `${option.gpu} as pod ${nth} at ${price} ${saves}for about ${formatUsd(micros)}`;
  const reasoned = { because: `${reason}; ${what}`, expected: { savedSeconds, micros } };
  if (option.pod !== undefined) return { do: 'start', podId: option.pod.id, ...reasoned };
  const candidates = created.flatMap((one) => (one.option.candidate === undefined ? [] : [one.option.candidate]));
  if (lost === undefined) return { do: 'create', candidates, ...reasoned };
  const because = `${lost.name} came back without a GPU; ${reasoned.because}`;
  return { do: 'move', podId: lost.id, candidates, ...reasoned, because };
}

function drainText({ seconds }: Drain, isGuess: boolean): string {
  return isGuess ? `${durationText(seconds)} at a guess` : durationText(seconds);
}

function oldestSinceMs(works: readonly QueuedWork[]): number {
  return works.reduce((oldest, { sinceMs }) => Math.min(oldest, sinceMs), Number.POSITIVE_INFINITY);
}

function isNew(sinceMs: number, scene: Scene): boolean {
  return sinceMs > (scene.lastIdleStopMs ?? Number.NEGATIVE_INFINITY);
}

function wait(because: string, untilMs?: number): PlannedAction {
  return { do: 'wait', because, untilMs };
}

function podsText(count: number): string {
  return count === 1 ? '1 pod' : `${count.toLocaleString('en-US')} pods`;
}

function jobsText(count: number): string {
  return count === 1 ? '1 job' : `${count.toLocaleString('en-US')} jobs`;
}
