import { BackendManager } from './backends/backendManager.ts';
import type { BackendManagerOptions } from './backends/backendManager.ts';
import { CloudBackends } from './backends/cloudBackends.ts';
import type { CloudBackendsOptions } from './backends/cloudBackends.ts';
import { createLocalBackend } from './backends/comfyBackend.ts';
import type { Contents } from './backends/contents.ts';
import { createGeminiBackend } from './backends/geminiBackend.ts';
import type { GeminiBackendOptions } from './backends/geminiBackend.ts';
import type { Ledger } from './cost/ledger.ts';
import { podAt } from './fleet/agentDoors.ts';
import type { JobRunnerOptions } from './jobs/jobRunner.ts';
import type { Lifetime } from './kernel/lifetime.ts';
import type { KeyRing } from './keyRing.ts';
import { routePolicy } from './routing/routePolicy.ts';
import { createServerlessBackend } from './serverless/serverlessBackend.ts';
import type { Settings } from './settings.ts';

type FromCloud = Pick<
  CloudBackendsOptions,
  'pods' | 'comfyAt' | 'newId' | 'podId' | 'endpointIds' | 'hold' | 'secondsOn'
>;
type FromGemini = Pick<GeminiBackendOptions, 'transport' | 'clock' | 'log' | 'random' | 'userAgent' | 'consent'>;

export interface OpenBackendsOptions extends FromCloud, FromGemini {
  readonly settings: () => Settings;
  readonly addresses: {
    /** Empty = none. */
    readonly localComfyUrl: string;
    readonly runpodApiUrl: string;
    readonly podProxyUrl: string;
    readonly serverlessUrl: string;
    readonly geminiUrl: string;
  };
  readonly keys: KeyRing;
  readonly ledger: Ledger;
  /** What servers have, as far as they were asked. */
  readonly contents: Contents;
  readonly geminiTimings: GeminiBackendOptions['timings'];
  readonly forecaster: NonNullable<BackendManagerOptions['forecaster']>;
}

export interface OpenedBackends {
  readonly backends: BackendManager;
  readonly cloud: CloudBackends;
  /** Adds to a failure which other backend has what was missing. */
  readonly explain: NonNullable<JobRunnerOptions['explain']>;
}

/** The chain of backends: the local ComfyUI, pods and endpoints on RunPod, Gemini. Nothing is asked yet. */
export function openBackends(options: OpenBackendsOptions, life: Lifetime): OpenedBackends {
  const { addresses, clock, comfyAt, keys, ledger, log, newId, settings, transport } = options;
  const checkpoint = (): string | undefined => settings()['workflow.checkpoint'] || undefined;
  const apiKey = (): Promise<string | undefined> => keys.get('runpodApiKey');
  const hasKey = (): boolean => keys.has('runpodApiKey');
  const enabled = (): boolean => settings()['cloud.enabled'];

  const local = createLocalBackend({
    clock,
    log,
    newId,
    enabled: () => settings()['local.enabled'],
    client: () => (addresses.localComfyUrl === '' ? undefined : comfyAt(addresses.localComfyUrl)),
    comfyAt,
    checkpoint,
  });
  const cloud = new CloudBackends({
    ...options,
    enabled,
    hasKey,
    checkpoint,
    autoStart: () => settings()['cloud.autoStart'],
    comeByThemselves: () => settings()['fleet.maxPods'] > 0,
    useAll: () => settings()['cloud.useAllPods'],
    readyTimeoutMs: () => settings()['cloud.readyTimeoutMinutes'] * 60_000,
    podAt: (address) => podAt(addresses.podProxyUrl, address),
    endpoint: (endpointId) =>
      createServerlessBackend({
        ...options,
        ...addresses,
        ...{ endpointId, transport, apiKey, hasKey, enabled, checkpoint },
        onCharge: ({ id: jobId, run }, charge) => {
          const what = { jobId, run, backend: `endpoint:${endpointId}`, at: clock.now(), inPodTime: false };
          return ledger.recordJob({ ...charge, ...what });
        },
      }),
  });
  const { geminiTimings: timings } = options;
  const gemini = createGeminiBackend({
    ...options,
    baseUrl: addresses.geminiUrl,
    apiKey: () => keys.get('geminiApiKey'),
    hasKey: () => keys.has('geminiApiKey'),
    onCharge: ({ id: jobId, run }, charge) =>
      ledger.recordJob({ ...charge, jobId, run, backend: 'gemini', at: clock.now(), inPodTime: false }),
    ...(timings === undefined ? {} : { timings }),
  });

  const backends = life.own(
    new BackendManager({
      backends: {
        list: () => [local, ...cloud.list(), gemini],
        find: (id, address) => cloud.find(id, address),
        refresh: (signal) => cloud.refresh(signal),
        onDidChange: cloud.onDidChange,
      },
      clock,
      log,
      policy: () => routePolicy(settings()),
      forecaster: options.forecaster,
    }),
  );
  life.own(keys.onDidChange((id) => backends.reset(id === 'runpodApiKey' ? 'cloud' : 'gemini')));

  const explain: OpenedBackends['explain'] = async (fault, { workflow, localOnly }, signal) => {
    const { withOwners } = await import('./backends/whoHas.ts');
    const own = { id: 'local', name: 'the local ComfyUI', address: addresses.localComfyUrl };
    const places = [
      ...(own.address === '' ? [] : [{ ...own, mayAsk: local.ready().ok }]),
      ...cloud.places().map((place) => ({ ...place, mayAsk: place.mayAsk && !localOnly })),
    ];
    const ask = (address: string, classes: readonly string[], at: AbortSignal): Promise<unknown> =>
      comfyAt(address).objectInfo(classes, at);
    return withOwners(fault, { workflow, places, contents: options.contents, ask }, signal);
  };
  return { backends, cloud, explain };
}
