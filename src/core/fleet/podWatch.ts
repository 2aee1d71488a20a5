import type { Ledger } from '../cost/ledger.ts';
import type { PodSight } from '../cost/podMeter.ts';
import { isBilled } from '../cost/podMeter.ts';
import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { toFault } from '../kernel/fault.ts';
import { once } from '../kernel/late.ts';
import { Lifetime } from '../kernel/lifetime.ts';
import { isOurs } from '../runpod/pod.ts';
import type { Pod } from '../runpod/pod.ts';
import { diskMicrosPerHour } from './podCost.ts';
import type { IdleStop, IdleStops, IdleStopsOptions } from './idleStops.ts';
import type { SeenPods } from './podSnapshot.ts';

export interface PodWatchOptions extends IdleStopsOptions {
  readonly ledger: Ledger;
  /** Between two looks while a pod costs money. */
  readonly everyMs?: number;
}

const defaultEveryMs = 30_000;
const longestPauseMs = 300_000;

/**
 * Looks at the pods while one of them costs money, and only then: the ledger counts by these looks, and a pod of ours
 * that has had nothing to do for long enough is stopped. That is the first of three stops that do not depend on each
 * other; the pod's own watchdog and the look at every start are the others.
 */
export class PodWatch implements Disposable {
  readonly #options: PodWatchOptions;
  readonly #life = new Lifetime();
  readonly #stopped = this.#life.own(new Emitter<IdleStop>());
  readonly #idle: () => Promise<IdleStops>;
  #looking = false;
  #nap = new AbortController();
  /** Accounting is one after the other, so that an older list never follows a newer one. */
  #counting: Promise<void> = Promise.resolve();

  constructor(options: PodWatchOptions) {
    this.#options = options;
    const { pods } = options;
    this.#life.own(pods.onDidList((listing) => this.#count(listing)));
    this.#life.own(pods.onDidChange(() => this.#look()));
    this.#idle = once(async () => {
      const { IdleStops } = await import('./idleStops.ts');
      return this.#life.own(new IdleStops(options, (stop) => this.#stopped.fire(stop)));
    });
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
        await (await this.#idle()).look(seen, signal);
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
}

/** What the ledger counts by. */
export function sightOf(pod: Pod, idleStopMs: number, answered: boolean): PodSight {
  const { id, name, status, usdPerHourMicros, createdAtMs, startedAtMs } = pod;
  const ofOurs = isOurs(pod) ? { idleStopMs, answered } : {};
  const disks = { diskMicrosPerHour: diskMicrosPerHour(pod) };
  return { id, name, status, usdPerHourMicros, createdAtMs, startedAtMs, ...disks, ...ofOurs };
}
