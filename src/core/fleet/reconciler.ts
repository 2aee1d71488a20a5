import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { toFault } from '../kernel/fault.ts';
import type { Fault } from '../kernel/fault.ts';
import { Lifetime } from '../kernel/lifetime.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { allLaunches, isBilled, stopKey } from './fleetScene.ts';
import type { FleetBudget, FleetChange, PlannedAction, Scene } from './fleetScene.ts';
import { plan } from './plan.ts';

/** What the reconciler remembers itself, and adds to each observation. */
type Remembered = 'nowMs' | 'coolingUntilMs' | 'lastIdleStopMs';
export type ObservedScene = Omit<Scene, Remembered> & {
  /** This window has nothing to do, and why. */
  readonly idleBecause?: string;
};

export interface FleetPorts {
  /** The scene now, read anew. Pods that cannot be read are `unknown` there, not a fault. */
  observe(signal: AbortSignal): Promise<ObservedScene>;
  /**
   * Carries one action out, and returns once RunPod shows its effect; it does not wait until a pod answers. A create or
   * move goes down its list of candidates on 'noCapacity'. A stop first takes the pod out of dispatch, and is refused
   * when it has work by then.
   * @throws Fault
   */
  carryOut(change: FleetChange, signal: AbortSignal): Promise<void>;
}

export interface FleetEvent {
  readonly atMs: number;
  readonly change: FleetChange;
  /** Undefined = done. */
  readonly fault: Fault | undefined;
}

export interface ReconcilerOptions {
  readonly ports: FleetPorts;
  readonly clock: Clock;
  readonly log: Log;
}

/** Between two looks while something is under way. */
const lookMs = 10_000;
/** While pods only idle, or work only waits: for a budget, a catalogue that offers more, lower prices. */
const longestLookMs = 60_000;
/** A clock that goes back by more was set anew. */
const setBackMs = 60_000;
/** However often it is woken. */
const leastLookMs = 1_000;
const coolMs = 120_000;
const longestCoolMs = 1_800_000;
/** A pod that could not be stopped costs money: asked again soon. */
const stopCoolMs = 15_000;
const longestStopCoolMs = 120_000;
/** After a refusal that only a person can change: key, credit, a rule that we break. */
const pauseMs = 900_000;
/** By so much a budget must have grown before it is asked again: reservations melt by little and little. */
const moreLeft = 1.1;

/**
 * Observes, plans, carries out ONE action, and observes again. Runs from {@link wake} until no work waits and no pod of
 * ours is billed; then it holds no timer.
 */
export class Reconciler implements Disposable {
  readonly #life = new Lifetime();
  readonly #acted = this.#life.own(new Emitter<FleetEvent>());
  readonly #planned = this.#life.own(new Emitter<PlannedAction>());
  readonly #ports: FleetPorts;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #coolingUntilMs = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  #lastIdleStopMs: number | undefined;
  #steppedMs = Number.NEGATIVE_INFINITY;
  /** What was left of the budget when it refused a launch. */
  #refusedAtMicros: number | undefined;
  #next: PlannedAction | undefined;
  #running = false;
  #woken = false;
  #nap = new AbortController();

  constructor({ ports, clock, log }: ReconcilerOptions) {
    this.#ports = ports;
    this.#clock = clock;
    this.#log = log;
  }

  /** An action was carried out, or has failed. */
  get onDidAct(): Event<FleetEvent> {
    return this.#acted.event;
  }

  /** The plan says something else than before; a 'wait' too, with its reason. */
  get onDidPlan(): Event<PlannedAction> {
    return this.#planned.event;
  }

  /** What was planned last: shown where a person asks why no pod is started. */
  get next(): PlannedAction | undefined {
    return this.#next;
  }

  /** Something has changed: work was queued or has ended, a pod answers, a limit or a key is another. */
  wake(): void {
    this.#woken = true;
    this.#nap.abort();
    if (this.#running || this.#life.signal.aborted) return;
    this.#running = true;
    void this.#run();
  }

  /** What failed before may be tried again: the key, the credit or the limits have changed. */
  forgetFailures(): void {
    this.#coolingUntilMs.clear();
    this.#failures.clear();
    this.#refusedAtMicros = undefined;
    this.wake();
  }

  /** Pods go on as they are: each has its own idle stop. */
  dispose(): void {
    this.#life.dispose();
  }

  async #run(): Promise<void> {
    const { signal } = this.#life;
    while (!signal.aborted) {
      this.#woken = false;
      const lookedMs = this.#clock.now();
      const next = await this.#step(signal).catch((error: unknown) => {
        this.#log.error('The fleet could not be looked at', error);
        return lookedMs + lookMs;
      });
      if (next === 'rest' && !this.#woken) break;
      if (typeof next === 'number' && !this.#woken) await this.#sleep(next, signal);
      const spacingMs = Math.min(leastLookMs, lookedMs + leastLookMs - this.#clock.now());
      if (spacingMs > 0) await this.#clock.sleep(spacingMs, signal).catch(() => undefined);
    }
    this.#running = false;
    if (this.#woken) this.wake();
  }

  /** One look and at most one action; when to look next. */
  async #step(signal: AbortSignal): Promise<number | 'again' | 'rest'> {
    const observed = await this.#ports.observe(signal);
    if (signal.aborted) return 'rest';
    const nowMs = this.#clock.now();
    this.#forgetTimesAhead(nowMs);
    const action = this.#decide(observed, nowMs);
    if (action === undefined) return 'rest';
    this.#note(action);
    if (action.do === 'wait') return this.#restOrLook(observed, action.untilMs, nowMs);
    await this.#carryOut(action, observed, nowMs, signal);
    return 'again';
  }

  #decide(observed: ObservedScene, nowMs: number): PlannedAction | undefined {
    const { idleBecause } = observed;
    if (idleBecause !== undefined) return { do: 'wait', untilMs: undefined, because: idleBecause };
    const remembered = { coolingUntilMs: this.#coolingUntilMs, lastIdleStopMs: this.#lastIdleStopMs };
    return plan({ ...observed, ...remembered, budget: this.#usable(observed.budget), nowMs })[0];
  }

  /** The clock was set back: what was to end in minutes would end in hours. */
  #forgetTimesAhead(nowMs: number): void {
    if (nowMs < this.#steppedMs - setBackMs) {
      this.#coolingUntilMs.clear();
      this.#lastIdleStopMs = undefined;
    }
    this.#steppedMs = nowMs;
  }

  #restOrLook(observed: ObservedScene, untilMs: number | undefined, nowMs: number): number | 'rest' {
    const { pods, waiting, policy } = observed;
    const active = !pods.known || pods.value.some((pod) => pod.ours && isBilled(pod));
    const wanted = waiting.some((work) => work.onPods) || policy.warmPods > 0 || policy.rule.by === 'fixed';
    if (!wanted && pods.known && !active) return 'rest';
    const restful = pods.known && (waiting.length === 0 || !active);
    const lookAtMs = nowMs + (restful ? longestLookMs : lookMs);
    return Math.max(nowMs + 1_000, Math.min(lookAtMs, untilMs ?? lookAtMs));
  }

  #note(action: PlannedAction): void {
    const same = this.#next?.do === action.do && this.#next.because === action.because;
    this.#next = action;
    if (!same) this.#planned.fire(action);
  }

