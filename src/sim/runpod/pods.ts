import type { Mounted, SimTime } from '../mount.ts';
import { podKeyOf } from './auth.ts';
import type { RunpodBehaviour } from './behaviour.ts';
import type { BilledPod } from './billing.ts';
import type { Catalog } from './catalog.ts';
import type { FaultBook, Operation } from './faults.ts';
import { bootLines, numbered, type LogLine } from './logs.ts';
import { place } from './placement.ts';
import {
  actionsOf,
  bootPhases,
  statusAt,
  stopped,
  terminated,
  until,
  type BootEnd,
  type PodAction,
} from './podMachine.ts';
import { containerEnv, disksOf, isReady, type PodRecord } from './podRecord.ts';
import type { PodSpec, UpdateBody } from './podRequest.ts';
import { invalid, podNotFound, Refusal } from './problem.ts';
import type { Seeded } from './seeded.ts';
import { templates } from './templates.ts';
import type { Volumes } from './volumes.ts';

export interface PodGpu {
  readonly id: string;
  readonly name: string;
  readonly memoryGb: number;
}

export type CreatePodServer = (pod: {
  id: string;
  gpu: PodGpu;
  env: Record<string, string>;
  /** Folder → files inside the image; absent = as the simulator was told. */
  models?: Record<string, string[]>;
}) => Mounted;

export interface CreateOptions {
  readonly id?: string;
  readonly inCluster?: boolean;
  readonly visibleAtOnce?: boolean;
}

export interface Pods {
  create(spec: PodSpec, options?: CreateOptions): PodRecord;
  /** Puts a pod into a state at once, as if it had been there before. */
  putInto(pod: PodRecord, status: 'RUNNING' | 'EXITED'): void;
  /** @throws Refusal 404 for a pod that is unknown, not visible yet, or terminated */
  visible(id: string): PodRecord;
  /** Those that exist, visible or not. */
  find(id: string): PodRecord | undefined;
  /** Newest first: what a list shows. */
  listed(includeClusterPods: boolean): PodRecord[];
  all(): readonly PodRecord[];
  act(pod: PodRecord, action: PodAction): void;
  update(pod: PodRecord, change: UpdateBody): void;
  /** The credit is spent: stops or terminates without asking the lock. */
  cutOff(pod: PodRecord): void;
  /** What answers on 8188, or undefined while nothing does. */
  serverOf(pod: PodRecord): Mounted | undefined;
  /** What is left of the balance, micro-dollars; null = it never ends. */
  creditMicros(): number | null;
  writeLog(pod: PodRecord, source: LogLine['source'], lines: readonly string[]): void;
  billed(): readonly BilledPod[];
  /** Called when the planned future of a pod is rewritten. */
  onReplan(listener: (pod: PodRecord) => void): () => void;
  dispose(): void;
}

