import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { job, openWorld, smallWorkflow } from './world.ts';

describe('a window whose workspace is not trusted', () => {
  it('may look at the queue and steer it, and runs nothing before it is trusted', async () => {
    let trusted = false;
    const world = await openWorld({ mayRun: () => trusted });
    try {
      const { queue } = world.core;
      await queue.enqueue(
        [1, 2, 3].map((color) => job(smallWorkflow(color))),
        world.signal,
      );
      const ids = (): readonly string[] => (queue.view.known ? queue.view.value.jobs.map(({ id }) => id) : []);
      const [first = '', second = '', third = ''] = ids();
      const watching = queue.watch();
      await queue.move(third, 'top');
      await queue.cancel([second]);
      await queue.begin();
      await sleep(400);
      assert.deepEqual(ids(), [third, first, second]);
      assert.ok(queue.view.known);
      assert.deepEqual(queue.view.value.counts, { queued: 2, running: 0, done: 0, failed: 0, cancelled: 1, lost: 0 });
      assert.equal(world.sim.local.requests.filter(({ method }) => method === 'POST').length, 0);
      trusted = true;
      await queue.begin();
      for (let round = 0; round < 100 && world.done.length < 2; round += 1) await sleep(50);
      assert.deepEqual(
        world.done.map(({ request }) => request.id),
        [third, first],
      );
      watching.dispose();
    } finally {
      await world.close();
    }
  });
});
