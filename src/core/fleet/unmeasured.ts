import { canRun } from './drain.ts';
import type { FleetPod, QueuedWork, Scene } from './fleetScene.ts';

/**
 * A workflow that has never run is predicted as a usual image, of 20 s. It may as well be a video of ten minutes: jobs
 * take 5 s to 10 min, and over that range, each order of magnitude as likely, the mean is two minutes. A queue takes
 * the sum of its jobs' times, which goes by their mean.
 */
const meanOfUsual = 6;

export interface Reckoned {
  readonly waiting: readonly QueuedWork[];
  /** Some of it is reckoned with the mean of what is possible. */
  readonly isGuess: boolean;
}

/**
 * What waits, as the decision on a second pod reckons it: jobs that have never run have the mean time, while the only
 * machine for them is one pod that boots. A machine that is up tells soon how long they take; one that boots tells it
 * when a second one would be too late. No more than that one pod is risked on a guess.
 */
export function reckoned({ waiting, elsewhere, policy }: Scene, pods: readonly FleetPod[]): Reckoned {
  const [booting, ...others] = pods.filter(({ ours, phase }) => ours && phase === 'booting');
  if (policy.rule.by !== 'drain' || booting === undefined || others.length > 0) return { waiting, isGuess: false };
  const up = pods.filter(({ ours, phase }) => ours && phase === 'ready');
  const isFor = ({ id }: FleetPod, work: QueuedWork): boolean => canRun({ kind: 'pod', podId: id }, work);
  const isBlind = (work: QueuedWork): boolean =>
    work.unmeasured === true &&
    isFor(booting, work) &&
    !(work.onElsewhere && elsewhere.length > 0) &&
    !up.some((pod) => isFor(pod, work));
  if (!waiting.some(isBlind)) return { waiting, isGuess: false };
  return { waiting: waiting.map((work) => (isBlind(work) ? longer(work) : work)), isGuess: true };
}

function longer(work: QueuedWork): QueuedWork {
  const seconds = Object.fromEntries(Object.entries(work.seconds).map(([gpu, one]) => [gpu, one * meanOfUsual]));
  return { ...work, seconds, otherSeconds: work.otherSeconds * meanOfUsual };
}
