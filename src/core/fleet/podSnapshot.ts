import type { Emitter } from '../kernel/event.ts';
import type { Fault } from '../kernel/fault.ts';
import { known, unknown } from '../kernel/observed.ts';
import type { Observed } from '../kernel/observed.ts';
import type { Clock } from '../kernel/ports.ts';
import type { Pod } from '../runpod/pod.ts';

/** Pods as they were when they were last known; ms since the epoch. */
export interface SeenPods {
  readonly pods: readonly Pod[];
  readonly at: number;
}

/** The account's pods as last listed, with what our own actions have shown of single pods since then. */
export class PodSnapshot {
  readonly #clock: Clock;
  readonly #changed: Emitter<void>;
  #pods: Observed<readonly Pod[]>;
  #lastSeen: SeenPods | undefined;
  #lastFailure: { readonly why: Fault; readonly at: number } | undefined;
  #changes = 0;

  constructor(clock: Clock, changed: Emitter<void>) {
    this.#clock = clock;
    this.#changed = changed;
    this.#pods = unknown(clock.now());
  }

  get pods(): Observed<readonly Pod[]> {
    return this.#pods;
  }

  get lastSeen(): SeenPods | undefined {
    return this.#lastSeen;
  }

  /** Counts our own changes, which a list that was asked for before them does not hold. */
  get changes(): number {
    return this.#changes;
  }

  find(podId: string): Pod | undefined {
    return this.#lastSeen?.pods.find(({ id }) => id === podId);
  }

  silence(withinMs: number): Fault | undefined {
    const failure = this.#lastFailure;
    const isRecent = failure !== undefined && this.#clock.now() - failure.at < withinMs;
    return isRecent ? failure.why : undefined;
  }

  noteSilence(why: Fault): void {
    this.#lastFailure = { why, at: this.#clock.now() };
  }

  list(pods: readonly Pod[]): void {
    this.#show(pods, this.#clock.now(), true);
  }

  fail(why: Fault): void {
    const now = this.#clock.now();
    this.#pods = unknown(this.#pods.known ? now : this.#pods.since, why);
    // A refused key may be another one at the next call.
    if (why.kind !== 'unauthorized') this.#lastFailure = { why, at: now };
    this.#changed.fire();
  }

  /** One pod is known; the others are as old as they were. */
  put(pod: Pod): Pod {
    const seen = this.#lastSeen?.pods ?? [];
    const isNew = !seen.some(({ id }) => id === pod.id);
    this.#act(isNew ? [pod, ...seen] : seen.map((one) => (one.id === pod.id ? pod : one)));
    return pod;
  }

  remove(podId: string): undefined {
    this.#act(this.#lastSeen?.pods.filter(({ id }) => id !== podId));
  }

  /** Also while the list is unknown: a pod that costs money must not be overlooked. */
  #act(pods: readonly Pod[] | undefined): void {
    this.#changes += 1;
    if (pods === undefined) return;
    this.#show(pods, this.#lastSeen?.at ?? this.#clock.now(), this.#pods.known);
  }

  #show(pods: readonly Pod[], at: number, isKnown: boolean): void {
    this.#lastSeen = { pods, at };
    if (isKnown) {
      this.#pods = known(pods, at);
      this.#lastFailure = undefined;
    }
    this.#changed.fire();
  }
}
