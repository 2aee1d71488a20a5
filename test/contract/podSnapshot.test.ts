import assert from 'node:assert/strict';
import type { PodService } from '../../src/core/fleet/podService.ts';
import { openRunpodWorld } from './runpodWorld.ts';
import type { RunpodWorld } from './runpodWorld.ts';

describe('the pods as last seen, while RunPod does not list them', () => {
  let world: RunpodWorld;
  let service: PodService;
  let a: string;
  let b: string;

  beforeEach(async () => {
    world = await openRunpodWorld();
    service = world.newService({}, world.newClient({ retries: 0 }));
    [a, b] = ['a', 'b'].map((name) => world.sim.seedPod({ name }).id) as [string, string];
    await service.refresh(world.signal);
    world.sim.faults.set({ failure: { kind: 'status', status: 503, effect: 'before' }, on: ['listPods'] });
    await assert.rejects(service.refresh(world.signal), { kind: 'unavailable' });
  });
  afterEach(() => world.close());

  it('keep the age of the list when one of them is stopped', async () => {
    const { at } = service.lastSeen ?? {};
    await new Promise((resolve) => setTimeout(resolve, 20));
    await service.stop(a, world.signal);
    assert.equal(service.lastSeen?.at, at);
    assert.equal(service.lastSeen?.pods.find(({ id }) => id === a)?.status, 'EXITED');
    assert.equal(service.pods.known, false);
  });

  it('lose one that is terminated, and tell of it', async () => {
    let changes = 0;
    service.onDidChange(() => (changes += 1));
    await service.terminate(b, world.signal);
    assert.deepEqual(
      service.lastSeen?.pods.map(({ id }) => id),
      [a],
    );
    assert.equal(changes, 1);
  });

  it('are not taken for none by a computer that has never seen them', async () => {
    const blind = world.newService();
    await blind.terminate(b, world.signal);
    assert.equal(blind.lastSeen, undefined);
  });
});
