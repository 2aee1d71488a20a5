import assert from 'node:assert/strict';
import type { ComfyProfile } from '../../src/sim/comfy/profile.ts';
import { getJson, invertGraph, Listener, postJson, sd15Graph, startSim } from './simComfyHarness.ts';
import type { Graph, Loose, Running } from './simComfyHarness.ts';

const profiles: readonly ComfyProfile[] = ['0.3.64', '0.8.0', '0.33.0'];

describe('simulated ComfyUI: queue, cache and interrupt', () => {
  let run: Running;
  const start = async (profile: ComfyProfile = '0.33.0'): Promise<void> => {
    run = await startSim({ profile, scale: 500 });
  };
  afterEach(() => run.stop());

  const uuid = (): string => crypto.randomUUID();
  const submit = async (prompt: Graph, more: object = {}): Promise<{ id: string; status: number }> => {
    const id = uuid();
    const { status } = await postJson(run.base, '/prompt', { prompt, prompt_id: id, ...more });
    return { id, status };
  };
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    for (const end = Date.now() + 5_000; !holds();) {
      assert.ok(Date.now() < end, what);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  const entryOf = async (id: string): Promise<Loose> => (await getJson(run.base, `/history/${id}`))[id];
  const ended = (id: string): Promise<void> => until(`${id} ends`, () => run.sim.state().history.includes(id));
  const done = async (prompt: Graph, more: object = {}): Promise<string> => {
    const { id, status } = await submit(prompt, more);
    assert.equal(status, 200);
    await ended(id);
    return id;
  };
  const ranNodes = (id: string): readonly string[] =>
    run.sim
      .state()
      .executedNodes.filter(({ promptId }) => promptId === id)
      .map(({ nodeId }) => nodeId);
  /** Holds the worker until it is interrupted. */
  const busy = async (seed = 1): Promise<string> => {
    const { id } = await submit(sd15Graph({ seed, steps: 5_000, size: 64 }));
    await until('it runs', () => run.sim.state().running === id);
    return id;
  };
  const interrupt = (body: object): Promise<unknown> => postJson(run.base, '/interrupt', body);

  /** Sorts before, or after, all others. */
  const low = '00000000-0000-4000-8000-000000000000';
  const high = 'ffffffff-ffff-4fff-8fff-ffffffffffff';
  const twins = async (id: string, other: string): Promise<void> => {
    for (const [number, status] of [
      [5, 200],
      [5, 500],
    ] as const) {
      // prettier-ignore
      const reply = await postJson(run.base, '/prompt', { prompt: invertGraph(1), prompt_id: id, number });
      assert.equal(reply.status, status);
    }
    const third = { prompt: invertGraph(2), prompt_id: other, number: 5 };
    assert.equal((await postJson(run.base, '/prompt', third)).status, 200, 'the number alone may be the same');
  };

  it('F20: a second prompt with the number and the id of a pending one is 500, and stays in line all the same', async () => {
    await start();
    const running = await busy();
    await twins(low, high);
    assert.equal(run.sim.state().pending.length, 3);
    await interrupt({ prompt_id: running });
    await ended(low);
    await ended(high);
  });

  it('F20: twins that the worker has to compare end it, as any error outside of a prompt: HTTP goes on', async () => {
    await start();
    const running = await busy();
    await twins(high, low);
    await interrupt({ prompt_id: running });
    await ended(running);
    await until('the worker is dead', () => !run.sim.state().workerAlive);
    assert.equal((await submit(invertGraph(3))).status, 200);
    assert.deepEqual((await getJson(run.base, '/queue')).queue_running, []);
  });

  it('H10: one id twice under two numbers runs twice, and history keeps the later', async () => {
    await start();
    const running = await busy();
    const first = await submit(invertGraph(1), { number: 5 });
    const again = { prompt: invertGraph(2), prompt_id: first.id, number: 6 };
    assert.equal((await postJson(run.base, '/prompt', again)).status, 200);
    await interrupt({});
    await ended(running);
    await until('both have run', () => ranNodes(first.id).length === 6);
    await until('it is empty', () => run.sim.state().running === undefined);
    assert.deepEqual((await entryOf(first.id)).prompt[2], invertGraph(2));
  });

  it('H12: an interrupt with an id ends that prompt only if it runs; without one whatever runs; idle nothing', async () => {
    await start();
    const first = await busy(1);
    const second = await submit(sd15Graph({ seed: 2, steps: 5_000, size: 64 }));
    for (const id of [second.id, uuid()]) await interrupt({ prompt_id: id });
    await new Promise((resolve) => setTimeout(resolve, 40));
    assert.equal(run.sim.state().running, first, 'a pending and an unknown id hit nobody');
    await interrupt({ prompt_id: first });
    await until('the second runs', () => run.sim.state().running === second.id);
    const { status_str, completed, messages } = (await entryOf(first)).status;
    assert.deepEqual([status_str, completed, messages.at(-1)[0]], ['error', false, 'execution_interrupted']);
    await interrupt({});
    await ended(second.id);
    await interrupt({});
    assert.equal((await entryOf(await done(invertGraph()))).status.status_str, 'success', 'nothing is kept for later');
  });

  it('E2: only what the prompt before has used is in the cache: A, A runs once; A, B, A runs A again', async () => {
    await start();
    const [a, b] = [invertGraph(0x111111, 'a'), invertGraph(0x222222, 'b')];
    const first = await done(a);
    assert.deepEqual(ranNodes(first), ['1', '2', '3']);
    const same = await done(a);
    assert.deepEqual(ranNodes(same), []);
    assert.deepEqual((await entryOf(same)).outputs, (await entryOf(first)).outputs, 'the old file');
    await done(b);
    assert.deepEqual(ranNodes(await done(a)), ['1', '2', '3']);
    // One literal changes: that node and what comes after it run, what comes before does not.
    const changed = { ...a, '3': { class_type: 'SaveImage', inputs: { images: ['2', 0], filename_prefix: 'c' } } };
    assert.deepEqual(ranNodes(await done(changed)), ['3']);
  });

  it('H20: /free empties the cache when it is asked to free memory, not when only models are unloaded', async () => {
    await start();
    await done(invertGraph());
    await postJson(run.base, '/free', { unload_models: true });
    assert.deepEqual(ranNodes(await done(invertGraph())), []);
    await postJson(run.base, '/free', { free_memory: true });
    assert.deepEqual(ranNodes(await done(invertGraph())), ['1', '2', '3']);
    await done(sd15Graph());
    assert.deepEqual(ranNodes(await done(sd15Graph())), []);
    const running = await busy();
    await postJson(run.base, '/free', { free_memory: true });
    const next = await submit(sd15Graph({ steps: 5_000, size: 64 }));
    await interrupt({ prompt_id: running });
    await until('the next has loaded anew', () => ranNodes(next.id).includes('4'));
    await interrupt({});
  });

  for (const profile of profiles) {
    const loses = profile === '0.8.0';
    it(`F6: outputs from the cache without a client_id are ${loses ? 'lost' : 'there'} in ${profile}, with one they are there`, async () => {
      await start(profile);
      const outputs = (await entryOf(await done(invertGraph(), { client_id: 'me' }))).outputs;
      assert.equal(outputs['3'].images.length, 1);
      const mute = await entryOf(await done(invertGraph()));
      assert.equal(mute.status.status_str, 'success');
      assert.deepEqual(mute.outputs, loses ? {} : outputs);
      assert.deepEqual((await entryOf(await done(invertGraph(), { client_id: 'me' }))).outputs, outputs);
      const fresh = await entryOf(await done(invertGraph(0x654321)));
      assert.equal(fresh.outputs['3'].images.length, 1, 'what is made anew is never lost');
    });
  }

  it('W7: a client that comes back in the middle is told the node, without the prompt; another client nothing', async () => {
    await start();
    const owner = await Listener.open(run.base, 'owner');
    const { id } = await submit(sd15Graph({ steps: 5_000, size: 64 }), { client_id: 'owner' });
    await owner.until((frames) => frames.some(({ type, data }) => type === 'executing' && data.node === '3'));
    await owner.close();
    const back = await Listener.open(run.base, 'owner');
    const other = await Listener.open(run.base, 'other');
    await back.until((frames) => frames.some(({ type }) => type === 'executing'));
    assert.deepEqual(back.frames.find(({ type }) => type === 'executing')?.data, { node: '3' });
    await interrupt({ prompt_id: id });
    await back.ended(id);
    assert.ok(other.frames.every(({ type }) => type !== 'executing'));
    await Promise.all([back.close(), other.close()]);
  });

  it('F11: a request from another site is refused by 0.33.0 and no older one', async () => {
    for (const profile of profiles) {
      await start(profile);
      const { status } = await fetch(`${run.base}/queue`, { headers: { 'sec-fetch-site': 'cross-site' } });
      assert.equal(status, profile === '0.33.0' ? 403 : 200, profile);
      if (profile !== '0.33.0') await run.stop();
    }
  });
});
