/** Failures on command: JSON data, set while the simulator runs. */
export type Operation =
  | 'listPods'
  | 'createPod'
  | 'getPod'
  | 'updatePod'
  | 'deletePod'
  | 'podAction'
  | 'startPod'
  | 'stopPod'
  | 'restartPod'
  | 'terminatePod'
  | 'getPodLogs'
  | 'listGpuTypes'
  | 'getGpuType'
  | 'listCpuTypes'
  | 'getCpuType'
  | 'listDataCenters'
  | 'getDataCenter'
  | 'listPublicTemplates'
  | 'listBilling'
  | 'listPodBilling'
  | 'listNetworkVolumeBilling'
  | 'listNetworkVolumes'
  | 'getNetworkVolume'
  | 'createNetworkVolume'
  | 'deleteNetworkVolume'
  | 'proxy'
  | 'listEndpoints'
  | 'createEndpoint'
  | 'getEndpoint'
  | 'updateEndpoint'
  | 'deleteEndpoint'
  | 'listEndpointWorkers'
  | 'getWorkerLogs'
  | 'listEndpointReleases'
  | 'listServerlessBilling'
  // the job API
  | 'runJob'
  | 'runJobSync'
  | 'getJobStatus'
  | 'streamJob'
  | 'cancelJob'
  | 'retryJob'
  | 'purgeQueue'
  | 'getEndpointHealth'
  // nobody's request: a worker of an endpoint starts, or takes a job
  | 'startWorker'
  | 'workJob';

/** When a failure of the wire strikes: before the request has an effect, or after it ('lost reply'). */
export type Moment = 'before' | 'after';

/** `hugeEvent`: the first line is over 1 MiB; `burst`: 5000 lines at once; `repeatOnResume`: the last event again; `bare`: neither ids nor JSON. */
export type StrangeLog = 'crlf' | 'notJson' | 'silent' | 'hugeEvent' | 'burst' | 'repeatOnResume' | 'noIds' | 'bare';

export type Failure =
  // the wire, for any operation
  | { readonly kind: 'status'; readonly status: number; readonly effect: Moment; readonly detail?: string }
  | { readonly kind: 'reset'; readonly effect: Moment }
  | { readonly kind: 'hang'; readonly effect: Moment }
  /** simulated ms: between the effect and the reply, or before either */
  | { readonly kind: 'delay'; readonly ms: number; readonly effect?: Moment }
  | { readonly kind: 'truncatedJson' }
  | { readonly kind: 'html' }
  | { readonly kind: 'rateLimited'; readonly window?: 'minute' | 'hour' | 'day'; readonly retryAfterSeconds?: number }
  // the account
  | { readonly kind: 'apiDown' }
  | { readonly kind: 'revokedKey' }
  | { readonly kind: 'cloudflare1010' }
  /** RunPod's clock minus ours, simulated ms: in the Date header and every time stamp */
  | { readonly kind: 'clockSkew'; readonly ms: number }
  // pods
  | { readonly kind: 'noCapacity'; readonly gpuIds?: readonly string[]; readonly inCatalogue?: boolean }
  | { readonly kind: 'noCredit' }
  | { readonly kind: 'hostFull' }
  | { readonly kind: 'zeroGpuRestart' }
  | { readonly kind: 'stuckPulling' }
  | { readonly kind: 'neverReady' }
  | { readonly kind: 'crashLoop' }
  | { readonly kind: 'errorAfterRun' }
  /** ComfyUI listens on the pod's own loopback: 502 for ever */
  | { readonly kind: 'loopbackBind' }
  /** An action is answered as taken, and nothing happens. */
  | { readonly kind: 'ignored' }
  /** micro-dollars per hour more than the catalogue says */
  | { readonly kind: 'dearer'; readonly microsPerHour: number }
  // serverless workers; `podId` of a rule is the endpoint's id
  /** It crashes all the time, and is shown RUNNING. */
  | { readonly kind: 'looksRunning' }
  /** simulated ms after it took a job */
  | { readonly kind: 'workerDies'; readonly afterMs: number }
  /** The handler returns this instead of running the job. */
  | { readonly kind: 'handlerReply'; readonly reply: object }
  | { readonly kind: 'handlerRaises'; readonly message: string }
  /** The job ends, and a late progress message leaves it shown IN_PROGRESS for ever. */
  | { readonly kind: 'lateProgress' }
  /** No fault: the handler yields these one after the other, simulated ms apart, while the job runs. */
  | { readonly kind: 'yields'; readonly outputs: readonly unknown[]; readonly everyMs: number }
  // log streams
  | { readonly kind: 'cutLog'; readonly afterLines: number; readonly how: 'event' | 'midFrame' | 'midCharacter' }
  | { readonly kind: 'strangeLog'; readonly with: StrangeLog }
  // WebSockets at the proxy, simulated ms after the upgrade
  | { readonly kind: 'cutSocket'; readonly afterMs: number; readonly how: 'close' | 'reset' | 'mute' };

export type FailureKind = Failure['kind'];

export interface FaultRule {
  readonly failure: Failure;
  /** only these operations; left out = every operation that the failure concerns */
  readonly on?: readonly Operation[];
  readonly podId?: string;
  /** how often it strikes; left out = until cleared */
  readonly times?: number;
}

export interface ActiveFault extends FaultRule {
  readonly id: number;
  readonly struck: number;
}

export interface Faults {
  set(rule: FaultRule): number;
  /** Without an id: all. */
  clear(id?: number): void;
  list(): readonly ActiveFault[];
}

type Of<K extends FailureKind> = Extract<Failure, { kind: K }>;

/** The simulator's own view: asking for a failure uses up one strike of it. */
export interface FaultBook extends Faults {
  strike<K extends FailureKind>(
    kinds: readonly K[],
    operations: readonly Operation[],
    podId?: string,
    when?: (failure: Of<K>) => boolean,
  ): Of<K> | undefined;
  /** Looks without using it up. */
  holds<K extends FailureKind>(kind: K): Of<K> | undefined;
}

export function createFaults(): FaultBook {
  const rules: { id: number; rule: FaultRule; struck: number }[] = [];
  let next = 1;
  const spent = (entry: { rule: FaultRule; struck: number }): boolean =>
    entry.rule.times !== undefined && entry.struck >= entry.rule.times;
  return {
    set: (rule) => {
      rules.push({ id: next, rule, struck: 0 });
      return next++;
    },
    clear: (id) => {
      if (id === undefined) rules.length = 0;
      else rules.splice(0, rules.length, ...rules.filter((entry) => entry.id !== id));
    },
    list: () => rules.filter((entry) => !spent(entry)).map(({ id, rule, struck }) => ({ ...rule, id, struck })),
    strike: <K extends FailureKind>(
      kinds: readonly K[],
      operations: readonly Operation[],
      podId?: string,
      when?: (failure: Of<K>) => boolean,
    ) => {
      const entry = rules.find(
        (one) =>
          !spent(one) &&
          (kinds as readonly FailureKind[]).includes(one.rule.failure.kind) &&
          (one.rule.on === undefined || one.rule.on.some((operation) => operations.includes(operation))) &&
          (one.rule.podId === undefined || one.rule.podId === podId) &&
          (when?.(one.rule.failure as Of<K>) ?? true),
      );
      if (!entry) return undefined;
      entry.struck++;
      return entry.rule.failure as Of<K>;
    },
    holds: <K extends FailureKind>(kind: K) =>
      rules.find((one) => !spent(one) && one.rule.failure.kind === kind)?.rule.failure as Of<K> | undefined,
  };
}
