import { randomUUID } from 'node:crypto';
import type { BackendManager } from './backends/backendManager.ts';
import { Contents } from './backends/contents.ts';
import type { ComfyClient, ComfyClientOptions } from './comfy/comfyClient.ts';
import type { KeyVerdict } from './checkKey.ts';
import { Budgets } from './cost/budgets.ts';
import type { BillComparison } from './cost/compareBill.ts';
import { Ledger } from './cost/ledger.ts';
import { PodDoors } from './fleet/agentDoors.ts';
import { PodLeases } from './fleet/agentLease.ts';
import type { PodTokens } from './fleet/agentToken.ts';
import { Fleet } from './fleet/fleet.ts';
import { PodService } from './fleet/podService.ts';
import type { PodTimings } from './fleet/podTimings.ts';
import type { QueueLength } from './fleet/idleStops.ts';
import { PodWatch } from './fleet/podWatch.ts';
import { storedPodRecords } from './fleet/storedPodRecords.ts';
import type { VideoTimings } from './gemini/awaitVideo.ts';
import type { Consent } from './gemini/consentQuestion.ts';
import { lazyTransport } from './http/lazyTransport.ts';
import type { NetworkSettings } from './http/transport.ts';
import { JobRunner } from './jobs/jobRunner.ts';
import type { JobRunnerOptions } from './jobs/jobRunner.ts';
import { JobRecovery } from './jobs/recoverJobs.ts';
import { throwIfAborted, toFault } from './kernel/fault.ts';
import { late, once } from './kernel/late.ts';
import type { Lifetime } from './kernel/lifetime.ts';
import type { Clock, Log, SecretId, Secrets } from './kernel/ports.ts';
import { KeyRing } from './keyRing.ts';
import { openBackends } from './openBackends.ts';
import { isOurs } from './runpod/pod.ts';
import type { Pod } from './runpod/pod.ts';
import { openRunpod } from './runpod/openRunpod.ts';
import type { RunpodClient } from './runpod/runpodClient.ts';
import type { EndpointService } from './serverless/endpointService.ts';
import { openEndpoints } from './serverless/openEndpoints.ts';
import type { Choice } from './queue/choice.ts';
import type { OpenedQueue } from './queue/createQueue.ts';
import { LateQueue } from './queue/lateQueue.ts';
import { queuePolicy, queuePrice } from './queue/queueRules.ts';
import type { QueueService } from './queue/queueView.ts';
import type { Settings } from './settings.ts';
import type { Database } from './store/database.ts';
import { openDatabase } from './store/openDatabase.ts';
import type { JobReports } from './store/jobReports.ts';

/** Where the services are. The demo differs from reality in these alone. */
export interface Addresses {
  /** Empty = none. */
  readonly localComfyUrl: string;
  /** Ends in '/v2'. */
  readonly runpodApiUrl: string;
  /** With '{podId}' and '{port}' in it. */
  readonly podProxyUrl: string;
  /** The job API of serverless endpoints, on a host of its own; ends in '/v2'. */
  readonly serverlessUrl: string;
  readonly geminiUrl: string;
}

export interface CoreOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly userAgent: string;
  readonly settings: () => Settings;
  /** Fixed for the life of the core: a changed address opens a new session. */
  readonly addresses: Addresses;
  readonly secrets: Secrets;
  /** Of the pods that we deployed. */
  readonly podTokens: PodTokens;
  /** The pod that runs jobs; undefined = none is configured. */
  readonly podId: () => string | undefined;
  /** Serverless endpoints that run jobs; absent = none. */
  readonly endpointIds?: () => readonly string[];
  readonly databaseFile: string;
  readonly network: () => NetworkSettings;
  readonly outputFolder: () => string;
  readonly onJobDone: JobRunnerOptions['onDone'];
  /** Asked before Gemini is paid for a job, unless the settings say that it always may be. */
  readonly consent: Consent;
  /** Shorter waits where the clock of the other side runs faster. */
  readonly podTimings?: PodTimings;
  readonly geminiTimings?: VideoTimings;
  /** How long a window that has gone silent keeps its jobs. */
  readonly jobLeaseMs?: number;
  /** False in an untrusted workspace: no queued job is run, and no pod is started for one. */
  readonly mayRun?: () => boolean;
  /** True when the simulator makes the pictures. */
  readonly simulated?: boolean;
  /** Between two looks at the pods while one costs money. */
  readonly podWatchEveryMs?: number;
  /** How long an idle pod may stay once a budget is spent. */
  readonly overBudgetIdleMs?: number;
}

