import assert from 'node:assert/strict';
import { AllBackendsFailed } from '../../src/core/backends/backendManager.ts';
import { job, openWorld } from './world.ts';
import type { World } from './world.ts';

describe('a pod whose ComfyUI has answered before', () => {
  let world: World;
  beforeEach(async () => {
    world = await openWorld();
    world.settings = { ...world.settings, 'gemini.enabled': false };
    world.podId = world.sim.runpod.seedPod({ name: 'podrelay-worker', status: 'RUNNING' }).id;
    await world.sim.setLocalOpen(false);
  });
  afterEach(() => world.close());

  const break502 = (): unknown =>
    world.sim.runpod.faults.set({ failure: { kind: 'status', status: 502, effect: 'before' }, on: ['proxy'] });

  it('is not waited for as if it booted: the job fails over at once, and says so', async () => {
    const first = await world.core.jobs.run(job(), () => undefined, world.signal);
    assert.equal(first.backend, 'cloud');
    break502();
    const startedAt = Date.now();
    await assert.rejects(
      world.core.jobs.run(job(), () => undefined, world.signal),
      (error: unknown) => error instanceof AllBackendsFailed && /no longer answers/.test(error.message),
    );
    assert.ok(Date.now() - startedAt < 2_000);
    assert.equal((await world.core.backends.check('cloud', world.signal)).state, 'unhealthy');
  });

  it('is waited for when it has not answered yet', async () => {
    const id = break502() as number;
    const running = world.core.jobs.run(job(), () => undefined, world.signal);
    setTimeout(() => world.sim.runpod.faults.clear(id), 700);
    assert.equal((await running).backend, 'cloud');
  });

  it('comes back after a short silence without anybody noticing', async () => {
    await world.core.jobs.run(job(), () => undefined, world.signal);
    world.sim.runpod.faults.set({
      failure: { kind: 'status', status: 502, effect: 'before' },
      on: ['proxy'],
      times: 2,
    });
    assert.equal((await world.core.jobs.run(job(), () => undefined, world.signal)).backend, 'cloud');
  });
});
