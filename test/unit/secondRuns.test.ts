import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { BackendStatus } from '../../src/core/backends/backendManager.ts';
import type { Backend, Tier } from '../../src/core/backends/backend.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { known } from '../../src/core/kernel/observed.ts';
import { readRuns } from '../../src/core/queue/measurements.ts';
import type { QueueScene } from '../../src/core/queue/queueScene.ts';
import { RunTimes } from '../../src/core/queue/runTimes.ts';
import { chooseSecondRun, lateJobs, workingSince } from '../../src/core/queue/secondRun.ts';
import type { LateJob } from '../../src/core/queue/secondRun.ts';
import { createDatabase } from '../../src/core/store/database.ts';
import type { Database } from '../../src/core/store/database.ts';
import { createJobStore } from '../../src/core/store/jobStore.ts';
import type { JobStore } from '../../src/core/store/jobStore.ts';
import { createQueueStore } from '../../src/core/store/queueStore.ts';
import type { QueueStore } from '../../src/core/store/queueStore.ts';
import { schemaSteps } from '../../src/core/store/schema.ts';
import { createScheduleStore } from '../../src/core/store/scheduleStore.ts';
import type { ScheduleStore } from '../../src/core/store/scheduleStore.ts';
import { createSecondRunStore, isSecondRun } from '../../src/core/store/secondRuns.ts';
import type { SecondRunStore } from '../../src/core/store/secondRuns.ts';
import type { WaitingRow } from '../../src/core/store/waitingRow.ts';

function status(id: string, tier: Tier, gpu: string, billing: Backend['billing']): BackendStatus {
  return {
    backend: { id, tier, label: `the ${id}`, depth: 2, billing },
    ready: { ok: true },
    health: known({ state: 'healthy', why: '', gpu }, 0),
    breaker: { is: 'closed', failures: 0 },
    checking: false,
    jobs: 0,
  } as unknown as BackendStatus;
}

const prices: Readonly<Record<string, number>> = { 'pod:a': 720_000, 'pod:b': 360_000 };
const run = (gpu: string, seconds: number) => ({ fingerprint: 'portrait', gpu, seconds, atMs: 0 });
const scene: QueueScene = {
  nowMs: 30_000,
  statuses: [
    status('local', 'local', 'RTX 3060', 'free'),
    status('pod:a', 'cloud', 'RTX 4090', 'podTime'),
    status('pod:b', 'cloud', 'RTX 3090', 'podTime'),
    status('gemini', 'gemini', 'gemini', 'job'),
  ],
  policy: {
    priority: ['local', 'cloud', 'gemini'],
    ...{ strategy: 'fastest', secondsPerUsd: 0, localOnly: false, mayPayGemini: true, mayStart: true },
    secondRunMostMicros: 50_000,
  },
  atWork: [{ id: 'x', backend: 'local', fingerprint: 'portrait', givenAt: 0 }],
  book: readRuns([run('RTX 3060', 12), run('RTX 4090', 4), run('RTX 3090', 8)], 0),
  loadedOn: () => [],
  loadSeconds: () => 0,
  priceOf: (id) => ({ usdPerHourMicros: prices[id] ?? 0, microsPerJob: id === 'gemini' ? 40_000 : 0 }),
  resting: new Map(),
  freeSince: new Map(),
};
const twelve = (): number => 12;
const since = new Map([['x', 0]]);

describe('a late job', () => {
  it('is one that runs for clearly longer than nine of ten did there', () => {
    const { late } = lateJobs(scene, since, twelve);
    assert.deepEqual(late, [{ id: 'x', backend: 'local', label: 'the local', seconds: 30, usualSeconds: 12 }]);
    const soon = lateJobs({ ...scene, nowMs: 14_000 }, since, twelve);
    assert.deepEqual(soon, { late: [], nextAt: 14_400 });
  });

  it('is nothing that has too few of its kind before it, nor what waits behind another there or at a service', () => {
    assert.deepEqual(
      lateJobs(scene, since, () => undefined),
      { late: [], nextAt: undefined },
    );
    const atWork = [...scene.atWork, { id: 'y', backend: 'local', fingerprint: 'portrait', givenAt: 1 }];
    assert.deepEqual(
      lateJobs({ ...scene, atWork }, since, twelve).late.map(({ id }) => id),
      ['x'],
    );
    const paid = [{ id: 'z', backend: 'gemini', fingerprint: 'portrait', givenAt: 0 }];
    assert.deepEqual(lateJobs({ ...scene, atWork: paid }, since, twelve).late, []);
    const later = new Map([['x', 20_000]]);
    assert.deepEqual(lateJobs(scene, later, twelve), { late: [], nextAt: 34_400 }, 'it waited until then');
    assert.deepEqual(lateJobs(scene, new Map(), twelve), { late: [], nextAt: 44_400 }, 'nobody saw it begin');
  });
});

