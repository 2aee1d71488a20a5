import { podTimeMicros } from '../cost/price.ts';
import type { QueuedWork } from './fleetScene.ts';

/** A GPU that will take work. */
export interface Server {
  /** Of a pod that there is. */
  readonly podId?: string;
  readonly gpu: string;
  readonly kind: 'pod' | 'elsewhere';
  /** Until it can begin with the first of the waiting jobs: boot, and the work it has. */
  readonly readyInSeconds: number;
  /** 0 = free. */
  readonly usdPerHourMicros: number;
}

export interface Drain {
  /** Until the last of the jobs that pods can run has ended. Infinity when one of them has no server. */
  readonly seconds: number;
  /** In the order of the servers: seconds of work given to each, and how much that is on any GPU alike. */
  readonly taken: readonly Taken[];
}

export interface Taken {
  readonly seconds: number;
  /** Sum of `otherSeconds`: compares servers of different speed. */
  readonly work: number;
}

interface Line {
  readonly server: Server;
  untilSeconds: number;
  seconds: number;
  work: number;
}

export function secondsOn(work: QueuedWork, gpu: string): number {
  return work.seconds[gpu] ?? work.otherSeconds;
}

/** Places the jobs in turn where they end first, as the dispatcher will. */
export function drain(waiting: readonly QueuedWork[], servers: readonly Server[]): Drain {
  const lines = servers.map((server): Line => ({ server, untilSeconds: server.readyInSeconds, seconds: 0, work: 0 }));
  let last = 0;
  for (const work of waiting) {
    const end = (work.count ?? 1) > 1 ? placeMany(work, lines) : placeOne(work, lines);
    if (work.onPods) last = Math.max(last, end);
  }
  return { seconds: last, taken: lines.map(({ seconds, work }) => ({ seconds, work })) };
}

/** When it ends; Infinity = nobody can run it. */
function placeOne(work: QueuedWork, lines: readonly Line[]): number {
  let best: Line | undefined;
  let bestEnd = Number.POSITIVE_INFINITY;
  let bestRun = 0;
  for (const line of lines) {
    if (!canRun(line.server, work)) continue;
    const run = secondsOn(work, line.server.gpu);
    const end = line.untilSeconds + run;
    if (end >= bestEnd) continue;
    best = line;
    bestEnd = end;
    bestRun = run;
  }
  if (best === undefined) return bestEnd;
  best.untilSeconds = bestEnd;
  best.seconds += bestRun;
  best.work += work.otherSeconds;
  return bestEnd;
}

/** Many alike fill the lines up to one level, as a fluid would: a job more or less does not count there. */
function placeMany(work: QueuedWork, lines: readonly Line[]): number {
  const count = work.count ?? 1;
  const able = lines
    .filter(({ server }) => canRun(server, work))
    .map((line) => ({ line, run: Math.max(1e-3, secondsOn(work, line.server.gpu)) }))
    .sort((a, b) => a.line.untilSeconds - b.line.untilSeconds);
  let level = Number.POSITIVE_INFINITY;
  let rate = 0;
  let done = 0;
  for (const { line, run } of able) {
    if (line.untilSeconds >= level) break;
    rate += 1 / run;
    done += line.untilSeconds / run;
    level = (count + done) / rate;
  }
  for (const { line, run } of able) {
    if (line.untilSeconds >= level) break;
    line.seconds += level - line.untilSeconds;
    line.work += ((level - line.untilSeconds) / run) * work.otherSeconds;
    line.untilSeconds = level;
  }
  return level;
}

/** Is it for such a GPU at all? */
export function canRun(
  { kind, podId }: Pick<Server, 'kind' | 'podId'>,
  { onPods, onElsewhere, notOn }: QueuedWork,
): boolean {
  if (kind === 'elsewhere') return onElsewhere;
  if (!onPods || notOn === undefined || notOn.length === 0) return onPods;
  // A new pod has the image of those that have refused it.
  return podId !== undefined && !notOn.includes(podId);
}

/** Micro-dollars of the work that a drain gives to its servers; without their boots and idle times. */
export function workMicros(servers: readonly Server[], { taken }: Drain): number {
  return servers.reduce(
    (sum, server, index) => sum + podTimeMicros(server.usdPerHourMicros, (taken[index]?.seconds ?? 0) * 1_000),
    0,
  );
}
