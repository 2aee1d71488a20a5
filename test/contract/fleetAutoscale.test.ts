// Pods that come and go by themselves for queued work, over the whole simulator.
import assert from 'node:assert/strict';
import type { FleetDecision } from '../../src/core/fleet/fleetDecision.ts';
import { GraphPacker } from '../../src/core/store/graphPack.ts';
import { createQueueStore } from '../../src/core/store/queueStore.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { SeedPod } from '../../src/sim/runpod/runpodSim.ts';
import { openWorld, samplerWorkflow } from './world.ts';
import type { World } from './world.ts';

describe('pods for queued work', function () {
  this.timeout(60_000);
  let world: World;
  let decisions: FleetDecision[];

  beforeEach(async () => {
    world = await openWorld({ podWatchEveryMs: 100 });
    decisions = [];
    await world.sim.setLocalOpen(false);
    set({ 'gemini.enabled': false, 'fleet.maxPods': 2, 'cloud.idleMinutes': 1, 'cloud.maxUsdPerHour': 0.3 });
    await world.core.keys.load();
    world.core.fleet.onDidDecide((decision) => void decisions.push(decision));
  });
  afterEach(() => world.close());

  const set = (change: Partial<Settings>): void => void (world.settings = { ...world.settings, ...change });
  const seed = (name: string, change: Partial<SeedPod> = {}): string =>
    world.sim.runpod.seedPod({ name, ...change }).id;
  const account = () => world.sim.runpod.state().pods;
  const running = () => account().filter(({ status }) => status !== 'EXITED' && status !== 'TERMINATED');
  const told = () => decisions.map(({ what, failure }) => (failure === undefined ? what : `${what} failed`));

  async function enqueue(count: number): Promise<void> {
    const queue = createQueueStore(world.core.database);
    const packer = new GraphPacker();
    const jobs = Array.from({ length: count }, (_, n) => ({
      ...{ id: `queued-${n}`, label: `job ${n}`, details: {}, priority: 0, models: [], localOnly: false },
      graph: packer.pack(samplerWorkflow(n)),
      fingerprint: 'kind',
    }));
    await queue.enqueue(jobs, Date.now() - 60_000);
    world.core.fleet.wake();
  }

  async function drained(): Promise<void> {
    await world.core.database.write((rows) => void rows.run(`DELETE FROM job WHERE state = 'queued'`));
    world.core.fleet.wake();
  }

  async function until(what: string, isTrue: () => boolean, withinMs = 15_000): Promise<void> {
    for (const end = Date.now() + withinMs; !isTrue();) {
      const state = JSON.stringify([account().map(({ name, status }) => [name, status]), world.core.fleet.next]);
      assert.ok(Date.now() < end, `Not within ${withinMs} ms: ${what}\n${state}\n${world.log.join('\n')}`);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  }
  const settle = (ms = 1_500): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

  it('are started up to the limit, a stopped one first, and stopped when the work is done', async () => {
    const a = seed('podrelay-aaaa', { status: 'EXITED', gpu: { id: 'NVIDIA RTX A5000', count: 1 } });
    await enqueue(200);
    await until('two run', () => running().filter(({ status }) => status === 'RUNNING').length === 2);
    assert.deepEqual(told(), ['start', 'create'], decisions.map(({ because }) => because).join('\n'));
    assert.equal(decisions[0]?.podId, a);
    assert.match(decisions[0]?.because ?? '', /^Nothing that runs can do 200 jobs; .* as pod 1 at \$/);
    assert.match(decisions[1]?.because ?? '', /^200 jobs would take .* saves /);
    assert.ok((decisions[1]?.expected.savedSeconds ?? 0) > 0);
    await settle();
    assert.equal(running().length, 2, 'the limit holds');
    set({ 'cloud.idleMinutes': 0.02 });
    await drained();
    await until('all are stopped', () => running().length === 0 && decisions.length === 4);
    assert.deepEqual(told(), ['start', 'create', 'stop', 'stop']);
    assert.match(decisions[3]?.because ?? '', /had no work for .* is saved$/);
    assert.deepEqual(
      (await world.core.fleet.decisions()).map(({ what }) => what),
      ['stop', 'stop', 'create', 'start'],
    );
  });
});
