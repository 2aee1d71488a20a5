import { isActive } from '../fleet/podFilter.ts';
import { comfyPort } from '../fleet/proxyAddress.ts';
import { withDeadline } from '../kernel/clock.ts';
import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { Fault, throwIfAborted, toFault } from '../kernel/fault.ts';
import { isOurs } from '../runpod/pod.ts';
import type { Pod } from '../runpod/pod.ts';
import type { Backend } from './backend.ts';
import type { BackendSource } from './backendSource.ts';
import { createPodBackend } from './podBackend.ts';
import type { PodBackendServices } from './podBackend.ts';
import type { GraphPlace } from './whoHas.ts';

export interface CloudBackendsOptions extends Omit<PodBackendServices, 'listed' | 'use' | 'isRetired'> {
  /** Undefined when no pod is configured. */
  readonly podId: () => string | undefined;
  readonly autoStart: () => boolean;
  /** Pods are started for queued jobs. */
  readonly comeByThemselves: () => boolean;
  /** Other pods of ours that run get jobs too. */
  readonly useAll: () => boolean;
  /** Serverless endpoints that get jobs after the pods. */
  readonly endpointIds: () => readonly string[];
  readonly endpoint: (endpointId: string) => Backend;
  /** The pod whose ComfyUI has this address. */
  readonly podAt: (address: string) => string | undefined;
}

/** One list serves all that one job asks. */
const sameListMs = 1_000;
/** Pods that were listed so recently are not listed before a job. */
const freshMs = 10_000;
const refreshTimeoutMs = 5_000;
/** A RunPod that did not answer is not waited for again so long: it is asked while jobs go on with what is known. */
const silentMs = 60_000;
/** One that is back answers sooner. */
const shortPatienceMs = 1_000;
const podPrefix = 'pod:';
const endpointPrefix = 'endpoint:';

/**
 * The backends on RunPod: the configured pod, started when a job needs it, then every other pod of ours while it runs, and
 * the configured endpoints. Pods appear and vanish as the account's are seen, and no other is ever started for a job.
 */
export class CloudBackends implements BackendSource {
  readonly #options: CloudBackendsOptions;
  readonly #services: PodBackendServices;
  readonly #configured: Backend;
  /** By pod id, while it is listed. */
  #others: ReadonlyMap<string, Backend> = new Map();
  #endpoints: ReadonlyMap<string, Backend> = new Map();
  readonly #uses = new Map<string, number>();
  readonly #retired = new Set<string>();
  readonly #changed = new Emitter<void>();

