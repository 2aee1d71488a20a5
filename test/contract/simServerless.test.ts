import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSimulator, type Simulator } from '../../src/sim/simulator.ts';
import { Contract, documentUrl } from './runpodContract.ts';
import { exchange, type Answer } from './simRunpodHarness.ts';
import { painting, plain } from './serverlessWorld.ts';

const uuid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}-e1$/;
const ended = /^(COMPLETED|FAILED|CANCELLED|TIMED_OUT)$/;

describe('RunPod simulator: Serverless', function () {
  this.timeout(20_000);
  let sim: Simulator;
  let contract: Contract | undefined;

  before(() => {
    if (existsSync(documentUrl)) contract = new Contract(readFileSync(documentUrl, 'utf8'));
    else console.log('      replies are not checked: ../shared/contracts/runpod-openapi-v2.json is not here');
  });
  beforeEach(async () => {
    sim = await startSimulator({ timeScale: 200, seed: 3, runpodPresets: { change: { rateLimit: 'exempt' } } });
  });
  afterEach(() => sim.dispose());

  const send = (
    url: string,
    method: string,
    body?: unknown,
    key: string | null = sim.runpodApiKey,
  ): Promise<Answer> => {
    const raw = body === undefined ? undefined : JSON.stringify(body);
    return exchange(url, {
      method,
      headers: {
        'user-agent': 'podrelay-test',
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(raw === undefined ? {} : { 'content-length': String(Buffer.byteLength(raw)) }),
      },
      ...(raw === undefined ? {} : { raw }),
    });
  };
  /** One call of the management API, its reply checked against RunPod's document where that is here. */
  const manage = async (method: string, template: string, id = '', body?: unknown): Promise<Answer> => {
    const origin = sim.addresses.runpodApiUrl.replace(/\/v2$/, '');
    const answer = await send(origin + template.replace('{id}', id), method, body);
    return contract?.check(method, template.replace(/\?.*/, ''), answer) ?? answer;
  };
  const job = (endpointId: string, path: string, body?: unknown, key?: string | null): Promise<Answer> =>
    send(`${sim.addresses.serverlessUrl}/${endpointId}/${path}`, body === undefined ? 'GET' : 'POST', body, key);
  const run = async (endpointId: string, input: unknown = { workflow: plain() }, more = {}): Promise<string> =>
    (await job(endpointId, 'run', { input, ...more })).json.id;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  const until = async (endpointId: string, id: string, wanted = ended): Promise<any> => {
    for (let round = 0; round < 1_000; round++) {
      const { json } = await job(endpointId, `status/${id}`);
      if (wanted.test(json.status)) return json;
      await sleep(10);
    }
    throw new Error(`job ${id} never became ${wanted.source}`);
  };
  const endpoint = (more: object = {}): string =>
    sim.runpod.serverless.seedEndpoint({ name: `e-${Math.random()}`, ...more }).id;

  const createBody = {
    name: 'cz-comfy-sdxl',
    type: 'QUEUE',
    image: 'runpod/worker-comfyui:5.8.5-sdxl',
    gpu: { pools: ['ADA_24', 'AMPERE_24'], count: 1, minCudaVersion: '12.6' },
    disk: 20,
    env: { REFRESH_WORKER: 'false' },
    workers: { min: 0, max: 2, idleTimeout: 5 },
    scaling: { type: 'QUEUE_DELAY', queueDelay: 4 },
    timeout: 600_000,
    flashboot: 'FLASHBOOT',
  };

  describe('endpoints', () => {
    it('are created, listed, read, changed and deleted, every reply by the document', async () => {
      const created = await manage('POST', '/v2/serverless', '', createBody);
      assert.equal(created.status, 201);
      const { id } = created.json;
      assert.deepEqual(created.json.gpu, {
        pools: ['ADA_24', 'AMPERE_24'],
        excludedTypes: [],
        count: 1,
        allowedCudaVersions: [],
        minCudaVersion: '12.6',
      });
      assert.equal(created.json.requestUrls.status, `https://api.runpod.ai/v2/${id}/status/{job_id}`);
      assert.deepEqual((await manage('GET', '/v2/serverless/{id}', id)).json, created.json);
      assert.equal((await manage('GET', '/v2/serverless')).json.endpoints.length, 1);
      const change = { workers: { max: 5 }, gpu: { pools: ['ADA_24'] }, env: { A: 'b' } };
      const changed = (await manage('PATCH', '/v2/serverless/{id}', id, change)).json;
      assert.deepEqual(changed.workers, { min: 0, max: 5, idleTimeout: 5 });
      assert.deepEqual(changed.gpu.pools, ['ADA_24']);
      const releases = (await manage('GET', '/v2/serverless/{id}/releases', id)).json;
      assert.deepEqual(releases.releases[0].diff, [
        { field: 'template.env', old: { REFRESH_WORKER: 'false' }, new: { A: 'b' } },
      ]);
      assert.equal((await manage('DELETE', '/v2/serverless/{id}', id)).status, 204);
      assert.equal((await manage('GET', '/v2/serverless/{id}', id)).status, 404);
      assert.equal((await job(id, 'health')).status, 404);
    });

    it('have the documented defaults: no FlashBoot, 3 workers, 10 s idle, 300 s a request', async () => {
      const { name, type, image, gpu, scaling } = createBody;
      const { json } = await manage('POST', '/v2/serverless', '', { name, type, image, gpu, scaling });
      assert.deepEqual(
        [json.flashboot, json.workers, json.timeout],
        ['OFF', { min: 0, max: 3, idleTimeout: 10 }, 300_000],
      );
      sim.runpod.serverless.configure({ timeoutReads: 'zero' });
      assert.equal((await manage('GET', '/v2/serverless/{id}', json.id)).json.timeout, 0);
    });

    const refused: readonly (readonly [string, number, object])[] = [
      ['neither gpu nor cpu', 400, { gpu: undefined }],
      ['both gpu and cpu', 400, { cpu: [{ id: 'cpu3c', vcpuCount: 4 }] }],
      ['a pool that there is not', 400, { gpu: { pools: ['NO_POOL'] } }],
      ['an exclusion outside the pools', 400, { gpu: { pools: ['ADA_24'], excludedTypes: ['NVIDIA L40S'] } }],
      [
        'two ways to ask for CUDA',
        400,
        { gpu: { pools: ['ADA_24'], allowedCudaVersions: ['12.8'], minCudaVersion: '12.4' } },
      ],
      ['an unknown template', 404, { templateId: 'nothere' }],
      ['a template of pods', 422, { templateId: 'cw3nka7d08' }],
      ['no scaling', 422, { scaling: undefined }],
      ['a delay below half a second', 422, { scaling: { type: 'QUEUE_DELAY', queueDelay: 0.2 } }],
      ['FlashBoot as a boolean', 422, { flashboot: true }],
      ['no pools', 422, { gpu: { pools: [] } }],
      ['a field of another API', 422, { gpuTypeIds: ['x'] }],
      ['a load balancer that scales on delay', 422, { type: 'LOAD_BALANCER' }],
      ['an idle timeout with request count', 422, { scaling: { type: 'REQUEST_COUNT', requestCount: 1 } }],
    ];
    for (const [what, status, change] of refused) {
      it(`${status} for ${what}`, async () => {
        const answer = await manage('POST', '/v2/serverless', '', { ...createBody, ...change });
        assert.equal(answer.status, status, answer.text);
      });
    }

    it('clear exclusions when only pools are sent, and refuse exclusions alone', async () => {
      const gpu = { pools: ['AMPERE_24'], excludedTypes: ['NVIDIA L4'] };
      const { id } = (await manage('POST', '/v2/serverless', '', { ...createBody, gpu })).json;
      const patch = (body: object) => manage('PATCH', '/v2/serverless/{id}', id, body);
      assert.equal((await patch({ gpu: { excludedTypes: ['NVIDIA L4'] } })).status, 422);
      assert.deepEqual((await patch({ gpu: { pools: ['AMPERE_24'] } })).json.gpu.excludedTypes, []);
      assert.equal((await patch({ cpu: [{ id: 'cpu3c', vcpuCount: 4 }] })).status, 400);
      assert.equal((await patch({ type: 'QUEUE' })).status, 422);
    });

    it('are listed in pages', async () => {
      for (let count = 0; count < 3; count++) endpoint({ name: `page-${count}` });
      const first = (await manage('GET', '/v2/serverless?limit=2')).json;
      const next = (await manage('GET', `/v2/serverless?limit=2&cursor=${first.pagination.nextCursor}`)).json;
      const names = [...first.endpoints, ...next.endpoints].map(({ name }: { name: string }) => name);
      assert.deepEqual(names, ['page-2', 'page-1', 'page-0']);
      assert.equal(next.pagination.hasNextPage, false);
      assert.equal((await manage('GET', '/v2/serverless?cursor=garbage')).status, 422);
    });
  });

  describe('a job', () => {
    it('waits for a cold start, runs the graph on a ComfyUI, and gives base64 without metadata', async () => {
      const id = endpoint();
      const { json } = await job(id, 'run', { input: { workflow: painting() } });
      assert.match(json.id, uuid);
      assert.equal(json.status, 'IN_QUEUE');
      const statuses = new Set<string>();
      for (;;) {
        const workers = (await manage('GET', '/v2/serverless/{id}/workers', id)).json;
        assert.equal(workers.summary.total, workers.workers.length);
        for (const { status } of workers.workers) statuses.add(status);
        if (ended.test((await job(id, `status/${json.id}`)).json.status)) break;
        await sleep(5);
      }
      const done = await until(id, json.id);
      assert.equal(done.status, 'COMPLETED', JSON.stringify(done));
      assert.ok(done.delayTime > 80_000 && done.delayTime < 120_000, `pull and boot: ${done.delayTime}`);
      assert.ok(done.executionTime > 500, `${done.executionTime}`);
      assert.ok(statuses.has('INITIALIZING') && statuses.has('RUNNING'));
      const [image] = done.output.images;
      assert.deepEqual([image.filename, image.type], ['sampled_00001_.png', 'base64']);
      const bytes = Buffer.from(image.data, 'base64');
      assert.equal(bytes.readUInt32BE(0), 0x89504e47);
      assert.ok(!bytes.includes('tEXt'), 'no workflow inside');
      assert.equal(sim.podComfy(done.workerId)?.state().executedNodes.at(-1)?.classType, 'SaveImage');
    });

    it('gets its input images, and seeds up to 2^64 keep their digits', async () => {
      const id = endpoint();
      const source = await until(id, await run(id, { workflow: plain(0xff8800) }));
      const image = `data:image/png;base64,${source.output.images[0].data}`;
      const workflow = {
        '1': { class_type: 'LoadImage', inputs: { image: 'mine.png' } },
        '2': { class_type: 'ImageInvert', inputs: { image: ['1', 0] } },
        '3': { class_type: 'SaveImage', inputs: { images: ['2', 0], filename_prefix: 'inverted' } },
      };
      const done = await until(id, await run(id, { workflow, images: [{ name: 'mine.png', image }] }));
      assert.equal(done.status, 'COMPLETED', JSON.stringify(done));
      assert.ok(sim.podComfy(done.workerId)?.file('input', '', 'mine.png'));
      const graph = JSON.stringify(painting()).replace('"seed":5', '"seed":18446744073709551615');
      const raw = `{"input":{"workflow":${graph}}}`;
      const { json } = await exchange(`${sim.addresses.serverlessUrl}/${id}/run`, {
        method: 'POST',
        headers: { authorization: sim.runpodApiKey, 'content-length': String(raw.length) },
        raw,
      });
      const seeded = await until(id, json.id);
      const made = sim.podComfy(seeded.workerId)?.file('output', '', seeded.output.images[0].filename);
      assert.ok(Buffer.from(made!).includes('18446744073709551615'));
    });

    it('fails with what worker-comfyui says', async () => {
      const id = endpoint({ workers: { min: 0, max: 1, idleTimeout: 3600 } });
      const failures: readonly (readonly [unknown, RegExp])[] = [
        [null, /^Please provide input$/],
        ['{"workflow":', /^Invalid JSON format in input$/],
        [{}, /^Missing 'workflow' parameter$/],
        [{ workflow: {}, images: [{ name: 'x' }] }, /^'images' must be a list of objects/],
        [{ workflow: plain(), images: [{ name: 'a.png', image: '!!' }] }, /^Failed to upload one or more/],
        [{ workflow: { '1': { class_type: 'Nowhere', inputs: {} } } }, /^Workflow validation failed:\n• .*Nowhere/],
      ];
      for (const [input, error] of failures) {
        const done = await until(id, await run(id, input));
        assert.equal(done.status, 'FAILED');
        assert.match(done.error, error);
      }
      const unnamed = painting();
      unnamed['1']!.inputs['ckpt_name'] = '';
      const done = await until(id, await run(id, { workflow: unnamed }));
      assert.match(done.error, /ckpt_name/);
      assert.ok(await until(id, await run(id, JSON.stringify({ workflow: plain() }))), 'input as text is read');
    });

    it('whose node fails has the cause in output.details; images saved before come back with the error', async () => {
      const id = endpoint({ workers: { min: 0, max: 1, idleTimeout: 3600 } });
      const { workerId } = await until(id, await run(id));
      sim.podComfy(workerId)!.control.faults = { oom: true };
      const failed = await until(id, await run(id, { workflow: painting() }));
      assert.equal(failed.error, 'Job processing failed');
      assert.match(failed.output.details[0], /^Workflow execution error: Node Type: KSampler, Node ID: 5, Message: /);
      const both = await until(id, await run(id, { workflow: { ...painting(7), ...renumbered(plain(1, 'first')) } }));
      assert.equal(both.status, 'COMPLETED', JSON.stringify(both).slice(0, 300));
      assert.equal(both.output.images.length, 1);
      assert.match(both.output.errors[0], /KSampler/);
    });

    it('without a usable image is success_no_images', async () => {
      const workflow = { ...plain(), '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } } };
      const id = endpoint();
      const done = await until(id, await run(id, { workflow }));
      assert.deepEqual(done.output, { status: 'success_no_images', images: [] });
    });

    it('with a bucket gives presigned links, which need no key and expire', async () => {
      const id = endpoint({ env: { BUCKET_ENDPOINT_URL: 'https://bucket.example.invalid' } });
      const done = await until(id, await run(id));
      const [image] = done.output.images;
      assert.equal(image.type, 's3_url');
      assert.match(image.data, new RegExp(`/bucket/${done.id}/[0-9a-f]{8}\\.png\\?X-Amz-Expires=604800&`));
      const fetched = await exchange(image.data);
      assert.equal(fetched.status, 200);
      assert.equal((await exchange(image.data.replace(/Signature=./, 'Signature=z'))).status, 403);
    });

    it('is kept for 30 minutes, or until its TTL, whatever its state', async () => {
      sim.runpod.serverless.configure({ retentionMs: { run: 20_000, runsync: 1_000 } });
      const id = endpoint();
      const kept = await run(id);
      await until(id, kept);
      await sleep(150);
      assert.equal((await job(id, `status/${kept}`)).status, 404);
      sim.runpod.faults.set({ failure: { kind: 'noCapacity' } });
      const other = endpoint();
      const waiting = await run(other, undefined, { policy: { ttl: 10_000 } });
      assert.equal((await job(other, `status/${waiting}`)).json.status, 'IN_QUEUE');
      await sleep(100);
      const gone = await job(other, `status/${waiting}`);
      assert.deepEqual([gone.status, gone.json], [404, { error: 'job not found' }]);
    });

    it('that runs too long is TIMED_OUT, and can be retried under its id', async () => {
      const id = endpoint({ gpu: { pools: ['AMPERE_24'] } });
      const jobId = await run(id, { workflow: painting(1, 500) }, { policy: { executionTimeout: 5_000 } });
      const late = await until(id, jobId);
      assert.equal(late.status, 'TIMED_OUT');
      assert.ok(late.executionTime >= 4_500 && late.executionTime < 60_000, `${late.executionTime}`);
      assert.deepEqual((await job(id, `retry/${jobId}`, {})).json, { id: jobId, status: 'IN_QUEUE' });
      assert.equal((await until(id, jobId)).status, 'TIMED_OUT');
      const done = await run(id, undefined, { policy: { executionTimeout: 3_600_000 } });
      assert.equal((await until(id, done)).status, 'COMPLETED');
      assert.equal((await job(id, `retry/${done}`, {})).status, 400);
    });

    it('is cancelled in the queue and at work; an ended one stays as it is', async () => {
      const id = endpoint({ workers: { min: 0, max: 1, idleTimeout: 3600 } });
      const queued = await run(id);
      assert.deepEqual((await job(id, `cancel/${queued}`, {})).json, { id: queued, status: 'CANCELLED' });
      const busy = await run(id, { workflow: painting(1, 500) });
      const { workerId } = await until(id, busy, /IN_PROGRESS/);
      assert.equal((await job(id, `cancel/${busy}`, {})).json.status, 'CANCELLED');
      assert.equal((await until(id, busy)).status, 'CANCELLED');
      const next = await until(id, await run(id));
      assert.deepEqual([next.status, next.workerId], ['COMPLETED', workerId], 'the worker is free again');
      assert.equal((await job(id, `cancel/${next.id}`, {})).json.status, 'COMPLETED');
      sim.runpod.serverless.configure({ cancelEnded: 400 });
      assert.equal((await job(id, `cancel/${next.id}`, {})).status, 400);
    });

    it('survives one death of its worker, not two', async () => {
      const id = endpoint();
      sim.runpod.faults.set({ failure: { kind: 'workerDies', afterMs: 1_000 }, on: ['workJob'], times: 1 });
      const first = await until(id, await run(id, { workflow: painting(1, 20) }));
      assert.equal(first.status, 'COMPLETED', JSON.stringify(first));
      assert.equal((await job(id, 'health')).json.jobs.retried, 1);
      sim.runpod.faults.set({ failure: { kind: 'workerDies', afterMs: 1_000 }, on: ['workJob'], times: 2 });
      const second = await until(id, await run(id, { workflow: painting(2, 20) }));
      assert.deepEqual([second.status, second.error], ['FAILED', 'job timed out after 1 retries']);
    });

    it('whose result is too large fails without a word; one that raises has a JSON text', async () => {
      const id = endpoint();
      sim.runpod.serverless.configure({ resultLimitBytes: 100 });
      const large = await until(id, await run(id));
      assert.deepEqual([large.status, large.output, large.error], ['FAILED', undefined, undefined]);
      sim.runpod.serverless.configure({ resultLimitBytes: 1e7 });
      sim.runpod.faults.set({ failure: { kind: 'handlerRaises', message: 'boom' }, times: 1 });
      const raised = await until(id, await run(id));
      assert.equal(JSON.parse(raised.error).error_message, 'boom');
      const reply = { message: 'aGk=', status: 'success' };
      sim.runpod.faults.set({ failure: { kind: 'handlerReply', reply }, times: 1 });
      assert.deepEqual((await until(id, await run(id))).output, reply);
      sim.runpod.faults.set({ failure: { kind: 'lateProgress' }, times: 1 });
      const frozen = await run(id);
      await sleep(400);
      const { status, executionTime } = (await job(id, `status/${frozen}`)).json;
      assert.equal(status, 'IN_PROGRESS');
      assert.ok(executionTime > 0);
    });
  });

  describe('workers', () => {
    it('scale up when jobs wait too long, not beyond the maximum, and to zero when idle', async () => {
      const id = endpoint({ workers: { min: 0, max: 2, idleTimeout: 20 } });
      const jobs = await Promise.all([1, 2, 3, 4].map((seed) => run(id, { workflow: painting(seed, 40) })));
      const state = () => sim.runpod.serverless.state().find((one) => one.id === id)!;
      assert.equal(state().workers.length, 1, 'the first at once');
      await sleep(60);
      assert.equal(state().workers.length, 2, 'the second after the delay, no third');
      const done = await Promise.all(jobs.map((one) => until(id, one)));
      assert.equal(new Set(done.map(({ workerId }) => workerId)).size, 2);
      await sleep(250);
      assert.equal(state().workers.length, 0);
      const { computeSeconds, computeMicros } = sim.runpod.invoice().lines.find((line) => line.serverlessId === id)!;
      // A 4090 of the catalogue at 1.116 USD an hour; boot, work and idle time are all in it.
      assert.ok(Number.isInteger(computeSeconds) && computeSeconds > 40, `${computeSeconds}`);
      assert.equal(computeMicros, Math.round((computeSeconds * 1_116_000) / 3600));
    });

    it('keep the minimum warm, and a maximum of 0 keeps every job waiting', async () => {
      const warm = endpoint({ workers: { min: 1, max: 2, idleTimeout: 5 } });
      const shut = endpoint({ workers: { min: 0, max: 0, idleTimeout: 5 } });
      const waiting = await run(shut);
      await sleep(700);
      assert.deepEqual((await job(warm, 'health')).json.workers.idle, 1);
      assert.equal((await job(shut, `status/${waiting}`)).json.status, 'IN_QUEUE');
      assert.equal((await manage('PATCH', '/v2/serverless/{id}', shut, { workers: { max: 1 } })).status, 200);
      assert.equal((await until(shut, waiting)).status, 'COMPLETED');
    });

    it('are throttled without capacity, and boot when there is some', async () => {
      sim.runpod.faults.set({ failure: { kind: 'noCapacity' } });
      const id = endpoint();
      const jobId = await run(id);
      await sleep(50);
      const health = (await job(id, 'health')).json;
      assert.deepEqual([health.jobs.inQueue, health.workers.throttled, health.workers.ready], [1, 1, 0]);
      assert.equal((await manage('GET', '/v2/serverless/{id}/workers', id)).json.workers[0].status, 'THROTTLED');
      sim.runpod.faults.clear();
      assert.equal((await until(id, jobId)).status, 'COMPLETED');
    });

    it('that crash are unhealthy, or look as if they ran', async () => {
      sim.runpod.faults.set({ failure: { kind: 'crashLoop' } });
      const id = endpoint();
      const jobId = await run(id);
      await sleep(500);
      assert.equal((await job(id, 'health')).json.workers.unhealthy, 1);
      sim.runpod.faults.clear();
      sim.runpod.faults.set({ failure: { kind: 'looksRunning' } });
      await sleep(200);
      const { workers } = (await job(id, 'health')).json;
      assert.deepEqual([workers.running, workers.unhealthy, workers.ready], [1, 0, 0]);
      assert.equal((await job(id, `status/${jobId}`)).json.status, 'IN_QUEUE');
      const invoice = sim.runpod.invoice().lines.filter((line) => line.serverlessId === id);
      assert.deepEqual(invoice, [], 'a crash is not billed');
      sim.runpod.faults.clear();
      assert.equal((await until(id, jobId)).status, 'COMPLETED');
    });

    it('start quicker with FlashBoot, and are replaced when the image changes', async () => {
      const id = endpoint({ flashboot: 'FLASHBOOT', workers: { min: 0, max: 1, idleTimeout: 1 } });
      await until(id, await run(id));
      await sleep(60);
      const again = await until(id, await run(id));
      assert.ok(again.delayTime < 15_000, `${again.delayTime}`);
      await manage('PATCH', '/v2/serverless/{id}', id, { image: 'runpod/worker-comfyui:5.8.5-base' });
      const anew = await until(id, await run(id));
      assert.notEqual(anew.workerId, again.workerId);
      assert.ok(anew.delayTime > 60_000, 'another image is pulled');
    });

    it('stop after each job when they are to be refreshed', async () => {
      const id = endpoint({ env: { REFRESH_WORKER: 'true' } });
      const first = await until(id, await run(id));
      assert.notEqual((await until(id, await run(id))).workerId, first.workerId);
    });
  });

  describe('the door of the job API', () => {
    it('wants a key, knows its own paths, and answers with {"error"}', async () => {
      const id = endpoint();
      assert.deepEqual(
        [(await job(id, 'health', undefined, null)).status, (await job('nope', 'health')).status],
        [401, 404],
      );
      assert.equal((await job(id, 'health', undefined, 'wrong')).status, 401);
      assert.equal((await job(id, 'status/nope')).json.error, 'job not found');
      assert.equal((await job(id, 'run')).status, 405);
      assert.equal((await job(id, 'run', { input: {}, policy: { ttl: 1 } })).status, 400);
      const pod = sim.runpod.seedPod({ name: 'p' }).id;
      assert.equal((await job(id, 'run', { input: {} }, sim.runpod.podKey(pod))).status, 403);
      assert.equal(sim.runpod.requests.at(-1)?.surface, 'jobs');
    });

    it('refuses what is too large: 10 MB for run, 20 MB for runsync', async () => {
      const id = endpoint({ workers: { min: 0, max: 0 } });
      const input = { workflow: {}, pad: 'x'.repeat(11 * 1024 * 1024) };
      assert.equal((await job(id, 'run', { input })).status, 413);
      assert.equal((await job(id, 'runsync?wait=1000', { input })).status, 200);
      sim.runpod.serverless.configure({ oversizeStatus: 400 });
      assert.equal((await job(id, 'run', { input })).status, 400);
      assert.equal((await job(id, 'runsync', { input: { ...input, more: input.pad } })).status, 400);
      assert.equal((await job(id, 'health')).json.jobs.inQueue, 1);
    });

    it('runsync answers with the end, or with the id when the wait is over', async () => {
      const id = endpoint();
      const early = await job(id, 'runsync?wait=1000', { input: { workflow: plain() } });
      assert.match(early.json.id, /^sync-/);
      assert.equal(early.json.status, 'IN_QUEUE');
      await until(id, early.json.id);
      const done = await job(id, 'runsync', { input: { workflow: plain(2) } });
      assert.equal(done.json.status, 'COMPLETED');
      assert.equal((await job(id, 'runsync?wait=5', { input: {} })).status, 400);
    });

    it('stream drains once, holds while there is nothing, in both of its shapes', async () => {
      const id = endpoint();
      const jobId = await run(id);
      const empty = await job(id, `stream/${jobId}`);
      assert.deepEqual(empty.json, { status: 'IN_QUEUE', stream: [] });
      await until(id, jobId);
      const { json } = await job(id, `stream/${jobId}`);
      assert.equal(json.stream[0].output.images.length, 1);
      sim.runpod.serverless.configure({ streamShape: 'array' });
      assert.deepEqual((await job(id, `stream/${jobId}`)).json, []);
    });

    it('purges what waits and nothing else', async () => {
      const id = endpoint({ workers: { min: 0, max: 1, idleTimeout: 60 } });
      const busy = await run(id, { workflow: painting(1, 40) });
      await until(id, busy, /IN_PROGRESS/);
      const waiting = await run(id);
      assert.deepEqual((await job(id, 'purge-queue', {})).json, { removed: 1, status: 'completed' });
      assert.equal((await until(id, waiting)).status, 'CANCELLED');
      assert.equal((await until(id, busy)).status, 'COMPLETED');
    });

    it('limits requests per 10 s, with and without a stated wait', async () => {
      sim.runpod.serverless.configure({ limits: { run: 2, read: 2_000, cancel: 100, purge: 2 }, saysRetryAfter: true });
      const id = endpoint({ workers: { min: 0, max: 0 } });
      const answers = await Promise.all([1, 2, 3, 4, 5].map(() => job(id, 'run', { input: {} })));
      const refused = answers.filter(({ status }) => status === 429);
      assert.ok(refused.length >= 1 && refused.length <= 3, `${refused.length}`);
      assert.match(String(refused[0]?.headers['retry-after']), /^\d+$/);
      await sleep(60);
      assert.equal((await job(id, 'run', { input: {} })).status, 200);
    });

    it('shows health in the short form of the docs too', async () => {
      const id = endpoint();
      sim.runpod.serverless.configure({ healthKeys: 'short' });
      assert.deepEqual(Object.keys((await job(id, 'health')).json.workers), ['idle', 'running']);
    });

    it('breaks on command: reset before and after, 5xx, HTML, half a JSON, hang', async () => {
      const id = endpoint({ workers: { min: 0, max: 0 } });
      const queued = async () => (await job(id, 'health')).json.jobs.inQueue;
      const rule = (failure: Parameters<typeof sim.runpod.faults.set>[0]['failure']) =>
        sim.runpod.faults.set({ failure, on: ['runJob'], times: 1 });
      rule({ kind: 'reset', effect: 'before' });
      await assert.rejects(run(id));
      assert.equal(await queued(), 0);
      rule({ kind: 'reset', effect: 'after' });
      await assert.rejects(run(id));
      assert.equal(await queued(), 1);
      rule({ kind: 'status', status: 502, effect: 'after' });
      assert.equal((await job(id, 'run', { input: {} })).status, 502);
      rule({ kind: 'html' });
      assert.match((await job(id, 'run', { input: {} })).text, /^<!doctype html>/);
      rule({ kind: 'truncatedJson' });
      assert.equal((await job(id, 'run', { input: {} })).json, undefined);
      assert.equal(await queued(), 4);
    });
  });

  it('bills by the endpoint, and the totals include it', async () => {
    sim.runpod.configure({ billingLagMs: 0 });
    const id = endpoint();
    await until(id, await run(id));
    const query = '?lastN=1&bucketSize=year';
    const { json } = await manage('GET', `/v2/billing/serverless${query}`);
    assert.equal(json.records[0].serverlessId, id);
    assert.ok(json.records[0].gpuAmount > 0);
    const all = (await manage('GET', `/v2/billing${query}`)).json;
    assert.ok(all.metadata.totals.serverlessGpuAmount >= json.records[0].gpuAmount);
    assert.ok(all.metadata.totals.totalAmount >= json.metadata.totals.totalAmount);
  });
});

/** The same graph under other ids, so that two fit into one. */
function renumbered(graph: ReturnType<typeof plain>): ReturnType<typeof plain> {
  return Object.fromEntries(
    Object.entries(graph).map(([id, node]) => {
      const inputs = Object.entries(node.inputs).map(([name, value]) =>
        Array.isArray(value) ? [name, [`9${value[0]}`, value[1]]] : [name, value],
      );
      return [`9${id}`, { ...node, inputs: Object.fromEntries(inputs) }];
    }),
  );
}