export function createPods(deps: {
  readonly time: SimTime;
  readonly seed: number;
  readonly chance: Seeded;
  readonly behaviour: RunpodBehaviour;
  readonly catalog: Catalog;
  readonly faults: FaultBook;
  readonly volumes: Volumes;
  readonly createPodServer: CreatePodServer;
  /** All that the account was billed so far. */
  readonly spentMicros: () => number;
}): Pods {
  const { time, chance, behaviour, faults } = deps;
  const records: PodRecord[] = [];
  const pulled = new Set<string>();
  const timers = new Set<{ cancel(): void }>();
  const listeners = new Set<(pod: PodRecord) => void>();

  const endServer = (pod: PodRecord): void => {
    pod.server?.dispose();
    pod.server = undefined;
  };

  /** Puts a boot into the pod's future; everything that was planned before is dropped. */
  const boot = (pod: PodRecord, operation: Operation): void => {
    const now = time.now();
    endServer(pod);
    const trouble = faults.strike(
      ['stuckPulling', 'neverReady', 'crashLoop', 'errorAfterRun'],
      [operation],
      pod.id,
    )?.kind;
    const end: BootEnd = trouble ?? 'ready';
    const cacheKey = `${pod.place.dataCenterId} ${pod.spec.image}`;
    const cached = pulled.has(cacheKey);
    if (end !== 'stuckPulling') pulled.add(cacheKey);
    const [least, most] = behaviour.firstAppBootMs;
    const firstBoot = pod.boots === 0;
    const planned = bootPhases(
      now,
      {
        provisioningMs: operation === 'createPod' || operation === 'startPod' ? behaviour.provisioningMs : 0,
        startingMs: cached ? behaviour.cachedStartMs : behaviour.firstPullMs,
        appBootMs: firstBoot ? least + Math.round(chance.fraction() * (most - least)) : behaviour.nextAppBootMs,
      },
      disksOf(pod.spec),
      end,
    );
    pod.boots++;
    pod.tcpPorts = { current: 10_000 + Math.floor(chance.fraction() * 40_000), previous: pod.tcpPorts.current };
    pod.phases = [...until(pod.phases, now), ...planned];
    rewriteLog(pod, bootLines(planned, pod.spec.image, cached));
    for (const phase of planned.filter(({ status }) => status === 'ERROR').slice(0, 1)) {
      const timer = time.after(phase.from - now, () => {
        timers.delete(timer);
        if (statusAt(pod.phases, time.now()) === 'ERROR') endServer(pod);
      });
      timers.add(timer);
    }
  };

  const rewriteLog = (pod: PodRecord, lines: Parameters<typeof numbered>[0]): void => {
    const past = pod.log.filter((line) => line.at <= time.now());
    pod.log = [...past, ...numbered(lines, (past.at(-1)?.serial ?? 0) + 1)];
    for (const listener of listeners) listener(pod);
  };

  const stop = (pod: PodRecord): void => {
    const now = time.now();
    endServer(pod);
    pod.phases = stopped(pod.phases, now, disksOf(pod.spec));
    rewriteLog(pod, [{ at: now, source: 'system', line: 'stop container' }]);
  };

  const terminate = (pod: PodRecord): void => {
    const now = time.now();
    endServer(pod);
    pod.phases = terminated(pod.phases, now);
    rewriteLog(pod, [{ at: now, source: 'system', line: 'remove container' }]);
  };

  const start = (pod: PodRecord): void => {
    if (faults.strike(['hostFull'], ['startPod'], pod.id)) {
      throw new Refusal(400, 'There are not enough free GPUs on the host machine to start this pod.');
    }
    pod.zeroGpu = faults.strike(['zeroGpuRestart'], ['startPod'], pod.id) !== undefined;
    boot(pod, 'startPod');
  };

  const assertFunds = (microsPerHour: number): void => {
    const now = time.now();
    const running = records
      .filter((pod) => !['EXITED', 'TERMINATED'].includes(statusAt(pod.phases, now)))
      .reduce((sum, pod) => sum + pod.microsPerHour, 0);
    const credit = self.creditMicros();
    const poor = credit !== null && credit < microsPerHour;
    if (poor || faults.strike(['noCredit'], ['createPod'])) {
      throw new Refusal(402, 'Your balance is too low to deploy this pod. Please add credit.');
    }
    if (running + microsPerHour > behaviour.spendLimitMicrosPerHour) {
      throw new Refusal(400, 'This pod would exceed the spend limit of your account.');
    }
  };

  const self: Pods = {
    create: (spec, options = {}) => {
      const volumeId = spec.mounts.network?.[0]?.volumeId;
      const volume = volumeId === undefined ? undefined : deps.volumes.find(volumeId);
      if (volumeId !== undefined && !volume) throw new Refusal(400, `network volume '${volumeId}' not found`);
      const found = place(spec, deps.catalog, faults, behaviour.forbiddenPools, volume?.dataCenter);
      assertFunds(found.microsPerHour);
      const now = time.now();
      const dearer = faults.strike(['dearer'], ['createPod'])?.microsPerHour ?? 0;
      const pod: PodRecord = {
        id: options.id ?? chance.id(14),
        createdAt: now,
        visibleAt: options.visibleAtOnce ? now : now + behaviour.createLagMs,
        place: found,
        microsPerHour: found.microsPerHour + dearer,
        inCluster: options.inCluster ?? false,
        spec,
        phases: [],
        boots: 0,
        zeroGpu: false,
        loopbackBind: faults.strike(['loopbackBind'], ['createPod']) !== undefined,
        locked: false,
        log: [],
        tcpPorts: { current: 0, previous: 0 },
        server: undefined,
      };
      records.push(pod);
      boot(pod, 'createPod');
      return pod;
    },
    find: (id) => records.find((pod) => pod.id === id && statusAt(pod.phases, time.now()) !== 'TERMINATED'),
    visible: (id) => {
      const pod = self.find(id);
      if (!pod || time.now() < pod.visibleAt) throw podNotFound();
      return pod;
    },
    listed: (includeClusterPods) => {
      const now = time.now();
      return records
        .filter((pod) => {
          const last = pod.phases.at(-1);
          const gone = last?.status === 'TERMINATED' && now - last.from >= behaviour.deleteLagMs;
          return !gone && now >= pod.visibleAt && (includeClusterPods || !pod.inCluster);
        })
        .reverse();
    },
    all: () => records,
    act: (pod, action) => {
      if (pod.inCluster) throw new Refusal(409, 'pod is a member of a cluster; use the cluster endpoints');
      if (pod.locked && action !== 'start') throw new Refusal(400, 'Pod is locked');
      const status = statusAt(pod.phases, time.now());
      if (!actionsOf[status].includes(action)) {
        throw new Refusal(409, `action '${action}' is not valid for a pod with status ${status}`);
      }
      if (faults.strike(['ignored'], [`${action}Pod`], pod.id)) return;
      switch (action) {
        case 'start':
          return start(pod);
        case 'stop':
          return stop(pod);
        case 'restart':
          return boot(pod, 'restartPod');
        case 'terminate':
          return terminate(pod);
      }
    },
    update: (pod, wish) => {
      const change = withTemplate(wish);
      if (pod.inCluster) throw new Refusal(409, 'pod is a member of a cluster; use the cluster endpoints');
      const mounts = mergedMounts(pod.spec, change);
      if (change.locked !== undefined) pod.locked = change.locked;
      pod.spec = {
        ...pod.spec,
        name: change.name ?? pod.spec.name,
        image: change.image ?? pod.spec.image,
        args: change.args ?? pod.spec.args,
        entrypoint: change.entrypoint ?? pod.spec.entrypoint,
        cmd: change.cmd ?? pod.spec.cmd,
        diskGb: change.disk ?? pod.spec.diskGb,
        env: change.env ?? pod.spec.env,
        ports: change.ports ?? pod.spec.ports,
        registry: change.registry === undefined ? pod.spec.registry : change.registry,
        globalNetworking: change.globalNetworking ?? pod.spec.globalNetworking,
        mounts,
      };
      const status = statusAt(pod.phases, time.now());
      if (status === 'EXITED') pod.phases = stopped(pod.phases, time.now(), disksOf(pod.spec));
      const resets = (['image', 'args', 'entrypoint', 'cmd', 'disk', 'ports', 'env', 'mounts'] as const).some(
        (field) => change[field] !== undefined,
      );
      if (resets && status === 'RUNNING') boot(pod, 'updatePod');
    },
    putInto: (pod, status) => {
      const now = time.now();
      pulled.add(`${pod.place.dataCenterId} ${pod.spec.image}`);
      pod.log = [];
      if (status === 'EXITED') return stop(pod);
      const phase = { from: now, status, readyAt: now, ...disksOf(pod.spec) };
      pod.phases = [phase];
      rewriteLog(pod, bootLines(pod.phases, pod.spec.image, true));
    },
    cutOff: (pod) => {
      if (pod.spec.mounts.network?.length) stop(pod);
      else terminate(pod);
    },
    serverOf: (pod) => {
      if (!isReady(pod, time.now())) return undefined;
      const gpu = pod.place.gpu;
      pod.server ??= deps.createPodServer({
        id: pod.id,
        gpu: gpu
          ? { id: gpu.id, name: gpu.name, memoryGb: gpu.memoryGb }
          : { id: pod.spec.cpu?.id ?? 'cpu', name: 'CPU', memoryGb: 0 },
        env: containerEnv(pod, podKeyOf(pod.id, deps.seed)),
      });
      return pod.server;
    },
    creditMicros: () => (behaviour.balanceMicros === null ? null : behaviour.balanceMicros - deps.spentMicros()),
    writeLog: (pod, source, lines) => {
      const now = time.now();
      const planned = pod.log.filter((line) => line.at > now);
      rewriteLog(pod, [...lines.map((line) => ({ at: now, source, line })), ...planned]);
    },
    billed: () =>
      records.map((pod) => ({
        id: pod.id,
        name: pod.spec.name,
        phases: pod.phases,
        microsPerHour: pod.microsPerHour,
        kind: pod.spec.gpu ? 'gpu' : 'cpu',
      })),
    onReplan: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    dispose: () => {
      for (const timer of timers) timer.cancel();
      timers.clear();
      listeners.clear();
      for (const pod of records) endServer(pod);
    },
  };
  return self;
}

