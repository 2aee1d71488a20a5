import type { BackendStatus } from '../backends/backendManager.ts';
import type { Budgets } from '../cost/budgets.ts';
import type { Disposable } from '../kernel/event.ts';
import { Fault, throwIfAborted, toFault } from '../kernel/fault.ts';
import { known, unknown } from '../kernel/observed.ts';
import type { Observed } from '../kernel/observed.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { gpuKey } from '../queue/gpuSpeed.ts';
import type { SpeedBook } from '../queue/measurements.ts';
import { isOurs } from '../runpod/pod.ts';
import type { Pod } from '../runpod/pod.ts';
import type { RunpodClient } from '../runpod/runpodClient.ts';
import type { Settings } from '../settings.ts';
import type { FleetLook, FleetStore } from '../store/fleetStore.ts';
import { deployRequest } from './deployRequest.ts';
import type { FleetDecision } from './fleetDecision.ts';
import { bootSecondsOf, bootingSinceMs, phaseOf, toFleetPod, unseenPod } from './fleetPods.ts';
import type { FleetFacts, PodSigns } from './fleetPods.ts';
import { diskHours, policyOf } from './fleetPolicy.ts';
import type { FleetChange, FleetPod, LaunchCandidate } from './fleetScene.ts';
import { elsewhereOf, waitingWork } from './fleetWork.ts';
import { diskMicrosPerHour } from './podCost.ts';
import type { QueueLength } from './idleStops.ts';
import { isActive } from './podFilter.ts';
import type { IntendedPod, PodRecords } from './deployPod.ts';
import { defaultPodTimings } from './podTimings.ts';
import type { PodService } from './podService.ts';
import { rankGpus } from './rankGpus.ts';
import type { GpuCandidate } from './rankGpus.ts';
import type { FleetPorts, ObservedScene } from './reconciler.ts';
import { insteadText } from './withinBudget.ts';

export interface FleetPortsOptions {
  readonly pods: PodService;
  readonly store: FleetStore;
  /** Run times as far as they are measured. */
  readonly book: () => Promise<SpeedBook>;
  readonly statuses: () => readonly BackendStatus[];
  readonly budgets: Pick<Budgets, 'podBudget' | 'refresh' | 'uses'>;
  readonly gpuTypes: RunpodClient['listGpuTypes'];
  readonly settings: () => Settings;
  /** Automation may act: it is switched on, there is a key, the network is RunPod's. */
  readonly isOn: () => boolean;
  /** This window, among those that share the records. */
  readonly owner: string;
  /** Jobs of this window that use the pod, or wait for it. */
  readonly jobsOn: (podId: string) => number;
  readonly backendOf: (podId: string) => string;
  /** Until it is disposed, this window gives the pod no job. */
  readonly retire: (podId: string) => Disposable;
  readonly queueLength: (pod: Pod, signal: AbortSignal) => Promise<QueueLength>;
  /** When anyone used the pod last, in any window; ms since the epoch, undefined = not known. */
  readonly lastUseAt: (pod: Pod) => Promise<number | undefined>;
  /** Creates whose effect is not known: a pod may still appear. */
  readonly openCreates: PodRecords['open'];
  readonly clock: Clock;
  readonly log: Log;
  readonly onDecision: (decision: FleetDecision) => void;
}

/** Longer than the longest time between two looks of the reconciler. */
const leadMs = 90_000;
/** Prices and stock are asked for at most so often. */
const catalogueMs = 60_000;
/** Jobs further back in the queue are planned in groups. */
const plannedOneByOne = 300;

