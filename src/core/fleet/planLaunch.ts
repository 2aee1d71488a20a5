import { podTimeMicros, formatUsd, formatUsdPerHour } from '../cost/price.ts';
import { durationText } from '../queue/dispatch.ts';
import { drain, secondsOn, workMicros } from './drain.ts';
import type { Drain, Server, Taken } from './drain.ts';
import { allLaunches, isBilled } from './fleetScene.ts';
import type {
  FleetChange,
  FleetPod,
  FleetPolicy,
  LaunchCandidate,
  PlannedAction,
  QueuedWork,
  Scene,
} from './fleetScene.ts';
import { idleSecondsToKeep } from './idleTime.ts';

/** A new pod must take over work worth so many boots: what boot and idle time cost is then earned. */
const bootsOfWork = { priority: 0.25, balanced: 0.25, fastest: 0.1, cheapest: 2 } as const;
/** Of 'cheapest': a pod more is started when it saves an hour or more for a dollar. */
const cheapestSecondsPerUsd = 10_000;
/** A shorter saving is none: predictions are no better than that. */
const deadBand = 0.1;
/** What was just queued may be the first of many: they are looked at together. */
const settleSeconds = 5;
/** A stopped pod has its models on its disk; a new one must be so much better. */
const stoppedBonus = 0.25;
/** On an unlisted GPU; the work by which GPUs are compared is at least so much. */
const sequelSeconds = 900;
/** More than these are not compared: cheapest by work first. */
const comparedCandidates = 8;

/** A stopped pod or a candidate of the catalogue, as something to launch. */
interface Option {
  readonly pod: FleetPod | undefined;
  readonly candidate: LaunchCandidate | undefined;
  readonly gpu: string;
  readonly usdPerHourMicros: number;
  readonly bootSeconds: number;
}

interface Valued {
  readonly option: Option;
  readonly drained: Drain;
  readonly taken: Taken;
  /** What it adds to the cost of the queue: boot, idle time, and its work less what that would cost elsewhere. */
  readonly micros: number;
}

/** One launch, or why there is none. `pods` are known. */
export function planLaunch(scene: Scene, pods: readonly FleetPod[]): PlannedAction {
  const wish = wanted(scene, pods);
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
  const servers = serversOf(scene, pods);
  const before = drain(scene.waiting, servers);
  const valued = options.map((option) => value(option, scene, servers, before));
  const worth = wish.needsWorth ? valued.filter((one) => isWorth(one, before, scene)) : valued;
  if (worth.length === 0)
    return wait(`The queue drains in ${durationText(before.seconds)}: another pod is not worth it`);
  const affordable = worth.filter((one) => isAffordable(one, scene, active));
  if (affordable.length === 0) return wait(`${wish.because}, but the budget has too little left`);
  const outlook = { ...scene, waiting: withSequel(scene.waiting) };
  const likely = drain(outlook.waiting, servers);
  const scores = new Map(affordable.map((one) => [one, score(value(one.option, outlook, servers, likely), outlook)]));
  const ranked = [...affordable].sort((a, b) => (scores.get(a) ?? 0) - (scores.get(b) ?? 0));
  const [first] = ranked;
  if (first === undefined) return wait('Nothing can be launched');
  return toAction(first, ranked, wish.because, before, lost, others.length + 1);
}

interface Wish {
  readonly because: string;
  /** Held back after an idle stop. */
  readonly forWork: boolean;
  /** Must pay for its boot. */
  readonly needsWorth: boolean;
}