/** The rules of PATCH for mounts: the kind is fixed, a network volume cannot be exchanged, a disk cannot shrink. */
function mergedMounts(spec: PodSpec, change: UpdateBody): PodSpec['mounts'] {
  const wish = change.mounts;
  const { persistent, network } = spec.mounts;
  if (!wish || Object.keys(wish).length === 0) return spec.mounts;
  if ((wish.persistent && !persistent) || (wish.network && !network)) {
    throw new Refusal(400, 'the kind of a mount cannot be changed');
  }
  if (wish.network) {
    const [next] = wish.network;
    if (!next) throw new Refusal(400, 'mounts.network cannot be emptied');
    if (next.volumeId !== network?.[0]?.volumeId) throw new Refusal(400, 'a network volume cannot be exchanged');
  }
  if (wish.persistent && persistent && wish.persistent.size < persistent.size) {
    throw new Refusal(400, 'a volume disk cannot shrink');
  }
  return wish;
}

/** A template named in a PATCH is applied once; what the body says wins, `env` per key. */
function withTemplate(change: UpdateBody): UpdateBody {
  if (change.templateId === undefined) return change;
  const template = templates.find(({ id }) => id === change.templateId);
  if (!template) throw new Refusal(404, 'template not found');
  if (template.serverless) throw invalid(['$/templateId: serverless template cannot be used for a pod']);
  const { image, args, disk, ports, env } = template;
  return { image, args, disk, ports, ...change, env: { ...env, ...change.env } };
}