export interface Core {
  readonly keys: KeyRing;
  /** Tries a key that is not stored yet, on the service of this session. */
  readonly checkKey: (id: SecretId, key: string, signal: AbortSignal) => Promise<KeyVerdict>;
  readonly pods: PodService;
  readonly endpoints: EndpointService;
  /** RunPod's catalogue with stock. */
  readonly gpuTypes: RunpodClient['listGpuTypes'];
  readonly podWatch: PodWatch;
  /** Starts and stops pods for queued work. */
  readonly fleet: Fleet;
  readonly ledger: Ledger;
  readonly budgets: Budgets;
  /** RunPod's bill of so many days, today included, beside the ledger. */
  compareBill(days: number, signal: AbortSignal): Promise<BillComparison>;
  /** A look at the account is due: pods of ours exist, may exist or were running when last seen. Asks nobody. */
  podsMayRun(): Promise<boolean>;
  readonly database: Database;
  readonly backends: BackendManager;
  /** Jobs of this window that use the pod, or wait for it. */
  jobsOn(podId: string): number;
  readonly jobs: JobRunner;
  readonly recovery: JobRecovery;
  /** Jobs of all windows; those that are queued are given away by one of them. */
  readonly queue: QueueService;
  readonly jobReports: JobReports;
  readonly predictBatch: OpenedQueue['predictBatch'];
  readonly choice: Choice;
}

/** Three signs of life are missed before a window counts as gone. */
const defaultJobLeaseMs = 15_000;

