import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { JobProgress } from '../../src/core/backends/backend.ts';
import type { RecoveredJob } from '../../src/core/jobs/jobOutcome.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { leaseMs, openWindow, placeOf, removeFolder, until } from './jobWindow.ts';
import type { JobWindow, WindowPlace } from './jobWindow.ts';
import { job, samplerWorkflow, smallWorkflow } from './world.ts';

const quiet = (): void => undefined;
/** At this pace of the simulated time a run of some 2 s: longer than a lease. */
const steps = 40;
const timeScale = 10;

describe('jobs of windows that have gone', () => {
  let sim: Simulator;
  let folder: string;
  const windows: JobWindow[] = [];
  const open = (change: Partial<WindowPlace> = {}): JobWindow => {
    const window = openWindow(placeOf(sim, folder, change));
    windows.push(window);
    return window;
  };
  beforeEach(async () => {
    sim = await startSimulator({ timeScale, seed: 5, runpodPresets: { base: 'fast' } });
    folder = await mkdtemp(path.join(tmpdir(), 'podrelay-recover-'));
  });
  afterEach(async () => {
    for (const window of windows.splice(0)) window.close();
    await sim.dispose();
    await removeFolder(folder);
  });

  const submissions = (): number =>
    sim.local.requests.filter(({ method, path: at }) => method === 'POST' && at.endsWith('/prompt')).length;
  const outputs = async (): Promise<readonly string[]> =>
    (await readdir(path.join(folder, 'generated')).catch(() => [])).sort();
  const leaseEnds = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, leaseMs + 50));

  /** Runs a job and closes the window, without a farewell, when `phase` shows. */
  async function reloadAt(phase: RegExp, request = job(samplerWorkflow(1, steps)), window = open()): Promise<void> {
    const reached = Promise.withResolvers<void>();
    const running = window.core.jobs.run(
      request,
      (progress) => {
        if (phase.test(progress.phase)) reached.resolve();
      },
      window.signal,
    );
    await Promise.race([reached.promise, running.then(() => assert.fail('It ended first'))]);
    window.close();
    await assert.rejects(running, (error) => error instanceof Fault && error.kind === 'cancelled');
    await leaseEnds();
  }

  it('a job that was running is followed to its end with progress, and collected with its story', async () => {
    await reloadAt(/Generating/);
    assert.notEqual(sim.local.state().running, undefined, 'the prompt goes on without the window');
    const next = open();
    const seen: JobProgress[] = [];
    next.core.jobs.onDidChange(() => seen.push(...next.core.jobs.running().map(({ progress }) => progress)));
    const [ended] = await next.core.recovery.recover(next.signal);
    assert.equal(ended?.state, 'done', next.log.join('\n'));
    assert.ok(seen.some(({ fraction, node }) => fraction !== undefined && node === 'KSampler'));
    assert.deepEqual(await outputs(), ['sampled_00001_.png', 'sampled_00001_.png.podrelay.json']);
    assert.equal(submissions(), 1);
    const [record] = await next.records();
    assert.equal(record?.state, 'done');
    assert.equal(record.outputs.length, 1);
    assert.equal(next.core.jobs.running().length, 0);
    const story = JSON.parse(
      await readFile(path.join(folder, 'generated', 'sampled_00001_.png.podrelay.json'), 'utf8'),
    ) as { jobId: string; seed: number; simulated: boolean };
    assert.deepEqual([story.jobId, story.seed, story.simulated], [record.id, 1, true]);
  });

  it('a job that ended meanwhile is collected', async () => {
    await reloadAt(/Generating/);
    await until('the prompt ends', () => sim.local.state().history.length === 1);
    const next = open();
    assert.deepEqual(
      (await next.core.recovery.recover(next.signal)).map(({ state }) => state),
      ['done'],
    );
    assert.equal((await outputs()).length, 2);
    assert.equal(submissions(), 1);
    assert.deepEqual(await next.core.recovery.recover(next.signal), [], 'once');
  });

  it('a job that failed meanwhile is told as failed, with its node', async () => {
    sim.local.control.faults = { failNode: { classType: 'SaveImage', message: 'no more room' } };
    await reloadAt(/Generating/);
    const next = open();
    const [ended] = await next.core.recovery.recover(next.signal);
    assert.equal(ended?.state, 'failed');
    assert.match(ended.why, /SaveImage.*no more room/);
    assert.equal((await next.records())[0]?.state, 'failed');
  });

  it('a job that waits in line there is followed too', async () => {
    const first = open();
    const busy = first.core.jobs.run(job(samplerWorkflow(7, steps)), quiet, first.signal);
    await until('the first runs', () => sim.local.state().running !== undefined);
    await reloadAt(/Waiting/, job(smallWorkflow(0x123456, 'second')));
    const next = open();
    const [ended] = await next.core.recovery.recover(next.signal);
    assert.equal(ended?.state, 'done');
    await busy;
    assert.equal(submissions(), 2);
    assert.equal((await outputs()).filter((name) => name.endsWith('.png')).length, 2);
  });

  it('a job that was never sent is lost, and is not sent', async () => {
    sim.local.control.faults = { hang: { path: '/object_info' } };
    const window = open();
    const running = window.core.jobs.run(job(), quiet, window.signal);
    await until('it is on record', async () => (await window.records()).length === 1);
    window.close();
    await assert.rejects(running);
    await leaseEnds();
    sim.local.control.faults = {};
    const next = open();
    const [ended] = await next.core.recovery.recover(next.signal);
    assert.equal(ended?.state, 'lost');
    assert.match(ended.why, /not been sent/);
    assert.equal(submissions(), 0);
    assert.equal((await next.records())[0]?.state, 'lost');
  });

  it('a server that was restarted has lost the job; nobody says that it is done', async () => {
    await reloadAt(/Generating/);
    sim.local.restart();
    const next = open();
    const [ended] = await next.core.recovery.recover(next.signal);
    assert.equal(ended?.state, 'lost');
    assert.match(ended.why, /no longer knows/);
    assert.deepEqual(ended.request.workflow, samplerWorkflow(1, steps), 'it can be run again');
    assert.deepEqual(await outputs(), []);
    assert.equal(submissions(), 1);
  });

  it('a cleared history is a loss, too', async () => {
    await reloadAt(/Generating/);
    await until('the prompt ends', () => sim.local.state().history.length === 1);
    await fetch(`${sim.addresses.localComfyUrl}/history`, { method: 'POST', body: '{"clear":true}' });
    const next = open();
    assert.equal((await next.core.recovery.recover(next.signal))[0]?.state, 'lost');
  });

  it('a server that does not answer may still have it: it is collected once that is back', async () => {
    await reloadAt(/Generating/);
    await sim.setLocalOpen(false);
    const next = open();
    const seen: RecoveredJob[] = [];
    const watching = next.core.recovery.watch((ended) => seen.push(ended), next.signal);
    await until('it was asked in vain', () => seen.some(({ state }) => state === 'later'));
    assert.equal((await next.records())[0]?.state, 'running');
    await sim.setLocalOpen(true);
    await next.core.backends.check('local', next.signal);
    await until('it is collected', () => seen.some(({ state }) => state === 'done'));
    await watching;
    assert.equal((await outputs()).length, 2);
    assert.equal(submissions(), 1);
  });

  it('is at once through with the records when there is nothing to be ended', async () => {
    const window = open();
    await window.core.jobs.run(job(), quiet, window.signal);
    const asked = sim.local.requests.length;
    await window.core.recovery.watch(() => assert.fail('Nothing ended'), window.signal);
    assert.equal(sim.local.requests.length, asked);
  });

  it('a window that lives keeps its jobs, however long they run', async () => {
    const first = open();
    const running = first.core.jobs.run(job(samplerWorkflow(3, 2 * steps)), quiet, first.signal);
    await until('it runs', () => sim.local.state().running !== undefined);
    const second = open();
    for (let look = 0; look < 4; look++) {
      assert.deepEqual(await second.core.recovery.recover(second.signal), []);
      await leaseEnds();
    }
    assert.equal((await running).outputs.length, 1);
    assert.deepEqual(await second.core.recovery.recover(second.signal), []);
    assert.equal((await outputs()).length, 2);
  });

  it('of two windows one gets the job', async () => {
    await reloadAt(/Generating/);
    const both = [open(), open()];
    const ended = (await Promise.all(both.map((window) => window.core.recovery.recover(window.signal)))).flat();
    assert.deepEqual(
      ended.map(({ state }) => state),
      ['done'],
    );
    assert.equal((await outputs()).length, 2);
  });

  it('a window that was silent for too long gives its job up when another has taken it', async () => {
    const asleep = open();
    // A machine that sleeps renews nothing: the row is taken away as another window would find it.
    const running = asleep.core.jobs.run(job(samplerWorkflow(4, steps)), quiet, asleep.signal);
    await until('it runs', () => sim.local.state().running !== undefined);
    await asleep.core.database.write((rows) => rows.run(`UPDATE job SET owner = 'other', lease_until = 0`));
    const second = open();
    const [[taken], kept] = await Promise.all([
      second.core.recovery.recover(second.signal),
      running.catch((error: unknown) => error),
    ]);
    assert.equal(taken?.state, 'done');
    assert.ok(kept instanceof Fault && kept.kind === 'cancelled', String(kept));
    assert.equal((await second.records())[0]?.state, 'done');
    assert.equal((await outputs()).length, 2, 'one file and its story, not two');
  });

  it('what could not be saved is fetched at the next start, into the folder that was meant', async () => {
    await writeFile(path.join(folder, 'generated'), 'a file where the folder should be');
    const window = open();
    const fault = await window.core.jobs.run(job(), quiet, window.signal).catch((error: unknown) => error);
    assert.ok(fault instanceof Fault && fault.kind === 'io', String(fault));
    assert.match(fault.facts.nextStep ?? '', /fetches it/);
    assert.equal((await window.records())[0]?.state, 'running');
    window.close();
    await removeFolder(path.join(folder, 'generated'));
    const next = open({ outputFolder: path.join(folder, 'another') });
    const seen: RecoveredJob[] = [];
    const stop = new AbortController();
    await next.core.database.write((rows) => rows.run('UPDATE job SET lease_until = 0'));
    await next.core.recovery.watch((ended) => seen.push(ended), AbortSignal.any([stop.signal, next.signal]));
    assert.deepEqual(
      seen.map(({ state }) => state),
      ['done'],
    );
    assert.equal((await outputs()).length, 2);
    assert.equal(submissions(), 1);
  });

  it('what could not be saved is fetched by the same window, too, once its server shows health', async () => {
    await writeFile(path.join(folder, 'generated'), 'a file where the folder should be');
    const window = open();
    const seen: RecoveredJob[] = [];
    let watching: Promise<void> | undefined;
    window.core.recovery.onDidPark(() => {
      watching = window.core.recovery.watch((ended) => seen.push(ended), window.signal);
    });
    await assert.rejects(window.core.jobs.run(job(), quiet, window.signal), /./);
    await until('it is watched', () => watching !== undefined);
    await removeFolder(path.join(folder, 'generated'));
    await window.core.backends.check('local', window.signal);
    await watching;
    assert.deepEqual(
      seen.map(({ state }) => state),
      ['done'],
    );
    assert.equal((await outputs()).length, 2);
    assert.equal(submissions(), 1);
  });

  it('a cancelled job is not looked for', async () => {
    const window = open();
    const stop = new AbortController();
    const running = window.core.jobs.run(
      job(samplerWorkflow(1, steps)),
      ({ phase }) => {
        if (phase === 'Generating') stop.abort(new Fault('cancelled', 'Cancelled'));
      },
      stop.signal,
    );
    await assert.rejects(running);
    assert.equal((await window.records())[0]?.state, 'cancelled');
    const next = open();
    await leaseEnds();
    assert.deepEqual(await next.core.recovery.recover(next.signal), []);
  });

  it('a job that is followed can be cancelled, on its server too', async () => {
    await reloadAt(/Generating/, job(samplerWorkflow(2, 10 * steps)));
    const next = open();
    const recovering = next.core.recovery.recover(next.signal);
    await until('it is followed', () => next.core.jobs.running()[0]?.progress.phase === 'Generating');
    next.core.jobs.running()[0]?.cancel();
    assert.equal((await recovering)[0]?.state, 'cancelled');
    await until('the prompt ends', () => sim.local.state().running === undefined);
    assert.equal((await next.records())[0]?.state, 'cancelled');
    assert.deepEqual(await outputs(), []);
  });

  describe('on a pod', () => {
    const cloudOnly = { 'local.enabled': false };
    let podId: string;
    const comfy = () => sim.podComfy(podId);
    const status = (): string | undefined => sim.runpod.state().pods.find(({ id }) => id === podId)?.status;
    const reload = async (): Promise<JobWindow> => {
      podId = sim.runpod.seedPod({ name: 'p' }).id;
      await reloadAt(/Generating/, job(samplerWorkflow(1, 4 * steps)), open({ podId, settings: cloudOnly }));
      assert.notEqual(comfy()?.state().running, undefined);
      // The new window may have another pod configured: the job is looked for where it was sent.
      return open({ settings: cloudOnly });
    };

    it('a job is followed, collected and priced by the time that the server took', async () => {
      const next = await reload();
      const [ended] = await next.core.recovery.recover(next.signal);
      assert.equal(ended?.state, 'done', next.log.join('\n'));
      const { backend, micros, basis, gpu } = ended.outcome;
      assert.deepEqual([backend, basis, gpu], ['cloud', 'measured', 'RTX 3090']);
      assert.ok(micros > 0);
      const { entries } = await next.core.ledger.statement();
      assert.deepEqual(
        entries.filter(({ kind }) => kind === 'job').map((entry) => [entry.label, entry.micros, entry.inPodTime]),
        [['cloud', micros, true]],
      );
      assert.equal((await next.records())[0]?.cost?.micros, micros);
    });

    it('a pod that was stopped has lost it, and is not started for it', async () => {
      const next = await reload();
      await next.core.pods.stop(podId, next.signal);
      const [ended] = await next.core.recovery.recover(next.signal);
      assert.equal(ended?.state, 'lost');
      assert.match(ended.why, /stopped/);
      assert.equal(status(), 'EXITED');
      const actions = sim.runpod.requests.filter(({ operation }) => operation === 'podAction');
      assert.equal(actions.length, 1, 'the stop of this test and nothing else');
    });

    it('a pod that is gone has lost it', async () => {
      const next = await reload();
      await next.core.pods.terminate(podId, next.signal);
      const [ended] = await next.core.recovery.recover(next.signal);
      assert.equal(ended?.state, 'lost');
      assert.match(ended.why, /terminated/);
    });

    it('RunPod that does not answer is no loss', async () => {
      const next = await reload();
      sim.runpod.faults.set({ failure: { kind: 'apiDown' } });
      const [ended] = await next.core.recovery.recover(next.signal);
      assert.equal(ended?.state, 'later');
      assert.equal((await next.records())[0]?.state, 'running');
    });
  });
});