describe('the time that a backend works on a job', () => {
  it('begins when the job before it has ended, as far as that was seen', () => {
    const atWork = [...scene.atWork, { id: 'y', backend: 'local', fingerprint: 'portrait', givenAt: 1 }];
    const at = (nowMs: number, work: QueueScene['atWork'], before: ReadonlyMap<string, number> = new Map()) =>
      workingSince({ ...scene, nowMs, atWork: work }, before);
    const first = at(1_000, atWork);
    assert.deepEqual([...first], [['x', 1_000]]);
    assert.deepEqual([...at(2_000, atWork, first)], [['x', 1_000]]);
    assert.deepEqual([...at(9_000, atWork.slice(1), first)], [['y', 9_000]]);
  });
});

describe('what is usual', () => {
  const runTimes = async (...seconds: readonly number[]): Promise<RunTimes> => {
    const runs = seconds.map((one) => ({ ...run('RTX 3060', one), cold: false }));
    const store = { add: () => Promise.resolve(), recent: () => Promise.resolve(runs) };
    const quiet = (): void => undefined;
    const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    const opened = new RunTimes({ store, clock: systemClock, log, gpuOf: (id) => id });
    await opened.refresh();
    return opened;
  };

  it('is what nine of ten stay under, on that card, and not known from fewer than five runs', async () => {
    const many = await runTimes(...[10, 11, 12, 13, 14, 15, 16, 17, 18, 90]);
    assert.equal(many.usualMost('portrait', 'RTX 3060'), 90);
    const more = await runTimes(...[10, 10, 10, 10, 10, 11, 11, 11, 11, 11, 12, 12, 12, 12, 12, 13, 13, 13, 14, 90]);
    assert.equal(more.usualMost('portrait', 'RTX 3060'), 14);
    assert.equal(more.usualMost('portrait', 'RTX 4090'), undefined);
    assert.equal((await runTimes(10, 10, 10, 10)).usualMost('portrait', 'RTX 3060'), undefined);
  });
});

describe('the place of a second run', () => {
  const late: LateJob = { id: 'x', backend: 'local', label: 'the local', seconds: 30, usualSeconds: 12 };
  const row: WaitingRow = {
    ...{ id: 'x', priority: 0, place: 1, fingerprint: 'portrait', localOnly: false, excluded: [], waitsFor: undefined },
  };
  const choose = (change: Partial<WaitingRow> = {}, most = 50_000, scenery: Partial<QueueScene> = {}) =>
    chooseSecondRun(late, { ...row, ...change }, [], most, { ...scene, ...scenery });

  it('is the quickest backend that has nothing to do, and the reason says so', () => {
    const chosen = choose();
    assert.equal(chosen?.backend, 'pod:a');
    assert.match(
      chosen.why,
      /^A second run on the pod:a: after 30 s on the local there is no result yet, and nine of ten took 12 s at most$/,
    );
    const atWork = [...scene.atWork, { id: 'y', backend: 'pod:a', fingerprint: 'portrait', givenAt: 0 }];
    assert.equal(choose({}, 50_000, { atWork })?.backend, 'pod:b');
  });

  it('is none that costs more than it may, that may not have the job, that is slower than late, or Gemini', () => {
    // 4 s at $0.72/h are $0.0008, and 8 s at $0.36/h the same.
    assert.equal(choose({}, 799), undefined);
    assert.equal(choose({}, 800)?.backend, 'pod:a');
    assert.equal(choose({ localOnly: true }), undefined);
    const excluded = [{ backend: 'pod:a', why: 'out of memory', for: 'ever', times: 1 } as const];
    assert.equal(choose({ excluded })?.backend, 'pod:b');
    const unpriced = { priceOf: () => ({ usdPerHourMicros: 0, microsPerJob: 0 }) };
    assert.equal(choose({}, 50_000, unpriced), undefined, 'prices that are not known');
    const failed = [{ backend: 'pod:a', why: 'it hung', for: 'now', times: 1 } as const];
    assert.equal(choose({ excluded: failed })?.backend, 'pod:b');
    const statuses = [...scene.statuses.slice(0, 1), status('endpoint:e', 'cloud', 'RTX 4090', 'job')];
    assert.equal(choose({}, 50_000, { statuses }), undefined, 'a service that bills each job');
    const book = readRuns([run('RTX 3060', 12), run('RTX 4090', 31), run('RTX 3090', 32)], 0);
    assert.equal(choose({}, 50_000, { book }), undefined);
    assert.equal(choose({}, 50_000, { statuses: [scene.statuses[0]!, scene.statuses[3]!] }), undefined);
  });
});

