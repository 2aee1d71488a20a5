// Pods that come back without a GPU, and pods that are kept ready: over the whole simulator and the real queue.
import assert from 'node:assert/strict';
import { FleetHarness } from './fleetHarness.ts';

describe('automation', function () {
  this.timeout(180_000);
  let fleet: FleetHarness;
  afterEach(() => fleet.close());

  describe('moves work from a pod that came back without a GPU', () => {
    /** Every start of a stopped pod comes back so. */
    async function zeroGpu(): Promise<string> {
      fleet = await FleetHarness.open({ 'fleet.maxPods': 1 });
      fleet.world.sim.runpod.faults.set({ failure: { kind: 'zeroGpuRestart' } });
      const id = fleet.seed('podrelay-aaaa', { status: 'EXITED' });
      await fleet.enqueue(3);
      return id;
    }
    const created = () => fleet.account.filter(({ name }) => name !== 'podrelay-aaaa');

    it('it is stopped, another one is created in its place, and the jobs are done there', async () => {
      const id = await zeroGpu();
      await fleet.untilDone(3);
      assert.deepEqual(fleet.told.slice(0, 3), ['start', 'stop', 'create']);
      assert.match(fleet.decisions[1]?.because ?? '', /^podrelay-aaaa came back without a GPU; .* as pod 1 at \$/);
      assert.equal(fleet.statusOf(id), 'EXITED');
      assert.equal(fleet.prompts(id), 0);
      assert.equal(created().length, 1);
      assert.equal(fleet.decisions[2]?.podId, created()[0]?.id);
    });

    it('also when the reply to the create is lost: the pod is found by its name, and no second one is created', async () => {
      fleet = await FleetHarness.open({ 'fleet.maxPods': 1 });
      fleet.world.sim.runpod.faults.set({ failure: { kind: 'zeroGpuRestart' } });
      fleet.world.sim.runpod.faults.set({
        failure: { kind: 'reset', effect: 'after' },
        ...{ on: ['createPod'], times: 1 },
      });
      const id = fleet.seed('podrelay-aaaa', { status: 'EXITED' });
      await fleet.enqueue(3);
      await fleet.untilDone(3);
      assert.equal(created().length, 1);
      assert.equal(fleet.sent('createPod').length, 1);
      assert.equal(fleet.statusOf(id), 'EXITED');
      assert.equal(fleet.decisions.findLast(({ what }) => what === 'create')?.podId, created()[0]?.id);
    });

    it('and only stops it when no work waits any more', async () => {
      const id = await zeroGpu();
      await fleet.until('it was started', () => fleet.told.length > 0);
      const jobs = (await fleet.view()).jobs.filter(({ state }) => state === 'queued');
      await fleet.world.core.queue.cancel(jobs.map((job) => job.id));
      await fleet.until('it is stopped', () => fleet.statusOf(id) === 'EXITED' && fleet.told.includes('stop'));
    });
  });

  it('keeps a pod ready without any work when asked to, and lets it go when no longer', async () => {
    fleet = await FleetHarness.open({ 'fleet.maxPods': 1, 'fleet.warmPods': 1, 'cloud.idleMinutes': 0.01 });
    fleet.world.core.fleet.wake();
    await fleet.until('one answers', () => fleet.account.some(({ status }) => status === 'RUNNING'));
    await fleet.until('its reason is told', () => fleet.told.length > 0);
    const { id } = fleet.account[0]!;
    assert.match(fleet.decisions[0]?.because ?? '', /^1 pod is to be kept ready; /);
    await fleet.enqueue(1);
    await fleet.untilDone(1);
    // Far beyond what an idle pod may stay otherwise.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    assert.deepEqual([fleet.told, fleet.statusOf(id)], [['create'], 'RUNNING']);
    await fleet.enqueue(1);
    await fleet.untilDone(2);
    fleet.set({ 'fleet.warmPods': 0 });
    fleet.world.core.fleet.reconsider();
    await fleet.until('it is stopped', () => fleet.statusOf(id) === 'EXITED' && fleet.told.length > 1);
    assert.deepEqual(fleet.told, ['create', 'stop']);
  });
});
