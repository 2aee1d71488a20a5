import assert from 'node:assert/strict';
import { openWorld, samplerWorkflow, job } from './world.ts';
import type { World, WorldOptions } from './world.ts';

const ours = { name: 'podrelay-mine', status: 'RUNNING', env: { PODRELAY_POD: 'podrelay-mine' } } as const;
const idleMs = 400;

describe('watching pods that cost money', () => {
  let world: World;
  afterEach(() => world.close());

  async function open(options: WorldOptions = {}): Promise<void> {
    world = await openWorld({ podWatchEveryMs: 40, ...options });
    world.settings = { ...world.settings, 'cloud.idleMinutes': idleMs / 60_000 };
  }

  async function until(what: string, isTrue: () => boolean, withinMs = 5_000): Promise<void> {
    for (const end = Date.now() + withinMs; !isTrue();) {
      assert.ok(Date.now() < end, `Not within ${withinMs} ms: ${what}\n${world.log.join('\n')}`);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  }

  const statusOf = (id: string): string | undefined =>
    world.sim.runpod.state().pods.find((pod) => pod.id === id)?.status;

  it('stops a pod of ours that has nothing to do, and says so', async () => {
    await open();
    const { id } = world.sim.runpod.seedPod(ours);
    const stops: string[] = [];
    world.core.podWatch.onDidStopIdle(({ pod }) => void stops.push(pod.name));
    await world.core.pods.refresh(world.signal);
    await until('stopped', () => stops.length > 0);
    assert.deepEqual(stops, ['podrelay-mine']);
    assert.equal(statusOf(id), 'EXITED');
  });

  it('leaves a pod alone that we did not deploy', async () => {
    await open();
    const { id } = world.sim.runpod.seedPod({ name: 'training', status: 'RUNNING' });
    await world.core.pods.refresh(world.signal);
    await new Promise((resolve) => setTimeout(resolve, 3 * idleMs));
    assert.equal(statusOf(id), 'RUNNING');
  });

  it('leaves a pod alone while somebody’s prompts run on it', async () => {
    await open({ timeScale: 2 });
    const { id } = world.sim.runpod.seedPod(ours);
    const { core } = world;
    const prompt = JSON.stringify({ prompt: samplerWorkflow(1, 400) });
    const sent = await fetch(`${core.pods.address(id)}/prompt`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: prompt.replace('"ckpt_name":""', '"ckpt_name":"v1-5-pruned-emaonly-fp16.safetensors"'),
    });
    assert.equal(sent.status, 200, await sent.text());
    await core.pods.refresh(world.signal);
    await new Promise((resolve) => setTimeout(resolve, 3 * idleMs));
    assert.equal(statusOf(id), 'RUNNING');
  });

  it('stops a foreign pod again that a job has started', async () => {
    await open();
    const { id } = world.sim.runpod.seedPod({ name: 'borrowed', status: 'EXITED' });
    world.podId = id;
    await world.sim.setLocalOpen(false);
    const outcome = await world.core.jobs.run(job(), () => undefined, world.signal);
    assert.equal(outcome.backend, 'cloud');
    await until('stopped', () => statusOf(id) === 'EXITED');
  });

  it('accounts for the time of a pod until it is seen stopped, and looks no more then', async () => {
    await open();
    const { id } = world.sim.runpod.seedPod(ours);
    await world.core.pods.refresh(world.signal);
    await until('a cost', () => {
      const { spending } = world.core.ledger;
      return spending.known && spending.value.session.micros > 0;
    });
    await until('stopped', () => statusOf(id) === 'EXITED');
    await until('no running cost', () => {
      const { runningUsdPerHourMicros } = world.core.ledger;
      return runningUsdPerHourMicros.known && runningUsdPerHourMicros.value === 0;
    });
    const listings: number[] = [];
    world.core.pods.onDidList(({ at }) => void listings.push(at));
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok(listings.length <= 1, `${listings.length} looks after the end`);
  });
});
