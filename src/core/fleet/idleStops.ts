import { isBilled } from '../cost/podMeter.ts';
import type { Disposable } from '../kernel/event.ts';
import { toFault } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { isOurs } from '../runpod/pod.ts';
import type { Pod } from '../runpod/pod.ts';
import { isStopped } from './podFilter.ts';
import type { PodService } from './podService.ts';

/** Prompts that run or wait on a pod; undefined = its ComfyUI does not answer; 'closed' = it does not tell us. */
export type QueueLength = number | 'closed' | undefined;

export interface IdleStopsOptions {
  readonly pods: PodService;
  readonly clock: Clock;
  readonly log: Log;
  readonly idleMs: () => number;
  /** A ComfyUI that has not answered yet may be installing for so long. */
  readonly bootMs: () => number;
  readonly queueLength: (pod: Pod, signal: AbortSignal) => Promise<QueueLength>;
  /** Jobs of this window that use the pod, or wait for it. */
  readonly jobsOn: (pod: Pod) => number;
  /** When a job on the pod ended last, in any window; ms since the epoch, undefined = none did. */
  readonly lastJobAt: (pod: Pod) => Promise<number | undefined>;
  /** The autoscaler of some window sees to it, which has its own reasons to stop it or not. */
  readonly isFleets?: (pod: Pod) => Promise<boolean>;
  /** A budget is spent: pods wait for no further work. */
  readonly isOverBudget: () => boolean;
  /** How long a pod without work may then stay. */
  readonly overBudgetIdleMs?: number;
}

export interface IdleStop {
  readonly pod: Pod;
  readonly idleMs: number;
}

/** Of one pod, through all its states until it is stopped: one whose container fails again and again is never quiet anew. */
interface Quiet {
  /** It has had nothing to do since then. */
  since: number;
  /** Its ComfyUI has answered in this run. */
  answered: boolean;
  /** It could not be stopped, which was said. */
  failed: boolean;
}

/** Once a budget is spent, a pod without work is stopped after so long: the next step of a job is under way by then. */
const defaultOverBudgetIdleMs = 60_000;

/** Stops pods of ours that have had nothing to do for long enough, look by look. */
export class IdleStops implements Disposable {
  readonly #options: IdleStopsOptions;
  readonly #onStop: (stop: IdleStop) => void;
  readonly #starts: Disposable;
  readonly #quiet = new Map<string, Quiet>();

  constructor(options: IdleStopsOptions, onStop: (stop: IdleStop) => void) {
    this.#options = options;
    this.#onStop = onStop;
    this.#starts = options.pods.onDidStart((podId) => this.#quiet.delete(podId));
  }

  dispose(): void {
    this.#starts.dispose();
  }

  async look(seen: readonly Pod[], signal: AbortSignal): Promise<void> {
    const { pods, isOverBudget, overBudgetIdleMs = defaultOverBudgetIdleMs } = this.#options;
    const idleMs = Math.min(this.#options.idleMs(), isOverBudget() ? overBudgetIdleMs : Infinity);
    const started = await pods.startedForJobs(seen);
    const mayStop = (pod: Pod): boolean => isOurs(pod) || started.has(pod.id);
    const candidates = seen.filter((pod) => !isStopped(pod) && mayStop(pod) && !pod.locked);
    for (const id of this.#quiet.keys()) if (!candidates.some((pod) => pod.id === id)) this.#quiet.delete(id);
    // At once: one that cannot be stopped does not hold up the others.
    await Promise.all(candidates.map((pod) => this.#stopWhenIdle(pod, idleMs, signal)));
  }

  async #stopWhenIdle(pod: Pod, idleMs: number, signal: AbortSignal): Promise<void> {
    const { pods, log, clock, isOverBudget } = this.#options;
    // The agent at its door sees who uses it, and stops it when nobody does; none runs where the container has failed.
    if (pod.status !== 'ERROR' && !(await pods.opens(pod))) return;
    const quiet = this.#quiet.get(pod.id) ?? { since: clock.now(), answered: false, failed: false };
    this.#quiet.set(pod.id, quiet);
    const quietMs = await this.#quietMs(pod, quiet, signal);
    if (quietMs === undefined || quietMs < idleMs || !isBilled(pod)) return;
    // The fleet has no plan for a container that has failed.
    if (pod.status !== 'ERROR' && (await this.#isFleets(pod))) return;
    try {
      await pods.stop(pod.id, signal);
      const why = isOverBudget() ? 'a budget is spent, and it' : 'it';
      log.info(`Pod ${pod.name} was stopped: ${why} had nothing to do for ${Math.round(quietMs / 60_000)} min`);
      this.#quiet.delete(pod.id);
      this.#onStop({ pod, idleMs: quietMs });
    } catch (error) {
      const fault = toFault(error);
      if (fault.kind === 'cancelled') throw fault;
      if (!quiet.failed) log.error(`The idle pod ${pod.name} could not be stopped; it is tried again`, fault);
      quiet.failed = true;
    }
  }

  /** Without an answer it is nobody's: an idle pod must not stay. */
  async #isFleets(pod: Pod): Promise<boolean> {
    const { isFleets, log } = this.#options;
    if (isFleets === undefined) return false;
    return isFleets(pod).catch((error: unknown) => {
      log.debug(`Whether the fleet sees to ${pod.name} is not known: ${toFault(error).message}`);
      return false;
    });
  }

  /** How long the pod has had nothing to do; undefined while it works, or may still be starting. */
  async #quietMs(pod: Pod, entry: Quiet, signal: AbortSignal): Promise<number | undefined> {
    const { clock, queueLength, jobsOn, lastJobAt, bootMs } = this.#options;
    const length = hasNoComfy(pod) ? undefined : await queueLength(pod, signal);
    if (length === 'closed') {
      entry.since = clock.now();
      return undefined;
    }
    const firstAnswer = length !== undefined && !entry.answered;
    entry.answered ||= length !== undefined;
    if (jobsOn(pod) > 0 || (length ?? 0) > 0 || firstAnswer) entry.since = clock.now();
    entry.since = Math.max(entry.since, Math.min(clock.now(), (await lastJobAt(pod)) ?? 0));
    const quietMs = clock.now() - entry.since;
    return !entry.answered && quietMs < bootMs() ? undefined : quietMs;
  }
}

/** In a state that we do not know it may be at work. */
function hasNoComfy({ status }: Pod): boolean {
  return status === 'PROVISIONING' || status === 'STARTING' || status === 'ERROR';
}
