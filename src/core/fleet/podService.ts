import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { Fault, isPassing, throwIfAborted, toFault } from '../kernel/fault.ts';
import { late } from '../kernel/late.ts';
import { Lifetime } from '../kernel/lifetime.ts';
import type { Observed } from '../kernel/observed.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { isNotFound } from '../runpod/isNotFound.ts';
import { isOurs } from '../runpod/pod.ts';
import type { Pod } from '../runpod/pod.ts';
import type { RunpodClient } from '../runpod/runpodClient.ts';
import { Answers, askAgain } from './answers.ts';
import type { PodDoors } from './agentDoors.ts';
import type { ComfyProbe } from './comfyProbe.ts';
import type { DeployDeps, DeployRequest, Deployed, PodRecords } from './deployPod.ts';
import { isActive } from './podFilter.ts';
import { newPodName } from './podName.ts';
import { PodSnapshot } from './podSnapshot.ts';
import type { SeenPods } from './podSnapshot.ts';
import { defaultPodTimings } from './podTimings.ts';
import type { PodTimings } from './podTimings.ts';
import { comfyPort, proxyAddress } from './proxyAddress.ts';
import type { Reconciled } from './reconcilePods.ts';
import { SharedWaits } from './sharedWaits.ts';
import type { StoppedAll, WhichPods } from './stopAllPods.ts';
import type { PodCommitments } from '../cost/budgets.ts';
import { untilAborted } from '../kernel/untilAborted.ts';
import type { YoungPods } from './youngPods.ts';
import type { ReadyDeps, ReadyPod, ReadyProgress } from './waitUntilReady.ts';

const { stopPod, restartPod, terminatePod } = late(() => import('./podActions.ts'));
const { startedForJobs, startForJob } = late(() => import('./jobStarts.ts'));
const { reconcilePods } = late(() => import('./reconcilePods.ts'));
const { stopAllPods } = late(() => import('./stopAllPods.ts'));
const { withYoungPods } = late(() => import('./youngPods.ts'));
const { waitUntilReady } = late(() => import('./waitUntilReady.ts'));
const { deployWithinBudget, startWithinBudget } = late(() => import('./withinBudget.ts'));

/** What RunPod did not answer a moment ago, it does not answer now. */
const sameSilenceMs = 1_000;

export interface PodServiceOptions {
  readonly client: RunpodClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly records: PodRecords;
  readonly probe: ComfyProbe;
  readonly proxyTemplate: string;
  /** Of the pods that we deploy; without it they are open. */
  readonly doors?: PodDoors;
  /** Asked before any pod is started or created; without it nothing is limited. */
  readonly commitments?: PodCommitments;
  readonly timings?: PodTimings;
}

export interface WaitOptions {
  readonly readyTimeoutMs: number;
  /** False: a pod that is stopped stays so, and the wait fails. */
  readonly mayStart?: boolean;
  /** A job needs it, and no person has asked: automation may stop it again. */
  readonly forJob?: boolean;
  readonly onProgress: (progress: ReadyProgress) => void;
}

/** The account's pods: a snapshot with its age, and the actions on them, each confirmed by reading the state again. */
export class PodService implements Disposable {
  readonly #life = new Lifetime();
  readonly #changed = this.#life.own(new Emitter<void>());
  readonly #listed = this.#life.own(new Emitter<SeenPods>());
  readonly #started = this.#life.own(new Emitter<string>());
  readonly #options: PodServiceOptions;
  readonly #deps: DeployDeps & ReadyDeps;
  readonly #waits: SharedWaits<ReadyProgress, ReadyPod>;
  readonly #snapshot: PodSnapshot;
  readonly #young: YoungPods = new Map();
  #refreshing: Promise<readonly Pod[]> | undefined;
  readonly #answers = new Answers();

  constructor(options: PodServiceOptions) {
    this.#options = options;
    const { client, clock, log, records, probe, proxyTemplate } = options;
    const timings = options.timings ?? defaultPodTimings;
    const life = this.#life.signal;
    const doors = options.doors === undefined ? {} : { doors: options.doors };
    const ports = { client, clock, log, records, probe, proxyTemplate, newName: newPodName };
    const onPod = (pod: Pod): void => this.#noteMade(pod);
    const onGone = (podId: string): void => this.#noteGone(podId);
    this.#deps = { ...ports, onPod, onGone, life, ...doors, ...timings };
    this.#waits = new SharedWaits(life);
    this.#snapshot = new PodSnapshot(clock, this.#changed);
  }

