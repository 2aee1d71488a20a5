import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { toFault } from '../kernel/fault.ts';
import { Lifetime } from '../kernel/lifetime.ts';
import { once } from '../kernel/late.ts';
import type { Observed } from '../kernel/observed.ts';
import type { Log } from '../kernel/ports.ts';
import type { QueueView } from '../queue/queueView.ts';
import { isOurs } from '../runpod/pod.ts';
import type { FleetStore } from '../store/fleetStore.ts';
import { keptDecisions } from './fleetDecision.ts';
import type { FleetDecision } from './fleetDecision.ts';
import type { PlannedAction } from './fleetScene.ts';
import type { FleetPortsOptions } from './fleetPorts.ts';
import type { IdleDisk } from './idleDisks.ts';
import type { PodService } from './podService.ts';
import type { Reconciler } from './reconciler.ts';

export interface FleetOptions extends Omit<FleetPortsOptions, 'onDecision' | 'store'> {
  readonly pods: PodService;
  readonly store: FleetStore;
  readonly log: Log;
}

/** However fast the queue moves. */
const queueLookMs = 5_000;

/**
 * Starts and stops pods for queued work, within what the settings allow; with 'fleet.maxPods' 0 it does nothing. One
 * window does so at a time. Nothing is loaded and no timer runs before the first {@link wake} while it is on.
 */
export class Fleet implements Disposable {
  readonly #options: FleetOptions;
  readonly #life = new Lifetime();
  readonly #decided = this.#life.own(new Emitter<FleetDecision>());
  readonly #planned = this.#life.own(new Emitter<PlannedAction>());
  readonly #reconciler: () => Promise<Reconciler>;
  #loaded: Reconciler | undefined;
  /** Newest first; undefined = not read yet. */
  #decisions: readonly FleetDecision[] | undefined;
  #seen = '';
  #isBusy = false;
  #queueMode = '';
  #queueAtMs = 0;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#reconciler = once(() => this.#open());
    this.#life.own(options.pods.onDidChange(() => this.#lookAtPods()));
  }

  /** Automation has started or stopped a pod, or could not. */
  get onDidDecide(): Event<FleetDecision> {
    return this.#decided.event;
  }

  /** It wants to do something else than before, or waits for another reason. */
  get onDidPlan(): Event<PlannedAction> {
    return this.#planned.event;
  }

  /** Why nothing is done now, or what is being done; undefined before the first look. */
  get next(): PlannedAction | undefined {
    return this.#options.isOn() ? this.#loaded?.next : undefined;
  }

  /** Work was queued or has ended, the lead or the limits are others. */
  wake(): void {
    if (this.#life.signal.aborted || (!this.#options.isOn() && this.#loaded === undefined)) return;
    if (this.#loaded !== undefined) return this.#loaded.wake();
    this.#reconciler().then(
      (reconciler) => reconciler.wake(),
      (error: unknown) => this.#options.log.error('The fleet could not be loaded', toFault(error)),
    );
  }

  /** The queue is another. Work that goes on is looked at now and then; that it begins, ends or is let go is told at once. */
  noteQueue(view: Observed<QueueView>): void {
    if (!view.known || !this.#options.isOn()) return;
    const { counts, paused, leader } = view.value;
    const mode = `${String(counts.queued > 0)} ${String(counts.running > 0)} ${String(paused)} ${leader}`;
    const now = this.#options.clock.now();
    if (mode === this.#queueMode && Math.abs(now - this.#queueAtMs) < queueLookMs) return;
    this.#queueMode = mode;
    this.#queueAtMs = now;
    this.wake();
  }

  /** So many jobs run in this window. */
  noteJobs(running: number): void {
    const isBusy = running > 0;
    if (isBusy === this.#isBusy) return;
    this.#isBusy = isBusy;
    this.wake();
  }

  /** Settings, keys or credit have changed: what was refused may be tried again. */
  reconsider(): void {
    if (this.#loaded === undefined) this.wake();
    else this.#loaded.forgetFailures();
  }

  /** What automation did, newest first: of all windows. @throws Fault 'io' */
  async decisions(): Promise<readonly FleetDecision[]> {
    this.#decisions = await this.#options.store.decisions();
    return this.#decisions;
  }

  /** Why the pod was started or stopped last, as far as known here. */
  lastOf(podId: string): FleetDecision | undefined {
    return this.#decisions?.find((one) => one.podId === podId && one.failure === undefined);
  }

  /** Stopped pods of automation's own whose disks cost more than they are worth. @throws Fault 'io' */
  async idleDisks(chosenPodId: string | undefined): Promise<readonly IdleDisk[]> {
    const { store, clock, pods, settings } = this.#options;
    const nowMs = clock.now();
    const [{ idleDisks }, { bootSecondsOf }] = await Promise.all([import('./idleDisks.ts'), import('./fleetPods.ts')]);
    const [histories, look] = await Promise.all([store.histories(), store.look(nowMs, 0)]);
    return idleDisks(pods.pods.known ? pods.pods.value : [], {
      ...{ nowMs, histories, chosenPodId },
      bootSeconds: { first: bootSecondsOf(look, undefined), again: bootSecondsOf(look, '') },
      usdPerHourMicros: (podId) => look.lastPrices.get(podId) ?? 0,
      secondsPerUsd: settings()['routing.secondsPerUsd'],
      bootMs: settings()['cloud.readyTimeoutMinutes'] * 60_000,
    });
  }

  dispose(): void {
    this.#life.dispose();
    if (this.#loaded === undefined) return;
    this.#options.store.standDown(this.#options.owner).catch(() => undefined);
  }

  async #open(): Promise<Reconciler> {
    const { clock, log } = this.#options;
    const [{ createFleetPorts }, { Reconciler }] = await Promise.all([
      import('./fleetPorts.ts'),
      import('./reconciler.ts'),
    ]);
    await this.decisions().catch((error: unknown) => log.debug(`No decisions: ${toFault(error).message}`));
    const ports = createFleetPorts({ ...this.#options, onDecision: (decision) => this.#note(decision) });
    const reconciler = this.#life.own(new Reconciler({ ports, clock, log }));
    reconciler.onDidPlan((action) => this.#planned.fire(action));
    this.#loaded = reconciler;
    return reconciler;
  }

  #note(decision: FleetDecision): void {
    this.#decisions = [decision, ...(this.#decisions ?? [])].slice(0, keptDecisions);
    this.#decided.fire(decision);
  }

  /** A pod of ours has changed its state; its load and its uptime are no reason to look. */
  #lookAtPods(): void {
    const { pods } = this.#options;
    const seen = (pods.lastSeen?.pods ?? [])
      .filter(isOurs)
      .map((pod) => `${pod.id} ${pod.status} ${String(pods.hasAnswered(pod))} ${String(pods.pods.known)}`)
      .sort()
      .join();
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.wake();
  }
}
