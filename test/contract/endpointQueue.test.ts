// The queue on a serverless endpoint: real sockets, real records, windows that are closed and opened.
import assert from 'node:assert/strict';
import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createJobStore } from '../../src/core/store/jobStore.ts';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { openWindow, placeOf, removeFolder, until } from './jobWindow.ts';
import type { JobWindow, WindowPlace } from './jobWindow.ts';
import { requests, rowOf, untilEnded, untilState, viewOf } from './queueWorld.ts';

describe('the queue on an endpoint', function () {
  this.timeout(60_000);
  let sim: Simulator;
  let folder: string;
  let id: string;
  const windows: JobWindow[] = [];

  beforeEach(async () => {
    sim = await startSimulator({ timeScale: 200, seed: 31, runpodPresets: { change: { rateLimit: 'exempt' } } });
    sim.runpod.serverless.configure({ firstPullMs: 20_000, coldStartMs: 10_000 });
    await sim.setLocalOpen(false);
    folder = await mkdtemp(path.join(tmpdir(), 'podrelay-endpoint-'));
    id = sim.runpod.serverless.seedEndpoint({ name: 'comfy', workers: { min: 0, max: 3, idleTimeout: 30 } }).id;
  });
  afterEach(async () => {
    for (const window of windows.splice(0)) window.close();
    await sim.dispose();
    await removeFolder(folder);
  });

  const open = (change: Partial<WindowPlace> = {}): JobWindow => {
    const settings = { 'gemini.enabled': false, ...change.settings };
    const window = openWindow(placeOf(sim, folder, { endpointIds: [id], ...change, settings }));
    windows.push(window);
    return window;
  };
  const posts = (operation: string): number => sim.runpod.requests.filter((one) => one.operation === operation).length;
  const state = () => sim.runpod.serverless.state().find((one) => one.id === id)!;
  const atRunpod = () => state().jobs;
  const files = async (): Promise<string[]> =>
    (await readdir(path.join(folder, 'generated')).catch(() => [])).filter((name) => name.endsWith('.png'));

  /** RunPod's ids of all jobs at work are on record. */
  const untilNamed = (window: JobWindow): Promise<void> =>
    until('RunPod has named them', async () =>
      (await window.records())
        .filter(({ state }) => state === 'running')
        .every(({ remote }) => remote?.promptId !== undefined),
    );

  it('runs a batch on all its workers, more jobs than workers at once, each sent and made once', async () => {
    const window = open();
    const asked = requests(14);
    let most = 0;
    let workers = 0;
    await window.core.queue.enqueue(asked, window.signal);
    await until('all are done', async () => {
      const { counts } = await viewOf(window);
      most = Math.max(most, counts.running);
      workers = Math.max(workers, state().workers.length);
      return counts.done === 14;
    });
    assert.equal(most, 5, 'three workers, and two jobs in the queue');
    assert.equal(workers, 3);
    assert.equal(posts('runJob'), 14);
    assert.equal((await files()).length, 14);
    const view = await viewOf(window);
    for (const job of asked) assert.match(rowOf(view, job.id).why ?? '', /^about .* on RunPod endpoint comfy/);
    const { entries } = await window.core.ledger.statement();
    assert.equal(entries.filter(({ kind, micros }) => kind === 'job' && micros > 0).length, 14);
  });

  it('goes on after the window was closed: what was sent is fetched, nothing is sent twice', async () => {
    const first = open();
    await first.core.queue.enqueue(requests(8), first.signal);
    await until('some are with RunPod', () => atRunpod().length >= 4);
    // What is on its way when a window closes is lost, as the next test tells: here nothing is.
    await first.core.queue.pause();
    await untilNamed(first);
    first.close();
    await until('they have ended there', () => atRunpod().every(({ status }) => status === 'COMPLETED'));
    const second = open();
    await second.core.queue.begin();
    await second.core.queue.resume();
    const view = await untilEnded(second, 8);
    assert.equal(view.counts.done, 8, JSON.stringify(view.jobs.filter(({ state }) => state !== 'done')));
    assert.equal(posts('runJob'), 8);
    assert.equal((await files()).length, 8);
  });

  it('is asked again while the result is kept, however often it could not be had', async () => {
    const first = open();
    await first.core.queue.enqueue(requests(1), first.signal);
    await until('it is with RunPod', () => atRunpod().length === 1);
    await untilNamed(first);
    first.close();
    const broken = sim.runpod.faults.set({
      failure: { kind: 'status', status: 401, effect: 'before' },
      on: ['getJobStatus'],
    });
    const second = open();
    const store = createJobStore(second.core.database, { owner: 'the test' });
    await until(
      'the first window is known to be gone',
      async () => ((await store.nextClaimAt()) ?? Infinity) < Date.now(),
    );
    for (let times = 1; times <= 5; times++) {
      const [job] = await second.core.recovery.recover(second.signal);
      assert.equal(job?.state, 'later');
      const waitMs = ((await store.nextClaimAt()) ?? Infinity) - Date.now();
      assert.ok(waitMs <= 300_000, `after ${times} times it waits ${waitMs} ms, and the result is kept for 30 minutes`);
      await store.unpark(`endpoint:${id}`);
    }
    sim.runpod.faults.clear(broken);
    const [job] = await second.core.recovery.recover(second.signal);
    assert.equal(job?.state, 'done');
    assert.equal(posts('runJob'), 1);
  });

  it('does not send a job again whose answer was lost: it may be paid for, and a person decides', async () => {
    const window = open({ settings: { 'budget.dayUsd': 5 } });
    sim.runpod.faults.set({ failure: { kind: 'reset', effect: 'after' }, on: ['runJob'], times: 1 });
    const [one] = requests(1);
    await window.core.queue.enqueue([one!], window.signal);
    const row = await untilState(window, one!.id, 'lost');
    assert.match(row.fault ?? '', /whether RunPod took the job is not known/);
    assert.equal(posts('runJob'), 1);
    const { entries } = await window.core.ledger.statement();
    const [entry] = entries.filter(({ kind }) => kind === 'job');
    assert.ok((entry?.micros ?? 0) > 0, 'what it may have cost counts');
    // A lost connection shuts the door for a while.
    window.core.backends.reset('cloud');
    await window.core.queue.retry([one!.id]);
    await untilState(window, one!.id, 'done');
    assert.equal(posts('runJob'), 2);
  });

  it('cancels there what is cancelled here, waiting or at work', async () => {
    // The workers are still starting when it is cancelled.
    sim.runpod.serverless.configure({ coldStartMs: 3_600_000 });
    const window = open();
    const asked = requests(5);
    await window.core.queue.enqueue(asked, window.signal);
    await until('all are with RunPod', () => atRunpod().length === 5);
    await window.core.queue.cancel(asked.map((job) => job.id));
    assert.equal((await untilEnded(window, 5)).counts.cancelled, 5);
    await until('RunPod has ended them', () => atRunpod().every(({ status }) => status === 'CANCELLED'));
  });

  it('is not flooded while RunPod has no GPU for it, and gets the rest when that comes', async () => {
    sim.runpod.faults.set({ failure: { kind: 'noCapacity' }, on: ['startWorker'] });
    const window = open();
    await window.core.backends.checkAll(window.signal);
    await window.core.queue.enqueue(requests(1), window.signal);
    await until('RunPod has the first', () => atRunpod().length === 1);
    await until('that it finds no GPU is seen', async () => {
      await window.core.backends.checkAll(window.signal);
      const status = window.core.backends.statuses().find(({ backend }) => backend.id === `endpoint:${id}`);
      return status?.backend.depth === 1;
    });
    await window.core.queue.enqueue(requests(9), window.signal);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(atRunpod().length, 1);
    sim.runpod.faults.clear();
    assert.equal((await untilEnded(window, 10)).counts.done, 10);
  });

  it('is helped by the local ComfyUI, which gets its share', async () => {
    await sim.setLocalOpen(true);
    const window = open();
    await window.core.queue.enqueue(requests(30), window.signal);
    const view = await untilEnded(window, 30);
    assert.equal(view.counts.done, 30);
    const backends = new Set(view.jobs.map(({ backend }) => backend));
    assert.ok(backends.has('local'), [...backends].join());
  });
});