/** Does the rule ask for another pod? */
function wanted(scene: Scene, pods: readonly FleetPod[]): Wish | { not: string; untilMs?: number } {
  const { nowMs, policy, waiting } = scene;
  const { rule, warmPods } = policy;
  const active = pods.filter((pod) => pod.ours && isBilled(pod) && pod.phase !== 'zeroGpu');
  if (active.length < warmPods) {
    return { because: `${podsText(warmPods)} are to be kept ready`, forWork: false, needsWorth: false };
  }
  if (rule.by === 'fixed') {
    if (active.length >= rule.pods) return { not: `${podsText(rule.pods)} run, as set` };
    return { because: `${podsText(rule.pods)} are to run`, forWork: false, needsWorth: false };
  }
  const onPods = waiting.filter((work) => work.onPods);
  if (onPods.length === 0) return { not: 'No work waits for a pod' };
  const booting = active.filter((pod) => pod.phase === 'booting').length;
  const jobs = jobsText(onPods.length);
  switch (rule.by) {
    case 'queueDelay': {
      const late = onPods.filter(({ sinceMs }) => nowMs - sinceMs > rule.delaySeconds * 1_000).length;
      if (late > booting) {
        return { because: `${jobsText(late)} waited over ${rule.delaySeconds} s`, forWork: true, needsWorth: false };
      }
      const oldestMs = oldestSinceMs(onPods);
      const dueMs = oldestMs + rule.delaySeconds * 1_000 + 1;
      return { not: 'No job has waited long enough', ...(dueMs > nowMs ? { untilMs: dueMs } : {}) };
    }
    case 'queueLength': {
      const inFlight = active.reduce((sum, pod) => sum + pod.inFlight, 0);
      const target = Math.ceil((onPods.length + inFlight) / Math.max(1, rule.jobsPerPod));
      if (target <= active.length) return { not: `${podsText(active.length)} are enough by the queue's length` };
      return {
        because: `${jobs} and ${inFlight} that run ask for ${podsText(target)}`,
        forWork: true,
        needsWorth: false,
      };
    }
    case 'drain': {
      const servers = serversOf(scene, pods);
      const before = drain(waiting, servers);
      if (!Number.isFinite(before.seconds)) {
        return { because: `Nothing that runs can do ${jobs}`, forWork: true, needsWorth: false };
      }
      const settledMs = oldestSinceMs(onPods) + settleSeconds * 1_000;
      if (nowMs < settledMs) return { not: 'New work is being queued', untilMs: settledMs };
      if (before.seconds <= rule.targetWaitSeconds) {
        return { not: `The queue drains in ${durationText(before.seconds)}, which is soon enough` };
      }
      return { because: `${jobs} would take ${durationText(before.seconds)}`, forWork: true, needsWorth: true };
    }
  }
}

function serversOf({ nowMs, elsewhere }: Scene, pods: readonly FleetPod[]): readonly Server[] {
  // Pods of others count only where the dispatcher uses them: then they are told as `elsewhere`.
  const live = pods.filter((pod) => pod.ours && (pod.phase === 'ready' || pod.phase === 'booting'));
  return [
    ...live.map((pod): Server => {
      const bootedIn = pod.phase === 'ready' ? 0 : Math.max(5, pod.bootSeconds - (nowMs - pod.sinceMs) / 1_000);
      return {
        gpu: pod.gpu,
        kind: 'pod',
        readyInSeconds: bootedIn + pod.busySeconds,
        usdPerHourMicros: pod.usdPerHourMicros,
      };
    }),
    ...elsewhere.map(({ gpu, busySeconds }): Server => ({
      gpu,
      kind: 'elsewhere',
      readyInSeconds: busySeconds,
      usdPerHourMicros: 0,
    })),
  ];
}

function launchable(
  scene: Scene,
  pods: readonly FleetPod[],
  active: readonly FleetPod[],
): { options: readonly Option[]; coolsUntilMs: number | undefined; tooDear: boolean } {
  const { nowMs, coolingUntilMs, candidates, policy } = scene;
  const spentPerHour = active.reduce((sum, pod) => sum + pod.usdPerHourMicros, 0);
  const all: { option: Option; names: readonly string[] }[] = [];
  for (const pod of pods) {
    if (!pod.ours || pod.phase !== 'stopped') continue;
    const { gpu, usdPerHourMicros, bootSeconds } = pod;
    all.push({ option: { pod, candidate: undefined, gpu, usdPerHourMicros, bootSeconds }, names: [pod.id] });
  }
  for (const candidate of candidates.known ? candidates.value : []) {
    if (candidate.stock === 'NONE') continue;
    const { gpu, usdPerHourMicros, bootSeconds } = candidate;
    all.push({
      option: { pod: undefined, candidate, gpu, usdPerHourMicros, bootSeconds },
      names: [candidate.key, gpu],
    });
  }
  const within = all.filter(({ option }) => spentPerHour + option.usdPerHourMicros <= policy.maxUsdPerHourMicros);
  const coolsAt = (names: readonly string[]): number =>
    Math.max(0, ...names.map((name) => coolingUntilMs.get(name) ?? 0));
  const cool = within.filter(({ names }) => coolsAt(names) > nowMs);
  const options = within.filter(({ names }) => coolsAt(names) <= nowMs).map(({ option }) => option);
  const work = (option: Option): number =>
    option.usdPerHourMicros * scene.waiting.slice(0, 50).reduce((sum, one) => sum + secondsOn(one, option.gpu), 1);
  return {
    options: [
      ...options.filter(({ pod }) => pod !== undefined),
      ...options
        .filter(({ pod }) => pod === undefined)
        .sort((a, b) => work(a) - work(b))
        .slice(0, comparedCandidates),
    ],
    coolsUntilMs: cool.length === 0 ? undefined : Math.min(...cool.map(({ names }) => coolsAt(names))),
    tooDear: within.length < all.length,
  };
}

