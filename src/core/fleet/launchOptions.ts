import { podTimeMicros } from '../cost/price.ts';
import { drain, secondsOn, workMicros } from './drain.ts';
import type { Drain, Server, Taken } from './drain.ts';
import type { FleetPod, LaunchCandidate, QueuedWork, Scene } from './fleetScene.ts';
import { idleSecondsToKeep } from './idleTime.ts';

/** More than these are not compared: cheapest by work first. */
const comparedCandidates = 8;

/** A stopped pod or a candidate of the catalogue, as something to launch. */
export interface Option {
  readonly pod: FleetPod | undefined;
  readonly candidate: LaunchCandidate | undefined;
  readonly gpu: string;
  readonly usdPerHourMicros: number;
  readonly bootSeconds: number;
}

export interface Valued {
  readonly option: Option;
  readonly drained: Drain;
  readonly taken: Taken;
  /** What it adds to the cost of the queue: boot, idle time, and its work less what that would cost elsewhere. */
  readonly micros: number;
  /** What the whole queue costs with it. */
  readonly allMicros: number;
}

export interface Launchable {
  readonly options: readonly Option[];
  /** Undefined = nothing cools down. */
  readonly coolsUntilMs: number | undefined;
  /** The limit of dollars per hour has ruled something out. */
  readonly tooDear: boolean;
}

/** What works now, or will once it has booted. */
export function serversOf({ nowMs, elsewhere }: Scene, pods: readonly FleetPod[]): readonly Server[] {
  // Pods of others count only where the dispatcher uses them: then they are told as `elsewhere`.
  const live = pods.filter((pod) => pod.ours && (pod.phase === 'ready' || pod.phase === 'booting'));
  return [
    ...live.map((pod): Server => {
      const bootedIn = pod.phase === 'ready' ? 0 : Math.max(5, pod.bootSeconds - (nowMs - pod.sinceMs) / 1_000);
      return {
        podId: pod.id,
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

/** What can be launched beside the active pods. */
export function launchable(scene: Scene, pods: readonly FleetPod[], active: readonly FleetPod[]): Launchable {
  const { nowMs, coolingUntilMs, candidates, policy } = scene;
  const spentPerHour = active.reduce((sum, pod) => sum + pod.usdPerHourMicros, 0);
  const all: { option: Option; names: readonly string[] }[] = [];
  for (const pod of pods) {
    if (!pod.ours || pod.phase !== 'stopped' || !pod.mayStart) continue;
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
  const price = (option: Option): number =>
    option.usdPerHourMicros * scene.waiting.slice(0, 50).reduce((sum, one) => sum + secondsOn(one, option.gpu), 1);
  return {
    options: [
      ...options.filter(({ pod }) => pod !== undefined),
      ...options
        .filter(({ pod }) => pod === undefined)
        .sort((a, b) => price(a) - price(b))
        .slice(0, comparedCandidates),
    ],
    coolsUntilMs: cool.length === 0 ? undefined : Math.min(...cool.map(({ names }) => coolsAt(names))),
    tooDear: within.length < all.length,
  };
}

export function asServer({ pod, gpu, usdPerHourMicros, bootSeconds }: Option): Server {
  const named = pod === undefined ? {} : { podId: pod.id };
  return { ...named, gpu, kind: 'pod', readyInSeconds: bootSeconds, usdPerHourMicros };
}

/** What a launch would do to these jobs; `before` is their drain without it. */
export function value(
  option: Option,
  waiting: readonly QueuedWork[],
  scene: Scene,
  servers: readonly Server[],
  before: Drain,
): Valued {
  const { usdPerHourMicros, bootSeconds, candidate } = option;
  const all = [...servers, asServer(option)];
  const drained = drain(waiting, all);
  const taken = drained.taken.at(-1) ?? { seconds: 0, work: 0 };
  const idle = idleSecondsToKeep(scene.gapsSeconds, bootSeconds, scene.policy.idleSeconds);
  const around = podTimeMicros(usdPerHourMicros, (bootSeconds + idle) * 1_000) + (candidate?.diskMicros ?? 0);
  const allMicros = around + workMicros(all, drained);
  return { option, drained, taken, micros: allMicros - workMicros(servers, before), allMicros };
}
