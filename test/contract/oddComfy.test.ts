// What old, broken and false servers answer in ComfyUI's place: nothing is lost, and nothing is paid for that need not be.
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { parsePythonJson } from '../../src/core/comfy/pythonJson.ts';
import { readTextFrame } from '../../src/core/comfy/frames.ts';
import { createComfyProbe } from '../../src/core/fleet/comfyProbe.ts';
import { createDispatcher } from '../../src/core/http/dispatcher.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import { openClient } from './comfyClientWorld.ts';
import type { ClientWorld } from './comfyClientWorld.ts';
import { startFalseComfy, startPlainServer } from './plainServer.ts';
import type { PlainServer } from './plainServer.ts';
import { until } from './jobWindow.ts';
import { postJson } from './simComfyHarness.ts';
import { job, openWorld, smallWorkflow } from './world.ts';
import type { World, WorldOptions } from './world.ts';

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  const error = await work.then(
    () => assert.fail('It succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Fault, String(error));
  return error;
}

const png = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');
/** As Python's json.dumps: what is no number in JavaScript is none in its JSON either. */
const pythonJson = (body: unknown): string =>
  JSON.stringify(body, (_, value: unknown) => (Number.isNaN(value) ? '@NaN' : value)).replaceAll('"@NaN"', 'NaN');

describe('a job on an odd local ComfyUI', () => {
  let world: World;
  const open = async (options: WorldOptions = {}): Promise<void> => {
    world = await openWorld(options);
    world.settings = { ...world.settings, 'gemini.enabled': false };
  };
  const run = (workflow = smallWorkflow()) => world.core.jobs.run(job(workflow), () => undefined, world.signal);
  const outputs = (): Promise<string[]> => readdir(path.join(world.folder, 'generated')).catch(() => []);
  afterEach(() => world.close());

  it('a web page in place of the file: the file is asked for again, and no page is ever saved as a picture', async () => {
    await open();
    world.sim.local.control.faults = { html200: { path: '/view', times: 1 } };
    const outcome = await run();
    const bytes = await readFile(outcome.outputs[0]!.path);
    assert.deepEqual(bytes, Buffer.from(world.sim.local.file('output', '', 'test_00001_.png')!));
    assert.deepEqual(await outputs(), ['test_00001_.png', 'test_00001_.png.podrelay.json']);
    world.sim.local.control.faults = { html200: { path: '/view' } };
    const direct = openClient(world.sim.addresses.localComfyUrl);
    const file = { nodeId: '2', filename: 'notes', subfolder: '', type: 'output' };
    const fault = await faultOf(direct.client.download(file, world.signal));
    await direct.close();
    assert.deepEqual([fault.kind, fault.message], ['protocol', "A web page came instead of 'notes'"]);
  });

  it('bare NaN and Infinity, as Python writes them, in history and node definitions: the job is done here', async () => {
    const server = await startFalseComfy([{ filename: 'a.png', score: NaN }], png, pythonJson);
    try {
      await open({ localComfyUrl: server.base });
      world.podId = world.sim.runpod.seedPod({ name: 'p' }).id;
      assert.equal((await run()).backend, 'local');
      assert.equal(world.sim.podComfy(world.podId)?.requests.length ?? 0, 0);
    } finally {
      await server.close();
    }
  });

  it('an address that refuses every question with 4xx is no ComfyUI: the job goes to a healthy pod', async () => {
    let status = 0;
    let [type, body] = ['text/html', '<html>The plain HTTP request was sent to HTTPS port</html>'];
    const server = await startPlainServer((_, to) => to.writeHead(status, { 'content-type': type }).end(body));
    try {
      await open({ localComfyUrl: server.base });
      world.podId = world.sim.runpod.seedPod({ name: 'p' }).id;
      for (status of [400, 403, 405, 418]) {
        world.core.backends.reset('local');
        const outcome = await run();
        const local = outcome.attempts.find(({ backend }) => backend === 'local');
        assert.deepEqual([outcome.backend, local?.faultKind], ['cloud', 'protocol'], String(status));
        assert.match(local?.why ?? '', new RegExp(`${status}.*may not be a ComfyUI`));
        [type, body] = ['application/json', '{"error":"no"}'];
      }
    } finally {
      await server.close();
    }
  });

  it('a submission that it cannot read is our mistake, for which no pod is paid', async () => {
    await open();
    world.podId = world.sim.runpod.seedPod({ name: 'p' }).id;
    const body = '500 Internal Server Error\n\nServer got itself in trouble';
    const strikes = { path: '/prompt', method: 'POST', status: 500, body, contentType: 'text/plain' };
    world.sim.local.control.faults = { httpError: strikes };
    assert.equal((await faultOf(run())).kind, 'rejected');
    assert.equal(world.sim.podComfy(world.podId)?.requests.length ?? 0, 0);
  });

  it("a job that somebody deletes in the server's own queue is over: no pod is paid for it", async () => {
    await open();
    world.podId = world.sim.runpod.seedPod({ name: 'p' }).id;
    world.sim.local.control.faults = { zombieWorker: true };
    const base = world.sim.addresses.localComfyUrl;
    await postJson(base, '/prompt', { prompt: smallWorkflow(1) });
    const [first] = world.sim.local.state().pending;
    const ended = faultOf(run());
    const others = (): string[] => world.sim.local.state().pending.filter((id) => id !== first);
    await until('it waits there', () => others().length === 1);
    await postJson(base, '/queue', { delete: others() });
    const fault = await ended;
    assert.deepEqual([fault.kind, fault.facts.nextStep], ['jobFailed', 'Run it again.']);
    assert.match(fault.message, /removed from the server's queue/);
    assert.equal(world.sim.podComfy(world.podId)?.requests.length ?? 0, 0);
  });
});

describe("Python's JSON", () => {
  it('has null where a number is none, and every string as it was', () => {
    const text = '{"a":NaN,"b":[Infinity,-Infinity,1],"c":"NaN, \\"-Infinity\\" \\\\","NaN":"x"}';
    const read = parsePythonJson(text);
    assert.deepEqual(read, { a: null, b: [null, null, 1], c: 'NaN, "-Infinity" \\', NaN: 'x' });
    assert.throws(() => parsePythonJson('{"a":NaN'), SyntaxError);
    assert.throws(() => parsePythonJson(`{"a":NaN,"b":"${'\\"'.repeat(500_000)}`), SyntaxError);
  });

  it('is read in a frame of the WebSocket', () => {
    const data = '{"node":"3","prompt_id":"p","value":2,"max":4,"loss":NaN}';
    const event = readTextFrame(`{"type":"progress","data":${data}}`);
    assert.deepEqual(event, { is: 'progress', promptId: 'p', node: '3', value: 2, max: 4 });
  });
});

describe('one odd ComfyUI', () => {
  /** What it has, and what it was told to do. */
  let running: string[];
  let pending: string[];
  let told: string[];
  let server: PlainServer;
  let world: ClientWorld;
  type Answer = (at: string, body: Record<string, unknown>) => object | undefined | Promise<object>;
  /** Queue and history as they were long ago: no call to cancel one job. `answer` goes before all that. */
  const open = async (answer: Answer): Promise<void> => {
    [running, pending, told] = [[], [], []];
    server = await startPlainServer((request, response, { pathname }) => {
      const at = `${request.method} ${pathname}`;
      void text(request).then(async (sent) => {
        const body = (sent === '' ? {} : JSON.parse(sent)) as Record<string, unknown>;
        if (request.method === 'POST') told.push(`${pathname} ${sent}`);
        if (pathname.startsWith('/api/jobs/') || pathname === '/ws') return void response.writeHead(404).end();
        if (at === 'POST /queue') pending = pending.filter((id) => !(body.delete as string[]).includes(id));
        if (at === 'POST /interrupt') running = [];
        const list = (ids: readonly string[]): object => ids.map((id, n) => [n, id, {}, {}, []]);
        const queue = { queue_running: list(running), queue_pending: list(pending) };
        const reply = (await answer(at, body)) ?? (at === 'GET /queue' ? queue : {});
        if (reply instanceof Error) response.writeHead(500).end(`500 Internal Server Error\n\n${reply.message}`);
        else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(reply));
      });
    });
    world = openClient(server.base);
  };
  afterEach(async () => {
    await world.close();
    await server.close();
  });

  it('it answers with a prompt id of its own: that prompt is taken back before another backend gets the job', async () => {
    await open((at) => {
      if (at !== 'POST /prompt') return undefined;
      pending.push('its-own');
      return { prompt_id: 'its-own', number: 1 };
    });
    const fault = await faultOf(world.run(smallWorkflow()));
    assert.match(fault.message, /too old/);
    assert.deepEqual(pending, []);
  });

  it('it has the prompt and answers 500 to it: the prompt is followed to its end', async () => {
    let id = '';
    await open((at, body) => {
      if (at === 'POST /prompt') id = String(body.prompt_id);
      if (at === 'POST /prompt') return new Error('Server got itself in trouble');
      return at === `GET /history/${id}`
        ? { [id]: { outputs: { 2: { images: [{ filename: 'a.png' }] } } } }
        : undefined;
    });
    assert.equal((await world.run(smallWorkflow())).files.length, 1);
  });

  it('it stops whatever runs when it is told to interrupt: it is told so only while our prompt runs', async () => {
    await open(() => undefined);
    running.push('ours');
    await world.client.cancel('ours', world.signal);
    assert.ok(told.some((line) => line.startsWith('/interrupt')));
    [running, pending, told] = [['a-stranger'], ['ours'], []];
    await world.client.cancel('ours', world.signal);
    assert.deepEqual([running, pending], [['a-stranger'], []]);
    assert.ok(!told.some((line) => line.startsWith('/interrupt')));
  });

  it('a prompt that arrives there after its cancellation is cancelled once more', async () => {
    const stop = new AbortController();
    let id: string | undefined;
    await open((at, body) => {
      if (at === 'POST /prompt') {
        id = String(body.prompt_id);
        stop.abort(new Fault('cancelled', 'By hand'));
        return new Promise(() => undefined);
      }
      const late = id;
      if (at === 'POST /queue' && late !== undefined) setTimeout(() => pending.push(late), 50);
      id = at === 'POST /queue' ? undefined : id;
      return undefined;
    });
    assert.equal((await faultOf(world.run(smallWorkflow(), {}, stop.signal))).kind, 'cancelled');
    assert.equal(told.filter((line) => line.startsWith('/queue')).length, 2);
    assert.deepEqual(pending, []);
  });

  it('a prompt that ends while it is asked for, between history and queue, is found', async () => {
    let asked = 0;
    await open((at) => (at === 'GET /history/ours' && ++asked > 1 ? { ours: { outputs: {} } } : undefined));
    assert.equal((await world.client.find('ours', world.signal)).at, 'finished');
    assert.equal((await world.client.find('other', world.signal)).at, 'unknown');
  });

  it('a blocked output is told like a failure, and is none: the prompt goes on', () => {
    const told = (exception_type: string) =>
      readTextFrame(JSON.stringify({ type: 'execution_error', data: { prompt_id: 'p', exception_type } }));
    assert.equal(told('ExecutionBlocked'), undefined);
    assert.deepEqual(told('ValueError'), { is: 'failed', promptId: 'p' });
  });

  it('it is shown a token only where there is one', async () => {
    await open(() => undefined);
    const shown: (string | undefined)[] = [];
    const pod = await startPlainServer(({ headers }, to) => {
      shown.push(headers.authorization);
      to.writeHead(401).end();
    });
    const transport = createDispatcher({ proxyUrl: undefined, noProxy: [], strictTls: true });
    const quiet = (): void => undefined;
    const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    const base = {
      transport: () => Promise.resolve(transport),
      clock: systemClock,
      log,
      random: () => 0,
      userAgent: 'x',
    };
    for (const token of [undefined, 'abc']) {
      await createComfyProbe({ ...base, tokenFor: () => Promise.resolve(token) })(pod.base, world.signal);
    }
    await transport.close();
    await pod.close();
    assert.deepEqual(shown, [undefined, 'Bearer abc']);
  });
});