  async #carryOut(change: FleetChange, scene: ObservedScene, decidedMs: number, signal: AbortSignal): Promise<void> {
    let fault: Fault | undefined;
    try {
      await this.#ports.carryOut(change, signal);
    } catch (error) {
      fault = toFault(error);
    }
    if (signal.aborted) return;
    const nowMs = this.#clock.now();
    if (fault === undefined) this.#succeeded(change, scene, decidedMs, nowMs);
    else this.#failed(change, fault, scene, nowMs);
    this.#acted.fire({ atMs: nowMs, change, fault });
  }

  #succeeded(change: FleetChange, scene: ObservedScene, decidedMs: number, nowMs: number): void {
    if (change.do !== 'stop') {
      // A started pod may still come back without a GPU: it has proved nothing before it is idle.
      if (change.do !== 'start') for (const name of namesOf(change)) this.#failures.delete(name);
      return;
    }
    this.#failures.delete(stopKey(change.podId));
    if (change.cause === 'idle') {
      this.#failures.delete(change.podId);
      // What came while it was being stopped is new work.
      this.#lastIdleStopMs = decidedMs;
    }
    if (change.cause !== 'stuck' && change.cause !== 'zeroGpu') return;
    // Neither this machine nor one like it at once again.
    const pod = scene.pods.known ? scene.pods.value.find(({ id }) => id === change.podId) : undefined;
    this.#cool(change.podId, nowMs);
    if (pod !== undefined && change.cause === 'stuck') this.#cool(pod.gpu, nowMs);
  }

  #failed(change: FleetChange, fault: Fault, scene: ObservedScene, nowMs: number): void {
    if (change.do === 'stop') {
      this.#cool(stopKey(change.podId), nowMs, stopCoolMs, longestStopCoolMs);
      return;
    }
    if (fault.kind === 'overBudget' && fault.facts.delivered === 'no' && scene.budget.remainingMicros !== undefined) {
      this.#refusedAtMicros = scene.budget.remainingMicros;
      return;
    }
    switch (fault.kind) {
      case 'noCapacity':
        for (const name of namesOf(change)) this.#cool(name, nowMs);
        return;
      case 'unauthorized':
      case 'noCredit':
      case 'rejected':
      case 'overBudget':
        this.#coolingUntilMs.set(allLaunches, nowMs + pauseMs);
        return;
      case 'rateLimited':
        this.#coolingUntilMs.set(allLaunches, nowMs + (fault.facts.retryAfterMs ?? coolMs));
        return;
      default:
        // It may have taken effect: look for a while before anything is started.
        this.#coolingUntilMs.set(allLaunches, nowMs + coolMs);
        for (const name of namesOf(change).slice(0, 1)) this.#cool(name, nowMs);
    }
  }

  /** A budget that has refused a launch has nothing for another one until clearly more is left: no time heals that. */
  #usable(budget: FleetBudget): FleetBudget {
    const { remainingMicros: left } = budget;
    const refused = this.#refusedAtMicros;
    if (refused === undefined) return budget;
    if (left !== undefined && left <= refused * moreLeft) return { ...budget, remainingMicros: Math.min(left, 1) };
    this.#refusedAtMicros = undefined;
    return budget;
  }

  #cool(name: string, nowMs: number, firstMs = coolMs, longestMs = longestCoolMs): void {
    const failures = (this.#failures.get(name) ?? 0) + 1;
    this.#failures.set(name, failures);
    this.#coolingUntilMs.set(name, nowMs + Math.min(longestMs, firstMs * 2 ** (failures - 1)));
  }

  async #sleep(untilMs: number, signal: AbortSignal): Promise<void> {
    this.#nap = new AbortController();
    const either = AbortSignal.any([this.#nap.signal, signal]);
    await this.#clock.sleep(Math.max(0, untilMs - this.#clock.now()), either).catch(() => undefined);
  }
}

function namesOf(change: FleetChange): readonly string[] {
  if (change.do === 'create' || change.do === 'move') return change.candidates.map(({ key }) => key);
  return [change.podId];
}
