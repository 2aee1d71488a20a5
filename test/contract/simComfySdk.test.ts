// A client that no one here wrote, against the simulator: it works, and it fails where it fails on real servers.
import assert from 'node:assert/strict';
import { CallWrapper, ComfyApi, ComfyPool, EQueueMode, PromptBuilder } from '@saintno/comfyui-sdk';
import { decode } from 'fast-png';
import { getJson, startSim } from './simComfyHarness.ts';
import type { Graph, Running } from './simComfyHarness.ts';

const graph = (color: number, steps = 1): Graph => ({
  '1': { class_type: 'EmptyImage', inputs: { width: 16, height: 16, batch_size: 1, color } },
  '2': { class_type: 'SimSleep', inputs: { image: ['1', 0], steps, delay: 0.1, preview: false, seed: color } },
  '3': { class_type: 'SaveImage', inputs: { images: ['2', 0], filename_prefix: 'sdk' } },
});

interface Result {
  readonly images?: { readonly images: readonly { filename: string; subfolder: string; type: string }[] };
}

function call(api: ComfyApi, workflow: Graph): CallWrapper<string, string, never> {
  const builder = new PromptBuilder<string, string, never>(workflow as never, [], ['images']);
  return new CallWrapper(api, builder.setOutputNode('images', '3' as never));
}

/** What `work` settles to within `ms`; 'still waiting' otherwise. */
async function within<T>(ms: number, work: Promise<T>): Promise<T | 'still waiting'> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<'still waiting'>((resolve) => (timer = setTimeout(() => resolve('still waiting'), ms)));
  return Promise.race([work, patience]).finally(() => clearTimeout(timer));
}

describe('@saintno/comfyui-sdk against the simulated ComfyUI', () => {
  const runs: Running[] = [];
  const apis: ComfyApi[] = [];
  const start = async (profile: '0.3.64' | '0.8.0' | '0.33.0' = '0.33.0', scale = 1): Promise<Running> => {
    const run = await startSim({ profile, nodePacks: ['simtest'], scale });
    runs.push(run);
    return run;
  };
  const connect = async (run: Running, wsTimeout = 10_000): Promise<ComfyApi> => {
    const api = new ComfyApi(run.base, `sdk-${apis.length}`, { wsTimeout });
    apis.push(api);
    await api.init().waitForReady();
    return api;
  };
  /** Connections break, and are refused from then on. */
  const kill = async (run: Running): Promise<void> => {
    runs.splice(runs.indexOf(run), 1);
    await run.stop();
  };
  afterEach(async () => {
    for (const api of apis.splice(0)) api.destroy();
    for (const run of runs.splice(0)) await run.stop();
  });

  for (const profile of ['0.3.64', '0.8.0', '0.33.0'] as const) {
    it(`connects to ${profile} with the calls that it makes to real servers`, async () => {
      const run = await start(profile);
      await connect(run);
      const asked = run.sim.requests.map(({ method, path }) => `${method} ${path.split('?')[0]}`);
      for (const expected of [
        'GET /prompt',
        'GET /system_stats',
        'GET /manager/version',
        'GET /object_info/Primitive%20boolean%20%5BCrystools%5D',
        'GET /ws',
      ]) {
        assert.ok(asked.includes(expected), `${expected}, asked: ${asked.join(', ')}`);
      }
    });

    it(`runs a workflow on ${profile} to its picture`, async () => {
      const run = await start(profile);
      const api = await connect(run);
      const seen: string[] = [];
      const result = (await call(api, graph(0x336699, 5))
        .onStart(() => seen.push('start'))
        .onProgress(() => seen.push('progress'))
        .onFinished(() => seen.push('finished'))
        .run()) as Result;
      const image = result.images!.images[0]!;
      assert.deepEqual([...new Set(seen)], ['start', 'progress', 'finished']);
      const picture = decode(Buffer.from(await (await fetch(api.getPathImage(image))).arrayBuffer()));
      assert.deepEqual([...picture.data.slice(0, 3)], [0x33, 0x66, 0x99]);
    });
  }

  it('is told of a validation error', async () => {
    const run = await start();
    const api = await connect(run);
    const failures: Error[] = [];
    const workflow = graph(1);
    workflow['1']!.inputs.width = -1;
    const result = await call(api, workflow)
      .onFailed((error: Error) => failures.push(error))
      .run();
    assert.equal(result, false);
    assert.ok(failures.length >= 1);
  });

  it('interrupts what runs', async () => {
    const run = await start();
    const api = await connect(run);
    const failed = new Promise<Error>((resolve) => {
      void call(api, graph(2, 500))
        .onProgress(() => void api.interrupt())
        .onFailed(resolve)
        .run();
    });
    assert.notEqual(await within(4_000, failed), 'still waiting');
    assert.equal(run.sim.state().running, undefined);
  });

  it('spreads jobs in turn over two servers, as its pool does on real ones', async () => {
    const servers = [await start(), await start()];
    const pool = new ComfyPool(
      servers.map(({ base }) => new ComfyApi(base)),
      EQueueMode.PICK_ROUTINE,
    );
    try {
      // What is asked of a pool before its clients are there may wait for ever.
      let ready = 0;
      await new Promise<void>((resolve) => pool.on('added', () => void (++ready === servers.length && resolve())));
      // Its promises are not waited for: under load it misses the end of a job (as above), which is not the point here.
      for (const color of [1, 2, 3, 4]) {
        void pool.run(async (api: ComfyApi) => call(api, graph(color, 5)).run()).catch(() => undefined);
      }
      const sent = (): number[] =>
        servers.map(
          ({ sim }) => sim.requests.filter(({ method, path }) => `${method} ${path}` === 'POST /prompt').length,
        );
      for (let tries = 0; sent()[0]! + sent()[1]! < 4 && tries < 200; tries++)
        await within(50, new Promise(() => undefined));
      assert.deepEqual(sent(), [2, 2]);
    } finally {
      pool.destroy();
    }
  });

  it('hangs on a prompt from the cache of 0.8.0, whose events precede the reply, as on a real one', async () => {
    const run = await start('0.8.0');
    const api = await connect(run);
    // It may hang on the first one as well, when the machine is busy.
    await within(5_000, call(api, graph(7)).run());
    assert.equal(await within(1_500, call(api, graph(7)).run()), 'still waiting');
    const history = (await getJson(run.base, '/history')) as Record<string, { status: { status_str: string } }>;
    assert.deepEqual(
      Object.values(history).map(({ status }) => status.status_str),
      ['success', 'success'],
      'though the server has done both',
    );
  });

  it('never settles when the server dies under a job, as with a real one', async () => {
    const run = await start();
    const api = await connect(run);
    const failures: Error[] = [];
    let died: Promise<void> | undefined;
    const running = call(api, graph(9, 500))
      .onProgress(() => void (died ??= kill(run)))
      .onFailed((error: Error) => failures.push(error))
      .run();
    assert.equal(await within(2_500, running), 'still waiting');
    await died;
    assert.match(failures[0]?.message ?? '', /Disconnected/);
  });
});