  /** Fires after the snapshot has changed. */
  get onDidChange(): Event<void> {
    return this.#changed.event;
  }

  /** A complete list was read: what the ledger counts by. */
  get onDidList(): Event<SeenPods> {
    return this.#listed.event;
  }

  /** We have started or restarted the pod of this id: its boot begins anew. */
  get onDidStart(): Event<string> {
    return this.#started.event;
  }

  /** Its ComfyUI has answered since the pod was started last. */
  hasAnswered(pod: Pod): boolean {
    return this.#answers.has(pod);
  }

  /** Its ComfyUI has just answered. */
  noteAnswer(pod: Pod): void {
    this.#answers.note(pod);
  }

  /** Unknown before the first refresh, and after one that failed. */
  get pods(): Observed<readonly Pod[]> {
    return this.#snapshot.pods;
  }

  /** The pods as they were when last known, for showing them greyed while they are unknown. */
  get lastSeen(): SeenPods | undefined {
    return this.#snapshot.lastSeen;
  }

  /** Why the last list failed, when that was within `withinMs`: RunPod need not be asked again for the same job. */
  silence(withinMs: number): Fault | undefined {
    return this.#snapshot.silence(withinMs);
  }

  /** Somebody has waited in vain, and the request goes on: who comes next need not wait. */
  noteSilence(why: Fault): void {
    this.#snapshot.noteSilence(why);
  }

