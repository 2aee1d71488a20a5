// Several windows, some of them processes of their own, on one queue.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { leaseMs, openWindow, placeOf, removeFolder, until } from './jobWindow.ts';
import type { JobWindow, WindowPlace } from './jobWindow.ts';
import { lineOf, soakQueue, spawnWindow } from './queueSoak.ts';
import { madeBy, namedRequest, request, requests, runsOf, untilEnded, viewOf } from './queueWorld.ts';
import { samplerWorkflow } from './world.ts';

describe('windows that share a queue', function () {
  this.timeout(120_000);
  let sim: Simulator;
  let folder: string;
  const windows: JobWindow[] = [];
  beforeEach(async () => {
    sim = await startSimulator({ timeScale: 200, seed: 23 });
    folder = await mkdtemp(path.join(tmpdir(), 'podrelay-windows-'));
  });
  afterEach(async () => {
    for (const window of windows.splice(0)) window.close();
    await sim.dispose();
    await removeFolder(folder);
  });
  const open = (change: Partial<WindowPlace> = {}): JobWindow => {
    const window = openWindow(placeOf(sim, folder, change));
    windows.push(window);
    return window;
  };

  for (const count of [2, 4]) {
    it(`${count} of them: one leads at any time, and no job is run twice`, async () => {
      const all = Array.from({ length: count }, () => open());
      let sawLeader = 0;
      let sawTwo = 0;
      let isOver = false;
      const watching = (async () => {
        while (!isOver) {
          const views = await Promise.all(all.map(viewOf));
          const leaders = views.filter(({ leader }) => leader === 'here').length;
          // The views are read one after the other: a hand-over between two reads looks like two leaders, once.
          if (leaders > 1) sawTwo += 1;
          if (leaders === 1) sawLeader += 1;
          await new Promise((resolve) => setTimeout(resolve, 15));
        }
      })();
      await Promise.all(all.map(({ core, signal }) => core.queue.enqueue(requests(12), signal)));
      const view = await untilEnded(all[0]!, 12 * count);
      isOver = true;
      await watching;
      assert.equal(view.counts.done, 12 * count);
      assert.equal(runsOf(sim.local).length, 12 * count);
      assert.equal(new Set(runsOf(sim.local)).size, 12 * count);
      assert.ok(sawLeader > 0);
      assert.equal(sawTwo, 0);
    });
  }

  it('the leader closes: another one goes on at once', async () => {
    const one = open();
    const two = open();
    await one.core.queue.enqueue(requests(16), one.signal);
    await two.core.queue.begin();
    await until('one leads', async () => (await viewOf(two)).leader === 'elsewhere' && one.done.length > 2);
    one.close();
    const closedAt = Date.now();
    await until('the other leads', async () => (await viewOf(two)).leader === 'here');
    const tookMs = Date.now() - closedAt;
    assert.ok(tookMs < leaseMs + 2_000, `${tookMs} ms`);
    const view = await untilEnded(two, 16);
    assert.equal(view.counts.done, 16, JSON.stringify(view.jobs.filter(({ state }) => state !== 'done')));
    assert.equal(new Set(runsOf(sim.local)).size, 16);
    assert.equal(runsOf(sim.local).length, 16);
  });

  it('a window that only was there takes over from one that is killed, without being asked', async () => {
    const child = spawnWindow(placeOf(sim, folder), 40, leaseMs);
    const ended = once(child, 'exit');
    await lineOf(child, /^here [1-9]/);
    // Only now: of two windows that see new jobs at the same time either may lead.
    const idle = open();
    await idle.core.queue.begin();
    assert.equal((await viewOf(idle)).leader, 'elsewhere');
    child.kill('SIGKILL');
    await ended;
    const view = await untilEnded(idle, 40, 60_000);
    assert.equal(view.counts.done, 40, JSON.stringify(view.jobs.filter(({ state }) => state !== 'done')));
    assert.deepEqual(
      [...madeBy(sim.local)].filter(([, times]) => times > 1),
      [],
    );
    assert.equal(madeBy(sim.local).size, 40);
  });

  it('sees at once what another one has queued, though it looks at nothing', async () => {
    const idle = open();
    await idle.core.queue.enqueue([namedRequest()], idle.signal);
    await untilEnded(idle, 1);
    const other = open();
    const noticed = new Promise<void>((resolve) => {
      idle.core.queue.watch();
      idle.core.queue.onDidChange(() => {
        const { view } = idle.core.queue;
        if (view.known && view.value.counts.done === 2) resolve();
      });
    });
    await other.core.queue.enqueue([namedRequest()], other.signal);
    await noticed;
  });

  it('a server that is restarted under each of three windows: the fourth has its job done', async () => {
    const long = request({ workflow: samplerWorkflow(1, 300) });
    for (let round = 0; round < 3; round++) {
      const window = open();
      if (round === 0) await window.core.queue.enqueue([long], window.signal);
      else await window.core.queue.begin();
      await until('it runs', () => sim.local.state().running !== undefined);
      window.close();
      sim.local.restart();
    }
    const last = open();
    await last.core.queue.begin();
    const view = await untilEnded(last, 1, 60_000);
    assert.equal(view.counts.done, 1, JSON.stringify(view.jobs));
    assert.equal(runsOf(sim.local).length, 1);
  });

  it('killed at random moments, among lost replies and dying servers: nothing is lost, nothing is done twice', async () => {
    const soak = await soakQueue(8, 4);
    assert.deepEqual(soak, {
      ...soak,
      done: soak.queued,
      lost: 0,
      falselyDone: 0,
      paidTwice: 0,
      madeTwice: 0,
      leakedPods: 0,
      notDone: [],
    });
    assert.ok(soak.queued >= 8 * 3);
  });
});
