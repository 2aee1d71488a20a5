import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import { createDatabase } from '../../src/core/store/database.ts';
import type { Database } from '../../src/core/store/database.ts';
import { createJobStore } from '../../src/core/store/jobStore.ts';
import type { NewJob } from '../../src/core/store/jobStore.ts';
import { createPodRecords } from '../../src/core/store/podRecords.ts';
import { schemaSteps } from '../../src/core/store/schema.ts';

const quiet = (): void => undefined;
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const bug = (error: unknown): boolean => error instanceof Fault && error.kind === 'bug';

describe('records', () => {
  let root: string;
  let database: Database;
  const open = (): Database =>
    createDatabase({ file: path.join(root, 'records.sqlite'), steps: schemaSteps, clock: systemClock, log });
  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'podrelay-records-'));
    database = open();
  });
  afterEach(async () => {
    database.dispose();
    await rm(root, { recursive: true });
  });
  const restart = (): void => {
    database.dispose();
    database = open();
  };

  describe('of pods', () => {
    const intent = {
      name: 'podrelay-a1',
      gpu: 'NVIDIA GeForce RTX 4090',
      quoteUsdPerHourMicros: 340_000,
      requestedAt: 10,
    };

    it('know of a create request whose reply was lost, also after a restart', async () => {
      await createPodRecords(database).intend(intent);
      restart();
      const pods = createPodRecords(database);
      assert.deepEqual(await pods.unconfirmed(), [
        { ...intent, podId: undefined, state: 'intended', changedAt: 10, why: undefined },
      ]);
      assert.deepEqual(await pods.owned(), []);
      await pods.confirm('podrelay-a1', 'pod1', 20);
      await pods.confirm('podrelay-a1', 'pod1', 30);
      assert.deepEqual(await pods.unconfirmed(), []);
      assert.equal(await pods.isOwned('pod1'), true);
      assert.equal((await pods.owned())[0]?.changedAt, 20);
    });

    it('never use a name twice, and never give a name two pods', async () => {
      const pods = createPodRecords(database);
      await pods.intend(intent);
      await assert.rejects(pods.intend({ ...intent, gpu: 'other' }), bug);
      await pods.confirm('podrelay-a1', 'pod1', 20);
      await assert.rejects(pods.confirm('podrelay-a1', 'pod2', 30), bug);
      await assert.rejects(pods.confirm('podrelay-b', 'pod2', 30), bug);
      assert.equal((await pods.owned())[0]?.podId, 'pod1');
    });

    it('forget what was not created or has gone', async () => {
      const pods = createPodRecords(database);
      await pods.intend(intent);
      await pods.giveUp('podrelay-a1', 'No capacity', 11);
      assert.deepEqual(await pods.unconfirmed(), []);
      await pods.intend({ ...intent, name: 'podrelay-a2', quoteUsdPerHourMicros: undefined });
      await pods.confirm('podrelay-a2', 'pod2', 12);
      await pods.giveUp('podrelay-a2', 'A late reply', 13);
      assert.equal((await pods.owned())[0]?.quoteUsdPerHourMicros, undefined);
      await pods.markGone('pod2', 14);
      assert.equal(await pods.isOwned('pod2'), false);
      assert.deepEqual(await pods.owned(), []);
    });

    it('take a name that is asked for again for open, until it has a pod', async () => {
      const pods = createPodRecords(database);
      await pods.intend(intent);
      await pods.giveUp('podrelay-a1', 'Another window did not see it', 11);
      await pods.renew('podrelay-a1', 50);
      assert.deepEqual(
        (await pods.unconfirmed()).map(({ requestedAt }) => requestedAt),
        [50],
      );
      await pods.confirm('podrelay-a1', 'pod1', 60);
      await pods.renew('podrelay-a1', 70);
      assert.equal(await pods.isOwned('pod1'), true);
    });

    it('adopt a pod that another machine made, once', async () => {
      const pods = createPodRecords(database);
      await pods.adopt({ ...intent, podId: 'pod1' });
      await pods.adopt({ ...intent, podId: 'pod1', requestedAt: 99 });
      assert.equal((await pods.owned()).length, 1);
      assert.equal((await pods.owned())[0]?.requestedAt, 10);
      assert.equal(await pods.isOwned('foreign'), false);
    });

    it('answer a lost reply by adopting what the listing shows', async () => {
      const pods = createPodRecords(database);
      await pods.intend(intent);
      await pods.adopt({ ...intent, podId: 'pod1' });
      assert.deepEqual(await pods.unconfirmed(), []);
      assert.equal((await pods.owned())[0]?.podId, 'pod1');
    });
  });

  describe('of jobs', () => {
    const job: NewJob = {
      id: 'job1',
      label: 'A cat',
      workflow: '{"1":{}}',
      details: { media: 'image' },
      requestedAt: 100,
    };
    const remote = { promptId: 'p1', clientId: 'c1', address: 'http://127.0.0.1:8188' };

    it('find a run again that a window reload interrupted, with everything needed to collect it', async () => {
      const before = createJobStore(database, { owner: 'window1' });
      await before.put(job);
      assert.equal(await before.update('job1', { backend: 'local', remote }, 200), true);
      await before.update('job1', { attempts: [{ backend: 'local', ms: 3 }] }, 300);
      restart();
      const after = createJobStore(database, { owner: 'window2' });
      assert.deepEqual(await after.claimAbandoned(300 + 14_999), []);
      const claimed = await after.claimAbandoned(300 + 15_000);
      assert.deepEqual(claimed, [
        {
          ...job,
          state: 'running',
          backend: 'local',
          remote,
          attempts: [{ backend: 'local', ms: 3 }],
          outputs: [],
          cost: undefined,
          fault: undefined,
          changedAt: 300,
        },
      ]);
      const outputs = [{ path: '/generated/cat.png', bytes: 9, kind: 'image' as const }];
      await after.update('job1', { state: 'done', outputs, cost: { micros: 0, basis: 'free' } }, 400);
      assert.deepEqual(await after.unfinished(), []);
      const [done] = await after.recent(5);
      assert.deepEqual(
        [done?.state, done?.outputs, done?.cost, done?.remote],
        ['done', outputs, { micros: 0, basis: 'free' }, remote],
      );
    });

    it('leave a job to the window that runs it, and give an abandoned one to one window only', async () => {
      const alive = createJobStore(database, { owner: 'alive', leaseMs: 1_000 });
      await alive.put(job);
      await alive.renew(5_000);
      const second = open();
      const third = open();
      const others = [second, third].map((other, n) =>
        createJobStore(other, { owner: `other${String(n)}`, leaseMs: 1_000 }),
      );
      assert.deepEqual(await Promise.all(others.map((other) => other.claimAbandoned(5_999))), [[], []]);
      const claims = await Promise.all(others.map((other) => other.claimAbandoned(6_000)));
      assert.equal(claims.flat().length, 1);
      assert.equal(await alive.update('job1', { state: 'failed' }, 6_001), false);
      assert.equal((await alive.unfinished()).length, 1);
      second.dispose();
      third.dispose();
    });

    it('give the jobs of a window that closes to the next at once', async () => {
      const first = createJobStore(database, { owner: 'first' });
      await first.put(job);
      await first.release();
      assert.equal((await createJobStore(database, { owner: 'next' }).claimAbandoned(101)).length, 1);
    });

    it('keep a failure, and do not take an unknown cost for none', async () => {
      const jobs = createJobStore(database, { owner: 'w' });
      await jobs.put(job);
      await jobs.update('job1', { state: 'failed', fault: { kind: 'jobFailed', message: 'Out of luck' } }, 200);
      const [failed] = await jobs.recent(1);
      assert.deepEqual(failed?.fault, { kind: 'jobFailed', message: 'Out of luck' });
      assert.equal(failed?.cost, undefined);
    });

    it('drop the oldest ended jobs, never a running one', async () => {
      const jobs = createJobStore(database, { owner: 'w', keep: 2 });
      await jobs.put({ ...job, id: 'running', requestedAt: 1 });
      for (let n = 1; n <= 5; n += 1) {
        await jobs.put({ ...job, id: `job${String(n)}`, requestedAt: 100 + n });
        await jobs.update(`job${String(n)}`, { state: 'done' }, 200);
      }
      await jobs.put({ ...job, id: 'last', requestedAt: 200 });
      assert.deepEqual(
        (await jobs.recent(10)).map((record) => record.id),
        ['last', 'job5', 'job4', 'running'],
      );
    });

    it('refuse the same id twice', async () => {
      const jobs = createJobStore(database, { owner: 'w' });
      await jobs.put(job);
      await assert.rejects(jobs.put(job), bug);
    });
  });
});
