// A stop is done when RunPod shows the pod stopped, and no sooner.
import assert from 'node:assert/strict';
import type { PodService } from '../../src/core/fleet/podService.ts';
import type { Fault } from '../../src/core/kernel/fault.ts';
import { openRunpodWorld } from './runpodWorld.ts';
import type { RunpodWorld } from './runpodWorld.ts';

describe('stopping a pod', () => {
  let world: RunpodWorld;
  afterEach(() => world.close());

  const stateOf = (id: string): string | undefined => world.sim.state().pods.find((pod) => pod.id === id)?.status;
  const until = async (state: string, id: string): Promise<void> => {
    for (let n = 0; n < 300 && stateOf(id) !== state; n++) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(stateOf(id), state);
  };
  async function failed(kind: 'errorAfterRun' | 'crashLoop'): Promise<string> {
    world.sim.faults.set({ failure: { kind } });
    const { id } = world.sim.seedPod({ name: 'podrelay-failed', status: 'PROVISIONING' });
    await until('ERROR', id);
    return id;
  }

  describe('whose container has failed', () => {
    it('is told as failed, since RunPod stops no such pod', async () => {
      world = await openRunpodWorld();
      const id = await failed('errorAfterRun');
      const service = world.newService({ confirmMs: 300 });
      const stopping = service.stop(id, world.signal);
      await assert.rejects(stopping, (error: Fault) => {
        assert.match(error.message, /did not stop the pod \(its state: ERROR\)/);
        return /^Terminate it/.test(error.facts.nextStep ?? '');
      });
      const all = await service.stopAll('all', world.signal);
      assert.deepEqual(
        all.failed.map(({ pod }) => pod.id),
        [id],
      );
      assert.deepEqual(all.stopped, []);
    });

    it('is done between two failures, when it fails again and again', async () => {
      world = await openRunpodWorld({ firstPullMs: 5_000 }, { scale: 40 });
      const id = await failed('crashLoop');
      assert.equal((await world.newService().stop(id, world.signal))?.status, 'EXITED');
      assert.equal(stateOf(id), 'EXITED');
    });
  });

  describe('in a state that we do not know', () => {
    let service: PodService;
    let id: string;

    beforeEach(async () => {
      world = await openRunpodWorld({ runningShownAs: 'MIGRATING' });
      service = world.newService();
      ({ id } = world.sim.seedPod({ name: 'podrelay-odd' }));
    });

    it('is not taken for done', async () => {
      world.sim.faults.set({
        failure: { kind: 'status', status: 502, effect: 'before' },
        on: ['podAction'],
        times: 1,
      });
      assert.equal((await service.stop(id, world.signal))?.status, 'EXITED');
      assert.equal(stateOf(id), 'EXITED');
    });

    it('is not forgotten where all are stopped, nor after a restart', async () => {
      assert.deepEqual(
        (await service.reconcile(world.signal)).running.map((pod) => pod.id),
        [id],
      );
      assert.deepEqual((await service.stopAll('all', world.signal)).stopped, [id]);
      assert.equal(stateOf(id), 'EXITED');
    });
  });
});
