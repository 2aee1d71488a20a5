import { podTimeMicros } from '../cost/price.ts';
import { canRun, drain, secondsOn } from './drain.ts';
import type { Drain, Server } from './drain.ts';
import { countOf } from './fleetScene.ts';
import type { FleetPod, FleetPolicy, QueuedWork, Scene } from './fleetScene.ts';
import { asServer, value } from './launchOptions.ts';
import type { Option, Valued } from './launchOptions.ts';

/** A new pod must take over work worth so many boots: what boot and idle time cost is then earned. */
const bootsOfWork = { priority: 0.25, balanced: 0.25, fastest: 0.1, cheapest: 2 } as const;
/** Of 'cheapest': a pod more is started when it saves an hour or more for a dollar. */
const cheapestSecondsPerUsd = 10_000;
/** A shorter saving is none: predictions are no better than that. */
const deadBand = 0.1;
/** On an unlisted GPU; the work by which GPUs are compared is at least so much. */
const sequelSeconds = 900;
/** A stopped pod is passed over only where, by the strategy's own measure, a new one is so many times better. */
export const muchBetter = 3;

/** Why something is launched at all. */
export interface Wish {
  readonly because: string;
  /** Held back after an idle stop. */
  readonly forWork: boolean;
  /** Must pay for its boot. */
  readonly needsWorth: boolean;
}

export interface Chosen {
  readonly first: Valued;
  /** New pods, best first. */
  readonly created: readonly Valued[];
  /** Why a stopped pod is not started instead, a sentence's part; undefined = there is none. */
  readonly passedOver: string | undefined;
}

/**
 * What to launch of the options: a stopped pod before any new one, since its disk is paid for and has the models. Only
 * where the person's own measure (time, money or both) is {@link muchBetter} times better with a new pod, or the
 * stopped one would not earn its boot or is beyond the budget, it is left as it is.
 */
export function chooseLaunch(
  options: readonly Option[],
  wish: Wish,
  scene: Scene,
  servers: readonly Server[],
  before: Drain,
  active: readonly FleetPod[],
): Chosen | 'notWorth' | 'noBudget' {
  const { waiting } = scene;
  const valued = options
    .filter((option) => !wish.forWork || waiting.some((work) => canRun(asServer(option), work)))
    .map((option) => value(option, waiting, scene, servers, before));
  const worth = wish.needsWorth ? valued.filter((one) => isWorth(one, before, scene)) : valued;
  if (worth.length === 0) return 'notWorth';
  const affordable = worth.filter((one) => isAffordable(one, scene, active));
  if (affordable.length === 0) return 'noBudget';

  const outlook = withSequel(waiting);
  const likely = outlook === waiting ? before : drain(outlook, servers);
  const judged = affordable.map((one) => {
    const later = outlook === waiting ? one : value(one.option, outlook, scene, servers, likely);
    return { one, later, score: score(later, scene) };
  });
  judged.sort((a, b) => (a.score === b.score ? 0 : a.score - b.score));
  const stopped = judged.find(({ one }) => one.option.pod !== undefined);
  const fresh = judged.filter(({ one }) => one.option.pod === undefined);
  const created = fresh.map(({ one }) => one);
  const [best] = fresh;
  if (best === undefined && stopped !== undefined) return { first: stopped.one, created, passedOver: undefined };
  if (best === undefined) return 'notWorth';
  if (stopped === undefined) return { first: best.one, created, passedOver: leftOut(valued, worth) };
  const worse = muchWorse(stopped.later, best.later, scene.policy);
  if (worse === undefined) return { first: stopped.one, created, passedOver: undefined };
  const passedOver = `${nameOf(stopped.one)} stays stopped, since ${worse} on its ${stopped.one.option.gpu}`;
  return { first: best.one, created, passedOver };
}

/** Why a stopped pod is not among those to choose from. */
function leftOut(valued: readonly Valued[], worth: readonly Valued[]): string | undefined {
  const stopped = valued.find(({ option }) => option.pod !== undefined);
  if (stopped === undefined) return undefined;
  const why = worth.includes(stopped) ? 'the budget has too little left for it' : 'it would not earn its boot';
  return `${nameOf(stopped)} stays stopped, since ${why}`;
}

function nameOf({ option }: Valued): string {
  return option.pod?.name ?? option.gpu;
}

/** Says how much worse the stopped pod is, if it is so by far. */
function muchWorse(stopped: Valued, created: Valued, policy: FleetPolicy): string | undefined {
  const seconds = stopped.drained.seconds / created.drained.seconds;
  const money = stopped.allMicros / Math.max(1, created.allMicros);
  const time = (times: number): string => `the queue would take ${times.toFixed(1)} times as long`;
  const cost = (times: number): string => `the work would cost ${times.toFixed(1)} times as much`;
  switch (policy.strategy) {
    case 'fastest':
      return seconds > muchBetter ? time(seconds) : undefined;
    case 'cheapest':
      return money > muchBetter ? cost(money) : undefined;
    case 'priority':
    case 'balanced': {
      const both = wholeScore(stopped, policy) / wholeScore(created, policy);
      if (!(both > muchBetter)) return undefined;
      return seconds >= money ? time(seconds) : cost(money);
    }
  }
}

function wholeScore({ drained, allMicros }: Valued, { secondsPerUsd }: FleetPolicy): number {
  return drained.seconds + (secondsPerUsd * allMicros) / 1e6;
}

/** Lower is better. */
function score({ option, drained, taken, micros }: Valued, { policy }: Scene): number {
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

function secondsPerUsdOf({ strategy, secondsPerUsd }: FleetPolicy): number {
  return strategy === 'fastest' ? 0 : strategy === 'cheapest' ? cheapestSecondsPerUsd : secondsPerUsd;
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
  const { remainingMicros, holdSeconds = 0 } = scene.budget;
  if (remainingMicros === undefined) return true;
  // It would be refused.
  if (podTimeMicros(option.usdPerHourMicros, holdSeconds * 1_000) > remainingMicros) return false;
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
  if (countOf(waiting) === 0) return waiting;
  const known = waiting.reduce((sum, { otherSeconds, count = 1 }) => sum + otherSeconds * count, 0);
  const times = Math.min(100, Math.ceil(sequelSeconds / Math.max(1, known)));
  return times <= 1 ? waiting : Array.from({ length: times }, () => waiting).flat();
}
