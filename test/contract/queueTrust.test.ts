import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { job, openWorld, smallWorkflow } from './world.ts';

describe('a window whose workspace is not trusted', function () {
  this.timeout(90_000);

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
      for (let round = 0; round < 200 && ids()[0] !== third; round += 1) await sleep(50);
      assert.deepEqual(ids(), [third, first, second]);
      assert.ok(queue.view.known);
      assert.deepEqual(queue.view.value.counts, { queued: 2, running: 0, done: 0, failed: 0, cancelled: 1, lost: 0 });
      assert.equal(world.sim.local.requests.filter(({ method }) => method === 'POST').length, 0);
      trusted = true;
      await queue.begin();
      for (let round = 0; round < 1_000 && world.done.length < 2; round += 1) await sleep(50);
      // Both are given at once: the server may take either first.
      assert.deepEqual(new Set(world.done.map(({ request }) => request.id)), new Set([third, first]));
      watching.dispose();
    } finally {
      await world.close();
    }
  });
});
