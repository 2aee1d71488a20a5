import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend, BackendResult, JobRequest, RunContext } from '../../src/core/backends/backend.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import type { FaultKind } from '../../src/core/kernel/fault.ts';
import { createServerlessBackend } from '../../src/core/serverless/serverlessBackend.ts';
import type { ServerlessBackendOptions } from '../../src/core/serverless/serverlessBackend.ts';
import type { RemoteRun } from '../../src/core/store/jobStore.ts';
import type { Failure, Operation } from '../../src/sim/runpod/faults.ts';
import { openServerlessWorld, painting, plain } from './serverlessWorld.ts';
import type { ServerlessWorld } from './serverlessWorld.ts';

/** The waits of life, 200 times shorter, as the simulator's time runs. */
const timings = {
  firstMs: 5,
  runningMostMs: 25,
  queuedMostMs: 50,
  visibleWithinMs: 200,
  silenceMs: 1_000,
  stalledMs: 200,
  overtimeMs: 300,
  cancelMs: 2_000,
};
const patience = {
  noCapacityMs: 400,
  crashLoopMs: 400,
  deafMs: 400,
  unknownMs: 600,
  startingMs: 2_000,
  busyMs: 5_000,
};

interface Told extends RunContext {
  readonly phases: string[];
  readonly intents: RemoteRun[];
}