/** The account, the queue and the settings as the reconciler's scene, and its actions as ours. */
export function createFleetPorts(options: FleetPortsOptions): FleetPorts {
  const { pods, store, settings, clock, log } = options;
  const signs = new Map<string, PodSigns & { readonly phase: string }>();
  const catalogue = new Map<string, GpuCandidate>();
  let offers: { readonly at: number; readonly offered: readonly GpuCandidate[] } | undefined;
  let isLeading = false;

  return { observe, carryOut };

  async function observe(signal: AbortSignal): Promise<ObservedScene> {
    const nowMs = clock.now();
    const policy = policyOf(settings());
    if (!(await leads())) return atRest(policy);
    const [look, book] = await Promise.all([store.look(nowMs, plannedOneByOne), options.book()]);
    if (!options.budgets.uses.known) await options.budgets.refresh();
    const needsOffers = look.waiting.length > 0 || policy.warmPods > 0;
    const [listed, unseen, offered] = await Promise.all([
      listedPods(signal),
      options.openCreates(),
      needsOffers ? offersNow(signal) : known<readonly GpuCandidate[]>([], nowMs),
    ]);
    const dearest = Math.round(settings()['cloud.maxUsdPerHour'] * 1_000_000);
    const prices = new Map([...catalogue.values()].map((one) => [gpuKey(one.gpuId), one.usdPerHourMicros]));
    const facts: FleetFacts = {
      nowMs,
      look,
      book,
      backendOf: options.backendOf,
      priceOf: (gpu) => prices.get(gpu) ?? dearest,
    };
    const own = new Map(
      (listed.known ? listed.value : []).filter(isOurs).map(({ id }) => [options.backendOf(id), id] as const),
    );
    return {
      pods: listed.known
        ? known(
            [...(await fleetOf(listed.value, facts, signal)), ...unseenPods(unseen, listed.value, dearest, facts)],
            listed.at,
          )
        : listed,
      waiting: waitingWork(look, {
        ...{ book, podOf: own, gpus: [...prices.keys(), ...gpusOf(listed)] },
        localOnly: settings()['privacy.localOnly'],
      }),
      elsewhere: elsewhereOf(options.statuses(), new Set(own.keys())),
      candidates: offered.known
        ? known(
            offered.value.map((one) => toCandidate(one, look, settings()['cloud.volumeGb'])),
            offered.at,
          )
        : offered,
      policy,
      budget: options.budgets.podBudget(),
      gapsSeconds: look.gapsSeconds,
    };
  }

  async function leads(): Promise<boolean> {
    const { owner, isOn } = options;
    const now = clock.now();
    if (isOn()) return (isLeading = await store.lead(owner, now, now + leadMs));
    if (isLeading) await store.standDown(owner);
    return (isLeading = false);
  }

  /** Nothing is to be done here. */
  function atRest(policy: ObservedScene['policy']): ObservedScene {
    const none = known([], clock.now());
    const rule = { by: 'drain', targetWaitSeconds: 0 } as const;
    return {
      ...{ pods: none, waiting: [], elsewhere: [], candidates: none, gapsSeconds: [] },
      ...(options.isOn() ? { idleBecause: 'Another window of VS Code sees to the pods' } : {}),
      policy: { ...policy, rule, maxPods: 0, warmPods: 0 },
      budget: { remainingMicros: undefined, usedShare: 0 },
    };
  }

  async function listedPods(signal: AbortSignal): Promise<Observed<readonly Pod[]>> {
    try {
      return known(await pods.refresh(signal), clock.now());
    } catch (error) {
      throwIfAborted(signal);
      return unknown(clock.now(), toFault(error));
    }
  }

  async function fleetOf(listed: readonly Pod[], facts: FleetFacts, signal: AbortSignal): Promise<readonly FleetPod[]> {
    const there = listed.filter((pod) => pod.status !== 'TERMINATED');
    for (const id of signs.keys()) if (!there.some((pod) => pod.id === id)) signs.delete(id);
    return Promise.all(there.map(async (pod) => toFleetPod(pod, await signsOf(pod, facts, signal), facts)));
  }

  async function signsOf(pod: Pod, { nowMs, look }: FleetFacts, signal: AbortSignal): Promise<PodSigns> {
    const opens = !isOurs(pod) || (await pods.opens(pod));
    const runs = isOurs(pod) && opens && pod.status === 'RUNNING';
    const told = runs ? await options.queueLength(pod, signal) : undefined;
    const isClosed = !opens || told === 'closed';
    const length = told === 'closed' ? undefined : told;
    if (length !== undefined && !pods.hasAnswered(pod)) pods.noteAnswer(pod);
    const answers = runs && pods.hasAnswered(pod);
    const phase = phaseOf(pod, answers);
    const before = signs.get(pod.id);
    const seenMs = before?.phase === phase ? before.sinceMs : undefined;
    const sinceMs = phase === 'booting' ? bootingSinceMs(pod, look, nowMs, seenMs) : (seenMs ?? nowMs);
    const jobs = Math.max(length ?? 0, options.jobsOn(pod.id));
    const isBusy = jobs > 0 || look.atWork.some(({ backend }) => backend === options.backendOf(pod.id));
    const usedAt = answers && !isBusy ? await options.lastUseAt(pod) : undefined;
    const lastUsed = Math.max(before?.phase === phase ? before.usedAtMs : nowMs, Math.min(nowMs, usedAt ?? 0));
    const now = { answers, isClosed, sinceMs, usedAtMs: isBusy ? nowMs : lastUsed, jobs, phase };
    signs.set(pod.id, now);
    return now;
  }

  function unseenPods(
    open: readonly IntendedPod[],
    listed: readonly Pod[],
    dearest: number,
    { nowMs, look }: FleetFacts,
  ): readonly FleetPod[] {
    return open
      .filter(({ requestedAtMs }) => nowMs - requestedAtMs <= defaultPodTimings.visibleWithinMs)
      .filter(({ name }) => !listed.some((pod) => pod.name === name || pod.mark === name))
      .map(({ name }) => unseenPod(name, nowMs, dearest, look));
  }

  /** GPUs that fit the settings, with price and stock. */
  async function offersNow(signal: AbortSignal): Promise<Observed<readonly GpuCandidate[]>> {
    const now = clock.now();
    if (offers !== undefined && now - offers.at < catalogueMs) return known(offers.offered, offers.at);
    try {
      const own = settings();
      const cloud = own['cloud.tier'] === 'secure' ? 'SECURE' : 'COMMUNITY';
      const gpus = await options.gpuTypes({ cloud, count: 1 }, signal);
      const { candidates } = rankGpus([{ cloud, gpus }], {
        minVramGb: own['cloud.minVramGb'],
        count: 1,
        maxUsdPerHourMicros: Math.round(own['cloud.maxUsdPerHour'] * 1_000_000),
      });
      for (const one of candidates) catalogue.set(keyOf(one), one);
      offers = { at: now, offered: candidates };
      return known(candidates, now);
    } catch (error) {
      throwIfAborted(signal);
      return unknown(now, toFault(error));
    }
  }

  async function carryOut(change: FleetChange, signal: AbortSignal): Promise<void> {
    if (!(await leads())) {
      throw new Fault('unavailable', 'Another window leads the fleet, or it was switched off', { delivered: 'no' });
    }
    switch (change.do) {
      case 'start':
        return told(change, { what: 'start', ...named(change.podId) }, async () => {
          await pods.start(change.podId, signal);
          return {};
        });
      case 'stop':
        return stop(change.podId, change, signal);
      case 'move':
        await stop(change.podId, change, signal);
        return create(change, signal);
      case 'create':
        return create(change, signal);
    }
  }

  async function stop(podId: string, change: Reasoned, signal: AbortSignal): Promise<void> {
    const retired = options.retire(podId);
    try {
      await told(change, { what: 'stop', ...named(podId) }, async () => {
        await assertIdle(podId, signal);
        await pods.stop(podId, signal);
        return {};
      });
    } finally {
      retired.dispose();
    }
  }

  /** A job may have been given to it since the look. @throws Fault 'unavailable' */
  async function assertIdle(podId: string, signal: AbortSignal): Promise<void> {
    const pod = pods.lastSeen?.pods.find(({ id }) => id === podId);
    const inComfy = pod !== undefined && isActive(pod) ? await options.queueLength(pod, signal) : undefined;
    const { atWork } = await store.look(clock.now(), 0);
    const isGiven = atWork.some(({ backend }) => backend === options.backendOf(podId));
    if (inComfy === 'closed') throw new Fault('unauthorized', 'It does not tell what it does', { delivered: 'no' });
    if (isGiven || options.jobsOn(podId) > 0 || (inComfy ?? 0) > 0) {
      throw new Fault('unavailable', 'It has been given work meanwhile', { delivered: 'no' });
    }
  }

  async function create(change: Reasoned & Candidates, signal: AbortSignal): Promise<void> {
    const candidates = change.candidates.flatMap(({ key }) => catalogue.get(key) ?? []);
    await told(
      change,
      { what: 'create', podId: undefined, podName: undefined, usdPerHourMicros: undefined },
      async () => {
        const deployed = await pods.launch(deployRequest(candidates, settings()), signal);
        const { pod, candidate } = deployed;
        const instead = insteadText(deployed);
        return {
          podId: pod.id,
          podName: pod.name,
          usdPerHourMicros: pod.usdPerHourMicros || candidate.usdPerHourMicros,
          ...(instead === undefined ? {} : { because: `${change.because}; ${instead}` }),
        };
      },
    );
  }

  function named(podId: string): Pick<FleetDecision, 'podId' | 'podName' | 'usdPerHourMicros'> {
    const pod = pods.lastSeen?.pods.find(({ id }) => id === podId);
    return { podId, podName: pod?.name, usdPerHourMicros: pod?.usdPerHourMicros || undefined };
  }

  /** Does it, and tells of it either way. */
  async function told(
    { because, expected }: Reasoned,
    about: Pick<FleetDecision, 'what' | 'podId' | 'podName' | 'usdPerHourMicros'>,
    work: () => Promise<Partial<FleetDecision>>,
  ): Promise<void> {
    const decision: FleetDecision = { atMs: clock.now(), ...about, because, expected, failure: undefined };
    try {
      const done = { ...decision, ...(await work()) };
      await note({ ...done, atMs: clock.now() });
    } catch (error) {
      const fault = toFault(error);
      if (fault.kind !== 'cancelled') await note({ ...decision, atMs: clock.now(), failure: fault.message });
      throw fault;
    }
  }

  async function note(decision: FleetDecision): Promise<void> {
    const { what, podName, because, failure } = decision;
    log.info(
      `Fleet: ${what} ${podName ?? 'a pod'}${failure === undefined ? '' : ` failed: ${failure}`}. Why: ${because}`,
    );
    options.onDecision(decision);
    try {
      await store.note(decision);
    } catch (error) {
      log.warn(`A decision of the fleet is not on record: ${toFault(error).message}`);
    }
  }
}

type Reasoned = Pick<FleetChange, 'because' | 'expected'>;

interface Candidates {
  readonly candidates: readonly LaunchCandidate[];
}

function keyOf({ gpuId, cloud }: GpuCandidate): string {
  return `${gpuId} ${cloud}`;
}

function toCandidate(one: GpuCandidate, look: FleetLook, volumeGb: number): LaunchCandidate {
  const { gpuId, cloud, usdPerHourMicros, stock } = one;
  const bootSeconds = bootSecondsOf(look, undefined);
  const diskMicros = diskHours * diskMicrosPerHour({ status: 'EXITED', volumeGb, containerDiskGb: 0 });
  return { key: keyOf(one), gpu: gpuKey(gpuId), cloud, usdPerHourMicros, stock, bootSeconds, diskMicros };
}

function gpusOf(listed: Observed<readonly Pod[]>): readonly string[] {
  return listed.known ? listed.value.map((pod) => gpuKey(pod.gpu?.id)) : [];
}