function value(option: Option, scene: Scene, servers: readonly Server[], before: Drain): Valued {
  const { gpu, usdPerHourMicros, bootSeconds } = option;
  const added: Server = { gpu, kind: 'pod', readyInSeconds: bootSeconds, usdPerHourMicros };
  const all = [...servers, added];
  const drained = drain(scene.waiting, all);
  const taken = drained.taken.at(-1) ?? { seconds: 0, work: 0 };
  const idle = idleSecondsToKeep(scene.gapsSeconds, option.bootSeconds, scene.policy.idleSeconds);
  const around = podTimeMicros(usdPerHourMicros, (bootSeconds + idle) * 1_000);
  const micros = around + workMicros(all, drained) - workMicros(servers, before);
  return { option, drained, taken, micros };
}

function isWorth({ option, drained, taken, micros }: Valued, before: Drain, { policy }: Scene): boolean {
  const { rule, strategy } = policy;
  const target = rule.by === 'drain' ? rule.targetWaitSeconds : 0;
  const worthSeconds = (secondsPerUsdOf(policy) * micros) / 1e6;
  return (
    before.seconds - drained.seconds >= worthSeconds &&
    before.seconds > target + option.bootSeconds &&
    taken.seconds >= bootsOfWork[strategy] * option.bootSeconds &&
    drained.seconds <= before.seconds * (1 - deadBand)
  );
}

/** Boot, at least one job and the idle time must be payable, beside what the others will still need to end theirs. */
function isAffordable({ option, taken }: Valued, scene: Scene, active: readonly FleetPod[]): boolean {
  const { remainingMicros } = scene.budget;
  if (remainingMicros === undefined) return true;
  const { least } = scene.policy.idleSeconds;
  const job = Math.max(0, ...scene.waiting.slice(0, 1).map((work) => secondsOn(work, option.gpu)));
  const ownSeconds = option.bootSeconds + Math.max(job, Math.min(taken.seconds, 2 * option.bootSeconds)) + least;
  // The work that the others have is reserved; their boots and the time until they are stopped are not.
  const promised = active.reduce((sum, pod) => {
    const seconds = least + (pod.phase === 'booting' ? pod.bootSeconds : 0);
    return sum + podTimeMicros(pod.usdPerHourMicros, seconds * 1_000);
  }, 0);
  return promised + podTimeMicros(option.usdPerHourMicros, ownSeconds * 1_000) <= remainingMicros;
}

/** The first job of a series is seldom the last: a card that suits one small job alone would be the wrong one. */
function withSequel(waiting: readonly QueuedWork[]): readonly QueuedWork[] {
  const known = waiting.reduce((sum, work) => sum + work.otherSeconds, 0);
  const times = Math.min(100, Math.ceil(sequelSeconds / Math.max(1, known)));
  return Array.from({ length: times }, () => waiting).flat();
}

/** Lower is better. */
function score(valued: Valued, scene: Scene): number {
  const plain = plainScore(valued, scene);
  return valued.option.pod === undefined ? plain : plain - Math.abs(plain) * stoppedBonus;
}

function secondsPerUsdOf({ strategy, secondsPerUsd }: FleetPolicy): number {
  return strategy === 'fastest' ? 0 : strategy === 'cheapest' ? cheapestSecondsPerUsd : secondsPerUsd;
}

function plainScore({ option, drained, taken, micros }: Valued, { policy }: Scene): number {
  switch (policy.strategy) {
    case 'fastest':
      return drained.seconds;
    case 'priority':
    case 'balanced':
      return drained.seconds + (secondsPerUsdOf(policy) * micros) / 1e6;
    case 'cheapest':
      // Of the work that it takes over, boot and idle time included.
      return taken.work === 0 ? option.usdPerHourMicros : micros / taken.work;
  }
}

function toAction(
  first: Valued,
  ranked: readonly Valued[],
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
  const candidates = ranked.flatMap((one) => (one.option.candidate === undefined ? [] : [one.option.candidate]));
  if (lost === undefined) return { do: 'create', candidates, ...reasoned };
  const because = `${lost.name} came back without a GPU; ${reasoned.because}`;
  return { do: 'move', podId: lost.id, candidates, ...reasoned, because };
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
  return count === 1 ? '1 pod' : `${count} pods`;
}

function jobsText(count: number): string {
  return count === 1 ? '1 job' : `${count} jobs`;
}
