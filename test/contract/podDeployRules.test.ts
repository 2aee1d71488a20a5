// Rules of deploys, actions and idle stops that nothing else holds.
import assert from 'node:assert/strict';
import { IdleStops } from '../../src/core/fleet/idleStops.ts';
import type { IdleStopsOptions } from '../../src/core/fleet/idleStops.ts';
import type { DeployRequest } from '../../src/core/fleet/deployPod.ts';
import { defaultWatchdog } from '../../src/core/fleet/watchdog.ts';
import type { Fault } from '../../src/core/kernel/fault.ts';
import { openRunpodWorld, testApiKey } from './runpodWorld.ts';
import type { RunpodWorld } from './runpodWorld.ts';

const cards = ['NVIDIA GeForce RTX 4090', 'NVIDIA GeForce RTX 3090'] as const;
const request: DeployRequest = {
  candidates: cards.map((gpuId) => {
    return {
      gpuId,
      name: gpuId,
      memoryGb: 24,
      count: 1,
      cloud: 'COMMUNITY',
      usdPerHourMicros: 9_000_000,
      stock: 'HIGH',
    };
  }),
  image: 'runpod/comfyui:latest',
  containerDiskGb: 30,
  storage: { kind: 'none' },
  watchdog: defaultWatchdog,
};

describe('what holds of every pod', () => {
  let world: RunpodWorld;
  afterEach(() => world.close());
  const states = (): string[] => world.sim.state().pods.map(({ status }) => status);
  const until = async (holds: () => boolean): Promise<void> => {
    for (let n = 0; n < 300 && !holds(); n++) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.ok(holds(), holds.toString());
  };

  describe('a deploy', () => {
    it('passes on to the next GPU where the account may not use one', async () => {
      world = await openRunpodWorld({ forbiddenPools: ['ADA_24'] });
      const { pod, refused } = await world.newService().launch(request, world.signal);
      assert.equal(pod.gpu?.id, cards[1]);
      assert.deepEqual(
        refused.map(({ why }) => [why.kind, why.facts.status]),
        [['unauthorized', 403]],
      );
    });

    it('does not take a pod for its own that has been terminated meanwhile', async () => {
      world = await openRunpodWorld({ deleteLagMs: 60_000 });
      world.sim.faults.set({ failure: { kind: 'reset', effect: 'after' }, on: ['createPod'], times: 1 });
      world.sim.faults.set({ failure: { kind: 'delay', ms: 300, effect: 'before' }, on: ['listPods'], times: 1 });
      const launching = world.newService({ adoptWithinMs: 400 }).launch(request, world.signal);
      await until(() => states().length === 1);
      const lost = world.sim.state().pods[0]!.id;
      await world.client.deletePod(lost, world.signal);
      const { pod } = await launching;
      assert.notEqual(pod.id, lost);
      assert.equal(states()[0], 'TERMINATED');
    });
  });

  describe('an action', () => {
    it('that RunPod takes and does not carry out is not told as done', async () => {
      world = await openRunpodWorld();
      const { id } = world.sim.seedPod({ name: 'podrelay-a' });
      const service = world.newService({ confirmMs: 300 });
      world.sim.faults.set({ failure: { kind: 'ignored' } });
      await assert.rejects(service.stop(id, world.signal), /did not stop the pod \(its state: RUNNING\)/);
      await assert.rejects(service.terminate(id, world.signal), /did not terminate the pod \(its state: RUNNING\)/);
      assert.deepEqual(states(), ['RUNNING']);
    });

    it('is not taken for needless because of a 404, while the list has the pod', async () => {
      world = await openRunpodWorld();
      const { id } = world.sim.seedPod({ name: 'podrelay-a' });
      const service = world.newService({ visibleWithinMs: 100 });
      world.sim.faults.set({
        failure: { kind: 'status', status: 404, effect: 'before' },
        on: ['podAction', 'deletePod'],
      });
      const is404 = (error: Fault): boolean => error.facts.status === 404;
      await assert.rejects(service.stop(id, world.signal), is404);
      await assert.rejects(service.terminate(id, world.signal), is404);
      assert.deepEqual(states(), ['RUNNING']);
    });
  });

  describe('an idle stop', () => {
    const minute = 60_000;
    let now: number;
    let id: string;
    let looks: IdleStops;
    let asked: { queue: number | undefined; jobs: number };

    beforeEach(async () => {
      world = await openRunpodWorld();
      ({ id } = world.sim.seedPod({ name: 'podrelay-a' }));
      now = Date.now();
      asked = { queue: 0, jobs: 0 };
      const quiet = (): void => undefined;
      const options: IdleStopsOptions = {
        pods: world.newService(),
        clock: { now: () => now, sleep: () => Promise.resolve() },
        log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
        idleMs: () => 10 * minute,
        bootMs: () => 60 * minute,
        queueLength: () => Promise.resolve(asked.queue),
        jobsOn: () => asked.jobs,
        lastJobAt: () => Promise.resolve(undefined),
        isOverBudget: () => false,
      };
      looks = new IdleStops(options, quiet);
    });

    /** A look each minute. */
    async function pass(minutes: number): Promise<string> {
      for (let n = 0; n < minutes; n++) {
        await looks.look(await world.client.listPods(world.signal), world.signal);
        now += minute;
      }
      return states()[0] ?? '';
    }

    it('comes after the idle time', async () => {
      assert.equal(await pass(10), 'RUNNING');
      assert.equal(await pass(2), 'EXITED');
    });

    it('is never of a pod that has a job of ours, whatever its queue says', async () => {
      asked.jobs = 1;
      assert.equal(await pass(30), 'RUNNING');
      asked.jobs = 0;
      assert.equal(await pass(9), 'RUNNING', 'and the idle time begins with its end');
      assert.equal(await pass(2), 'EXITED');
    });

    it('does not count the time of a boot', async () => {
      asked.queue = undefined;
      assert.equal(await pass(50), 'RUNNING');
      asked.queue = 0;
      assert.equal(await pass(10), 'RUNNING');
      assert.equal(await pass(2), 'EXITED');
    });

    it('leaves a locked pod alone', async () => {
      const headers = { authorization: `Bearer ${testApiKey}`, 'content-type': 'application/json' };
      const lock = (locked: boolean): Promise<Response> =>
        fetch(`${world.origin}/v2/pods/${id}`, { method: 'PATCH', headers, body: JSON.stringify({ locked }) });
      assert.equal((await lock(true)).status, 200);
      assert.equal(await pass(30), 'RUNNING');
      const tries = world.sim.requests.filter(({ operation }) => operation === 'podAction');
      assert.equal(tries.length, 0, 'it is not even tried');
      assert.equal((await lock(false)).status, 200);
      assert.equal(await pass(12), 'EXITED');
    });
  });
});