  /** Where a pod's ComfyUI, or another HTTP port of it, is reached; without a trailing slash. */
  address(podId: string, port = comfyPort): string {
    return proxyAddress(this.#options.proxyTemplate, podId, port);
  }

  /** The same for a browser, with what opens the pod's door in it: not to be shown or logged. */
  async link(podId: string, port = comfyPort): Promise<string> {
    const address = this.address(podId, port);
    return (await this.#options.doors?.link(podId, address)) ?? address;
  }

  /** False: its door asks for a token that is not on this computer, so another one may be at work there. */
  async opens(pod: Pod): Promise<boolean> {
    return (await this.#options.doors?.opens(pod)) ?? true;
  }

  logs(...args: Parameters<RunpodClient['streamLogs']>): ReturnType<RunpodClient['streamLogs']> {
    return this.#options.client.streamLogs(...args);
  }

  /** Lists the pods; callers at the same time share one request. */
  async refresh(signal: AbortSignal): Promise<readonly Pod[]> {
    throwIfAborted(signal);
    this.#refreshing ??= this.#list().finally(() => (this.#refreshing = undefined));
    return untilAborted(this.#refreshing, signal);
  }

  async start(podId: string, signal: AbortSignal): Promise<Pod> {
    await this.#takeInHand(podId);
    return this.#snapshot.put(await this.#start(podId, signal));
  }

  /** Undefined when the pod is gone. */
  async stop(podId: string, signal: AbortSignal): Promise<Pod | undefined> {
    const pod = await stopPod(this.#deps, podId, { young: this.#young.has(podId) }, signal);
    await this.#takeInHand(podId);
    await this.#options.commitments?.ended(podId);
    return pod === undefined ? this.#snapshot.remove(podId) : this.#snapshot.put(pod);
  }

  async restart(podId: string, signal: AbortSignal): Promise<Pod> {
    await this.#takeInHand(podId);
    const pod = await restartPod(this.#deps, podId, signal);
    this.#started.fire(podId);
    return this.#snapshot.put(pod);
  }

  /** Destroys the pod and its own disks. */
  async terminate(podId: string, signal: AbortSignal): Promise<void> {
    const pod = this.#snapshot.find(podId);
    const ageMs = pod?.createdAtMs === undefined ? Infinity : Math.abs(this.#deps.clock.now() - pod.createdAtMs);
    const young = this.#young.has(podId) || ageMs < this.#deps.visibleWithinMs;
    await this.#terminate(podId, pod, young, signal);
  }

  /** Stops pods that cost GPU time. One that fails does not keep the others running. */
  async stopAll(which: WhichPods, signal: AbortSignal): Promise<StoppedAll> {
    return stopAllPods(await this.refresh(signal), which, (podId) => this.stop(podId, signal));
  }

  /** Creates a pod and waits until its ComfyUI answers. A cancelled call terminates the pod: nothing is on it yet. */
  async deploy(request: DeployRequest, wait: WaitOptions, signal: AbortSignal): Promise<Deployed & ReadyPod> {
    const deployed = await this.launch(request, signal);
    const podId = deployed.pod.id;
    try {
      const stop = (): Promise<unknown> => this.stop(podId, this.#life.signal);
      const terminate = (): Promise<unknown> => this.#terminate(podId, deployed.pod, true);
      const ready = await waitUntilReady(this.#deps, { ...wait, podId, stop, terminate }, signal);
      this.#snapshot.put(ready.pod);
      return { ...deployed, ...ready };
    } catch (error) {
      if (signal.aborted && !this.#life.signal.aborted) await this.#terminate(podId, deployed.pod, true);
      else await this.#reread(podId);
      throw error;
    }
  }

  /** Creates a pod and does not wait for it. @throws Fault as deployPod */
  launch(request: DeployRequest, signal: AbortSignal): Promise<Deployed> {
    return deployWithinBudget(this.#options.commitments, this.#deps, request, signal);
  }

  /**
   * True once the configured pod's ComfyUI answers: at once when it runs, after a resume when it was stopped. False when
   * no pod is configured. Callers for the same pod share one wait; when the last one cancels, a pod that the wait had
   * started is stopped again.
   */
  async ensureReady(podId: string | undefined, wait: WaitOptions, signal: AbortSignal): Promise<boolean> {
    if (podId === undefined || podId === '') return false;
    if (wait.forJob !== true) await this.#takeInHand(podId);
    await this.#waits.join(
      wait.mayStart === false ? `${podId} as it is` : podId,
      (onProgress, shared) => this.#bringUp(podId, { ...wait, onProgress }, shared),
      wait.onProgress,
      signal,
    );
    return true;
  }

  /** To be called at every start: finds pods of lost answers by their recorded names, and what still runs on our account. */
  async reconcile(signal: AbortSignal): Promise<Reconciled> {
    return untilAborted(
      reconcilePods(this.#deps, () => this.refresh(this.#life.signal)),
      signal,
    );
  }

  /** Of pods that we did not deploy, the ids of those in a run that a job has started: automation may stop it again. */
  startedForJobs(listed: readonly Pod[]): Promise<ReadonlySet<string>> {
    return startedForJobs(this.#deps, listed);
  }

  dispose(): void {
    this.#life.dispose();
  }

  async #terminate(podId: string, pod: Pod | undefined, young: boolean, signal = this.#life.signal): Promise<void> {
    await terminatePod(this.#deps, podId, { young }, signal);
    this.#noteGone(podId);
    await this.#takeInHand(podId);
    if (pod !== undefined && isOurs(pod)) await this.#deps.records.forget(pod.mark ?? pod.name);
    await this.#options.commitments?.ended(podId);
  }

  /** The run that a job has started is over, or a person's from now on. */
  async #takeInHand(podId: string): Promise<void> {
    const { records, log } = this.#deps;
    await records
      .forgetStart(podId)
      .catch((error: unknown) =>
        log.warn(`That ${podId} was started for a job stays on record: ${toFault(error).message}`),
      );
  }

  async #start(podId: string, signal: AbortSignal): Promise<Pod> {
    const { name = podId } = this.#snapshot.find(podId) ?? {};
    const pod = await startWithinBudget(this.#options.commitments, this.#deps, { id: podId, name }, signal);
    this.#started.fire(podId);
    return pod;
  }

  async #bringUp(podId: string, wait: WaitOptions, signal: AbortSignal): Promise<ReadyPod> {
    const { client, probe } = this.#deps;
    const url = this.address(podId);
    const silent = this.silence(sameSilenceMs);
    const asking = silent === undefined ? client.getPod(podId, signal) : Promise.reject(silent);
    const pod = await asking.catch((error: unknown) => {
      throwIfAborted(signal);
      return this.#withoutRunpod(podId, url, toFault(error), signal);
    });
    if ('url' in pod) return pod;
    if (pod.status === 'TERMINATED') throw noSuchPod(podId);
    this.#snapshot.put(pod);
    await this.#options.doors?.assertKnown(pod);
    if (pod.status === 'RUNNING') {
      const first = await probe(url, signal);
      const answer = this.#answers.has(pod) ? await askAgain(this.#deps, url, first, signal) : first;
      if (answer.ready) {
        this.#answers.note(pod);
        wait.onProgress({ phase: 'ready', text: 'ComfyUI answers', waitedMs: 0 });
        return { pod, url, comfyVersion: answer.version };
      }
    }
    const startedByUs = !isActive(pod);
    if (startedByUs && wait.mayStart === false) {
      throw new Fault('unavailable', `The pod ${pod.name} was stopped`, { delivered: 'no' });
    }
    try {
      if (startedByUs) {
        const start = (): Promise<Pod> => this.#start(podId, signal);
        const noted = wait.forJob === true && !isOurs(pod);
        this.#snapshot.put(await (noted ? startForJob(this.#deps, pod, start) : start()));
      }
      const stop = (): Promise<unknown> => this.stop(podId, this.#life.signal);
      const ready = await waitUntilReady(this.#deps, { ...wait, podId, ...(startedByUs ? { stop } : {}) }, signal);
      this.#snapshot.put(ready.pod);
      this.#answers.note(ready.pod);
      return ready;
    } catch (error) {
      if (startedByUs && signal.aborted && !this.#life.signal.aborted) await this.stop(podId, this.#life.signal);
      else await this.#reread(podId);
      throw error;
    }
  }

  /** RunPod does not answer; a pod that ran when last seen may run on, which its ComfyUI can say. @throws Fault why */
  async #withoutRunpod(podId: string, url: string, why: Fault, signal: AbortSignal): Promise<ReadyPod> {
    if (isNotFound(why)) throw noSuchPod(podId);
    const pod = this.#snapshot.find(podId);
    if (pod?.status !== 'RUNNING' || !isPassing(why) || why.kind === 'unauthorized') throw why;
    const answer = await this.#deps.probe(url, signal);
    if (!answer.ready) throw why;
    return { pod, url, comfyVersion: answer.version };
  }

  async #list(): Promise<readonly Pod[]> {
    try {
      for (;;) {
        const before = this.#snapshot.changes;
        const pods = await this.#listAll();
        if (before !== this.#snapshot.changes) continue;
        this.#snapshot.list(pods);
        this.#listed.fire({ pods, at: this.#deps.clock.now() });
        return pods;
      }
    } catch (error) {
      const why = toFault(error);
      if (!this.#life.signal.aborted) this.#snapshot.fail(why);
      throw why;
    }
  }

  async #listAll(): Promise<readonly Pod[]> {
    const { signal } = this.#life;
    const listed = await this.#deps.client.listPods(signal);
    if (this.#young.size === 0) return listed;
    return withYoungPods(this.#deps, this.#young, listed, (podId) => this.#snapshot.find(podId), signal);
  }

  #noteMade(pod: Pod): void {
    this.#young.set(pod.id, this.#deps.clock.now() + this.#deps.visibleWithinMs);
    this.#snapshot.put(pod);
  }

  #noteGone(podId: string): void {
    this.#young.delete(podId);
    this.#snapshot.remove(podId);
  }

  /** Shows what an action that failed has left behind. It must not hide the failure. */
  async #reread(podId: string): Promise<void> {
    try {
      this.#snapshot.put(await this.#options.client.getPod(podId, this.#life.signal));
    } catch (error) {
      this.#options.log.debug(`Pod ${podId} could not be read again: ${toFault(error).message}`);
    }
  }
}

function noSuchPod(podId: string): Fault {
  return new Fault('mismatch', `RunPod has no pod '${podId}'`, { delivered: 'no', nextStep: 'Choose another pod.' });
}
