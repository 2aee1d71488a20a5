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

  for (const [whose, env] of [
    ['a pod', {}],
    ['a pod without a token', { PODRELAY_TOKEN_SHA256: 'ab'.repeat(32) }],
  ] as const) {
    it(`stops ${whose} whose container fails again and again`, async () => {
      await open();
      world.settings = { ...world.settings, 'cloud.readyTimeoutMinutes': 800 / 60_000 };
      world.sim.runpod.faults.set({ failure: { kind: 'crashLoop' } });
      const { id } = world.sim.runpod.seedPod({ ...ours, env: { ...ours.env, ...env }, status: 'PROVISIONING' });
      await world.core.pods.refresh(world.signal);
      await until('stopped', () => statusOf(id) === 'EXITED', 10_000);
    });
  }

  it('says once that a pod cannot be stopped, and stops the others meanwhile', async () => {
    await open();
    world.settings = { ...world.settings, 'cloud.readyTimeoutMinutes': 800 / 60_000 };
    world.sim.runpod.faults.set({ failure: { kind: 'errorAfterRun' }, times: 1 });
    const failed = world.sim.runpod.seedPod({ ...ours, status: 'PROVISIONING' });
    const { id } = world.sim.runpod.seedPod({ ...ours, name: 'podrelay-idle' });
    await until('failed', () => statusOf(failed.id) === 'ERROR');
    await world.core.pods.refresh(world.signal);
    await until('the other is stopped', () => statusOf(id) === 'EXITED');
    const told = (): number => world.log.filter((line) => /could not be stopped/.test(line)).length;
    await until('told', () => told() > 0, 20_000);
    assert.equal(told(), 1);
    assert.equal(statusOf(failed.id), 'ERROR');
  }).timeout(30_000);

  it('does not take a restart for idle time', async () => {
    await open();
    world.settings = { ...world.settings, 'cloud.readyTimeoutMinutes': 30 };
    world.sim.runpod.configure({
      nextAppBootMs: 4 * idleMs * 200,
      firstAppBootMs: [4 * idleMs * 200, 4 * idleMs * 200],
    });
    const { id } = world.sim.runpod.seedPod(ours);
    const stops: number[] = [];
    world.core.podWatch.onDidStopIdle(() => void stops.push(Date.now()));
    let listed = 0;
    world.core.pods.onDidList(() => (listed += 1));
    await world.core.pods.refresh(world.signal);
    await until('its ComfyUI was asked', () => listed > 2);
    const restartedAt = Date.now();
    await world.core.pods.restart(id, world.signal);
    await until('stopped', () => stops.length > 0);
    assert.equal(statusOf(id), 'EXITED');
    const after = (stops[0] ?? 0) - restartedAt;
    assert.ok(
      after >= 5 * idleMs,
      `it boots for ${4 * idleMs} ms and is idle for ${idleMs} ms: stopped after ${after} ms`,
    );
  });

  it('takes a pod that answers 401 neither for silent nor for idle', async () => {
    await open();
    world.settings = { ...world.settings, 'cloud.readyTimeoutMinutes': 800 / 60_000 };
    const { id } = world.sim.runpod.seedPod(ours);
    world.sim.runpod.faults.set({ failure: { kind: 'status', status: 401, effect: 'before' }, on: ['proxy'] });
    await world.core.pods.refresh(world.signal);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    assert.equal(statusOf(id), 'RUNNING');
    world.sim.runpod.faults.clear();
    await until('stopped', () => statusOf(id) === 'EXITED');
  });

  it('leaves a private pod of another computer alone while it boots, however long', async () => {
    await open();
    world.settings = { ...world.settings, 'cloud.readyTimeoutMinutes': 800 / 60_000 };
    world.sim.runpod.faults.set({ failure: { kind: 'stuckPulling' } });
    const env = { ...ours.env, PODRELAY_TOKEN_SHA256: 'ab'.repeat(32) };
    const { id } = world.sim.runpod.seedPod({ ...ours, env, status: 'PROVISIONING' });
    await world.core.pods.refresh(world.signal);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    assert.equal(statusOf(id), 'STARTING');
  });
});
