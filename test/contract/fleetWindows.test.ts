// Two windows whose automation is on at the same time, on one account and one set of records.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { FleetDecision } from '../../src/core/fleet/fleetDecision.ts';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { openWindow, placeOf, removeFolder } from './jobWindow.ts';
import type { JobWindow } from './jobWindow.ts';
import { viewOf } from './queueWorld.ts';
import { samplerWorkflow } from './world.ts';

const settings = {
  'local.enabled': false,
  'gemini.enabled': false,
  'fleet.maxPods': 2,
  'fleet.rule': 'queueLength',
  'cloud.idleMinutes': 1,
  'cloud.maxUsdPerHour': 0.3,
};

describe('two windows with automatic pods', function () {
  this.timeout(240_000);
  let sim: Simulator;
  let folder: string;
  const windows: JobWindow[] = [];
  beforeEach(async () => {
    sim = await startSimulator({ timeScale: 200, seed: 31 });
    await sim.setLocalOpen(false);
    folder = await mkdtemp(path.join(tmpdir(), 'podrelay-fleet-windows-'));
  });
  afterEach(async () => {
    for (const window of windows.splice(0)) window.close();
    await sim.dispose();
    await removeFolder(folder);
  });

  async function open(): Promise<{ window: JobWindow; decisions: FleetDecision[] }> {
    const window = openWindow(placeOf(sim, folder, { settings }), 5_000);
    windows.push(window);
    const decisions: FleetDecision[] = [];
    window.core.fleet.onDidDecide((decision) => void decisions.push(decision));
    await window.core.keys.load();
    return { window, decisions };
  }
  const enqueue = ({ core, signal }: JobWindow, count: number): Promise<unknown> =>
    core.queue.enqueue(
      Array.from({ length: count }, (_, n) => ({
        ...({ id: randomUUID(), label: `job ${n}`, media: 'image', localOnly: false } as const),
        workflow: samplerWorkflow(Math.floor(Math.random() * 1e9), 40),
      })),
      signal,
    );
  const billed = (): number =>
    sim.runpod.state().pods.filter(({ status }) => status !== 'EXITED' && status !== 'TERMINATED').length;
  async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    for (const end = Date.now() + 90_000; !(await isSo());) {
      const pods = sim.runpod.state().pods.map(({ name, status }) => [name, status]);
      assert.ok(Date.now() < end, `${what}: ${JSON.stringify(pods)}`);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  }

  it('one leads, the limit holds, and when the leading one closes the other goes on with its pods', async () => {
    const [one, two] = [await open(), await open()];
    let most = 0;
    let isOver = false;
    const watching = until('the end', () => {
      most = Math.max(most, billed());
      return isOver;
    });
    await Promise.all([enqueue(one.window, 20), enqueue(two.window, 20)]);
    const done = async (window: JobWindow): Promise<number> => (await viewOf(window)).counts.done;
    await until('some are done', async () => (await done(one.window)) > 2);
    const launched = [one, two].map(({ decisions }) => decisions.filter(({ failure }) => failure === undefined).length);
    assert.deepEqual(launched.map((count) => count > 0).sort(), [false, true], 'only one of them has acted');
    const [leader, other] = launched[0]! > 0 ? [one, two] : [two, one];
    await until('the other one says so', () => /Another window/.test(other.window.core.fleet.next?.because ?? ''));
    leader.window.close();
    await until('all are done', async () => (await done(other.window)) === 40);
    isOver = true;
    await watching;
    assert.ok(most <= 2, `${most} pods ran at one time`);
    assert.ok(sim.runpod.state().pods.length <= 2, 'none was created twice');
    await enqueue(other.window, 1);
    await until('one more', async () => (await done(other.window)) === 41);
    await until('the other leads the fleet', async () => {
      const { next } = other.window.core.fleet;
      return next !== undefined;
    });
    const kept = await other.window.core.fleet.decisions();
    assert.equal(kept.filter(({ what, failure }) => what === 'create' && failure === undefined).length, most);
  });
});
