// Bad input and bad luck on the way to one ComfyUI: a clear error or another way, and nothing lost.
import assert from 'node:assert/strict';
import { access, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Attempt } from '../../src/core/backends/backendManager.ts';
import type { JobOutcome } from '../../src/core/jobs/jobRunner.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import type { ComfyFaults } from '../../src/sim/comfy/faults.ts';
import { openClient } from './comfyClientWorld.ts';
import { startFalseComfy, startPlainServer } from './plainServer.ts';
import type { PlainServer } from './plainServer.ts';
import { job, openWorld, samplerWorkflow, smallWorkflow } from './world.ts';
import type { World, WorldOptions } from './world.ts';

const quiet = (): void => undefined;
const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

/** What became of the first backend that was really tried. */
function firstTry({ attempts }: JobOutcome): Attempt {
  return attempts.find(({ outcome }) => outcome !== 'refused')!;
}

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  const error = await work.then(
    () => assert.fail('It succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Fault, String(error));
  return error;
}

describe('bad luck with the local ComfyUI', () => {
  let world: World;
  const open = async (options: WorldOptions = {}): Promise<World> => {
    world = await openWorld(options);
    world.settings = { ...world.settings, 'routing.forced': 'local' };
    return world;
  };
  const withPod = (): void => {
    world.podId = world.sim.runpod.seedPod({ name: 'p' }).id;
    world.settings = { ...world.settings, 'routing.forced': 'none', 'gemini.enabled': false };
  };
  const run = (workflow = smallWorkflow()) => world.core.jobs.run(job(workflow), quiet, world.signal);
  const submissions = (): number =>
    world.sim.local.requests.filter(({ method, path: at }) => method === 'POST' && at === '/prompt').length;
  const outputs = async (): Promise<readonly string[]> =>
    (await readdir(path.join(world.folder, 'generated')).catch(() => [])).filter((name) => !name.endsWith('.json'));
  afterEach(() => world.close());

  it('a server that validates and rejects: node and field are shown, and no paid backend gets it', async () => {
    await open();
    withPod();
    const workflow = smallWorkflow();
    workflow['1']!.inputs.width = -5;
    const fault = await faultOf(run(workflow));
    assert.equal(fault.kind, 'rejected');
    assert.match(fault.message, /EmptyImage \(node 1\).*width/);
    assert.deepEqual([fault.facts.nodeId, fault.facts.input], ['1', 'width']);
    assert.match(fault.facts.nextStep ?? '', /Correct the input/);
    assert.equal(world.sim.podComfy(world.podId!)?.requests.length ?? 0, 0);
  });

  it('a server that validates and rejects: every wrong field is shown, not the first only', async () => {
    await open();
    const workflow = smallWorkflow();
    Object.assign(workflow['1']!.inputs, { width: -5, height: 'tall' });
    const { message } = await faultOf(run(workflow));
    assert.match(message, /width/);
    assert.match(message, /height/);
  });

  describe('a missing node or model', () => {
    const sleeping = (seed = 1): ReturnType<typeof smallWorkflow> => ({
      ...smallWorkflow(seed),
      '2': {
        class_type: 'SimSleep',
        inputs: { image: ['1', 0], steps: 1, delay: 0.1, preview: false, seed },
      },
      '3': { class_type: 'SaveImage', inputs: { images: ['2', 0], filename_prefix: 'slept' } },
    });
    const force = (tier: 'local' | 'cloud' | 'none'): void => {
      world.settings = { ...world.settings, 'routing.forced': tier };
    };
    const onPods = { podShelf: { nodePacks: ['simtest'] } } as const;
    const podAnswered = async (): Promise<void> => void (await world.core.backends.check('cloud', world.signal));

    it('a missing node: it is named, and the next backend, which has it, takes the job', async () => {
      await open(onPods);
      withPod();
      const outcome = await run(sleeping());
      assert.equal(outcome.backend, 'cloud');
      assert.match(firstTry(outcome).why ?? '', /node SimSleep is not installed/);
    });

    it('a missing node: it is said which other backend has it', async () => {
      await open(onPods);
      withPod();
      await podAnswered();
      force('local');
      const fault = await faultOf(run(sleeping()));
      assert.equal(fault.kind, 'mismatch');
      assert.match(fault.message, /local: node SimSleep is not installed/);
      assert.equal(fault.facts.nextStep, 'The RunPod pod has the node SimSleep.');
    });

    it('a missing node: it is said also of a backend that is away now', async () => {
      await open(onPods);
      withPod();
      await run(sleeping());
      await world.core.pods.stop(world.podId!, world.signal);
      force('local');
      const fault = await faultOf(run(sleeping(2)));
      assert.equal(fault.facts.nextStep, 'The RunPod pod has the node SimSleep.');
      assert.equal(world.sim.runpod.state().pods[0]?.status, 'EXITED', 'and nothing is started to find out');
    });

    it('a missing node: it is said that nobody else is known to have it', async () => {
      await open(onPods);
      withPod();
      const workflow = { ...smallWorkflow(), '9': { class_type: 'NoSuchNode', inputs: {} } };
      const fault = await faultOf(run(workflow));
      assert.match(fault.message, /local: node NoSuchNode.*cloud: node NoSuchNode/);
      assert.equal(fault.facts.nextStep, 'No other backend is known to have the node NoSuchNode.');
    });

    it('a missing node of a job that stays here: no other backend is asked', async () => {
      await open(onPods);
      withPod();
      await podAnswered();
      const asked = world.sim.podComfy(world.podId!)?.requests.length;
      const fault = await faultOf(world.core.jobs.run(job(sleeping(), { localOnly: true }), quiet, world.signal));
      assert.equal(fault.facts.nextStep, 'No other backend is known to have the node SimSleep.');
      assert.equal(world.sim.podComfy(world.podId!)?.requests.length, asked);
    });

    it('a missing model: it is named, and it is said which other backend has it', async () => {
      await open({ localShelf: { models: { checkpoints: ['mine.safetensors'] } } });
      withPod();
      force('cloud');
      const workflow = samplerWorkflow();
      workflow['1']!.inputs.ckpt_name = 'mine.safetensors';
      const fault = await faultOf(run(workflow));
      assert.equal(fault.kind, 'mismatch');
      assert.match(fault.message, /CheckpointLoaderSimple \(node 1\).*mine\.safetensors/);
      assert.equal(fault.facts.nextStep, "The local ComfyUI has 'mine.safetensors' (CheckpointLoaderSimple).");
    });

    for (const comfyProfile of ['0.3.64', '0.8.0', '0.33.0'] as const) {
      it(`a missing node that ComfyUI ${comfyProfile} itself refuses is a mismatch, named`, async () => {
        await open({ comfyProfile });
        const client = openClient(world.sim.addresses.localComfyUrl);
        const titled = { class_type: 'NoSuchNode', inputs: {}, _meta: { title: 'My node' } };
        const fault = await faultOf(client.run({ ...smallWorkflow(), '9': titled }));
        await client.close();
        assert.equal(fault.kind, 'mismatch');
        assert.match(fault.message, /NoSuchNode is not installed/);
        assert.equal(fault.facts.nodeType, 'NoSuchNode');
      });
    }
  });

  describe('a wrong URL', () => {
    it('where nobody listens: refused at once, and the next backend takes the job', async () => {
      const closed = await startPlainServer(quiet);
      await closed.close();
      await open({ localComfyUrl: closed.base });
      withPod();
      const outcome = await run();
      assert.equal(outcome.backend, 'cloud');
      assert.deepEqual(
        outcome.attempts.filter(({ outcome: how }) => how !== 'refused').map(({ backend, why }) => [backend, why]),
        [
          ['local', 'Connection refused'],
          ['cloud', undefined],
        ],
      );
    });

    it('of a host that does not exist: said, with its cause', async () => {
      await open({ localComfyUrl: 'http://no-such-host.invalid:8188' });
      const fault = await faultOf(run());
      assert.equal(fault.kind, 'unreachable');
      assert.match(fault.message, /No connection \((ENOTFOUND|EAI_AGAIN)\)/);
    });
  });

  describe('a URL that is not ComfyUI', () => {
    let server: PlainServer;
    afterEach(() => server.close());
    const answers: readonly (readonly [string, Parameters<typeof startPlainServer>[0], RegExp])[] = [
      ['a web page', (_, to) => to.writeHead(200, { 'content-type': 'text/html' }).end('<html>Hi</html>'), /web page/],
      ['a page that is not found', (_, to) => to.writeHead(404).end(), /may not be a ComfyUI/],
      [
        'JSON of its own',
        (_, to) => to.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":1}'),
        /unexpected shape/,
      ],
      ['a redirection', (_, to) => to.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(), /Redirected/],
      [
        'a health page that says OK',
        (_, to, { pathname }) => to.writeHead(pathname === '/health' ? 200 : 404).end('OK'),
        /may not be a ComfyUI/,
      ],
    ];
    for (const [what, answer, told] of answers) {
      it(`but answers with ${what}: unhealthy, and said so in a job too`, async () => {
        server = await startPlainServer(answer);
        await open({ localComfyUrl: server.base });
        const health = await world.core.backends.check('local', world.signal);
        assert.equal(health.state, 'unhealthy');
        assert.equal(health.fault?.kind, 'protocol');
        assert.match(health.why, told);
        world.core.backends.reset('local');
        const fault = await faultOf(run());
        assert.equal(fault.kind, 'protocol');
        assert.match(fault.message, told);
        assert.equal(server.requests.filter((line) => line.startsWith('POST')).length, 0, 'and no work was sent there');
      });
    }
  });

  for (const [what, faults] of [
    ['HTML instead of JSON', (at: object): ComfyFaults => ({ html200: at })],
    ['truncated JSON', (at: object): ComfyFaults => ({ truncateJson: at })],
  ] as const) {
    describe(what, () => {
      it('to every question: a protocol fault, and the next backend takes the job', async () => {
        await open();
        withPod();
        world.sim.local.control.faults = faults({});
        const outcome = await run();
        assert.equal(outcome.backend, 'cloud');
        assert.equal(firstTry(outcome).faultKind, 'protocol');
        assert.match(firstTry(outcome).why ?? '', /not JSON/);
        assert.ok(world.log.some((line) => line.startsWith('warn Unexpected reply') && line.includes('raw')));
      });

      it('to the submission: the job is looked for, not sent again', async () => {
        await open();
        world.sim.local.control.faults = faults({ path: '/prompt', method: 'POST', times: 1 });
        const ended = await run().catch((error: unknown) => error);
        if (what === 'truncated JSON') assert.ok(!(ended instanceof Error), 'the server had taken the prompt');
        else assert.ok(ended instanceof Fault && ended.kind === 'protocol' && ended.facts.delivered === 'no');
        assert.equal(submissions(), 1);
      });

      it('now and then while it runs: the result is had all the same', async () => {
        await open();
        world.sim.local.control.faults = { wsMute: true, ...faults({ path: '/queue', times: 2 }) };
        assert.equal((await run(samplerWorkflow())).outputs.length, 1);
        world.sim.local.control.faults = { wsMute: true, ...faults({ path: '/history', times: 2 }) };
        assert.equal((await run(samplerWorkflow(6))).outputs.length, 1);
      });
    });
  }

  it('a reply that breaks off while the file is fetched: fetched again, whole', async () => {
    await open();
    world.sim.local.control.faults = { resetMidBody: { path: '/view', times: 2 } };
    const outcome = await run();
    const bytes = await readFile(outcome.outputs[0]!.path);
    assert.deepEqual(bytes, Buffer.from(world.sim.local.file('output', '', 'test_00001_.png')!));
    assert.deepEqual(await outputs(), [path.basename(outcome.outputs[0]!.path)], 'and no part is left');
  });

  it('a server that dies while running: the next backend takes the job, and it is said', async () => {
    await open();
    withPod();
    let closing: Promise<void> | undefined;
    const outcome = await world.core.jobs.run(
      job(samplerWorkflow(3, 100)),
      ({ fraction }) => {
        if ((fraction ?? 0) > 0) closing ??= world.sim.setLocalOpen(false);
      },
      world.signal,
    );
    await closing;
    assert.equal(outcome.backend, 'cloud');
    assert.match(firstTry(outcome).why ?? '', /The server went away while it ran the job/);
    assert.equal((await outputs()).length, 1);
  });

  it('429, 402 and 5xx of a server: each by its meaning, and the next backend takes the job', async () => {
    for (const [status, kind] of [
      [429, 'rateLimited'],
      [402, 'noCredit'],
      [500, 'unavailable'],
      [503, 'unavailable'],
    ] as const) {
      await open();
      withPod();
      world.sim.local.control.faults = { httpError: { status, body: 'no', contentType: 'text/plain' } };
      const outcome = await run();
      assert.equal(outcome.backend, 'cloud');
      assert.equal(firstTry(outcome).faultKind, kind, String(status));
      if (status !== 503) await world.close();
    }
  });

  describe('an output name', () => {
    let server: PlainServer;
    afterEach(() => server.close());
    const run1 = async (filename: unknown, subfolder: unknown = ''): Promise<readonly string[]> => {
      server = await startFalseComfy([{ filename, subfolder }], png);
      await open({ localComfyUrl: server.base });
      await writeFile(path.join(world.folder, 'mine.png'), 'mine');
      return (await run()).outputs.map((output) => path.relative(path.join(world.folder, 'generated'), output.path));
    };
    for (const [name, saved] of [
      ['../mine.png', 'mine.png'],
      ['..\\..\\mine.png', 'mine.png'],
      ['/etc/passwd', 'passwd.png'],
      ['CON', '_CON.png'],
      ['aux.png', '_aux.png'],
      ['COM1.tar.png', '_COM1.tar.png'],
      ['..', 'output.png'],
      ['', 'output.png'],
    ] as const) {
      const what = /^(CON|aux|COM)/i.test(name)
        ? 'that is a device name'
        : name.includes('..')
          ? 'with ../'
          : 'of no use';
      it(`${what} (${JSON.stringify(name)}) is saved as ${saved} in the folder, and nowhere else`, async () => {
        assert.deepEqual(await run1(name, '../..'), [saved]);
        assert.equal(await readFile(path.join(world.folder, 'mine.png'), 'utf8'), 'mine');
        assert.deepEqual((await readdir(world.folder)).sort(), ['generated', 'mine.png', 'store']);
      });
    }
  });

  it('a file that exists already is never overwritten', async () => {
    await open();
    const folder = path.join(world.folder, 'generated');
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, 'test_00001_.png'), 'mine');
    const outcome = await run();
    assert.equal(path.basename(outcome.outputs[0]!.path), 'test_00001_-2.png');
    assert.equal(await readFile(path.join(folder, 'test_00001_.png'), 'utf8'), 'mine');
  });

  it('a server that claims a file and does not have it: said, and nothing is left', async () => {
    await open();
    world.sim.local.control.faults = {
      httpError: { path: '/view', status: 404, body: '', contentType: 'application/octet-stream' },
    };
    const fault = await faultOf(run());
    assert.match(fault.message, /404/);
    assert.deepEqual(await outputs(), []);
  });

  it('an output folder that cannot be: an io fault with a next step, and no other backend is paid for it', async () => {
    await open();
    withPod();
    await writeFile(path.join(world.folder, 'generated'), 'a file where the folder should be');
    const fault = await faultOf(run());
    assert.equal(fault.kind, 'io');
    assert.match(fault.facts.nextStep ?? '', /Choose another folder/);
    assert.equal(world.sim.podComfy(world.podId!)?.requests.length ?? 0, 0);
    await access(path.join(world.folder, 'generated'));
  });
});
