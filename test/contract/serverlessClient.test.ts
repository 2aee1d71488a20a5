import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../src/core/kernel/fault.ts';
import type { FaultKind } from '../../src/core/kernel/fault.ts';
import type { CreateEndpointRequest } from '../../src/core/serverless/endpointClient.ts';
import type { RemoteJob } from '../../src/core/serverless/remoteJob.ts';
import { hasEnded } from '../../src/core/serverless/remoteJob.ts';
import type { Failure, Operation } from '../../src/sim/runpod/faults.ts';
import { body, openServerlessWorld, painting } from './serverlessWorld.ts';
import type { ServerlessWorld } from './serverlessWorld.ts';

const request: CreateEndpointRequest = {
  name: 'podrelay-comfy',
  type: 'QUEUE',
  image: 'runpod/worker-comfyui:5.8.5-sdxl',
  gpu: { pools: ['ADA_24', 'AMPERE_24'], count: 1 },
  disk: 20,
  env: {},
  workers: { min: 0, max: 2, idleTimeout: 5 },
  scaling: { type: 'QUEUE_DELAY', queueDelay: 4 },
  timeout: 600_000,
  flashboot: 'FLASHBOOT',
};

describe('client of RunPod Serverless', function () {
  this.timeout(15_000);
  let world: ServerlessWorld;
  beforeEach(async () => {
    world = await openServerlessWorld();
  });
  afterEach(() => world.close());

  const fault = async (work: Promise<unknown>, kind: FaultKind, message: RegExp): Promise<Fault> => {
    const error = await work.then(
      () => assert.fail('it did not fail'),
      (caught: unknown) => caught,
    );
    assert.ok(error instanceof Fault, String(error));
    assert.equal(error.kind, kind, error.message);
    assert.match(error.message, message);
    return error;
  };
  const breakIt = (failure: Failure, on: Operation, times = 1): void =>
    void world.sim.runpod.faults.set({ failure, on: [on], times });
  const until = async (endpointId: string, jobId: string): Promise<RemoteJob> => {
    for (;;) {
      const job = await world.jobs.status(endpointId, jobId, world.signal);
      if (hasEnded(job)) return job;
      await sleep(10);
    }
  };
  const posts = (operation: Operation): number =>
    world.sim.runpod.requests.filter((one) => one.operation === operation).length;

  describe('endpoints', () => {
    it('are created, found in a list of several pages, changed and deleted', async () => {
      const { signal } = world;
      const created = await world.endpoints.create(request, signal);
      assert.deepEqual(
        { ...created, id: '', createdAtMs: 0 },
        {
          id: '',
          name: 'podrelay-comfy',
          kind: 'queue',
          image: 'runpod/worker-comfyui:5.8.5-sdxl',
          gpuPools: ['ADA_24', 'AMPERE_24'],
          excludedGpus: [],
          gpuCount: 1,
          minWorkers: 0,
          maxWorkers: 2,
          idleSeconds: 5,
          timeoutMs: 600_000,
          flashboot: true,
          hasVolume: false,
          createdAtMs: 0,
        },
      );
      for (let count = 0; count < 4; count++) world.endpoint();
      const listed = await world.newEndpoints({ pageSize: 2 }).list(signal);
      assert.equal(listed.length, 5);
      assert.equal(listed.at(-1)?.id, created.id);
      const changed = await world.endpoints.update(created.id, { workers: { max: 0 }, flashboot: 'OFF' }, signal);
      assert.deepEqual([changed.maxWorkers, changed.flashboot, changed.idleSeconds], [0, false, 5]);
      await world.endpoints.delete(created.id, signal);
      await world.endpoints.delete(created.id, signal);
      const gone = await fault(world.endpoints.get(created.id, signal), 'rejected', /not found/);
      assert.equal(gone.facts.status, 404);
    });

    it('a create whose reply is lost is sent once, and is found by its name', async () => {
      breakIt({ kind: 'reset', effect: 'after' }, 'createEndpoint');
      const lost = await fault(world.endpoints.create(request, world.signal), 'unreachable', /lost/);
      assert.equal(lost.facts.delivered, 'maybe');
      assert.equal(posts('createEndpoint'), 1);
      assert.deepEqual(
        (await world.endpoints.list(world.signal)).map(({ name }) => name),
        ['podrelay-comfy'],
      );
    });

    it('tell their workers with their cards, and what those cost', async () => {
      const id = world.endpoint();
      assert.deepEqual(await world.endpoints.workers(id, world.signal), []);
      const { id: jobId } = await world.jobs.run(id, body(), world.signal);
      await until(id, jobId);
      const [worker] = await world.endpoints.workers(id, world.signal);
      assert.deepEqual([worker?.status, worker?.gpuId], ['idle', 'NVIDIA GeForce RTX 4090']);
      const prices = await world.endpoints.prices(world.signal);
      assert.deepEqual(
        prices.find(({ gpuId }) => gpuId === 'NVIDIA GeForce RTX 4090'),
        { gpuId: 'NVIDIA GeForce RTX 4090', name: 'RTX 4090', pool: 'ADA_24', usdPerHourMicros: 1_116_000 },
      );
      assert.ok(!prices.some(({ gpuId }) => gpuId === 'NVIDIA GeForce RTX 5090'), 'no price, no entry');
    });

    it("tell a worker's log, over a cut, until the worker is gone", async () => {
      const id = world.endpoint({ workers: { min: 0, max: 1, idleTimeout: 600 } });
      const { id: jobId } = await world.jobs.run(id, body(), world.signal);
      await until(id, jobId);
      const [worker] = await world.endpoints.workers(id, world.signal);
      breakIt({ kind: 'cutLog', afterLines: 3, how: 'midFrame' }, 'getWorkerLogs');
      const lines: string[] = [];
      for await (const line of world.endpoints.workerLogs(id, worker!.id, { tail: 100 }, world.signal)) {
        lines.push(`${line.source}: ${line.text}`);
      }
      assert.match(lines[0]!, /^system: pulling image runpod\/worker-comfyui/);
      assert.equal(lines.filter((line) => /Starting RunPod Handler/.test(line)).length, 1, lines.join('\n'));
      assert.ok(
        lines.some((line) => line.includes(jobId) && line.includes('Finished.')),
        lines.join('\n'),
      );
      assert.ok(posts('getWorkerLogs') >= 2);
      const unknownWorker = world.endpoints.workerLogs(id, 'nobody', {}, world.signal)[Symbol.asyncIterator]();
      await fault(unknownWorker.next(), 'rejected', /worker not found/i);
    });

    it('reads a timeout of 0 as none', async () => {
      const { timeout: _none, ...rest } = request;
      world.sim.runpod.serverless.configure({ timeoutReads: 'zero' });
      const made = await world.endpoints.create(rest as CreateEndpointRequest, world.signal);
      assert.equal(made.timeoutMs, undefined);
    });
  });

  describe('jobs', () => {
    it('run, and come back with delay, time and worker', async () => {
      const id = world.endpoint();
      const sent = await world.jobs.run(id, body(painting()), world.signal);
      const first = await world.jobs.status(id, sent.id, world.signal);
      assert.deepEqual([first.status, first.executionMs, first.workerId], ['queued', undefined, undefined]);
      const done = await until(id, sent.id);
      assert.equal(done.status, 'completed');
      assert.ok(done.delayMs! > 25_000 && done.executionMs! > 0 && done.workerId !== undefined);
      const health = await world.jobs.health(id, world.signal);
      assert.deepEqual(health, {
        jobs: { inQueue: 0, inProgress: 0 },
        workers: { idle: 1, running: 0, initializing: 0, ready: 1, throttled: 0, unhealthy: 0 },
      });
    });

    it('of the short health form are counted where they are told', async () => {
      world.sim.runpod.serverless.configure({ healthKeys: 'short' });
      const { workers } = await world.jobs.health(world.endpoint(), world.signal);
      assert.deepEqual([workers.idle, workers.throttled], [0, undefined]);
    });

    it('are waited for by runSync, or handed on when the wait ends', async () => {
      const id = world.endpoint();
      const early = await world.jobs.runSync(id, body(), 1_000, world.signal);
      assert.equal(early.status, 'queued');
      await until(id, early.id);
      assert.equal((await world.jobs.runSync(id, body(), 60_000, world.signal)).status, 'completed');
    });

    it('are cancelled, again without harm; purged; retried when they failed', async () => {
      const id = world.endpoint({ workers: { min: 0, max: 1, idleTimeout: 100 } });
      const { signal } = world;
      const queued = (await world.jobs.run(id, body(), signal)).id;
      assert.equal(await world.jobs.cancel(id, queued, signal), 'cancelled');
      assert.equal(await world.jobs.cancel(id, queued, signal), 'cancelled');
      const many = await Promise.all([1, 2, 3].map(() => world.jobs.run(id, body(), signal)));
      assert.equal(await world.jobs.purgeQueue(id, signal), many.length);
      const failing = (await world.jobs.run(id, { json: '{"input":{}}' }, signal)).id;
      assert.equal((await until(id, failing)).status, 'failed');
      await world.jobs.retry(id, failing, signal);
      assert.equal((await until(id, failing)).error, "Missing 'workflow' parameter");
      const done = (await world.jobs.run(id, body(), signal)).id;
      await until(id, done);
      await fault(world.jobs.retry(id, done, signal), 'rejected', /only failed/);
    });

    it('stream in both shapes, and what was read is gone', async () => {
      const id = world.endpoint();
      const { id: jobId } = await world.jobs.run(id, body(), world.signal);
      await until(id, jobId);
      const streamed = await world.jobs.stream(id, jobId, world.signal);
      assert.equal(streamed.status, 'completed');
      assert.equal(streamed.outputs.length, 1);
      world.sim.runpod.serverless.configure({ streamShape: 'array' });
      assert.deepEqual(await world.jobs.stream(id, jobId, world.signal), { status: 'unknown', outputs: [] });
    });

    it('stream what a worker yields as it comes: held until there is something, and drained', async () => {
      const id = world.endpoint({ timeout: 3_600_000 });
      breakIt({ kind: 'yields', outputs: [{ step: 1 }, { step: 2 }], everyMs: 15_000 }, 'workJob');
      const { id: jobId } = await world.jobs.run(id, body(painting(5, 60)), world.signal);
      const seen: unknown[] = [];
      for (let ended = false; !ended;) {
        const { status, outputs } = await world.jobs.stream(id, jobId, world.signal);
        seen.push(...outputs);
        ended = status !== 'queued' && status !== 'running';
      }
      assert.deepEqual(seen.slice(0, 2), [{ step: 1 }, { step: 2 }]);
      assert.equal(seen.length, 3, 'and the result');
    });

    it('that are no longer kept are 404', async () => {
      world.sim.runpod.serverless.configure({ retentionMs: { run: 4_000, runsync: 4_000 } });
      const id = world.endpoint();
      const { id: jobId } = await world.jobs.run(id, body(), world.signal);
      await until(id, jobId);
      await sleep(60);
      const gone = await fault(world.jobs.status(id, jobId, world.signal), 'rejected', /job not found/);
      assert.equal(gone.facts.status, 404);
    });
  });

  describe('a paid run', () => {
    const queued = async (id: string): Promise<number | undefined> =>
      (await world.jobs.health(id, world.signal)).jobs.inQueue;
    const shut = (): string => world.endpoint({ workers: { min: 0, max: 0 } });

    const unclear: readonly (readonly [string, Failure, FaultKind, number])[] = [
      ['a reply that is lost', { kind: 'reset', effect: 'after' }, 'unreachable', 1],
      ['a connection that breaks before', { kind: 'reset', effect: 'before' }, 'unreachable', 0],
      ['a 502 after the effect', { kind: 'status', status: 502, effect: 'after' }, 'unavailable', 1],
      ['a web page', { kind: 'html' }, 'protocol', 1],
      ['half a JSON', { kind: 'truncatedJson' }, 'protocol', 1],
      ['silence', { kind: 'hang', effect: 'after' }, 'timeout', 1],
    ];
    for (const [what, failure, kind, taken] of unclear) {
      it(`is sent once, and may have been taken: ${what}`, async () => {
        const id = shut();
        breakIt(failure, 'runJob');
        const jobs = world.newJobs({ transferTimeoutMs: 400 });
        const lost = await fault(jobs.run(id, body(), world.signal), kind, /whether RunPod took the job is not known/);
        assert.equal(lost.facts.delivered, 'maybe');
        assert.match(lost.facts.nextStep ?? '', /RunPod console/);
        assert.equal(posts('runJob'), 1);
        assert.equal(await queued(id), taken);
      });
    }

    it('waits out a 429 and is sent again: that one was not taken', async () => {
      const id = shut();
      breakIt({ kind: 'rateLimited' }, 'runJob');
      await world.jobs.run(id, body(), world.signal);
      assert.equal(await queued(id), 1);
      assert.equal(posts('runJob'), 2);
    });

    it('is sent again after a refused connection', async () => {
      const jobs = world.newJobs({ baseUrl: 'http://127.0.0.1:9/v2', retries: 1 });
      const refused = await fault(jobs.run('x', body(), world.signal), 'unreachable', /refused/);
      assert.equal(refused.facts.delivered, 'no');
    });

    it('that is too large is refused, whichever status RunPod gives', async () => {
      const id = shut();
      const json = JSON.stringify({ input: { workflow: {}, pad: 'x'.repeat(11 * 1024 * 1024) } });
      const large = await fault(world.jobs.run(id, { json }, world.signal), 'rejected', /larger than RunPod takes/);
      assert.equal(large.facts.delivered, 'no');
      world.sim.runpod.serverless.configure({ oversizeStatus: 400 });
      await fault(world.jobs.run(id, { json }, world.signal), 'rejected', /too large/);
      assert.equal(await queued(id), 0);
    });
  });

  describe('trouble', () => {
    it('a question is asked again after a reset, a 5xx and half a JSON is not believed', async () => {
      const id = world.endpoint();
      breakIt({ kind: 'reset', effect: 'before' }, 'getEndpointHealth');
      breakIt({ kind: 'status', status: 503, effect: 'before' }, 'getEndpointHealth');
      await world.jobs.health(id, world.signal);
      assert.ok(posts('getEndpointHealth') >= 1);
      breakIt({ kind: 'html' }, 'getEndpointHealth');
      await fault(world.jobs.health(id, world.signal), 'protocol', /web page/);
    });

    it('keys: none, wrong, revoked', async () => {
      const id = world.endpoint();
      world.key = undefined;
      await fault(world.jobs.health(id, world.signal), 'unauthorized', /No RunPod API key/);
      await fault(world.endpoints.list(world.signal), 'unauthorized', /No RunPod API key/);
      world.key = 'rpa_wrong';
      const wrong = await fault(world.jobs.health(id, world.signal), 'unauthorized', /does not accept/);
      assert.match(wrong.facts.nextStep ?? '', /API key/);
      world.key = world.sim.runpod.podKey(world.sim.runpod.seedPod({ name: 'p' }).id);
      await fault(world.jobs.health(id, world.signal), 'unauthorized', /may not use this endpoint/);
    });

    it('the key is in a header of the job API and nowhere else, and never in the log', async () => {
      const id = world.endpoint();
      await world.jobs.run(id, body(), world.signal);
      const sent = world.sim.runpod.requests.filter(({ surface }) => surface === 'jobs');
      assert.ok(sent.length > 0);
      for (const { url } of sent) assert.ok(!url.includes(world.sim.runpodApiKey));
      assert.ok(!world.logged.join('\n').includes(world.sim.runpodApiKey));
    });

    it('an id that would lead elsewhere stays an id', async () => {
      const odd = await fault(world.jobs.status('a/../../b', '../../x?y', world.signal), 'rejected', /not found/);
      assert.equal(odd.facts.status, 404);
      assert.match(world.sim.runpod.requests.at(-1)!.url, /^\/v2\/a%2F/);
    });

    it('a cancelled question ends at once', async () => {
      const id = world.endpoint();
      breakIt({ kind: 'hang', effect: 'before' }, 'getJobStatus');
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 50);
      const startedAt = Date.now();
      await fault(world.jobs.status(id, 'x', stop.signal), 'cancelled', /./);
      assert.ok(Date.now() - startedAt < 500);
    });
  });
});
