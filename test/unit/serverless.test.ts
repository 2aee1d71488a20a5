import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Fault } from '../../src/core/kernel/fault.ts';
import { toEndpoint } from '../../src/core/serverless/endpoint.ts';
import { defaultTimings, pollWaitMs } from '../../src/core/serverless/followJob.ts';
import { jobCost } from '../../src/core/serverless/jobCost.ts';
import { oversize, workerRefusals } from '../../src/core/serverless/jobInput.ts';
import { nameCheckpoint, openCheckpoint } from '../../src/core/serverless/openCheckpoint.ts';
import { decoded } from '../../src/core/serverless/openFile.ts';
import { defaultPatience, isOverdue, judgeQueue, watchQueue } from '../../src/core/serverless/queueVerdict.ts';
import type { QueueVerdict } from '../../src/core/serverless/queueVerdict.ts';
import { statusOf } from '../../src/core/serverless/remoteJob.ts';
import type { RemoteJob } from '../../src/core/serverless/remoteJob.ts';
import { workerProgress } from '../../src/core/serverless/workerProgress.ts';
import { readResult } from '../../src/core/serverless/workerResult.ts';

const none = { idle: 0, running: 0, initializing: 0, ready: 0, throttled: 0, unhealthy: 0 };
const health = (workers: object, inProgress = 0) => ({
  jobs: { inQueue: 1, inProgress },
  workers: { ...none, ...workers },
});
const ended = (change: Partial<RemoteJob>): RemoteJob => ({
  ...{ id: 'j', status: 'completed', delayMs: 1_000, executionMs: 2_000, workerId: 'w' },
  ...{ output: undefined, error: undefined },
  ...change,
});

const endpoint = toEndpoint({
  ...{ id: 'e', name: 'e', type: 'QUEUE', workers: { min: 0, max: 1 } },
  gpu: { pools: ['A', 'B'], excludedTypes: ['b2'], count: 2 },
});

describe('serverless: the poll schedule', () => {
  it('is 1 s five times, then grows to 5 s at work and 10 s in the queue', () => {
    const waits = (status: RemoteJob['status']): number[] =>
      Array.from({ length: 12 }, (_, n) => Math.round(pollWaitMs(status, n, defaultTimings)));
    assert.deepEqual(
      waits('running'),
      [1_000, 1_000, 1_000, 1_000, 1_000, 1_500, 2_250, 3_375, 5_000, 5_000, 5_000, 5_000],
    );
    assert.deepEqual(waits('queued').slice(8), [5_063, 7_594, 10_000, 10_000]);
  });
});

describe('serverless: why a job waits', () => {
  const cases: readonly (readonly [object, number, QueueVerdict])[] = [
    [{}, 0, 'unknown'],
    [{ throttled: 2 }, 0, 'noCapacity'],
    [{ throttled: 1, initializing: 1 }, 0, 'starting'],
    [{ unhealthy: 1 }, 0, 'crashLoop'],
    [{ unhealthy: 1, throttled: 1 }, 0, 'crashLoop'],
    [{ unhealthy: 1, initializing: 1 }, 0, 'starting'],
    [{ running: 1, ready: 1 }, 1, 'busy'],
    [{ running: 1 }, 0, 'deaf'],
    [{ idle: 1, ready: 1 }, 0, 'deaf'],
    [{ throttled: 3, running: 1 }, 1, 'busy'],
  ];
  for (const [workers, inProgress, verdict] of cases) {
    it(`${JSON.stringify(workers)} with ${inProgress} at work is '${verdict}'`, () => {
      assert.equal(judgeQueue(health(workers, inProgress)), verdict);
    });
  }

  it('is believed only when it lasts: one reading or another verdict in between starts anew', () => {
    let watch = watchQueue(undefined, 'noCapacity', 0);
    assert.ok(!isOverdue(watch, defaultPatience, 10 * 60_000), 'a single reading after a sleep of the machine');
    watch = watchQueue(watchQueue(watch, 'noCapacity', 100_000), 'noCapacity', 300_000);
    assert.ok(isOverdue(watch, defaultPatience, 300_000));
    watch = watchQueue(watchQueue(watch, 'starting', 301_000), 'noCapacity', 302_000);
    assert.ok(!isOverdue(watch, defaultPatience, 303_000));
  });
});

describe('serverless: what a job cost', () => {
  const price = (gpuId: string, pool: string, usdPerHourMicros: number) => ({
    gpuId,
    name: gpuId,
    pool,
    usdPerHourMicros,
  });
  const prices = [price('a', 'A', 1_000_000), price('b', 'B', 3_000_000), price('b2', 'B', 9_000_000)];

  it('is measured on the card of its worker', () => {
    const cost = jobCost(ended({}), { endpoint, prices, worker: { gpuId: 'a', gpuCount: 2 } });
    assert.deepEqual(cost, {
      micros: Math.round((2 * 2_000_000) / 3_600),
      costBasis: '2.0 s at $2.00/h; 1.0 s of queue and worker start apart',
      basis: 'measured',
      gpu: 'a',
    });
  });

  it('is estimated at the dearest possible card when the worker was not seen', () => {
    const cost = jobCost(ended({}), { endpoint, prices, worker: undefined });
    assert.deepEqual(
      [cost.micros, cost.basis, cost.gpu],
      [Math.round((2 * 6_000_000) / 3_600), 'estimated', undefined],
    );
    assert.match(cost.costBasis, /up to \$6\.00\/h/);
  });

  it('is unknown, which is not zero, without a time or a price', () => {
    assert.equal(jobCost(ended({ executionMs: undefined }), { endpoint, prices, worker: undefined }).basis, 'unknown');
    assert.equal(jobCost(ended({}), { endpoint, prices: [], worker: undefined }).basis, 'unknown');
  });
});

