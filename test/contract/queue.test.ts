// The queue over the whole simulator: real sockets, real records, several windows.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Fault } from '../../src/core/kernel/fault.ts';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { openWindow, placeOf, removeFolder, until } from './jobWindow.ts';
import type { JobWindow, WindowPlace } from './jobWindow.ts';
import { request, requests, rowOf, runsOf, sentTo, untilEnded, untilState, viewOf } from './queueWorld.ts';
import { samplerWorkflow, smallWorkflow } from './world.ts';

describe('the queue', function () {
  this.timeout(60_000);
  let sim: Simulator;
  let folder: string;
  const windows: JobWindow[] = [];
  beforeEach(async () => {
    sim = await startSimulator({ timeScale: 50, seed: 21 });
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
  const seedPod = (name: string): string => sim.runpod.seedPod({ name }).id;
  const files = async (): Promise<string[]> => readdir(path.join(folder, 'generated')).catch(() => []);

  describe('runs what is queued', () => {
    it('over the local ComfyUI and two pods, each job once, with its file and the reason for its backend', async () => {
      const podId = seedPod('podrelay-aaaa');
      const other = seedPod('podrelay-bbbb');
      const window = open({ podId });
      const asked = Array.from({ length: 30 }, (_, n) => request({ workflow: samplerWorkflow(n, 6) }));
      await window.core.queue.enqueue(asked, window.signal);
      const view = await untilEnded(window, 30);
      assert.equal(view.counts.done, 30);
      const runs = [sim.local, sim.podComfy(podId), sim.podComfy(other)].map(runsOf);
      assert.equal(runs.flat().length, 30);
      assert.equal(new Set(runs.flat()).size, 30);
      assert.ok(
        runs.every((own) => own.length > 0),
        `everybody has a share: ${runs.map((own) => own.length).join(', ')}`,
      );
      assert.equal((await files()).length, 60);
      for (const { id } of asked) {
        const row = rowOf(view, id);
        assert.equal(row.outputs.length, 1);
        assert.ok((await readFile(row.outputs[0]!)).length > 100);
        assert.match(row.why ?? '', /^about .* on .*\. The others: .*\.$/);
      }
    });

    it('by priority, then in the order of asking, and as they are moved', async () => {
      const window = open();
      const { queue } = window.core;
      await queue.pause();
      const [a, b, c, d, e] = ['a', 'b', 'c', 'd', 'e'].map((label) => request({ label }));
      await queue.enqueue([a!, b!, c!, d!], window.signal);
      await queue.enqueue([{ ...e!, priority: 5 }], window.signal);
      const labels = async (): Promise<string> =>
        (await viewOf(window)).jobs.map(({ label, position }) => `${label}${position ?? ''}`).join(' ');
      assert.equal(await labels(), 'e1 a2 b3 c4 d5');
      await queue.move(d!.id, 'top');
      assert.equal(await labels(), 'd1 e2 a3 b4 c5');
      await queue.move(b!.id, 'up');
      await queue.move(e!.id, 'bottom');
      assert.equal(await labels(), 'd1 b2 a3 c4 e5');
      await queue.move(b!.id, 'down');
      assert.equal(await labels(), 'd1 a2 b3 c4 e5');
      assert.equal(runsOf(sim.local).length, 0);
      assert.match(rowOf(await viewOf(window), a!.id).waitsFor ?? '', /paused/);
      await queue.resume();
      await untilEnded(window, 5);
      // Two are at work at a time: which of those ends first is the server's.
      const given = new Map((await window.records()).map(({ label, queue: at }) => [label, at?.givenAt ?? 0]));
      const wanted = ['d', 'a', 'b', 'c', 'e'];
      assert.deepEqual(
        wanted.toSorted((one, other) => given.get(one)! - given.get(other)!),
        wanted,
      );
      assert.ok(given.get('d')! < given.get('b')! && given.get('a')! < given.get('e')!, 'no more than two at a time');
    });

    it('after the window was closed and opened again', async () => {
      const first = open();
      await first.core.queue.enqueue(requests(20), first.signal);
      await until('some are done', () => first.done.length >= 3);
      first.close();
      const second = open();
      await second.core.queue.begin();
      const view = await untilEnded(second, 20);
      assert.equal(view.counts.done, 20, JSON.stringify(view.jobs.filter(({ state }) => state !== 'done')));
      const runs = runsOf(sim.local);
      assert.equal(runs.length, 20);
      assert.equal(new Set(runs).size, 20);
    });

    it('shown with what runs anyway, and no faster than the backends take it', async () => {
      const window = open();
      const own = request({ label: 'run now', workflow: samplerWorkflow(1, 120) });
      const running = window.core.jobs.run(own, () => undefined, window.signal);
      await window.core.queue.enqueue(requests(5), window.signal);
      await until('one runs', async () => (await viewOf(window)).counts.running > 0);
      await until('two at once at most', async () => {
        const { counts } = await viewOf(window);
        assert.ok(counts.running <= 2, `${counts.running} at once`);
        return counts.done === 6;
      });
      await running;
      assert.equal(rowOf(await viewOf(window), own.id).state, 'done');
    });
  });

  describe('obeys', () => {
    it('pause and resume, from any window, and after a restart', async () => {
      const one = open();
      const two = open();
      await one.core.queue.enqueue(
        Array.from({ length: 12 }, (_, n) => request({ workflow: samplerWorkflow(n, 25) })),
        one.signal,
      );
      await until('one runs', () => runsOf(sim.local).length > 0);
      await two.core.queue.pause();
      await until('what ran has ended', async () => (await viewOf(one)).counts.running === 0);
      const after = (await viewOf(two)).counts.queued;
      assert.ok(after > 0);
      await new Promise((resolve) => setTimeout(resolve, 700));
      assert.equal((await viewOf(two)).counts.queued, after);
      one.close();
      const three = open();
      await three.core.queue.begin();
      assert.equal((await viewOf(three)).paused, true);
      await three.core.queue.resume();
      assert.equal((await untilEnded(three, 12)).counts.done, 12);
      assert.equal(new Set(runsOf(sim.local)).size, 12);
    });

    it('a cancellation from another window, of what waits and of what runs', async () => {
      const one = open();
      const two = open();
      const long = request({ label: 'long', workflow: samplerWorkflow(1, 2_000) });
      const [next, last] = [request(), request()];
      await one.core.queue.enqueue([long], one.signal);
      await until('it runs', async () => rowOf(await viewOf(two), long.id).state === 'running');
      await until(
        'its progress is seen',
        async () => rowOf(await viewOf(two), long.id).progress?.fraction !== undefined,
      );
      assert.equal(rowOf(await viewOf(two), long.id).here, false);
      // Only now: of two that are sent at once the server may take either first.
      await one.core.queue.enqueue([next, last], one.signal);
      await until('it sees them', async () => (await viewOf(two)).jobs.length === 3);
      await two.core.queue.cancel([last.id, long.id]);
      assert.equal(rowOf(await viewOf(two), last.id).state, 'cancelled');
      await untilState(two, long.id, 'cancelled');
      await untilState(two, next.id, 'done');
      await until('the server was told', () => sim.local.state().running === undefined);
      assert.equal(runsOf(sim.local).length, 1);
    });

    it('a retry, which is a new attempt of the same job', async () => {
      const window = open();
      sim.local.control.faults = { failNode: { message: 'Out of luck', times: 1 } };
      const [first, second] = [request(), request()];
      await window.core.queue.enqueue([first], window.signal);
      const failed = await untilState(window, first.id, 'failed');
      assert.match(failed.fault ?? '', /Out of luck/);
      await window.core.queue.pause();
      await window.core.queue.enqueue([second], window.signal);
      await window.core.queue.cancel([second.id]);
      await window.core.queue.retry([first.id, second.id]);
      assert.equal((await viewOf(window)).counts.queued, 2);
      await window.core.queue.resume();
      const done = await untilState(window, first.id, 'done');
      assert.equal(done.fault, undefined);
      await untilState(window, second.id, 'done');
      const [record] = (await window.records()).filter(({ id }) => id === first.id);
      assert.equal(record?.attempts.length, 2);
    });

    it('nothing but ended jobs goes when those are cleared', async () => {
      const window = open();
      await window.core.queue.enqueue(requests(3), window.signal);
      await untilEnded(window, 3);
      await window.core.queue.pause();
      const left = request();
      await window.core.queue.enqueue([left], window.signal);
      await window.core.queue.clearEnded();
      const { jobs, counts } = await viewOf(window);
      assert.deepEqual(
        jobs.map(({ id }) => id),
        [left.id],
      );
      assert.equal(counts.done, 0);
    });
  });

  describe('refuses', () => {
    it('more than 10,000 jobs, and takes none of them', async () => {
      const window = open();
      const { queue } = window.core;
      await queue.pause();
      const workflow = smallWorkflow(1);
      const alike = (count: number) => Array.from({ length: count }, () => request({ workflow }));
      await queue.enqueue(alike(9_999), window.signal);
      const tooMany = (error: Fault): boolean => {
        assert.equal(error.kind, 'rejected');
        assert.match(error.message, /at most 10,000 jobs: 9,999 wait already, and 2 more do not fit/);
        return true;
      };
      await assert.rejects(queue.enqueue(alike(2), window.signal), tooMany);
      const view = await viewOf(window);
      assert.equal(view.counts.queued, 9_999);
      assert.equal(view.jobs.length, 500);
    });
  });

  describe('when something fails', () => {
    it('the job’s own fault ends it, on one backend, and the others go on', async () => {
      const window = open();
      sim.local.control.faults = { failNode: { nodeId: '9', message: 'Out of luck' } };
      const bad = request({
        workflow: {
          ...smallWorkflow(3),
          '9': { class_type: 'ImageInvert', inputs: { image: ['1', 0] } },
          '10': { class_type: 'SaveImage', inputs: { images: ['9', 0], filename_prefix: 'bad' } },
        },
      });
      await window.core.queue.enqueue([bad, ...requests(3)], window.signal);
      const view = await untilEnded(window, 4);
      assert.deepEqual([view.counts.done, view.counts.failed], [3, 1]);
      assert.equal(rowOf(view, bad.id).state, 'failed');
    });

    it('a backend that lacks a node is not asked again, and another has the job', async () => {
      const podId = seedPod('podrelay-aaaa');
      const window = open({ podId });
      sim.local.control.faults = { oom: true };
      const asked = Array.from({ length: 4 }, (_, n) => request({ workflow: samplerWorkflow(n, 4) }));
      await window.core.queue.enqueue(asked, window.signal);
      const view = await untilEnded(window, 4);
      assert.equal(view.counts.done, 4, JSON.stringify(view.jobs));
      assert.equal(runsOf(sim.podComfy(podId)).length, 4);
      for (const { id } of asked) {
        const [record] = (await window.records()).filter((one) => one.id === id);
        const tries = (record?.attempts as { backend: string }[]).map(({ backend }) => backend);
        assert.ok(tries.filter((backend) => backend === 'local').length <= 1, tries.join());
      }
    });

    it('no backend can ever have a job: it fails with each one’s reason', async () => {
      const window = open();
      const unknown = request({
        workflow: { ...smallWorkflow(3), '9': { class_type: 'NodeOfNobody', inputs: { images: ['1', 0] } } },
      });
      await window.core.queue.enqueue([unknown], window.signal);
      const row = await untilState(window, unknown.id, 'failed');
      assert.match(row.fault ?? '', /No backend could do it \(Local ComfyUI: .*NodeOfNobody/);
    });

    it('a server that dies in the middle: its job is run by another', async () => {
      const podId = seedPod('podrelay-aaaa');
      const window = open({ podId });
      const long = request({ workflow: samplerWorkflow(1, 150) });
      await window.core.queue.enqueue([long], window.signal);
      await until('it runs at home', () => sim.local.state().running !== undefined);
      await sim.setLocalOpen(false);
      const row = await untilState(window, long.id, 'done');
      assert.equal(row.backend, 'cloud');
      assert.equal(runsOf(sim.podComfy(podId)).length, 1);
    });

    it('the only server dies and comes back: every job is done', async () => {
      const window = open();
      await window.core.queue.enqueue(
        Array.from({ length: 6 }, (_, n) => request({ workflow: samplerWorkflow(n, 40) })),
        window.signal,
      );
      await until('one runs', () => sim.local.state().running !== undefined);
      sim.local.restart();
      const view = await untilEnded(window, 6);
      assert.equal(view.counts.done, 6, JSON.stringify(view.jobs));
    });

    it('a pod that is terminated while it runs a job: the job is run elsewhere', async () => {
      await sim.setLocalOpen(false);
      const podId = seedPod('podrelay-aaaa');
      const window = open({ podId });
      const long = request({ workflow: samplerWorkflow(1, 150) });
      await window.core.queue.enqueue([long], window.signal);
      await until('it runs on the pod', () => sim.podComfy(podId)?.state().running !== undefined);
      const reply = await fetch(`${sim.addresses.runpodApiUrl}/pods/${podId}`, {
        method: 'DELETE',
        headers: { authorization: `Bearer ${sim.runpodApiKey}` },
      });
      assert.ok(reply.ok);
      await window.core.pods.refresh(window.signal);
      await sim.setLocalOpen(true);
      const row = await untilState(window, long.id, 'done');
      assert.equal(row.backend, 'local');
    });

    it('RunPod’s API is down for a while: what runs goes on, and nothing is started blindly', async () => {
      const podId = seedPod('podrelay-aaaa');
      const window = open({ podId });
      await window.core.queue.enqueue(
        Array.from({ length: 8 }, (_, n) => request({ workflow: samplerWorkflow(n, 40) })),
        window.signal,
      );
      await until('the pod works', () => sim.podComfy(podId)?.state().running !== undefined);
      sim.runpod.faults.set({
        failure: { kind: 'status', status: 503, effect: 'before' },
        on: ['listPods', 'getPod', 'podAction', 'startPod', 'createPod'],
      });
      const view = await untilEnded(window, 8);
      assert.equal(view.counts.done, 8, JSON.stringify(view.jobs));
      const runs = [...runsOf(sim.local), ...runsOf(sim.podComfy(podId))];
      assert.equal(new Set(runs).size, 8);
      assert.equal(runs.length, 8);
    });

    it('a budget is spent: the job waits, says why, and runs once there is money', async () => {
      await sim.setLocalOpen(false);
      const podId = seedPod('podrelay-aaaa');
      const poor = open({ podId, settings: { 'budget.dayUsd': 0, 'gemini.enabled': false } });
      const asked = request();
      await poor.core.queue.enqueue([asked], poor.signal);
      await until('it says why', async () => /today's budget/.test(rowOf(await viewOf(poor), asked.id).waitsFor ?? ''));
      assert.equal(rowOf(await viewOf(poor), asked.id).state, 'queued');
      assert.equal(sentTo(sim.podComfy(podId)), 0);
      poor.close();
      const rich = open({ podId, settings: { 'gemini.enabled': false } });
      await rich.core.queue.begin();
      assert.equal((await untilState(rich, asked.id, 'done')).backend, 'cloud');
    });

    it('what must not leave this machine waits for it, and nobody else sees it', async () => {
      await sim.setLocalOpen(false);
      const podId = seedPod('podrelay-aaaa');
      const window = open({ podId, settings: { 'gemini.fallback': 'always' } });
      const secret = request();
      Object.assign(secret.workflow['1']!, { _meta: { title: 'Checkpoint [local only]' } });
      const open_ = request();
      await window.core.queue.enqueue([secret, open_], window.signal);
      await untilState(window, open_.id, 'done');
      const row = rowOf(await viewOf(window), secret.id);
      assert.equal(row.state, 'queued');
      assert.match(row.waitsFor ?? '', /local only/);
      assert.equal(sentTo(sim.podComfy(podId)), 1);
      assert.equal(sim.gemini.bill().generations, 0);
      await sim.setLocalOpen(true);
      await window.core.backends.check('local', window.signal);
      assert.equal((await untilState(window, secret.id, 'done')).backend, 'local');
    });

    it('Gemini is paid for queued jobs only when it may be without a question', async () => {
      await sim.setLocalOpen(false);
      const asking = open();
      const asked = request({ workflow: samplerWorkflow(4) });
      await asking.core.queue.enqueue([asked], asking.signal);
      await until('it says why', async () =>
        /Gemini.*'always'/.test(rowOf(await viewOf(asking), asked.id).waitsFor ?? ''),
      );
      asking.close();
      const paying = open({ settings: { 'gemini.fallback': 'always' } });
      await paying.core.queue.begin();
      const row = await untilState(paying, asked.id, 'done');
      assert.equal(row.backend, 'gemini');
      assert.match(row.why ?? '', /last resort/);
      assert.ok((row.micros ?? 0) > 0);
    });
  });
});
