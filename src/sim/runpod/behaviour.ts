/** How the simulated RunPod behaves, apart from faults: all JSON-able, all changeable while it runs. */
export interface RunpodBehaviour {
  provisioningMs: number;
  /** STARTING when the image is pulled for the first time in a data centre */
  firstPullMs: number;
  /** STARTING when the image is there */
  cachedStartMs: number;
  /** RUNNING until ComfyUI answers, at the first boot of a pod; taken at random in the range */
  firstAppBootMs: readonly [number, number];
  nextAppBootMs: number;
  /** A created pod is invisible for this long: GET and DELETE answer 404, lists lack it, and it bills. */
  createLagMs: number;
  /** A terminated pod stays in lists for this long. */
  deleteLagMs: number;
  /** After a start the first readings show the previous TCP port for this long. */
  stalePortMs: number;
  pagination: 'present' | 'absent' | 'stuckCursor' | 'shortPages';
  /** RunPod may add a status: a running pod is shown in this one. */
  runningShownAs: string;
  runtimeWhenNotRunning: 'null' | 'emptyObject';
  /** The specification's own create example lists `[start, terminate]`, against its prose. */
  actionsOnCreate: 'prose' | 'example';
  rateLimit: 'on' | 'exempt' | 'malformed';
  quotas: { minute: number; hour: number; day: number };
  requireUserAgent: boolean;
  createBodyLimitBytes: number;
  /** micro-dollars of credit; null = never ends */
  balanceMicros: number | null;
  /** micro-dollars per hour over all pods */
  spendLimitMicrosPerHour: number;
  /** GPU pools that this account may not use: 403 */
  forbiddenPools: readonly string[];
  /** Billing of GPUs begins here. Which of the two RunPod does is not documented. */
  gpuBillsFrom: 'PROVISIONING' | 'RUNNING';
  /** Records show what was spent until this long ago. */
  billingLagMs: number;
  proxyWhenStopped: 404 | 502;
  proxyWhileBooting: '502' | 'html200';
  proxyUploadLimitBytes: number;
  proxySilenceMs: number;
  /** percent, what a RUNNING pod reports */
  load: { gpu: number; gpuMemory: number; cpu: number; memory: number };
}

export const presets = {
  realistic: {
    provisioningMs: 4_000,
    firstPullMs: 45_000,
    cachedStartMs: 8_000,
    firstAppBootMs: [60_000, 180_000],
    nextAppBootMs: 20_000,
    createLagMs: 1_500,
    deleteLagMs: 0,
    stalePortMs: 0,
    pagination: 'present',
    runningShownAs: 'RUNNING',
    runtimeWhenNotRunning: 'null',
    actionsOnCreate: 'prose',
    rateLimit: 'on',
    quotas: { minute: 180, hour: 7_200, day: 100_000 },
    requireUserAgent: false,
    createBodyLimitBytes: 102_400,
    balanceMicros: null,
    spendLimitMicrosPerHour: 80_000_000,
    forbiddenPools: [],
    gpuBillsFrom: 'PROVISIONING',
    billingLagMs: 300_000,
    proxyWhenStopped: 404,
    proxyWhileBooting: '502',
    proxyUploadLimitBytes: 100 * 1024 * 1024,
    proxySilenceMs: 100_000,
    load: { gpu: 0, gpuMemory: 3, cpu: 4, memory: 11 },
  },
  /** Everything at once, nothing late: for tests that are about something else. */
  fast: {
    provisioningMs: 100,
    firstPullMs: 200,
    cachedStartMs: 100,
    firstAppBootMs: [200, 200],
    nextAppBootMs: 100,
    createLagMs: 0,
    billingLagMs: 0,
    rateLimit: 'exempt',
  },
} as const satisfies { realistic: RunpodBehaviour; fast: Partial<RunpodBehaviour> };

export type PresetName = keyof typeof presets;

export function behaviourOf(preset: PresetName, changes: Partial<RunpodBehaviour> = {}): RunpodBehaviour {
  return { ...presets.realistic, ...presets[preset], ...changes };
}