describe('records of second runs', () => {
  let root: string;
  let database: Database;
  let queue: QueueStore;
  let schedule: ScheduleStore;
  let jobs: JobStore;
  let seconds: SecondRunStore;
  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'podrelay-second-runs-'));
    const quiet = (): void => undefined;
    const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    database = createDatabase({ file: path.join(root, 'r.db'), steps: schemaSteps, clock: systemClock, log });
    const options = { owner: 'mine', jobLeaseMs: 15_000, leadMs: 15_000 };
    queue = createQueueStore(database);
    schedule = createScheduleStore(database, options);
    jobs = createJobStore(database, options);
    seconds = createSecondRunStore(database, options);
    await queue.enqueue([queued('x')], 0);
    await schedule.lead(0);
    await schedule.claim([{ jobId: 'x', backend: 'local', why: 'It was free.' }], 1_000);
  });
  afterEach(async () => {
    database.dispose();
    await rm(root, { recursive: true });
  });

  const queued = (id: string) => ({
    ...{ id, label: `picture ${id}`, details: { media: 'image' }, priority: 0, fingerprint: 'f', models: [] },
    ...{ graph: { base: undefined, text: '{"1":{"class_type":"A","inputs":{}}}' }, localOnly: false },
  });
  const lateTry = { backend: 'local', label: 'the local', outcome: 'failed', why: 'late', ms: 9 };
  async function second(): Promise<string> {
    const record = await seconds.begin({ jobId: 'x', backend: 'pod:a', why: 'It is late', lateTry }, 10_000);
    assert.ok(record);
    assert.ok(isSecondRun(record.id));
    return record.id;
  }
  const list = async () => (await queue.list({ queued: 9, ended: 9 })).jobs;
  const outputs = (name: string) => [{ path: `/out/${name}.png`, bytes: 1, kind: 'image' as const }];
  const finish = (id: string, backend: string, name: string): Promise<boolean> =>
    jobs.update(id, { state: 'done', backend, outputs: outputs(name), attempts: [lateTry, { backend }] }, 20_000);
  const wanted = (): Promise<readonly string[]> => schedule.report(new Map());

  it('are of one job that runs and came through the queue, once', async () => {
    assert.deepEqual(
      (await seconds.candidates(['x', 'nobody'])).map(({ id }) => id),
      ['x'],
    );
    const id = await second();
    assert.deepEqual(await seconds.candidates(['x', id]), []);
    const again = await seconds.begin({ jobId: 'x', backend: 'pod:b', why: 'It is late', lateTry }, 11_000);
    assert.equal(again, undefined);
    const rows = await list();
    assert.deepEqual(
      rows.map(({ label, state, backend, secondOf }) => [label, state, backend, secondOf]),
      [
        ['picture x', 'running', 'local', undefined],
        ['picture x', 'running', 'pod:a', 'x'],
      ],
    );
    assert.equal(rows[0]?.why, 'It was free. It is late.');
  });

  it('are not begun while a job waits, or by a window that does not lead', async () => {
    await queue.enqueue([queued('y')], 5);
    assert.equal(await seconds.begin({ jobId: 'x', backend: 'pod:a', why: 'It is late', lateTry }, 10_000), undefined);
    await queue.cancel(['y'], 6);
    await schedule.standDown();
    assert.equal(await seconds.begin({ jobId: 'x', backend: 'pod:a', why: 'It is late', lateTry }, 10_000), undefined);
  });

  it('give their result to the job when they are done first, and the late run is cancelled, whatever it says', async () => {
    const id = await second();
    assert.equal(await finish(id, 'pod:a', 'second'), true);
    assert.deepEqual(await wanted(), ['x'], 'who runs it is told to cancel');
    assert.equal(await jobs.update('x', { state: 'cancelled' }, 21_000), false);
    const [row, ...others] = await list();
    assert.deepEqual(others, []);
    assert.deepEqual([row?.id, row?.state, row?.backend], ['x', 'done', 'pod:a']);
    assert.deepEqual(JSON.parse(row?.outputs ?? ''), outputs('second'));
    assert.match(row?.why ?? '', /It is late\. The second run was done first, after 10 s\.$/);
    const [record] = await jobs.recent(1);
    assert.deepEqual(record?.attempts, [lateTry, { backend: 'pod:a' }]);
    const { counts } = await queue.list({ queued: 9, ended: 9 });
    assert.deepEqual([counts.done, counts.running, counts.cancelled], [1, 0, 0]);
  });

  it('are cancelled when the first is done first, and leave a sentence', async () => {
    const id = await second();
    assert.equal(await finish('x', 'local', 'first'), true);
    assert.deepEqual(await wanted(), [id]);
    assert.equal(await jobs.update(id, { state: 'cancelled' }, 22_000), true);
    const [row, ...others] = await list();
    assert.deepEqual(others, []);
    assert.deepEqual(JSON.parse(row?.outputs ?? ''), outputs('first'));
    assert.match(row?.why ?? '', /The first run was done sooner: the second was cancelled after 12 s\.$/);
  });

  it('save a job that has failed or went back to the queue meanwhile', async () => {
    const id = await second();
    await jobs.update('x', { state: 'failed', fault: { kind: 'unavailable', message: 'gone' } }, 12_000);
    await finish(id, 'pod:a', 'second');
    const [row] = await list();
    assert.deepEqual([row?.state, row?.fault], ['done', undefined]);
  });

  it('end where another job would go back to the queue', async () => {
    const id = await second();
    const back = { attempts: [], excluded: [], waitsFor: 'it hangs', notBefore: 0 };
    assert.equal(await schedule.putBack(id, back, 12_000), true);
    const [row, ...others] = await list();
    assert.deepEqual(others, []);
    assert.equal(row?.state, 'running');
    assert.match(row.why ?? '', /The second run has failed: it hangs\.$/);
  });

  it('are cancelled with their job, and keep files that came all the same', async () => {
    const id = await second();
    await queue.cancel(['x'], 12_000);
    assert.deepEqual([...(await wanted())].sort(), [id, 'x'].sort());
    await jobs.update('x', { state: 'cancelled' }, 12_100);
    await finish(id, 'pod:a', 'second');
    const rows = await list();
    assert.deepEqual(rows.map(({ state }) => state).sort(), ['cancelled', 'done']);
    assert.ok(rows.every(({ secondOf }) => secondOf === undefined));
  });

  it('hold a job that came back to the queue, and let it go when they end without a result', async () => {
    const id = await second();
    const back = { attempts: [], excluded: [], waitsFor: 'gone', notBefore: 0 };
    await schedule.putBack('x', back, 12_000);
    assert.deepEqual((await schedule.look(13_000, 9)).waiting, []);
    assert.equal((await list()).find((job) => job.id === 'x')?.waitsFor, 'Its second run is at work');
    await jobs.update(id, { state: 'failed', fault: { kind: 'unavailable', message: 'too' } }, 14_000);
    assert.deepEqual(
      (await schedule.look(14_000, 9)).waiting.map((job) => job.id),
      ['x'],
    );
  });

  it('tell a first run that it was beaten, and keep its files when it was done all the same', async () => {
    const id = await second();
    assert.equal(await jobs.isBeaten('x'), false);
    await finish(id, 'pod:a', 'second');
    assert.equal(await jobs.isBeaten('x'), true);
    assert.equal(await jobs.update('x', { outputs: outputs('first') }, 20_500), false);
    assert.equal(await finish('x', 'local', 'first'), true);
    const [row] = await list();
    assert.deepEqual(JSON.parse(row?.outputs ?? ''), [...outputs('second'), ...outputs('first')]);
    assert.equal(row?.backend, 'pod:a');
  });

  it('go with their job when it is cancelled or done while nobody can ask for them', async () => {
    const id = await second();
    await jobs.park(id, 900_000);
    await queue.cancel(['x'], 12_000);
    assert.deepEqual(
      (await list()).map((job) => [job.id, job.state]),
      [['x', 'running']],
    );
    assert.deepEqual(await wanted(), ['x']);
  });

  it('leave nothing behind when they are cancelled while nobody can ask for them', async () => {
    const id = await second();
    await jobs.park(id, 900_000);
    await queue.cancel([id], 12_000);
    assert.deepEqual(
      (await list()).map((job) => [job.id, job.state]),
      [['x', 'running']],
    );
  });

  it('leave nothing behind when their job was cleared away', async () => {
    const id = await second();
    await finish('x', 'local', 'first');
    await queue.clearEnded();
    await jobs.update(id, { state: 'cancelled' }, 22_000);
    assert.deepEqual(await list(), []);
  });

  it('add their files when both were done at the same time', async () => {
    const id = await second();
    await finish('x', 'local', 'first');
    await finish(id, 'pod:a', 'second');
    const [row, ...others] = await list();
    assert.deepEqual(others, []);
    assert.deepEqual(JSON.parse(row?.outputs ?? ''), [...outputs('first'), ...outputs('second')]);
  });
});