describe('an endpoint of RunPod Serverless as a backend', function () {
  this.timeout(20_000);
  let world: ServerlessWorld;
  let folder: string;
  let charges: { jobId: string; micros: number; basis: string }[];
  beforeEach(async () => {
    world = await openServerlessWorld();
    folder = await mkdtemp(path.join(tmpdir(), 'podrelay-serverless-'));
    charges = [];
  });
  afterEach(async () => {
    await world.close();
    await rm(folder, { recursive: true, force: true });
  });

  const backendOf = (endpointId: string, change: Partial<ServerlessBackendOptions> = {}): Backend =>
    createServerlessBackend({
      ...world.base,
      endpointId,
      runpodApiUrl: world.sim.addresses.runpodApiUrl,
      serverlessUrl: world.sim.addresses.serverlessUrl,
      checkpoint: () => undefined,
      enabled: () => true,
      hasKey: () => true,
      timings,
      patience,
      onCharge: ({ id: jobId }, charge) => Promise.resolve(void charges.push({ jobId, ...charge })),
      ...change,
    });
  let count = 0;
  const jobOf = (workflow: object = plain(), change: Partial<JobRequest> = {}): JobRequest => ({
    id: `job-${++count}`,
    label: 'test',
    workflow: workflow as JobRequest['workflow'],
    media: 'image',
    localOnly: false,
    ...change,
  });
  const listener = (onIntent?: (remote: RemoteRun) => Promise<void>): Told => {
    const phases: string[] = [];
    const intents: RemoteRun[] = [];
    return {
      phases,
      intents,
      onProgress: ({ phase }) => void (phases.at(-1) === phase || phases.push(phase)),
      onIntent: async (remote) => {
        intents.push(remote);
        await onIntent?.(remote);
      },
    };
  };
  const bytesOf = async (result: BackendResult, index = 0): Promise<Buffer> => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of await result.files[index]!.open(world.signal)) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
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
  const breakIt = (failure: Failure, on: Operation, times?: number): void =>
    void world.sim.runpod.faults.set({ failure, on: [on], ...(times === undefined ? {} : { times }) });
  const posts = (operation: Operation) => world.sim.runpod.requests.filter((one) => one.operation === operation).length;
  const jobsOf = (endpointId: string) => world.sim.runpod.serverless.state().find(({ id }) => id === endpointId)!.jobs;
  const handler = (reply: object): void => breakIt({ kind: 'handlerReply', reply }, 'workJob', 1);

  describe('a job', () => {
    it('goes through queue, worker start and run, and comes back with its picture and its price', async () => {
      const id = world.endpoint();
      const told = listener();
      const job = jobOf(painting(3, 20));
      const result = await backendOf(id).run(job, told, world.signal);
      assert.deepEqual(
        result.files.map(({ name }) => name),
        ['sampled_00001_.png'],
      );
      assert.equal((await bytesOf(result)).readUInt32BE(0), 0x89504e47);
      assert.deepEqual([result.basis, result.gpu, result.dropped], ['measured', 'RTX 4090', []]);
      const [remote] = jobsOf(id);
      const status = await world.jobs.status(id, remote!.id, world.signal);
      assert.equal(result.micros, Math.round((status.executionMs! * 1_116_000) / 3_600_000));
      assert.match(result.costBasis, /^\d+\.\d s at \$1\.12\/h; \d+\.\d s of queue and worker start apart$/);
      assert.deepEqual(result.workflow, job.workflow);
      const [asking, sending, ...rest] = told.phases;
      assert.equal(asking, 'Asking the endpoint');
      assert.match(sending!, /^Sending 0\.0 MB$/);
      const phases = rest.join('\n');
      assert.match(phases, /In the queue|A worker is starting/);
      assert.ok(phases.indexOf('A worker is starting') < phases.indexOf('Generating on a worker'), phases);
      const address = `${world.sim.addresses.serverlessUrl}/${id}`;
      assert.deepEqual(told.intents, [{ address }, { address, promptId: remote!.id }]);
      assert.equal(posts('runJob'), 1);
    });

    it('shows what its worker says while it runs, where that says anything', async () => {
      const outputs = ['Loading the model', { message: 'Sampling', progress: 0.5 }];
      world.sim.runpod.faults.set({ failure: { kind: 'yields', outputs, everyMs: 15_000 }, on: ['workJob'], times: 1 });
      const told = listener();
      await backendOf(world.endpoint({ timeout: 3_600_000 })).run(jobOf(painting(5, 60)), told, world.signal);
      assert.ok(told.phases.includes('Loading the model'), told.phases.join('\n'));
      assert.ok(told.phases.includes('Sampling'), told.phases.join('\n'));
    });

    it('takes its input files along, and is told beforehand when they are too large', async () => {
      const id = world.endpoint();
      const backend = backendOf(id);
      const red = await bytesOf(await backend.run(jobOf(plain(0xff0000)), listener(), world.signal));
      await writeFile(path.join(folder, 'mine.png'), red);
      const workflow = {
        '1': { class_type: 'LoadImage', inputs: { image: 'mine.png' } },
        '2': { class_type: 'ImageInvert', inputs: { image: ['1', 0] } },
        '3': { class_type: 'SaveImage', inputs: { images: ['2', 0], filename_prefix: 'inverted' } },
      };
      const job = jobOf(workflow, { inputFolder: folder });
      const result = await backend.run(job, listener(), world.signal);
      assert.notDeepEqual(await bytesOf(result), red);
      assert.match(String(result.workflow?.['1']?.inputs['image']), /^podrelay-[0-9a-f]{24}\.png$/);

      await writeFile(path.join(folder, 'mine.png'), Buffer.alloc(8 * 1024 * 1024));
      const [reason, ...more] = await backend.refusals(job, world.signal);
      assert.match(reason!, /request of 11\.2 MB, and RunPod takes 10\.0 MB at most/);
      assert.deepEqual(more, []);
      const before = posts('runJob');
      const refused = await fault(backend.run(job, listener(), world.signal), 'mismatch', /11\.2 MB/);
      assert.equal(refused.facts.delivered, 'no');
      assert.equal(posts('runJob'), before);
    });

    it('that is local only or saves what the worker drops is refused unasked', async () => {
      const backend = backendOf(world.endpoint());
      const asked = world.sim.runpod.requests.length;
      const refusals = (job: JobRequest): Promise<readonly string[]> => backend.refusals(job, world.signal);
      assert.match((await refusals(jobOf(plain(), { localOnly: true })))[0]!, /local only/);
      const video = { '1': { class_type: 'VHS_VideoCombine', inputs: {} } };
      assert.match((await refusals(jobOf(video, { media: 'video' })))[0]!, /VHS_VideoCombine/);
      assert.equal(world.sim.runpod.requests.length, asked);
    });

    it("that names no checkpoint gets the one inside the endpoint's image, or is refused before it is sent", async () => {
      const open = painting();
      open['1']!.inputs['ckpt_name'] = '';
      const made = await backendOf(world.endpoint()).run(jobOf(open), listener(), world.signal);
      assert.equal(made.files.length, 1);
      assert.equal(made.workflow?.['1']?.inputs['ckpt_name'], 'sd_xl_base_1.0.safetensors');
      const sent = posts('runJob');
      const foreign = backendOf(world.endpoint({ image: 'somebody/comfy:1' }));
      assert.match((await foreign.refusals(jobOf(open), world.signal))[0]!, /podrelay\.workflow\.checkpoint/);
      await fault(foreign.run(jobOf(open), listener(), world.signal), 'mismatch', /names no checkpoint/);
      const other = backendOf(world.endpoint(), { checkpoint: () => 'mine.safetensors' });
      assert.match((await other.refusals(jobOf(open), world.signal))[0]!, /only sd_xl_base_1\.0\.safetensors/);
      assert.equal(posts('runJob'), sent);
      const named = backendOf(world.endpoint({ image: 'somebody/comfy:1' }), {
        checkpoint: () => 'v1-5-pruned-emaonly-fp16.safetensors',
      });
      assert.equal((await named.run(jobOf(open), listener(), world.signal)).files.length, 1);
    });

    it('whose files are in a bucket fetches them without the key', async () => {
      const backend = backendOf(world.endpoint({ env: { BUCKET_ENDPOINT_URL: 'https://bucket.example.invalid' } }));
      const result = await backend.run(jobOf(), listener(), world.signal);
      assert.equal((await bytesOf(result)).readUInt32BE(0), 0x89504e47);
      const fetched = world.sim.runpod.requests.filter(({ url }) => url.startsWith('/bucket/'));
      assert.deepEqual(
        fetched.map(({ carriesApiKey }) => carriesApiKey),
        [false],
      );
      handler({ images: [{ filename: 'a.png', type: 's3_url', data: 'ftp://nowhere/a.png' }] });
      const odd = await backend.run(jobOf(), listener(), world.signal);
      await fault(odd.files[0]!.open(world.signal), 'protocol', /no address that can be opened/);
      handler({ images: [{ filename: 'a.png', type: 's3_url', data: `${origin()}/bucket/gone.png` }] });
      const gone = await backend.run(jobOf(), listener(), world.signal);
      await fault(gone.files[0]!.open(world.signal), 'jobFailed', /expired/);
    });
    const origin = (): string => world.sim.addresses.serverlessUrl.replace(/\/v2$/, '');

    it('of several pictures, old workers and data URIs: all are read; what is no base64 is not', async () => {
      const backend = backendOf(world.endpoint());
      const big = Buffer.alloc(700_001, 'pixels');
      const images = [
        { filename: 'a.png', type: 'base64', data: big.toString('base64') },
        { filename: 'a.png', type: 'base64', data: `data:image/webp;base64,${Buffer.from('RIFF').toString('base64')}` },
        { filename: 'c.png', type: 'base64', data: '!!! no base64 !!!' },
      ];
      handler({ images });
      const result = await backend.run(jobOf(), listener(), world.signal);
      assert.deepEqual(await bytesOf(result), big);
      assert.deepEqual(await bytesOf(result), big, 'a file can be fetched again');
      assert.equal((await bytesOf(result, 1)).toString(), 'RIFF');
      await fault(bytesOf(result, 2), 'protocol', /not base64/);
      handler({ message: big.toString('base64'), status: 'success' });
      const old = await backend.run(jobOf(), listener(), world.signal);
      assert.deepEqual(await bytesOf(old), big);
    });

    it('that gave pictures and an error has both', async () => {
      handler({
        images: [{ filename: 'a.png', type: 'base64', data: 'AAAA' }],
        errors: ['Workflow execution error: x'],
      });
      const result = await backendOf(world.endpoint()).run(jobOf(), listener(), world.signal);
      assert.deepEqual(result.dropped, ['a part of the workflow failed: Workflow execution error: x']);
    });
  });

  describe('a job that fails on the worker', () => {
    const failures: readonly (readonly [string, object, FaultKind, RegExp])[] = [
      ['saved no image', { status: 'success_no_images', images: [] }, 'jobFailed', /saved no image/],
      ['lacks a node', { error: 'Workflow validation failed:\n• Node 4: gone' }, 'mismatch', /Node 4: gone/],
      [
        'has no ComfyUI',
        { error: 'ComfyUI server (127.0.0.1:8188) not reachable after multiple retries.' },
        'unavailable',
        /did not start/,
      ],
      ['loses ComfyUI', { error: 'WebSocket communication error: lost' }, 'unavailable', /broke down/],
      [
        'runs out of memory',
        {
          error: 'Job processing failed',
          details: ['Workflow execution error: Node Type: KSampler, Node ID: 3, Message: CUDA out of memory'],
        },
        'outOfMemory',
        /out of memory/,
      ],
      [
        'has a node that fails',
        {
          error: 'Job processing failed',
          details: ['Workflow execution error: Node Type: KSampler, Node ID: 3, Message: bad'],
        },
        'jobFailed',
        /node 3 \(KSampler\): bad/,
      ],
      ['is of another kind', { pictures: 7 }, 'jobFailed', /returned no image/],
      ['answers nonsense', { images: 'none' }, 'protocol', /does not answer as worker-comfyui/],
    ];
    for (const [what, reply, kind, message] of failures) {
      it(`because it ${what}: ${kind}`, async () => {
        handler(reply);
        const told = await fault(backendOf(world.endpoint()).run(jobOf(), listener(), world.signal), kind, message);
        assert.equal(told.facts.delivered, 'yes');
      });
    }

    it('because its node fails for real: the node is named, and the charge is what it ran', async () => {
      const id = world.endpoint({ workers: { min: 0, max: 1, idleTimeout: 3600 } });
      const backend = backendOf(id);
      await backend.run(jobOf(), listener(), world.signal);
      const workerId = jobsOf(id)[0]!.workerId!;
      world.sim.podComfy(workerId)!.control.faults = {
        failNode: { classType: 'KSampler', message: 'no such sampler' },
      };
      const told = await fault(
        backend.run(jobOf(painting()), listener(), world.signal),
        'jobFailed',
        /no such sampler/,
      );
      assert.deepEqual([told.facts.nodeId, told.facts.nodeType], ['5', 'KSampler']);
      assert.equal(charges.length, 1);
      assert.ok(charges[0]!.micros > 0 && charges[0]!.basis === 'measured');
    });

    it('with a traceback shows its message', async () => {
      breakIt({ kind: 'handlerRaises', message: 'boom' }, 'workJob', 1);
      const told = await fault(
        backendOf(world.endpoint()).run(jobOf(), listener(), world.signal),
        'jobFailed',
        /boom$/,
      );
      assert.ok(!told.message.includes('Traceback'));
    });

    it('because the result is too large says what to do', async () => {
      world.sim.runpod.serverless.configure({ resultLimitBytes: 100 });
      const told = await fault(
        backendOf(world.endpoint()).run(jobOf(), listener(), world.signal),
        'jobFailed',
        /does not say why/,
      );
      assert.match(told.facts.nextStep!, /S3 bucket/);
    });

    it('because RunPod ends it at its limit is a timeout, charged', async () => {
      const backend = backendOf(world.endpoint(), { executionTimeoutMs: () => 5_000 });
      await fault(backend.run(jobOf(painting(1, 500)), listener(), world.signal), 'timeout', /longer than its limit/);
      assert.ok(charges[0]!.micros > 1_000);
    });

    it('because its workers die twice', async () => {
      breakIt({ kind: 'workerDies', afterMs: 500 }, 'workJob', 2);
      await fault(
        backendOf(world.endpoint()).run(jobOf(painting(1, 60)), listener(), world.signal),
        'unavailable',
        /died/,
      );
    });
  });

  describe('a job that waits in vain', () => {
    it('for capacity is taken back after a while: noCapacity, and safe to send elsewhere', async () => {
      breakIt({ kind: 'noCapacity' }, 'startWorker');
      const id = world.endpoint();
      const told = listener();
      const startedAt = Date.now();
      const given = await fault(backendOf(id).run(jobOf(), told, world.signal), 'noCapacity', /no free GPU/);
      assert.ok(Date.now() - startedAt < 3_000);
      assert.equal(given.facts.delivered, 'no');
      assert.deepEqual(
        jobsOf(id).map(({ status }) => status),
        ['CANCELLED'],
      );
      assert.ok(
        told.phases.some((phase) => /RunPod has no free GPU/.test(phase)),
        told.phases.join(),
      );
      assert.deepEqual(charges, []);
    });

    it('for workers that crash is taken back with another reason', async () => {
      breakIt({ kind: 'crashLoop' }, 'startWorker');
      const id = world.endpoint();
      const told = listener();
      const given = await fault(backendOf(id).run(jobOf(), told, world.signal), 'unavailable', /crash as they start/);
      assert.match(given.facts.nextStep!, /logs/);
      assert.equal(given.facts.delivered, 'no');
      assert.ok(told.phases.includes("In the queue: the endpoint's workers crash"), told.phases.join());
    });

    it('for a worker that is shown running and takes nothing', async () => {
      breakIt({ kind: 'looksRunning' }, 'startWorker');
      const id = world.endpoint();
      await fault(backendOf(id).run(jobOf(), listener(), world.signal), 'unavailable', /takes no job/);
      assert.deepEqual(
        jobsOf(id).map(({ status }) => status),
        ['CANCELLED'],
      );
    });

    it('goes on when capacity comes in time', async () => {
      breakIt({ kind: 'noCapacity' }, 'startWorker');
      const running = backendOf(world.endpoint()).run(jobOf(), listener(), world.signal);
      await sleep(200);
      world.sim.runpod.faults.clear();
      assert.equal((await running).files.length, 1);
    });

    it('that cannot be taken back may still run: said so', async () => {
      breakIt({ kind: 'noCapacity' }, 'startWorker');
      breakIt({ kind: 'status', status: 500, effect: 'before' }, 'cancelJob');
      const given = await fault(backendOf(world.endpoint()).run(jobOf(), listener(), world.signal), 'noCapacity', /./);
      assert.equal(given.facts.delivered, 'maybe');
    });

    it('that shows how long it ran and never ends is given up', async () => {
      breakIt({ kind: 'lateProgress' }, 'workJob', 1);
      await fault(
        backendOf(world.endpoint()).run(jobOf(), listener(), world.signal),
        'unavailable',
        /although it has ended/,
      );
    });

    it('is not sent to an endpoint that runs none, or has no queue', async () => {
      const shut = backendOf(world.endpoint({ workers: { min: 0, max: 0 } }));
      const none = await fault(shut.run(jobOf(), listener(), world.signal), 'noCapacity', /maximum of workers is 0/);
      assert.deepEqual([none.facts.delivered, posts('runJob')], ['no', 0]);
      const scaling = { type: 'REQUEST_COUNT', requestCount: 1 };
      const balancer = backendOf(world.endpoint({ type: 'LOAD_BALANCER', scaling }));
      await fault(balancer.run(jobOf(), listener(), world.signal), 'mismatch', /load balancer/);
      await fault(
        backendOf('nothere').run(jobOf(), listener(), world.signal),
        'mismatch',
        /not in this RunPod account/,
      );
    });
  });

  describe('bad luck on the wire', () => {
    it('a lost reply to a paid run: sent once, not known, the most that it can cost is told', async () => {
      const id = world.endpoint();
      const backend = backendOf(id);
      await backend.probe(world.signal);
      breakIt({ kind: 'reset', effect: 'after' }, 'runJob', 1);
      const told = listener();
      const lost = await fault(backend.run(jobOf(), told, world.signal), 'unreachable', /whether RunPod took the job/);
      assert.equal(lost.facts.delivered, 'maybe');
      assert.match(lost.facts.nextStep!, /\$0\.19 at most/);
      assert.equal(posts('runJob'), 1);
      const address = `${world.sim.addresses.serverlessUrl}/${id}`;
      assert.deepEqual(told.intents, [{ address }]);
      const resumed = await backend.resume!({ address }, jobOf(), listener(), world.signal);
      assert.equal(resumed.is, 'lost');
      const sent = JSON.parse(world.sim.runpod.requests.find(({ operation }) => operation === 'runJob')!.body!);
      assert.equal(sent.policy.executionTimeout, 600_000, 'RunPod itself ends what we have lost');
      assert.ok(sent.policy.ttl > 600_000 && sent.policy.ttl < 86_400_000);
    });

    it('429, resets, pages and 5xx while it is followed change nothing', async () => {
      const id = world.endpoint();
      breakIt({ kind: 'rateLimited' }, 'runJob', 1);
      for (const failure of [
        { kind: 'reset', effect: 'before' },
        { kind: 'html' },
        { kind: 'status', status: 502, effect: 'before' },
        { kind: 'truncatedJson' },
      ] as const) {
        breakIt(failure, 'getJobStatus', 1);
        breakIt(failure, 'getEndpointHealth', 1);
      }
      const result = await backendOf(id).run(jobOf(), listener(), world.signal);
      assert.equal(result.files.length, 1);
      assert.equal(jobsOf(id).length, 1);
    });

    it('management that does not answer stops no job; the price is then unknown, not zero', async () => {
      const id = world.endpoint();
      for (const on of ['getEndpoint', 'listGpuTypes', 'listEndpointWorkers'] as const) {
        breakIt({ kind: 'status', status: 503, effect: 'before' }, on);
      }
      const result = await backendOf(id).run(jobOf(), listener(), world.signal);
      assert.deepEqual([result.files.length, result.basis], [1, 'unknown']);
      assert.match(result.costBasis, /price is not known/);
    });

    it('a job that RunPod is silent about for too long may still end there', async () => {
      const id = world.endpoint();
      breakIt({ kind: 'status', status: 503, effect: 'before' }, 'getJobStatus');
      const told = listener();
      const silent = await fault(backendOf(id).run(jobOf(), told, world.signal), 'unavailable', /503/);
      assert.equal(silent.facts.delivered, 'maybe');
      assert.ok(told.phases.some((phase) => /has not answered for/.test(phase)));
      world.sim.runpod.faults.clear();
      await sleep(500);
      const resumed = await backendOf(id).resume!(told.intents.at(-1)!, jobOf(), listener(), world.signal);
      assert.equal(resumed.is, 'result');
    });

    it('a result that has expired is gone', async () => {
      world.sim.runpod.serverless.configure({ retentionMs: { run: 200, runsync: 200 } });
      const slow = { ...timings, firstMs: 1_000, queuedMostMs: 1_000 };
      const gone = await fault(
        backendOf(world.endpoint(), { timings: slow }).run(jobOf(), listener(), world.signal),
        'unavailable',
        /no longer has the job/,
      );
      assert.equal(gone.facts.delivered, 'yes');
    });

    it('a key that is revoked meanwhile ends it at once, and the job can be asked for later', async () => {
      const id = world.endpoint();
      const told = listener((remote) => {
        if (remote.promptId !== undefined) breakIt({ kind: 'revokedKey' }, 'getJobStatus');
        return Promise.resolve();
      });
      const revoked = await fault(backendOf(id).run(jobOf(), told, world.signal), 'unauthorized', /API key/);
      assert.equal(revoked.facts.delivered, 'maybe');
    });
  });

  describe('cancelling', () => {
    const cancelled = (): Fault => new Fault('cancelled', 'Cancelled');

    it('in the queue and at work ends the job at RunPod; what ran is charged', async () => {
      const id = world.endpoint();
      const backend = backendOf(id);
      for (const [phase, afterMs] of [
        [/In the queue|starting/, 0],
        [/Generating/, 20],
      ] as const) {
        const stop = new AbortController();
        const told = listener();
        const seen: Told = {
          ...told,
          onProgress: (at) => {
            told.onProgress(at);
            if (phase.test(at.phase)) setTimeout(() => stop.abort(cancelled()), afterMs);
          },
        };
        await fault(backend.run(jobOf(painting(1, 500)), seen, stop.signal), 'cancelled', /Cancelled/);
      }
      assert.deepEqual(
        jobsOf(id).map(({ status }) => status),
        ['CANCELLED', 'CANCELLED'],
      );
      // The one at work has run; on a busy machine the one in the queue may have begun as well.
      assert.ok(charges.length >= 1);
    });

    it('while the job is on its way waits for its id and cancels it too', async () => {
      const id = world.endpoint();
      breakIt({ kind: 'delay', ms: 60_000 }, 'runJob', 1);
      const stop = new AbortController();
      const watching = setInterval(() => {
        if (posts('runJob') === 1) stop.abort(cancelled());
      }, 5);
      await fault(backendOf(id).run(jobOf(painting(1, 500)), listener(), stop.signal), 'cancelled', /Cancelled/);
      clearInterval(watching);
      assert.deepEqual(
        jobsOf(id).map(({ status }) => status),
        ['CANCELLED'],
      );
    });

    it("by the window's end leaves it to run, and another window collects it", async () => {
      const id = world.endpoint();
      const stop = new AbortController();
      const told = listener();
      const job = jobOf(painting(2, 8));
      const running = backendOf(id).run(
        job,
        { ...told, onProgress: ({ phase }) => void (/queue|starting/.test(phase) && stop.abort(shutdown)) },
        stop.signal,
      );
      const shutdown = new Fault('cancelled', 'The window was closed', { by: 'shutdown' });
      await fault(running, 'cancelled', /window/);
      assert.equal(posts('cancelJob'), 0);
      const later = listener();
      const resumed = await backendOf(id).resume!(told.intents.at(-1)!, job, later, world.signal);
      assert.equal(resumed.is, 'result');
      assert.ok(resumed.is === 'result' && resumed.result.files.length === 1 && resumed.result.micros > 0);
      assert.equal(posts('runJob'), 1);
    });

    it('of a job that could not be recorded: it is ended at RunPod, not left to cost', async () => {
      const id = world.endpoint();
      const told = listener((remote) =>
        remote.promptId === undefined ? Promise.resolve() : Promise.reject(new Fault('io', 'The disk is full')),
      );
      await fault(backendOf(id).run(jobOf(), told, world.signal), 'io', /disk is full/);
      assert.deepEqual(
        jobsOf(id).map(({ status }) => status),
        ['CANCELLED'],
      );
    });

    it('at RunPod by somebody else is told', async () => {
      const id = world.endpoint();
      const running = backendOf(id).run(jobOf(), listener(), world.signal);
      await sleep(60);
      await world.jobs.purgeQueue(id, world.signal);
      await fault(running, 'cancelled', /cancelled at RunPod/);
    });
  });

  describe('what another window left', () => {
    const sent = async (id: string, workflow: object = plain()): Promise<RemoteRun> => {
      const json = JSON.stringify({ input: { workflow } });
      const { id: promptId } = await world.jobs.run(id, { json }, world.signal);
      return { address: `${world.sim.addresses.serverlessUrl}/${id}`, promptId };
    };

    it('is lost once RunPod has dropped it, and later while RunPod is away', async () => {
      const id = world.endpoint();
      const backend = backendOf(id);
      const remote = await sent(id);
      world.sim.runpod.faults.set({ failure: { kind: 'apiDown' } });
      const away = await backend.resume!(remote, jobOf(), listener(), world.signal);
      assert.equal(away.is, 'later');
      world.sim.runpod.faults.clear();
      const gone = await backend.resume!({ ...remote, promptId: 'gone' }, jobOf(), listener(), world.signal);
      assert.ok(gone.is === 'lost' && /30 minutes/.test(gone.why));
      assert.equal((await backend.resume!(remote, jobOf(), listener(), world.signal)).is, 'result');
    });

    it('at another address is not asked for: the key stays where it belongs', async () => {
      const id = world.endpoint();
      const before = world.sim.runpod.requests.length;
      const elsewhere = { address: `https://elsewhere.invalid/v2/${id}`, promptId: 'x' };
      const resumed = await backendOf(id).resume!(elsewhere, jobOf(), listener(), world.signal);
      assert.equal(resumed.is, 'later');
      assert.equal(world.sim.runpod.requests.length, before);
    });

    it('and nobody wants any more is ended there', async () => {
      const id = world.endpoint();
      const remote = await sent(id, painting(1, 500));
      const stop = new AbortController();
      setTimeout(() => stop.abort(new Fault('cancelled', 'Cancelled')), 60);
      await fault(backendOf(id).resume!(remote, jobOf(), listener(), stop.signal), 'cancelled', /./);
      assert.deepEqual(
        jobsOf(id).map(({ status }) => status),
        ['CANCELLED'],
      );
    });

    it('and failed there is a fault', async () => {
      const id = world.endpoint();
      const remote = await sent(id, {});
      await fault(
        backendOf(id).resume!(remote, jobOf(), listener(), world.signal),
        'mismatch',
        /cannot run the workflow/,
      );
    });
  });

  describe('its health', () => {
    it('is scaled down, starting, at work, without capacity, crashing', async () => {
      const id = world.endpoint({ workers: { min: 0, max: 1, idleTimeout: 3600 } });
      const backend = backendOf(id);
      const health = await backend.probe(world.signal);
      assert.deepEqual(
        [health.state, health.why, health.gpu],
        ['stopped', 'No worker is up; a job starts one', 'RTX 4090'],
      );
      assert.equal(backend.depth, 2);
      const running = backend.run(jobOf(), listener(), world.signal);
      await sleep(60);
      const starting = await backend.probe(world.signal);
      assert.deepEqual([starting.state, starting.queueLength], ['starting', 1]);
      await running;
      assert.equal((await backend.probe(world.signal)).state, 'healthy');
      breakIt({ kind: 'noCapacity' }, 'startWorker');
      const poor = world.endpoint({ workers: { min: 1, max: 1 } });
      assert.deepEqual((await backendOf(poor).probe(world.signal)).state, 'degraded');
      world.sim.runpod.faults.clear();
      breakIt({ kind: 'crashLoop' }, 'startWorker');
      const broken = world.endpoint({ workers: { min: 1, max: 1 } });
      await sleep(500);
      assert.match((await backendOf(broken).probe(world.signal)).why, /crash/);
      const shut = await backendOf(world.endpoint({ workers: { min: 0, max: 0 } })).probe(world.signal);
      assert.deepEqual([shut.state, posts('runJob')], ['unhealthy', 1]);
    });

    it('tells what is wrong with the key or the address', async () => {
      const id = world.endpoint();
      world.key = 'rpa_wrong';
      assert.equal((await backendOf(id).probe(world.signal)).fault?.kind, 'unauthorized');
      world.key = world.sim.runpodApiKey;
      assert.match((await backendOf('nothere').probe(world.signal)).why, /not in this RunPod account/);
    });

    it('predicts by list price, then by what it measured', async () => {
      const backend = backendOf(world.endpoint());
      assert.match(backend.quote(jobOf()).basis, /time and price assumed/);
      await backend.probe(world.signal);
      assert.deepEqual(backend.quote(jobOf()), {
        micros: 6_200,
        basis: "20 s at $1.12/h (assumed), the worker's start apart",
      });
      const { micros } = await backend.run(jobOf(), listener(), world.signal);
      const quote = backend.quote(jobOf());
      assert.equal(quote.micros, micros);
      assert.match(quote.basis, /measured on this endpoint/);
      assert.match(backend.quote(jobOf(plain(), { media: 'video' })).basis, /^300 s/);
    });

    it('is off without a key or when switched off', () => {
      const ready = (change: Partial<ServerlessBackendOptions>) => backendOf('x', change).ready();
      assert.deepEqual(ready({ enabled: () => false }), { ok: false, why: 'Switched off' });
      assert.deepEqual(ready({ hasKey: () => false }), { ok: false, why: 'No RunPod API key is set' });
      assert.deepEqual(ready({}), { ok: true });
    });
  });
});
