// A job that is late runs a second time elsewhere: the whole core against the simulator, a ComfyUI that hangs and a pod.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { proxyAddress } from '../../src/core/fleet/proxyAddress.ts';
import type { QueueJob } from '../../src/core/queue/queueView.ts';
import { openWorld, samplerWorkflow } from './world.ts';
import type { World } from './world.ts';

describe('a second run of a late job', function () {
  this.timeout(60_000);
  let world: World;
  let podId: string;
  beforeEach(async () => {
    world = await openWorld({ seed: 17 });
    world.settings = {
      ...world.settings,
      ...{ 'gemini.enabled': false, 'queue.secondRuns': true, 'queue.secondRunMaxUsd': 1 },
    };
    podId = world.sim.runpod.seedPod({ name: 'podrelay-spare', gpu: { id: 'NVIDIA GeForce RTX 4090', count: 1 } }).id;
    await world.core.keys.load();
    await world.core.pods.refresh(world.signal);
    await world.core.backends.checkAll(world.signal);
  });
  afterEach(() => world.close());

  let seed = 100;
  async function enqueue(): Promise<string> {
    const id = randomUUID();
    const request = { id, label: 'late', workflow: samplerWorkflow(++seed), media: 'image', localOnly: false } as const;
    await world.core.queue.enqueue([request], world.signal);
    return id;
  }
  async function jobs(): Promise<readonly QueueJob[]> {
    await world.core.queue.refresh();
    const { view } = world.core.queue;
    assert.ok(view.known);
    return view.value.jobs;
  }
  async function until(what: string, isSo: (all: readonly QueueJob[]) => boolean): Promise<readonly QueueJob[]> {
    for (const end = Date.now() + 45_000; ;) {
      const all = await jobs();
      if (isSo(all)) return all;
      assert.ok(Date.now() < end, `${what}: ${JSON.stringify(all)}\n${world.log.join('\n')}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  const isDone = (id: string) => (all: readonly QueueJob[]) => all.some((job) => job.id === id && job.state === 'done');
  /** Runs so many on the local ComfyUI, so that it is known what is usual. */
  async function usual(count: number): Promise<void> {
    for (let n = 0; n < count; n++) await until('a usual job', isDone(await enqueue()));
    assert.deepEqual([...new Set((await jobs()).map(({ backend }) => backend))], ['local']);
  }
  const pictures = async (): Promise<number> =>
    (await readdir(path.join(world.folder, 'generated'))).filter((name) => name.endsWith('.png')).length;
  /** Somebody else's prompt goes before ours there. */
  async function occupy(address: string, steps: number): Promise<string> {
    const models = (await (await fetch(`${address}/models/checkpoints`)).json()) as readonly string[];
    const graph = samplerWorkflow(1, steps);
    graph['1']!.inputs['ckpt_name'] = models[0];
    const body = JSON.stringify({ prompt: graph });
    const reply = await fetch(`${address}/prompt`, { method: 'POST', body });
    assert.equal(reply.status, 200, await reply.clone().text());
    return ((await reply.json()) as { prompt_id: string }).prompt_id;
  }
  const local = (): string => world.sim.addresses.localComfyUrl;

  it('is begun where nothing is to do, its result is the job’s, and the late run is cancelled on its server', async () => {
    await usual(5);
    const foreign = await occupy(local(), 9_000);
    const id = await enqueue();
    await until('the second run', (all) => all.some(({ secondOf }) => secondOf !== undefined));
    const all = await until('the result', isDone(id));
    const job = all.find((one) => one.id === id);
    assert.equal(job?.backend, `pod:${podId}`);
    assert.match(
      job.why ?? '',
      /A second run on .*podrelay-spare: after .* nine of ten took .*\. The second run was done first, after \d+ s\.$/,
    );
    assert.equal(all.length, 6, 'it is one job');
    assert.equal(job.outputs.length, 1);
    const attempts = await world.core.jobReports.attempts(id);
    assert.deepEqual(
      attempts.map(({ backend, outcome }) => [backend, outcome]),
      [
        ['local', 'failed'],
        [`pod:${podId}`, 'done'],
      ],
    );
    const end = Date.now() + 5_000;
    while (world.sim.local.state().pending.length > 0 || world.core.jobs.running().length > 0) {
      assert.ok(Date.now() < end, 'the late run goes on');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal(world.sim.local.state().running, foreign, 'no other prompt is cancelled');
    assert.equal(await pictures(), 6);
  });

  it('ends when the late one is done first', async () => {
    await usual(5);
    const comfy = world.sim.podComfy(podId);
    assert.ok(comfy);
    await occupy(local(), 700);
    const foreign = await occupy(proxyAddress(world.sim.addresses.podProxyUrl, podId, 8188), 9_000);
    const id = await enqueue();
    await until('the second run', (all) => all.some(({ secondOf }) => secondOf !== undefined));
    const all = await until('the result', (now) => isDone(id)(now) && now.length === 6);
    assert.match(
      all.find((one) => one.id === id)?.why ?? '',
      /The first run was done sooner: the second was cancelled after/,
    );
    assert.deepEqual([comfy.state().running, comfy.state().pending], [foreign, []]);
    assert.equal(await pictures(), 6);
  });

  it('is not begun when it is off', async () => {
    await usual(5);
    world.settings = { ...world.settings, 'queue.secondRuns': false };
    await occupy(local(), 900);
    const id = await enqueue();
    for (let isOver = false; !isOver;) {
      const all = await jobs();
      assert.ok(all.filter(({ state }) => state === 'running').length <= 1);
      isOver = isDone(id)(all);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(world.sim.podComfy(podId)?.state().executedNodes.length, 0);
  });
});
