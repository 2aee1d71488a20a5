// Pods whose creation another window did not see to its end.
import assert from 'node:assert/strict';
import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { deployRequest } from '../../src/core/fleet/deployRequest.ts';
import type { DeployRequest } from '../../src/core/fleet/deployPod.ts';
import { rankGpus } from '../../src/core/fleet/rankGpus.ts';
import { readSettings } from '../../src/core/settings.ts';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { openWindow, placeOf, removeFolder, until } from './jobWindow.ts';
import type { JobWindow, WindowPlace } from './jobWindow.ts';
import { fastPodTimings } from './world.ts';

const timeScale = 200;

describe('a pod that another window has asked for', function () {
  this.timeout(30_000);
  let sim: Simulator;
  let folder: string;
  let place: WindowPlace;
  const windows: JobWindow[] = [];

  beforeEach(async () => {
    sim = await startSimulator({ timeScale, seed: 3 });
    folder = await mkdtemp(path.join(tmpdir(), 'podrelay-reconcile-'));
    const settings = { 'cloud.readyTimeoutMinutes': 0.1 };
    place = placeOf(sim, folder, { podWatchEveryMs: 40, idleMinutes: 300 / 60_000, settings });
  });
  afterEach(async () => {
    for (const one of windows.splice(0)) one.close();
    await sim.dispose();
    await removeFolder(folder);
  });

  async function open(): Promise<JobWindow> {
    const window = openWindow(place);
    windows.push(window);
    await window.core.keys.load();
    await window.core.ledger.refresh();
    return window;
  }
  async function wish({ core, signal }: JobWindow): Promise<DeployRequest> {
    const gpus = await core.gpuTypes({ cloud: 'SECURE', count: 1 }, signal);
    const needs = { minVramGb: 8, count: 1, maxUsdPerHourMicros: 2_000_000 };
    const { candidates } = rankGpus([{ cloud: 'SECURE', gpus }], needs);
    return deployRequest(candidates, readSettings(() => undefined).settings);
  }
  const states = (): string[] => sim.runpod.state().pods.map(({ status }) => status);

  it('is found once RunPod must list it, offered, and stopped when idle', async () => {
    sim.runpod.configure({ createLagMs: timeScale * 1_000 });
    const first = await open();
    const request = await wish(first);
    sim.runpod.faults.set({ failure: { kind: 'reset', effect: 'after' }, on: ['createPod'] });
    first.core.pods.launch(request, first.signal).catch(() => undefined);
    await until('it is made', () => states().length > 0);
    first.close();
    const { core, signal } = await open();
    const { adopted, running, again } = await core.pods.reconcile(signal);
    assert.deepEqual([adopted, running], [[], []]);
    assert.ok(again !== undefined);
    // RunPod may be down at that very moment.
    sim.runpod.faults.set({
      failure: { kind: 'status', status: 404, effect: 'before' },
      on: ['listPods'],
      times: 1,
    });
    const later = await again;
    assert.deepEqual([later.adopted.length, later.running.length, later.again], [1, 1, undefined]);
    await until('it is stopped', () => states()[0] === 'EXITED');
  });

  it('is not looked for again when nothing is open', async () => {
    const { core, signal } = await open();
    assert.equal((await core.pods.reconcile(signal)).again, undefined);
  });

  it('keeps its name and its token while it is asked for on one GPU after the other', async () => {
    const first = await open();
    const request = await wish(first);
    const tried = request.candidates.slice(0, 7);
    const failing = tried.slice(0, 6).map(({ gpuId }) => gpuId);
    sim.runpod.faults.set({ failure: { kind: 'noCapacity', gpuIds: failing } });
    sim.runpod.faults.set({ failure: { kind: 'delay', ms: 400 * timeScale, effect: 'before' }, on: ['createPod'] });
    const second = await open();
    let isDone = false;
    const beganAt = Date.now();
    const launching = first.core.pods
      .launch({ ...request, candidates: tried }, first.signal)
      .finally(() => (isDone = true));
    launching.catch(() => undefined);
    while (!isDone) {
      await second.core.pods.reconcile(second.signal);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const { pod } = await launching;
    assert.ok(Date.now() - beganAt > fastPodTimings.visibleWithinMs, 'it takes longer than a pod may be out of sight');
    assert.deepEqual(await readdir(path.join(folder, 'secrets')), [pod.name]);
    assert.equal(await second.core.pods.opens(pod), true);
  });
});
