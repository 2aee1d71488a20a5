// A pod that was just made runs and is billed before RunPod's list and its GET show it.
import assert from 'node:assert/strict';
import type { DeployRequest } from '../../src/core/fleet/deployPod.ts';
import type { PodService } from '../../src/core/fleet/podService.ts';
import { defaultWatchdog } from '../../src/core/fleet/watchdog.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import type { RunpodBehaviour } from '../../src/sim/runpod/behaviour.ts';
import { openRunpodWorld } from './runpodWorld.ts';
import type { RunpodWorld } from './runpodWorld.ts';

const gpuId = 'NVIDIA GeForce RTX 3090';

function request(usdPerHourMicros = 9_000_000): DeployRequest {
  const card = { gpuId, name: gpuId, memoryGb: 24, count: 1, cloud: 'COMMUNITY', stock: 'HIGH' } as const;
  return {
    candidates: [{ ...card, usdPerHourMicros }],
    image: 'runpod/comfyui:latest',
    containerDiskGb: 30,
    storage: { kind: 'none' },
    watchdog: defaultWatchdog,
  };
}

describe('a pod that RunPod does not list yet', () => {
  let world: RunpodWorld;
  let service: PodService;
  afterEach(() => world.close());

  async function open(change: Partial<RunpodBehaviour> = { createLagMs: 600 }): Promise<void> {
    world = await openRunpodWorld(change);
    service = world.newService();
  }
  const states = (): string[] => world.sim.state().pods.map(({ status }) => status);
  const seen = (): (string | undefined)[] => (service.lastSeen?.pods ?? []).map(({ id }) => id);
  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

  it('stays in the snapshot, and is counted by what it costs', async () => {
    await open();
    const { pod } = await service.launch(request(), world.signal);
    const counted: (string | undefined)[][] = [];
    service.onDidList(({ pods }) => void counted.push(pods.map(({ id }) => id)));
    await service.refresh(world.signal);
    assert.deepEqual([seen(), counted], [[pod.id], [[pod.id]]]);
    await pause(700);
    const listed = await service.refresh(world.signal);
    assert.deepEqual(
      listed.map(({ id }) => id),
      [pod.id],
      'once, when the list has it',
    );
  });

  it('is stopped with all others', async () => {
    await open();
    const { pod } = await service.launch(request(), world.signal);
    assert.deepEqual(await service.stopAll('all', world.signal), { stopped: [pod.id], failed: [] });
    assert.deepEqual(states(), ['EXITED']);
    assert.equal((await service.refresh(world.signal))[0]?.status, 'EXITED');
  });

  it('is not told as stopped for its price while it runs on', async () => {
    await open();
    world.sim.faults.set({ failure: { kind: 'dearer', microsPerHour: 900_000 } });
    await assert.rejects(service.launch(request(300_000), world.signal), {
      kind: 'overBudget',
      message: /was stopped/,
    });
    assert.deepEqual(states(), ['EXITED']);
    assert.equal(service.lastSeen?.pods[0]?.status, 'EXITED');
  });

  it('goes when it is terminated, or when list and GET have been without it for long enough', async () => {
    await open({ createLagMs: 60_000 });
    service = world.newService({ visibleWithinMs: 300 });
    await service.launch(request(), world.signal);
    await service.refresh(world.signal);
    assert.equal(seen().length, 1);
    await pause(350);
    await service.refresh(world.signal);
    assert.deepEqual(seen(), []);
    world.sim.configure({ createLagMs: 200 });
    const { pod } = await service.launch(request(), world.signal);
    await service.terminate(pod.id, world.signal);
    await service.refresh(world.signal);
    assert.deepEqual(seen(), []);
  });

  describe('and that cannot be put on record', () => {
    beforeEach(async () => {
      await open();
      world.records.own = () => Promise.reject(new Fault('io', 'No room on the disk'));
    });

    it('is terminated, which is said', async () => {
      const message = /was made and could not be put on record \(No room on the disk\); it was terminated/;
      await assert.rejects(service.launch(request(), world.signal), { kind: 'io', message });
      assert.deepEqual([states(), seen()], [['TERMINATED'], []]);
    });

    it('is in sight while it runs, with what it costs', async () => {
      world.sim.faults.set({ failure: { kind: 'status', status: 403, effect: 'before' }, on: ['deletePod'] });
      const message = /terminating it failed .*: it still runs and costs \$/;
      await assert.rejects(service.launch(request(), world.signal), { kind: 'io', message });
      assert.deepEqual([states().length, seen().length], [1, 1]);
      assert.equal((await world.records.open()).length, 1, 'the name is looked for at the next start');
    });
  });
});
