import assert from 'node:assert/strict';
import { mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Fault } from '../../src/core/kernel/fault.ts';
import type { JobProgress, JobRequest } from '../../src/core/backends/backend.ts';
import { encodePng } from '../../src/sim/comfy/media/png.ts';
import { newFrame } from '../../src/sim/comfy/media/frame.ts';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { openWindow, placeOf, removeFolder, until } from './jobWindow.ts';
import type { JobWindow, WindowPlace } from './jobWindow.ts';
import { job, samplerWorkflow, smallWorkflow } from './world.ts';

/** At this pace 40 steps take some 2 s. */
const timeScale = 10;
const steps = 40;

describe('cancel', () => {
  let sim: Simulator;
  let folder: string;
  let window: JobWindow;
  const open = (change: Partial<WindowPlace> = {}): JobWindow => (window = openWindow(placeOf(sim, folder, change)));
  beforeEach(async () => {
    sim = await startSimulator({ timeScale, seed: 3, runpodPresets: { base: 'fast' } });
    folder = await mkdtemp(path.join(tmpdir(), 'podrelay-cancel-'));
  });
  afterEach(async () => {
    window.close();
    await sim.dispose();
    await removeFolder(folder);
  });

  const files = (): Promise<readonly string[]> => readdir(path.join(folder, 'generated')).catch(() => []);
  const submissions = (server = sim.local): number =>
    server.requests.filter(({ method, path: at }) => method === 'POST' && at.endsWith('/prompt')).length;

  /** Runs a job and cancels it when `isThere` says so; gives the ms from the cancel to the end. */
  async function cancelWhen(
    isThere: (progress: JobProgress) => boolean | Promise<boolean>,
    request: JobRequest,
  ): Promise<number> {
    const stop = new AbortController();
    let last: JobProgress = { phase: '' };
    const running = window.core.jobs.run(request, (progress) => (last = progress), stop.signal);
    const ended = running.then(
      () => assert.fail('It ended first'),
      (error: unknown) => error,
    );
    await until('the job is there', () => isThere(last));
    const cancelledAt = Date.now();
    stop.abort(new Fault('cancelled', 'Cancelled'));
    const fault = await ended;
    assert.ok(fault instanceof Fault && fault.kind === 'cancelled', String(fault));
    const ms = Date.now() - cancelledAt;
    assert.deepEqual(window.core.jobs.running(), []);
    assert.deepEqual(await files(), []);
    const [record] = await window.records();
    assert.equal(record?.state, 'cancelled');
    return ms;
  }

  it('before a backend is chosen: nothing is asked', async () => {
    open();
    const stop = new AbortController();
    stop.abort(new Fault('cancelled', 'Cancelled'));
    await assert.rejects(window.core.jobs.run(job(), () => undefined, stop.signal));
    assert.equal(sim.local.requests.length, 0);
    assert.equal((await window.records())[0]?.state, 'cancelled');
  });

  it('while a backend is asked: nothing is sent', async () => {
    open();
    sim.local.control.faults = { hang: { path: '/object_info' } };
    await cancelWhen(() => sim.local.requests.length > 0, job());
    assert.equal(submissions(), 0);
  });

  it('while an input file is uploaded: nothing is run', async () => {
    open();
    await writeFile(path.join(folder, 'in.png'), encodePng(newFrame(8, 8)));
    sim.local.control.faults = { hang: { path: '/upload' } };
    const workflow = {
      '1': { class_type: 'LoadImage', inputs: { image: 'in.png' } },
      '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'copy' } },
    };
    const isUploading = (): boolean => sim.local.requests.some(({ path: at }) => at.includes('/upload'));
    await cancelWhen(isUploading, job(workflow, { inputFolder: folder }));
    assert.equal(submissions(), 0);
  });

  it('while the prompt is sent: it does not run, whether or not it has arrived', async () => {
    open();
    sim.local.control.faults = { slowMs: 3_000 };
    await cancelWhen(() => submissions() === 1, job(samplerWorkflow(1, steps)));
    sim.local.control.faults = {};
    await until('nothing is left', () => {
      const { running, pending } = sim.local.state();
      return running === undefined && pending.length === 0;
    });
    assert.ok(!sim.local.state().executedNodes.some(({ classType }) => classType === 'SaveImage'));
  });

  it('while it waits in line: it leaves the line, and the one before it goes on', async () => {
    open();
    const first = window.core.jobs.run(job(samplerWorkflow(1, steps)), () => undefined, window.signal);
    await until('the first runs', () => sim.local.state().running !== undefined);
    const other = openWindow(placeOf(sim, path.join(folder, 'other')));
    const stop = new AbortController();
    const second = other.core.jobs.run(job(smallWorkflow(1, 'second')), () => undefined, stop.signal);
    await until('the second waits', () => sim.local.state().pending.length === 1);
    stop.abort(new Fault('cancelled', 'Cancelled'));
    await assert.rejects(second);
    assert.equal(sim.local.state().pending.length, 0);
    assert.equal((await first).outputs.length, 1);
    other.close();
  });

  it('while it runs: it is stopped there, quickly, and the one behind it runs', async () => {
    open();
    const other = openWindow(placeOf(sim, path.join(folder, 'other')));
    let next: Promise<unknown> | undefined;
    const isRunning = ({ fraction }: JobProgress): boolean => {
      if (fraction === undefined || fraction === 0) return false;
      next ??= other.core.jobs.run(job(smallWorkflow(2, 'behind')), () => undefined, other.signal);
      return sim.local.state().pending.length === 1;
    };
    const ms = await cancelWhen(isRunning, job(samplerWorkflow(2, 100 * steps)));
    assert.ok(ms < 1_500, `${ms} ms`);
    await next;
    assert.ok(!sim.local.state().executedNodes.some(({ classType }) => classType === 'VAEDecode'));
    other.close();
  });

  for (const profile of ['0.3.64', '0.8.0'] as const) {
    it(`while it runs on ComfyUI ${profile}, which has no call for that: ours is stopped`, async () => {
      await sim.dispose();
      sim = await startSimulator({ timeScale, seed: 3, comfyProfile: profile });
      open();
      await cancelWhen(({ fraction }) => (fraction ?? 0) > 0, job(samplerWorkflow(2, 100 * steps)));
      await until('it ends', () => sim.local.state().running === undefined);
    });
  }

  it('while the result is fetched: no part of it stays', async () => {
    open();
    sim.local.control.faults = { hang: { path: '/view' } };
    await cancelWhen(() => sim.local.requests.some(({ path: at }) => at.includes('/view')), job());
  });

  it('while it is saved: no part of it stays', async () => {
    open();
    sim.local.control.faults = { bigOutputBytes: 4_000_000_000 };
    const isSaving = async (): Promise<boolean> => (await files()).some((name) => name.endsWith('.part'));
    await cancelWhen(isSaving, job());
  });

  it('between two files: the first goes, too', async () => {
    open();
    const many = smallWorkflow(3, 'many');
    many['1']!.inputs.batch_size = 120;
    const isBetween = async (): Promise<boolean> => (await files()).some((name) => name.endsWith('.png'));
    await cancelWhen(isBetween, job(many));
  });

  describe('on a pod', () => {
    let podId: string;
    const status = (): string | undefined => sim.runpod.state().pods.find(({ id }) => id === podId)?.status;
    const cloudOnly = { 'local.enabled': false };

    it('while it starts: the pod that was started for the job is stopped again', async () => {
      sim.runpod.configure({ nextAppBootMs: 600_000, firstAppBootMs: [600_000, 600_000] });
      podId = sim.runpod.seedPod({ name: 'p', status: 'EXITED' }).id;
      open({ podId, settings: cloudOnly });
      await cancelWhen(({ phase }) => status() === 'RUNNING' && phase === 'Waiting for ComfyUI', job());
      await until('it is stopped', () => status() === 'EXITED');
    });

    it('while it starts, but for another job as well: the pod goes on', async () => {
      podId = sim.runpod.seedPod({ name: 'p', status: 'EXITED' }).id;
      open({ podId, settings: cloudOnly });
      const other = window.core.jobs.run(job(smallWorkflow(5, 'kept')), () => undefined, window.signal);
      const stop = new AbortController();
      const ours = window.core.jobs.run(
        job(),
        ({ phase }) => {
          if (/Waiting for/.test(phase)) stop.abort(new Fault('cancelled', 'Cancelled'));
        },
        stop.signal,
      );
      await assert.rejects(ours);
      assert.equal((await other).backend, 'cloud');
      assert.equal(status(), 'RUNNING');
    });

    it('while it runs there: the prompt is stopped, and the pod is left to its idle time', async () => {
      podId = sim.runpod.seedPod({ name: 'p' }).id;
      open({ podId, settings: cloudOnly });
      await cancelWhen(({ fraction }) => (fraction ?? 0) > 0, job(samplerWorkflow(2, 200 * steps)));
      await until('the prompt ends', () => sim.podComfy(podId)?.state().running === undefined);
    });
  });

  it('two runs at the same time: the one that is cancelled does not take the other with it', async () => {
    open();
    const stop = new AbortController();
    const kept = window.core.jobs.run(job(samplerWorkflow(1, steps)), () => undefined, window.signal);
    const ended = window.core.jobs.run(job(samplerWorkflow(2, steps)), () => undefined, stop.signal);
    await until('both are there', () => sim.local.state().pending.length === 1);
    window.core.jobs.running()[1]?.cancel();
    await assert.rejects(ended, (error) => error instanceof Fault && error.kind === 'cancelled');
    assert.equal((await kept).outputs.length, 1);
    assert.deepEqual(
      (await window.records()).map(({ state }) => state),
      ['done', 'cancelled'],
    );
  });
});
