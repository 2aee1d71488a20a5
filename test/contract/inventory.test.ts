import assert from 'node:assert/strict';
import { Inventories } from '../../src/core/backends/inventory.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { openWorld } from './world.ts';
import type { World } from './world.ts';

describe('what a ComfyUI has', () => {
  let world: World;
  let inventories: Inventories;
  beforeEach(async () => {
    world = await openWorld();
    const quiet = (): void => undefined;
    inventories = new Inventories(systemClock, { debug: quiet, info: quiet, warn: quiet, error: quiet });
  });
  afterEach(() => world.close());

  const wholeLists = (): number => world.sim.local.requests.filter(({ path }) => path === '/object_info').length;

  it('is counted once for a healthy one, and not asked for again soon', async () => {
    const statuses = await world.core.backends.checkAll(world.signal);
    assert.equal(await inventories.learn(statuses, world.signal), true);
    const found = inventories.of('local');
    assert.equal(found?.checkpoints, 1);
    assert.ok((found?.nodeTypes ?? 0) > 10);
    assert.equal(await inventories.learn(statuses, world.signal), false);
    assert.equal(wholeLists(), 1);
  });

  it('is not known, and not zero, while it does not answer', async () => {
    await world.sim.setLocalOpen(false);
    await inventories.learn(await world.core.backends.checkAll(world.signal), world.signal);
    assert.equal(inventories.of('local'), undefined);
  });

  it('is asked for again when it is another version', async () => {
    const statuses = await world.core.backends.checkAll(world.signal);
    await inventories.learn(statuses, world.signal);
    const updated = statuses.map((status) =>
      status.health.known
        ? { ...status, health: { ...status.health, value: { ...status.health.value, version: '9' } } }
        : status,
    );
    await inventories.learn(updated, world.signal);
    assert.equal(wholeLists(), 2);
  });
});
