/** How simulated Serverless behaves, apart from faults: all JSON-able, all changeable while it runs. */
export interface ServerlessBehaviour {
  /** INITIALIZING while the image is pulled, at the first worker of an endpoint's version; not billed */
  firstPullMs: number;
  /** INITIALIZING from the container's start until it polls for jobs; billed, as RunPod's pricing page reads */
  coldStartMs: number;
  /** The same when FlashBoot finds a worker that stopped less than `flashbootKeepsMs` ago */
  flashbootStartMs: number;
  flashbootKeepsMs: number;
  /** A worker that is not ready after so long counts as UNHEALTHY (anchors 2.3: 7 min). */
  unhealthyAfterMs: number;
  /** How long a crashing container lives. */
  crashAfterMs: number;
  /** After a worker found no machine, until it looks again */
  placeAgainMs: number;
  /** After the end of a job its result is kept for so long (RunPod docs, send-requests). */
  retentionMs: { run: number; runsync: number };
  /** What is accepted at all: RunPod's pages say 10 and 20 MB */
  runLimitBytes: number;
  runsyncLimitBytes: number;
  /** A larger result is lost on its way from the worker. */
  resultLimitBytes: number;
  /** Which of the two RunPod sends is not documented. */
  oversizeStatus: 400 | 413;
  /** Cancelling a job that has ended: not documented. */
  cancelEnded: 'unchanged' | 400;
  healthKeys: 'long' | 'short';
  streamShape: 'object' | 'array';
  /** How long a stream without news holds its reply. */
  streamHoldMs: number;
  /** Whether a 429 of the job API says how long to wait: not promised. */
  saysRetryAfter: boolean;
  /** An endpoint created without a timeout reads back the documented default, or 0. */
  timeoutReads: 'default' | 'zero';
  /** Requests per 10 s, per endpoint and key (RunPod docs, serverless limits) */
  limits: { run: number; read: number; cancel: number; purge: number };
}

const second = 1_000;
const minute = 60 * second;
const megabyte = 1024 * 1024;

export const serverlessPresets = {
  realistic: {
    firstPullMs: 60 * second,
    coldStartMs: 25 * second,
    flashbootStartMs: 2 * second,
    flashbootKeepsMs: 10 * minute,
    unhealthyAfterMs: 7 * minute,
    crashAfterMs: 8 * second,
    placeAgainMs: 5 * second,
    retentionMs: { run: 30 * minute, runsync: minute },
    runLimitBytes: 10 * megabyte,
    runsyncLimitBytes: 20 * megabyte,
    resultLimitBytes: 20 * megabyte,
    oversizeStatus: 413,
    cancelEnded: 'unchanged',
    healthKeys: 'long',
    streamShape: 'object',
    streamHoldMs: 10 * second,
    saysRetryAfter: false,
    timeoutReads: 'default',
    limits: { run: 1_000, read: 2_000, cancel: 100, purge: 2 },
  },
  /** Everything at once, nothing late. */
  fast: { firstPullMs: 200, coldStartMs: 200, flashbootStartMs: 50, crashAfterMs: 200, placeAgainMs: 200 },
} as const satisfies { realistic: ServerlessBehaviour; fast: Partial<ServerlessBehaviour> };

export function serverlessBehaviourOf(preset: keyof typeof serverlessPresets): ServerlessBehaviour {
  return structuredClone({ ...serverlessPresets.realistic, ...serverlessPresets[preset] });
}