/** Pure wiring: nothing is sent and no timer is set before a caller asks. */
export function createCore(options: CoreOptions, life: Lifetime): Core {
  const { clock, log, mayRun = () => true } = options;
  const transport = lazyTransport(options.network, life);
  const newId = (): string => randomUUID();
  /** This window, among those that share the records. */
  const windowId = newId();

  const contents = new Contents();
  const noting = (baseUrl: string): Pick<ComfyClientOptions, 'onObjectInfo'> => ({
    onObjectInfo: (asked, info) => contents.note(baseUrl, asked, info),
  });
  const clients = new Map<string, ComfyClient>();
  const comfyAt = (baseUrl: string): ComfyClient => {
    let client = clients.get(baseUrl);
    if (client === undefined) {
      client = late<ComfyClient>(
        async () => {
          const { createComfyClient } = await import('./comfy/comfyClient.ts');
          return createComfyClient({
            ...options,
            ...noting(baseUrl),
            baseUrl,
            transport,
            token: () => doors.tokenFor(baseUrl),
          });
        },
        { baseUrl },
      );
      clients.set(baseUrl, client);
    }
    return client;
  };

  const keys = new KeyRing(options.secrets, life);
  const database = openDatabase(options, life);
  const runpod = openRunpod(options, transport, () => keys.get('runpodApiKey'));
  const endpoints = life.own(openEndpoints({ ...options, transport, apiKey: () => keys.get('runpodApiKey') }));
  const { probe } = late(async () => {
    const { createComfyProbe } = await import('./fleet/comfyProbe.ts');
    return { probe: createComfyProbe({ ...options, transport, tokenFor: (url) => doors.tokenFor(url) }) };
  });
  const podRecords = late(async () => (await import('./store/podRecords.ts')).createPodRecords(database));
  const doors = new PodDoors({
    tokens: options.podTokens,
    proxyTemplate: options.addresses.podProxyUrl,
    async nameOf(podId) {
      const pod = pods.lastSeen?.pods.find((one) => one.id === podId);
      if (pod !== undefined) return isOurs(pod) ? (pod.mark ?? pod.name) : undefined;
      return (await podRecords.owned()).find((record) => record.podId === podId)?.name;
    },
  });
  const storedRecords = storedPodRecords(podRecords, clock);
  const pods: PodService = life.own(
    new PodService({
      client: runpod,
      clock,
      log,
      records: {
        ...storedRecords,
        forget: async (name) => {
          await storedRecords.forget(name);
          await doors.forget(name);
        },
      },
      doors,
      commitments: {
        commit: (start) => budgets.commit(start),
        ended: (podId) => budgets.ended(podId),
      },
      probe,
      proxyTemplate: options.addresses.podProxyUrl,
      ...(options.podTimings === undefined ? {} : { timings: options.podTimings }),
    }),
  );

  const leases = life.own(
    new PodLeases({
      clock,
      log,
      holder: newId(),
      async agentAt(baseUrl) {
        const token = await doors.tokenFor(baseUrl);
        if (token === undefined) return undefined;
        const { createAgentClient } = await import('./fleet/agentClient.ts');
        return createAgentClient({ ...options, baseUrl, transport, token });
      },
    }),
  );

  const ledgerStore = late(async () => (await import('./store/ledgerStore.ts')).createLedgerStore(database));
  const ledger = life.own(new Ledger(ledgerStore, clock));
  const reservations = late(async () => (await import('./store/reservationStore.ts')).createReservationStore(database));
  const budgets = life.own(new Budgets({ store: reservations, ledger, clock, log, newId, settings: options.settings }));
  const queueLength = (pod: Pod, signal: AbortSignal): Promise<QueueLength> =>
    comfyAt(pods.address(pod.id))
      .queueRemaining(signal)
      .catch((error: unknown) => {
        throwIfAborted(signal);
        const { kind, message } = toFault(error);
        log.debug(`The queue of pod ${pod.name} is not known: ${message}`);
        return kind === 'unauthorized' ? 'closed' : undefined;
      });
  const lastUseAt = async ({ id, status }: Pod): Promise<number | undefined> => {
    const jobAt = await ledger.lastJobAt(cloud.idOf(id));
    const usedAt = status === 'RUNNING' ? await leases.lastUseAt(pods.address(id)) : undefined;
    return usedAt === undefined ? jobAt : Math.max(usedAt, jobAt ?? 0);
  };
  const fleetStore = late(async () => (await import('./store/fleetStore.ts')).createFleetStore(database));
  const podWatch = life.own(
    new PodWatch({
      pods,
      ledger,
      clock,
      log,
      idleMs: () => options.settings()['cloud.idleMinutes'] * 60_000,
      bootMs: () => options.settings()['cloud.readyTimeoutMinutes'] * 60_000,
      queueLength,
      jobsOn: ({ id }) => cloud.jobsOn(id),
      lastJobAt: lastUseAt,
      isFleets: ({ id }) => fleetStore.seesTo(id, clock.now()),
      isOverBudget: () => budgets.isSpent('cloud'),
      ...(options.overBudgetIdleMs === undefined ? {} : { overBudgetIdleMs: options.overBudgetIdleMs }),
      ...(options.podWatchEveryMs === undefined ? {} : { everyMs: options.podWatchEveryMs }),
    }),
  );

  const { backends, cloud, explain } = openBackends(
    {
      ...options,
      ...{ transport, newId, comfyAt, pods, keys, ledger, contents },
      endpointIds: options.endpointIds ?? (() => []),
      geminiTimings: options.geminiTimings,
      hold: (address) => leases.hold(address),
      forecaster: (job) => choice.forecaster(job),
      secondsOn: (gpu, { workflow }) => runTimes?.secondsOn(gpu, workflow),
    },
    life,
  );
  const fleet = life.own(
    new Fleet({
      ...{ clock, log, pods, budgets, queueLength, lastUseAt, store: fleetStore, owner: windowId },
      openCreates: () => storedRecords.open(),
      settings: options.settings,
      statuses: () => backends.statuses(),
      gpuTypes: (query, signal) => runpod.listGpuTypes(query, signal),
      jobsOn: (podId) => cloud.jobsOn(podId),
      backendOf: (podId) => cloud.idOf(podId),
      retire: (podId) => cloud.retire(podId),
      isOn() {
        const { 'fleet.maxPods': most, 'cloud.enabled': enabled, 'cloud.useAllPods': useAll } = options.settings();
        return most > 0 && enabled && useAll && keys.has('runpodApiKey') && mayRun();
      },
      async book() {
        const { runTimes } = await queueParts();
        if (!runTimes.isRead) await runTimes.refresh();
        return runTimes.book;
      },
    }),
  );
  const leaseMs = options.jobLeaseMs ?? defaultJobLeaseMs;
  const store = late(async () =>
    (await import('./store/jobStore.ts')).createJobStore(database, { owner: windowId, leaseMs }),
  );
  const jobs: JobRunner = life.own(
    new JobRunner({
      ...{ backends, store, leaseMs, ledger, budgets, clock, log, explain },
      outputFolder: options.outputFolder,
      onDone: async (outcome) => {
        await options.onJobDone(outcome);
        await (await queueParts()).runTimes.note(outcome);
      },
      putBack: async (...args) => (await queueParts()).schedule.putBack(...args),
      simulated: options.simulated ?? false,
    }),
  );
  const recovery = new JobRecovery({ store, jobs, backends, clock, log });
  /** Once they are needed: a quote is made at once, and waits for nothing. */
  let runTimes: OpenedQueue['runTimes'] | undefined;
  const queueParts = once(async (): Promise<OpenedQueue> => {
    const { createQueue } = await import('./queue/createQueue.ts');
    const parts = createQueue(
      {
        ...options,
        ...{ database, jobs, backends, recovery, owner: windowId, jobLeaseMs: leaseMs },
        prepare: () => keys.load(),
        policy: () => queuePolicy(options.settings()),
        mayRun,
        priceOf: (id) => queuePrice(backends, pods, id),
      },
      life,
    );
    runTimes = parts.runTimes;
    return parts;
  });
  const choice: Choice = late(async () => (await queueParts()).choice);
  const queue = life.own(new LateQueue(async () => (await queueParts()).queue, clock.now()));
  life.own(queue.onDidChange(() => fleet.noteQueue(queue.view)));
  life.own(jobs.onDidChange(() => fleet.noteJobs(jobs.running().length)));
  life.own(jobs.onDidChange(() => endpoints.noteJobs(jobs.running())));
  // What runs here is told to the other windows, where it may be cancelled.
  life.own(jobs.onDidChange(() => void queueParts().catch(() => undefined)));
  const podsMayRun = async (): Promise<boolean> => ledger.mayOwe || (await podRecords.mayRun());
  const checkKey: Core['checkKey'] = async (id, key, signal) => {
    const { runpodApiUrl, geminiUrl } = options.addresses;
    const geminiModel = options.settings()['gemini.imageModel'];
    const check = await import('./checkKey.ts');
    return check.checkKey({ ...options, transport, runpodApiUrl, geminiUrl, geminiModel }, id, key, signal);
  };
  return {
    keys,
    checkKey,
    gpuTypes: (query, signal) => runpod.listGpuTypes(query, signal),
    pods,
    endpoints,
    podWatch,
    fleet,
    ledger,
    predictBatch: async (workflow, count) => (await queueParts()).predictBatch(workflow, count),
    jobReports: late(async () => (await import('./store/jobReports.ts')).createJobReports(database)),
    budgets,
    compareBill: async (days, signal) =>
      (await import('./cost/readBill.ts')).readBill({ runpod, ledger }, days, signal),
    ...{ podsMayRun, database, backends, choice },
    jobsOn: (podId) => cloud.jobsOn(podId),
    jobs,
    recovery,
    queue,
  };
}
