import type { Ledger } from '../cost/ledger.ts';
import type { PodSight } from '../cost/podMeter.ts';
import { isBilled } from '../cost/podMeter.ts';
import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { toFault } from '../kernel/fault.ts';
import { Lifetime } from '../kernel/lifetime.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { isOurs } from '../runpod/pod.ts';
import type { Pod } from '../runpod/pod.ts';
import { diskMicrosPerHour } from './podCost.ts';
import { isStopped } from './podFilter.ts';
import type { PodService } from './podService.ts';
import type { SeenPods } from './podSnapshot.ts';

export interface PodWatchOptions {
  readonly pods: PodService;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Log;
  readonly idleMs: () => number;
  /** A ComfyUI that has not answered yet may be installing for so long. */
  readonly bootMs: () => number;
  /** Prompts that run or wait on a pod; undefined = its ComfyUI does not answer. */
  readonly queueLength: (pod: Pod, signal: AbortSignal) => Promise<number | undefined>;
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
  /** Between two looks while a pod costs money. */
  readonly everyMs?: number;
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

const defaultEveryMs = 30_000;
const longestPauseMs = 300_000;
/** Once a budget is spent, a pod without work is stopped after so long: the next step of a job is under way by then. */
const defaultOverBudgetIdleMs = 60_000;

/**
 * Looks at the pods while one of them costs money, and only then: the ledger counts by these looks, and a pod of ours
 * that has had nothing to do for long enough is stopped. That is the first of three stops that do not depend on each
 * other; the pod's own watchdog and the look at every start are the others.
 */
export class PodWatch implements Disposable {
  readonly #options: PodWatchOptions;
  readonly #life = new Lifetime();
  readonly #stopped = this.#life.own(new Emitter<IdleStop>());
  readonly #quiet = new Map<string, Quiet>();
  #looking = false;
  #nap = new AbortController();
  /** Accounting is one after the other, so that an older list never follows a newer one. */
  #counting: Promise<void> = Promise.resolve();

  constructor(options: PodWatchOptions) {
    this.#options = options;
    const { pods } = options;
    this.#life.own(pods.onDidList((listing) => this.#count(listing)));
    this.#life.own(pods.onDidChange(() => this.#look()));
    this.#life.own(pods.onDidStart((podId) => this.#quiet.delete(podId)));
  }

  /** A pod was stopped because it had nothing to do. */
  readonly onDidStopIdle: Event<IdleStop> = (listener) => this.#stopped.event(listener);

  dispose(): void {
    this.#life.dispose();
  }

  #count({ pods, at }: SeenPods): void {
    const { ledger, log, idleMs } = this.#options;
    const sights = pods.map((pod) => sightOf(pod, idleMs(), this.#options.pods.hasAnswered(pod)));
    this.#counting = this.#counting
      .then(() => ledger.observePods(sights, at))
      .catch((error: unknown) => {
        const fault = toFault(error);
        if (fault.kind !== 'cancelled') log.error('The cost of pods could not be recorded', fault);
      });
  }

  /** Begins to look when a pod costs money; ends by itself. */
  #look(): void {
    if (!this.#anyBilled()) return this.#nap.abort();
    if (this.#looking) return;
    this.#looking = true;
    const ended = (): void => {
      this.#looking = false;
    };
    this.#rounds()
      .finally(ended)
      .then(
        () => this.#look(),
        (error: unknown) => {
          const fault = toFault(error);
          if (fault.kind !== 'cancelled') this.#options.log.error('Watching the pods has failed', fault);
        },
      );
  }

  #anyBilled(): boolean {
    return (this.#options.pods.lastSeen?.pods ?? []).some(isBilled);
  }

  async #rounds(): Promise<void> {
    const { pods, log, everyMs = defaultEveryMs } = this.#options;
    const { signal } = this.#life;
    let pauseMs = everyMs;
    for (let failed = false; ;) {
      if (failed || this.#anyBilled()) await this.#pause(pauseMs);
      // One more list after the last pod has stopped ends that pod's account.
      const isLast = !this.#anyBilled();
      try {
        const seen = await pods.refresh(signal);
        pauseMs = everyMs;
        failed = false;
        if (isLast && !this.#anyBilled()) return;
        await this.#stopIdle(seen, signal);
      } catch (error) {
        const fault = toFault(error);
        if (fault.kind === 'cancelled') throw fault;
        log.debug(`The pods could not be listed: ${fault.message}`);
        failed = true;
        pauseMs = Math.min(longestPauseMs, Math.max(2 * pauseMs, fault.facts.retryAfterMs ?? 0));
      }
    }
  }

  /** Ends early when the last pod has stopped, so that the end of its time is known to the second. */
  async #pause(ms: number): Promise<void> {
    const { signal } = this.#life;
    this.#nap = new AbortController();
    try {
      await this.#options.clock.sleep(ms, AbortSignal.any([signal, this.#nap.signal]));
    } catch (error) {
      if (signal.aborted) throw error;
    }
  }

  async #stopIdle(seen: readonly Pod[], signal: AbortSignal): Promise<void> {
    const { pods, isOverBudget, overBudgetIdleMs = defaultOverBudgetIdleMs } = this.#options;
    const idleMs = Math.min(this.#options.idleMs(), isOverBudget() ? overBudgetIdleMs : Infinity);
    const mayStop = (pod: Pod): boolean => isOurs(pod) || pods.wasStartedForJob(pod.id);
    const candidates = seen.filter((pod) => !isStopped(pod) && mayStop(pod) && !pod.locked);
    for (const id of this.#quiet.keys()) if (!candidates.some((pod) => pod.id === id)) this.#quiet.delete(id);
    // At once: one that cannot be stopped does not hold up the others.
    await Promise.all(candidates.map((pod) => this.#stopWhenIdle(pod, idleMs, signal)));
  }

  async #stopWhenIdle(pod: Pod, idleMs: number, signal: AbortSignal): Promise<void> {
    const { pods, log, clock, isOverBudget } = this.#options;
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
      this.#stopped.fire({ pod, idleMs: quietMs });
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

/** What the ledger counts by. */
export function sightOf(pod: Pod, idleStopMs: number, answered: boolean): PodSight {
  const { id, name, status, usdPerHourMicros, createdAtMs, startedAtMs } = pod;
  const ofOurs = isOurs(pod) ? { idleStopMs, answered } : {};
  const disks = { diskMicrosPerHour: diskMicrosPerHour(pod) };
  return { id, name, status, usdPerHourMicros, createdAtMs, startedAtMs, ...disks, ...ofOurs };
}
