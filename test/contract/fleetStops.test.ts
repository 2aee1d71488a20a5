// What happens to jobs and pods while automation stops or moves a pod, over the whole simulator and the real queue.
import assert from 'node:assert/strict';
import { FleetHarness } from './fleetHarness.ts';
import { samplerWorkflow } from './world.ts';

/** The simulator's clock runs so many times as fast. */
const timeScale = 200;

describe('a pod that automation stops', function () {
  this.timeout(150_000);
  let fleet: FleetHarness;
  afterEach(() => fleet.close());

  /** One pod that automation has started, and that has done its work. */
  async function idlePod(): Promise<string> {
    fleet = await FleetHarness.open({ 'fleet.maxPods': 1 });
    const id = fleet.seed('podrelay-aaaa', { status: 'EXITED' });
    await fleet.enqueue(1);
    await fleet.untilDone(1);
    return id;
  }
  const why = (id: string): string => {
    const { ready } = fleet.world.core.backends.statuses().find(({ backend }) => backend.id === `pod:${id}`) ?? {};
    return ready?.ok === false ? ready.why : '';
  };

  it('gets no job from the moment that the stop is decided; the job waits for its next start', async () => {
    const id = await idlePod();
    const before = fleet.prompts(id);
    fleet.world.sim.runpod.faults.set({
      failure: { kind: 'delay', ms: 3_000 * timeScale, effect: 'before' },
      on: ['stopPod'],
    });
    fleet.set({ 'cloud.idleMinutes': 0.01 });
    fleet.world.core.fleet.reconsider();
    await fleet.until('it is about to be stopped', () => why(id) !== '');
    assert.match(why(id), /^The pod is being stopped/);
    assert.equal(fleet.world.core.pods.lastSeen?.pods.find((pod) => pod.id === id)?.status, 'RUNNING');
    fleet.set({ 'cloud.idleMinutes': 5 });
    await fleet.enqueue(1);
    await assert.rejects(
      fleet.world.core.jobs.run(
        { id: 'by-hand', label: 'by hand', workflow: samplerWorkflow(3), media: 'image', localOnly: false },
        () => undefined,
        fleet.world.signal,
      ),
      /being stopped/,
    );
    await fleet.until('it is stopped', () => fleet.told.filter((what) => what === 'stop').length === 1);
    assert.equal(fleet.prompts(id), before, 'nothing was sent to it meanwhile');
    fleet.world.sim.runpod.faults.clear();
    await fleet.untilDone(2);
    assert.deepEqual(fleet.told, ['start', 'stop', 'start']);
    assert.equal(why(id), '');
  });
});
