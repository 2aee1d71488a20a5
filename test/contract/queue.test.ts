// The queue over the whole simulator: real sockets, real records, several windows.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { JobRequest } from '../../src/core/backends/backend.ts';
import type { QueueJob, QueueView } from '../../src/core/queue/queueView.ts';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { openWindow, placeOf, removeFolder, until } from './jobWindow.ts';
import type { JobWindow, WindowPlace } from './jobWindow.ts';
import { smallWorkflow } from './world.ts';

describe('the queue', function () {
  this.timeout(60_000);
  let sim: Simulator;
  let folder: string;
  const windows: JobWindow[] = [];
  beforeEach(async () => {
    sim = await startSimulator({ timeScale: 200, seed: 21 });
    folder = await mkdtemp(path.join(tmpdir(), 'podrelay-queue-'));
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
  const request = (change: Partial<JobRequest & { priority: number }> = {}): JobRequest => ({
    id: randomUUID(),
    label: 'queued',
    workflow: smallWorkflow(Number.parseInt(randomUUID().slice(0, 6), 16), 'queued'),
    media: 'image',
    localOnly: false,
    ...change,
  });
  const many = (count: number, change: Partial<JobRequest> = {}): JobRequest[] =>
    Array.from({ length: count }, (_, n) => request({ label: `job ${n + 1}`, ...change }));
  const viewOf = async (window: JobWindow): Promise<QueueView> => {
    await window.core.queue.refresh();
    const { view } = window.core.queue;
    assert.ok(view.known, JSON.stringify(view));
    return view.value;
  };
  const untilEnded = async (window: JobWindow, count: number): Promise<QueueView> => {
    await until(`${count} jobs have ended`, async () => {
      const { counts } = await viewOf(window);
      return counts.done + counts.failed + counts.cancelled + counts.lost === count;
    });
    return viewOf(window);
  };
  const row = (view: QueueView, id: string): QueueJob => view.jobs.find((job) => job.id === id)!;
  const runsOf = (comfy: Simulator['local']): string[] =>
    comfy
      .state()
      .executedNodes.filter(({ classType }) => classType === 'SaveImage')
      .map(({ promptId }) => promptId);

  it('runs what is queued, each job once, with its file', async () => {
    const window = open();
    const requests = many(12);
    await window.core.queue.enqueue(requests, window.signal);
    const view = await untilEnded(window, 12);
    assert.equal(view.counts.done, 12, JSON.stringify(view.jobs.map(({ state, fault }) => [state, fault])));
    assert.equal(runsOf(sim.local).length, 12);
    const files = await readdir(path.join(folder, 'generated'));
    assert.equal(files.length, 24);
    for (const { id } of requests) assert.match(row(view, id).why ?? '', /Local ComfyUI/);
  });
});
