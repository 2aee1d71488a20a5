// A pod that somebody else deployed, in a run that a job has started: that run is stopped again, and no other.
import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startSimulator } from '../../src/sim/simulator.ts';
import { openWindow, placeOf, removeFolder, until } from './jobWindow.ts';
import type { JobWindow, WindowPlace } from './jobWindow.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { job } from './world.ts';

const idleMs = 400;

describe('a pod of somebody else that a job has started', function () {
  this.timeout(30_000);
  let sim: Simulator;
  let folder: string;
  let place: WindowPlace;
  let id: string;
  const windows: JobWindow[] = [];

  beforeEach(async () => {
    sim = await startSimulator({ timeScale: 200, seed: 3 });
    folder = await mkdtemp(path.join(tmpdir(), 'podrelay-starts-'));
    ({ id } = sim.runpod.seedPod({ name: 'my-training', status: 'EXITED' }));
    const settings = { 'gemini.enabled': false, 'local.enabled': false };
    place = placeOf(sim, folder, { podId: id, podWatchEveryMs: 40, idleMinutes: idleMs / 60_000, settings });
  });
  afterEach(async () => {
    for (const one of windows.splice(0)) one.close();
    await sim.dispose();
    await removeFolder(folder);
  });

  const state = (): string | undefined => sim.runpod.state().pods[0]?.status;
  const isStopped = (): boolean => state() === 'EXITED';
  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  async function open(): Promise<JobWindow> {
    const window = openWindow(place);
    windows.push(window);
    await window.core.keys.load();
    await window.core.ledger.refresh();
    return window;
  }
  async function runJob(): Promise<JobWindow> {
    const window = await open();
    const outcome = await window.core.jobs.run(job(), () => undefined, window.signal);
    assert.equal(outcome.backend, 'cloud');
    return window;
  }
  /** What its owner does in RunPod's console. */
  async function inConsole(action: 'start' | 'stop'): Promise<void> {
    const headers = { authorization: `Bearer ${sim.runpodApiKey}`, 'content-type': 'application/json' };
    const url = `${sim.addresses.runpodApiUrl}/pods/${id}/action`;
    assert.equal((await fetch(url, { method: 'POST', headers, body: JSON.stringify({ action }) })).status, 200);
  }
  async function staysUp({ core, signal }: JobWindow): Promise<void> {
    await until('it runs', () => state() === 'RUNNING');
    await core.pods.refresh(signal);
    await pause(5 * idleMs);
    assert.equal(state(), 'RUNNING');
  }

  it('is offered, and stopped when idle, by the window that opens after a crash', async () => {
    (await runJob()).close();
    const { core, signal } = await open();
    assert.equal(await core.podsMayRun(), true);
    const { running } = await core.pods.reconcile(signal);
    assert.deepEqual(
      running.map((pod) => pod.id),
      [id],
    );
    await until('stopped', isStopped);
    await until('nothing is open', async () => !(await core.podsMayRun()));
  });

  it('is offered after a crash while it boots', async () => {
    sim.runpod.configure({ cachedStartMs: 400_000, firstPullMs: 400_000 });
    const first = await open();
    first.core.jobs.run(job(), () => undefined, first.signal).catch(() => undefined);
    await until('it boots', () => state() === 'STARTING');
    first.close();
    const { core, signal } = await open();
    const { running } = await core.pods.reconcile(signal);
    assert.equal(running.length, 1);
    assert.deepEqual((await core.pods.stopAll([id], signal)).stopped, [id]);
    await until('nothing is open', async () => !(await core.podsMayRun()));
  });

  it('is its owner’s again once it was stopped by a person', async () => {
    const window = await runJob();
    await window.core.pods.stop(id, window.signal);
    await inConsole('start');
    await staysUp(window);
  });

  it('is its owner’s again once it was stopped and started in the console, seen or not', async () => {
    const window = await runJob();
    await window.core.pods.refresh(window.signal);
    await inConsole('stop');
    await inConsole('start');
    await staysUp(window);
  });

  it('is a person’s once a person starts it here', async () => {
    const window = await runJob();
    await until('stopped', isStopped);
    await window.core.pods.ensureReady(id, { readyTimeoutMs: 20_000, onProgress: () => undefined }, window.signal);
    await staysUp(window);
  });
});