  constructor(options: CloudBackendsOptions) {
    this.#options = options;
    this.#services = {
      ...options,
      listed: (signal) => this.#listed(signal),
      use: (podId) => this.#use(podId),
      isRetired: (podId) => this.#retired.has(podId),
    };
    const { podId, autoStart, comeByThemselves: comesByItself } = options;
    const alias = (): string | undefined => {
      const id = podId();
      return id === undefined ? undefined : podPrefix + id;
    };
    this.#configured = createPodBackend({ ...this.#services, id: 'cloud', podId, autoStart, comesByItself, alias });
  }

  get onDidChange(): Event<void> {
    return (listener) => {
      const both = [this.#options.pods.onDidChange(listener), this.#changed.event(listener)];
      return { dispose: () => both.forEach((one) => one.dispose()) };
    };
  }

  list(): readonly Backend[] {
    const { endpoint, endpointIds } = this.#options;
    const [pods, endpoints] = [this.#others, this.#endpoints];
    this.#others = new Map(this.#otherPods().map(({ id }) => [id, pods.get(id) ?? this.#create(id)]));
    this.#endpoints = new Map(endpointIds().map((id) => [id, endpoints.get(id) ?? endpoint(id)]));
    return [this.#configured, ...this.#others.values(), ...this.#endpoints.values()];
  }

  find(id: string, address: string | undefined): Backend | undefined {
    if (id.startsWith(endpointPrefix)) {
      const endpointId = id.slice(endpointPrefix.length);
      return this.#endpoints.get(endpointId) ?? this.#options.endpoint(endpointId);
    }
    const isConfigured = id === this.#configured.id;
    if (!isConfigured && !id.startsWith(podPrefix)) return undefined;
    const at = address === undefined ? undefined : this.#options.podAt(address);
    const podId = at ?? (isConfigured ? undefined : id.slice(podPrefix.length));
    // Another pod may be the configured one by now: the job keeps the name of its own.
    if (podId === undefined || (isConfigured && podId === this.#options.podId())) return this.#configured;
    return isConfigured ? this.#create(podId, id) : (this.#others.get(podId) ?? this.#create(podId));
  }

  async refresh(signal: AbortSignal): Promise<void> {
    const { pods, clock, log, enabled, hasKey, useAll } = this.#options;
    if (!enabled() || !hasKey() || !useAll()) return;
    if (pods.pods.known && clock.now() - pods.pods.at < freshMs) return;
    // A RunPod that has just not answered would hold up the backends after it, job by job.
    if (pods.silence(freshMs) !== undefined) return;
    const told = (error: unknown): void => log.debug(`The pods are not known: ${toFault(error).message}`);
    if (pods.silence(silentMs) !== undefined) return void pods.refresh(new AbortController().signal).catch(told);
    await this.#patiently(refreshTimeoutMs, signal).catch((error: unknown) => {
      throwIfAborted(signal);
      told(error);
    });
  }

  /** Jobs of this window that use the pod, or wait for it. */
  jobsOn(podId: string): number {
    return this.#uses.get(podId) ?? 0;
  }

  /** Until it is disposed, the pod gets no further job of this window: it is about to be stopped. */
  retire(podId: string): Disposable {
    this.#retired.add(podId);
    this.#changed.fire();
    const dispose = (): void => {
      if (this.#retired.delete(podId)) this.#changed.fire();
    };
    return { dispose };
  }

  /** Where graphs can be run: the configured pod, running or not, and the others. */
  places(): readonly GraphPlace[] {
    const { pods, podId } = this.#options;
    const place = (backend: Backend, id: string, name: string): GraphPlace => {
      const runs = pods.lastSeen?.pods.some((pod) => pod.id === id && pod.status === 'RUNNING') ?? false;
      return { id: backend.id, name, address: pods.address(id), mayAsk: runs && backend.ready().ok };
    };
    this.list();
    const own = podId();
    return [
      ...(own === undefined ? [] : [place(this.#configured, own, 'the RunPod pod')]),
      ...[...this.#others].map(([id, backend]) => place(backend, id, `the ${backend.label}`)),
    ];
  }

  /** What jobs on the pod are recorded under. */
  idOf(podId: string): string {
    return podId === this.#options.podId() ? this.#configured.id : podPrefix + podId;
  }

  #create(podId: string, id = podPrefix + podId): Backend {
    const never = (): boolean => false;
    return createPodBackend({ ...this.#services, id, podId: () => podId, autoStart: never, comesByItself: never });
  }

  /** Cheapest first, where nothing else decides between them. */
  #otherPods(): readonly Pod[] {
    const { pods, podId, enabled, hasKey, useAll } = this.#options;
    if (!enabled() || !hasKey() || !useAll()) return [];
    const configured = podId();
    return (pods.lastSeen?.pods ?? [])
      .filter((pod) => pod.id !== configured && isOurs(pod) && isActive(pod) && hasComfy(pod))
      .sort((a, b) => a.usdPerHourMicros - b.usdPerHourMicros || a.name.localeCompare(b.name));
  }

  async #listed(signal: AbortSignal): Promise<readonly Pod[]> {
    const { pods, clock } = this.#options;
    if (pods.pods.known && clock.now() - pods.pods.at < sameListMs) return pods.pods.value;
    const silent = pods.silence(sameListMs);
    if (silent !== undefined) throw silent;
    return pods.silence(silentMs) === undefined ? pods.refresh(signal) : this.#patiently(shortPatienceMs, signal);
  }

  /** @throws Fault 'timeout' when the list takes longer, which every other job is spared for a while */
  async #patiently(ms: number, signal: AbortSignal): Promise<readonly Pod[]> {
    const { pods } = this.#options;
    const late = new Fault('timeout', `RunPod did not answer in ${ms / 1_000} s`, { delivered: 'no' });
    const deadline = withDeadline(signal, ms, () => late);
    try {
      return await pods.refresh(deadline.signal);
    } catch (error) {
      if (deadline.signal.aborted && !signal.aborted) pods.noteSilence(late);
      throw error;
    } finally {
      deadline.done();
    }
  }

  #use(podId: string): Disposable {
    this.#uses.set(podId, this.jobsOn(podId) + 1);
    return { dispose: () => void this.#uses.set(podId, this.jobsOn(podId) - 1) };
  }
}

function hasComfy({ ports }: Pod): boolean {
  return ports.includes(`${String(comfyPort)}/http`);
}
