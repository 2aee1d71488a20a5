import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { BackendManager } from '../../src/core/backends/backendManager.ts';
import { JobRunner } from '../../src/core/jobs/jobRunner.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { createDatabase } from '../../src/core/store/database.ts';
import type { Database } from '../../src/core/store/database.ts';
import { createJobStore } from '../../src/core/store/jobStore.ts';
import { createQueueStore } from '../../src/core/store/queueStore.ts';
import { createScheduleStore } from '../../src/core/store/scheduleStore.ts';
import { schemaSteps } from '../../src/core/store/schema.ts';

describe('a job that another window has taken over', () => {
  let root: string;
  let database: Database;
  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'podrelay-taken-over-'));
    const file = path.join(root, 'r.db');
    database = createDatabase({ file, steps: schemaSteps, clock: systemClock, log });
  });
  afterEach(async () => {
    database.dispose();
    await rm(root, { recursive: true });
  });
  const quiet = (): void => undefined;
  const nothing = (): Promise<void> => Promise.resolve();
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const ownedBy = (owner: string): Promise<unknown> =>
    database.write((rows) => rows.run('UPDATE job SET owner = ?', owner));

  it('is not ended by the run that has lost it, not even when it is this window’s again by then', async () => {
    const options = { owner: 'mine', jobLeaseMs: 15_000, leadMs: 15_000 };
    const queue = createQueueStore(database);
    const schedule = createScheduleStore(database, options);
    const graph = { base: undefined, text: '{"1":{"class_type":"A","inputs":{}}}' };
    const job = { id: 'x', label: 'x', graph, details: { outputFolder: root }, priority: 0, fingerprint: 'f' };
    await queue.enqueue([{ ...job, models: [], localOnly: false }], 0);
    await schedule.lead(0);
    const [record] = await schedule.claim([{ jobId: 'x', backend: 'local', why: 'free' }], 1);
    assert.ok(record);
    const backend = {
      ...{ id: 'local', tier: 'local', label: 'local', billing: 'free' },
      refusals: () => Promise.resolve([]),
      // The machine sleeps while the server works, and another window takes the job over.
      run: async () => {
        await ownedBy('theirs');
        return { files: [], micros: 0, costBasis: '' };
      },
    };
    let released = 0;
    const freed = (): Promise<void> => Promise.resolve(void released++);
    const runner = new JobRunner({
      backends: {
        find: () => backend,
        executeOn: async (_id: string, operation: (one: unknown, at: AbortSignal) => unknown, at: AbortSignal) => ({
          value: await operation(backend, at),
          attempts: [],
        }),
      } as unknown as BackendManager,
      store: createJobStore(database, options),
      budgets: { reserve: nothing, release: freed, settleUnknown: freed },
      ledger: { recordJob: nothing },
      ...{ leaseMs: 15_000, clock: systemClock, log, outputFolder: () => root, onDone: nothing },
      // That window sleeps in its turn, and this one claims what it has left.
      explain: async (fault) => {
        await ownedBy('mine');
        return fault;
      },
    });
    const end = await runner.runClaimed(record, 'local', new AbortController().signal);
    assert.equal(end.is, 'over');
    assert.equal(released, 0, 'what is reserved is for the run that goes on');
    const { jobs } = await queue.list({ queued: 9, ended: 9 });
    assert.deepEqual(
      jobs.map(({ id, state, owner }) => [id, state, owner]),
      [['x', 'running', 'mine']],
    );
  });
});
