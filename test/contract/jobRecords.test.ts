import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Fault } from '../../src/core/kernel/fault.ts';
import { markOf, partEnding } from '../../src/core/outputs/partName.ts';
import { readSidecar, sidecarPath } from '../../src/core/outputs/sidecar.ts';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { openWindow, placeOf, removeFolder, until } from './jobWindow.ts';
import type { JobWindow, WindowPlace } from './jobWindow.ts';
import { job, samplerWorkflow, smallWorkflow } from './world.ts';

const quiet = (): void => undefined;

describe('the record of a job', () => {
  let sim: Simulator;
  let folder: string;
  let window: JobWindow;
  const open = (change: Partial<WindowPlace> = {}): JobWindow => (window = openWindow(placeOf(sim, folder, change)));
  beforeEach(async () => {
    sim = await startSimulator({ timeScale: 200, seed: 3, runpodPresets: { base: 'fast' } });
    folder = await mkdtemp(path.join(tmpdir(), 'podrelay-records-'));
  });
  afterEach(async () => {
    window.close();
    await sim.dispose();
    await removeFolder(folder);
  });
  const submissions = (): number =>
    sim.local.requests.filter(({ method, path: at }) => method === 'POST' && at.endsWith('/prompt')).length;

  it('is on disk with address and id before the prompt is sent', async () => {
    open();
    sim.local.control.faults = { hang: { path: '/prompt', method: 'POST' } };
    const stop = new AbortController();
    const running = window.core.jobs.run(job(), quiet, stop.signal);
    await until('it is sent', () => submissions() === 1);
    // Read as another program would: what only this window believes does not count.
    const database = new DatabaseSync(path.join(folder, 'store', 'podrelay.db'), { readOnly: true });
    const row = database.prepare('SELECT * FROM job').get();
    database.close();
    assert.deepEqual(
      [row?.state, row?.backend, row?.address],
      ['running', 'local', sim.addresses.localComfyUrl],
      'the row',
    );
    assert.match(String(row?.prompt_id), /^[0-9a-f-]{36}$/);
    stop.abort(new Fault('cancelled', 'Cancelled'));
    await assert.rejects(running);
  });

  it('ends with what was tried, what was made and what it cost; the story is beside the file', async () => {
    sim.local.control.faults = { oom: true };
    const podId = sim.runpod.seedPod({ name: 'p' }).id;
    open({ podId });
    const outcome = await window.core.jobs.run(job(samplerWorkflow(77)), quiet, window.signal);
    assert.deepEqual(outcome.warnings, []);
    const [record] = await window.records();
    assert.deepEqual(
      [record?.state, record?.backend, record?.cost?.micros, record?.fault],
      ['done', 'cloud', outcome.micros, undefined],
    );
    const attempts = record?.attempts as readonly { backend: string; outcome: string; why?: string }[];
    assert.deepEqual(
      attempts.map(({ backend, outcome: how }) => [backend, how]),
      [
        ['local', 'failed'],
        ['cloud', 'done'],
      ],
    );
    assert.match(attempts[0]?.why ?? '', /memory/);
    const story = await readSidecar(outcome.outputs[0]!.path);
    assert.deepEqual(
      [story.seed, story.backend.tier, story.gpu, story.cost, story.simulated],
      [77, 'cloud', 'RTX 3090', { micros: outcome.micros, basis: 'measured' }, true],
    );
    assert.deepEqual(
      story.attempts.map(({ backend, outcome: how }) => [backend, how]),
      [
        ['local', 'failed'],
        ['cloud', 'done'],
      ],
    );
    const graph = story.workflow as ReturnType<typeof samplerWorkflow>;
    assert.notEqual(graph['1']?.inputs.ckpt_name, '', 'the graph that ran, with its checkpoint');
    const { entries } = await window.core.ledger.statement();
    assert.deepEqual(
      entries.filter(({ kind }) => kind === 'job').map(({ label, micros, inPodTime }) => [label, micros, inPodTime]),
      [['cloud', outcome.micros, true]],
    );
  });

  it('of a failure has the reason', async () => {
    sim.local.control.faults = { failNode: { classType: 'SaveImage', message: 'no paper' } };
    open();
    await assert.rejects(window.core.jobs.run(job(), quiet, window.signal));
    const [record] = await window.records();
    assert.deepEqual([record?.state, record?.fault?.kind, record?.attempts.length], ['failed', 'jobFailed', 2]);
    assert.match(record?.fault?.message ?? '', /no paper/);
  });

  it('a story that cannot be written is a warning: the file stays', async () => {
    open();
    const first = await window.core.jobs.run(job(), quiet, window.signal);
    const wanted = job(smallWorkflow(9));
    const story = sidecarPath(first.outputs[0]!.path.replace('00001', '00002')) + partEnding(markOf(wanted.id));
    await mkdir(story);
    const outcome = await window.core.jobs.run(wanted, quiet, window.signal);
    assert.match(outcome.warnings.join(), /story/);
    assert.ok((await readFile(outcome.outputs[0]!.path)).length > 0);
    assert.equal((await window.records())[1]?.state, 'done');
  });

  describe('that cannot be kept', () => {
    /** As a newer PodRelay in another window leaves it. */
    const makeNewer = async (): Promise<void> => {
      await window.records();
      const database = new DatabaseSync(path.join(folder, 'store', 'podrelay.db'));
      database.exec('PRAGMA user_version = 999');
      database.close();
    };

    it("does not stop a job on one's own machine, and is told", async () => {
      open();
      await makeNewer();
      const outcome = await window.core.jobs.run(job(), quiet, window.signal);
      assert.equal(outcome.outputs.length, 1);
      assert.match(outcome.warnings[0] ?? '', /not on record.*newer version/);
      assert.ok(window.log.some((line) => line.startsWith('warn') && line.includes('not on record')));
    });

    it('stops what is paid for before anything is sent or started', async () => {
      const podId = sim.runpod.seedPod({ name: 'p', status: 'EXITED' }).id;
      open({ podId, settings: { 'local.enabled': false } });
      await makeNewer();
      const fault = await window.core.jobs.run(job(), quiet, window.signal).catch((error: unknown) => error);
      assert.ok(fault instanceof Fault && fault.kind === 'io', String(fault));
      assert.match(fault.message, /not sent.*newer version/);
      assert.match(fault.facts.nextStep ?? '', /Update PodRelay/);
      assert.equal(sim.runpod.state().pods.find(({ id }) => id === podId)?.status, 'EXITED');
      assert.equal(sim.podComfy(podId)?.requests.length ?? 0, 0);
    });

    it('once the job runs, does not stop it any more', async () => {
      open();
      let made: Promise<void> | undefined;
      const outcome = await window.core.jobs.run(
        job(samplerWorkflow(5, 60)),
        ({ phase }) => {
          if (phase === 'Generating') made ??= makeNewer();
        },
        window.signal,
      );
      await made;
      assert.equal(outcome.outputs.length, 1);
      assert.match(outcome.warnings.join(), /not up to date/);
    });
  });

  it('costs no time to speak of: a small job is made and saved within 100 ms', async () => {
    open();
    await window.core.jobs.run(job(), quiet, window.signal);
    let best = Infinity;
    for (let n = 0; n < 6; n++) {
      const { ms } = await window.core.jobs.run(job(smallWorkflow(n)), quiet, window.signal);
      best = Math.min(best, ms);
    }
    assert.ok(best < 100, `${best} ms at best`);
  });
});