describe('serverless: what comes back', () => {
  it('bytes of any length survive the pieces in which they are decoded', async () => {
    for (const length of [0, 1, 2, 3, 196_607, 196_608, 196_609, 400_000]) {
      const bytes = Buffer.alloc(length, 'some bytes');
      const chunks: Uint8Array[] = [];
      for await (const chunk of decoded(bytes.toString('base64'))) chunks.push(chunk);
      assert.ok(Buffer.concat(chunks).equals(bytes), `${length}`);
      assert.ok(chunks.every((chunk) => chunk.length <= 196_608));
    }
  });

  it('anything else than files is a Fault, never another error', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), fc.boolean(), (output, error, failed) => {
        try {
          const { files } = readResult(ended({ output, error, status: failed ? 'failed' : 'completed' }));
          assert.ok(files.length > 0);
        } catch (thrown) {
          assert.ok(thrown instanceof Fault && thrown.kind !== 'bug', String(thrown));
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('a status that we do not know is no end', () => {
    assert.deepEqual(['RUNNING', 'PAUSED', undefined].map(statusOf), ['running', 'unknown', 'unknown']);
  });
});

describe('serverless: what a worker says while it runs', () => {
  it('is a text, a share or both; anything else is nothing', () => {
    assert.deepEqual(workerProgress(' Sampling \nmore'), { phase: 'Sampling' });
    assert.deepEqual(workerProgress({ message: 'Step 3', progress: 0.25 }), { phase: 'Step 3', fraction: 0.25 });
    assert.deepEqual(workerProgress({ progress: 40 }), { phase: 'Generating on a worker', fraction: 0.4 });
    assert.deepEqual(workerProgress({ status: 'upscaling', percent: 1 }), { phase: 'upscaling', fraction: 0.01 });
    for (const other of [undefined, null, '', 7, [], {}, { progress: -1 }, { progress: 1e9 }, { images: [] }]) {
      assert.equal(workerProgress(other), undefined, JSON.stringify(other));
    }
    assert.equal(workerProgress('x'.repeat(500))?.phase.length, 120);
  });
});

describe('serverless: what is sent', () => {
  it('a request over 10 MB is refused with its size', () => {
    const input = { json: '', workflow: {}, fileBytes: 0, bytes: 10_000_000 };
    assert.equal(oversize(input), undefined);
    assert.match(oversize({ ...input, bytes: 10_060_000 })!, /the workflow makes a request of 10\.1 MB/);
  });

  it('a workflow is refused when nothing of it would come back, and not when something would', () => {
    const node = (type: string) => ({ class_type: type, inputs: {} });
    assert.equal(workerRefusals({ '1': node('VHS_VideoCombine') }).length, 1);
    for (const saver of ['SaveImage', 'SaveAnimatedWEBP', 'SaveVideo', 'Image Save']) {
      assert.deepEqual(workerRefusals({ '1': node('VHS_VideoCombine'), '2': node(saver) }), [], saver);
    }
    assert.deepEqual(workerRefusals({ '1': node('MyOwnSaver') }), [], 'unknown is not refused');
  });

  it('an open checkpoint is the wanted one, else the one inside the image; or the next step is told', () => {
    const loader = (name: string) => ({ '1': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: name } } });
    assert.deepEqual(nameCheckpoint(loader('a'), 'b'), loader('a'));
    assert.deepEqual(nameCheckpoint(loader(''), 'b'), loader('b'));
    const choose = (image: string, wanted?: string, hasVolume = false) =>
      openCheckpoint(wanted, { ...endpoint, image, hasVolume });
    const why = (chosen: ReturnType<typeof choose>): string => ('why' in chosen ? chosen.why : '');
    const stock = 'runpod/worker-comfyui:5.8.5-';
    assert.deepEqual(choose(`${stock}sdxl`), { name: 'sd_xl_base_1.0.safetensors' });
    assert.deepEqual(choose(`${stock}sd3`), { name: 'sd3_medium_incl_clips_t5xxlfp8.safetensors' });
    assert.deepEqual(choose('docker.io/runpod/worker-comfyui:latest-flux1-dev-fp8'), {
      name: 'flux1-dev-fp8.safetensors',
    });
    assert.match(why(choose(`${stock}flux1-dev`)), /has none inside: name one .*podrelay\.workflow\.checkpoint/);
    assert.match(why(choose(`${stock}base-cuda12.8.1`)), /has none inside/);
    assert.match(why(choose('somebody/worker-comfyui:5.8.5-sdxl')), /cannot be asked/);
    assert.match(why(choose(`${stock}sdxl`, undefined, true)), /cannot be asked/);
    assert.match(why(choose(`${stock}sdxl`, 'mine.safetensors')), /has only sd_xl_base_1\.0\.safetensors, not 'mine/);
    assert.deepEqual(choose(`${stock}sdxl`, 'mine.safetensors', true), { name: 'mine.safetensors' });
    assert.deepEqual(choose('my/image:1', 'mine.safetensors'), { name: 'mine.safetensors' });
    assert.match(why(openCheckpoint(undefined, undefined)), /cannot be asked/);
  });
});
