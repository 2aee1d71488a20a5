import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import * as z from 'zod/mini';
import { Fault, treatments } from '../../src/core/kernel/fault.ts';
import type { FaultKind } from '../../src/core/kernel/fault.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { afterFault } from '../../src/core/queue/afterFault.ts';
import type { Exclusion } from '../../src/core/queue/afterFault.ts';
import { hasEnded, nextState, queueStates, statesBefore } from '../../src/core/queue/jobState.ts';
import type { JobEvent } from '../../src/core/queue/jobState.ts';
import { LeaderLease } from '../../src/core/queue/leaderLease.ts';
import { createDatabase } from '../../src/core/store/database.ts';
import type { Database } from '../../src/core/store/database.ts';
import { GraphPacker, unpackGraph } from '../../src/core/store/graphPack.ts';
import { createJobStore } from '../../src/core/store/jobStore.ts';
import { createQueueStore } from '../../src/core/store/queueStore.ts';
import type { NewQueuedJob, QueueStore } from '../../src/core/store/queueStore.ts';
import { createRunTimeStore } from '../../src/core/store/runTimeStore.ts';
import { createScheduleStore } from '../../src/core/store/scheduleStore.ts';
import type { ScheduleStore } from '../../src/core/store/scheduleStore.ts';
import { schemaSteps } from '../../src/core/store/schema.ts';

const sum = z.object({ bytes: z.nullable(z.number()) });
const events: readonly JobEvent[] = ['claim', 'finish', 'finishBySecond', 'fail', 'cancel', 'lose', 'putBack', 'retry'];

describe('the states of a job', () => {
  it('are left as the events say, and by no other way', () => {
    const possible = queueStates.flatMap((state) =>
      events.flatMap((event) => {
        const next = nextState(state, event);
        return next === undefined ? [] : [`${state} ${event} ${next}`];
      }),
    );
    assert.deepEqual(possible, [
      'queued claim running',
      'queued finishBySecond done',
      'queued fail failed',
      'queued cancel cancelled',
      'running finish done',
      'running finishBySecond done',
      'running fail failed',
      'running cancel cancelled',
      'running lose lost',
      'running putBack queued',
      'failed finishBySecond done',
      'failed retry queued',
      'cancelled retry queued',
      'lost finishBySecond done',
      'lost retry queued',
    ]);
  });

  it('whatever happens: what is done stays done, nothing is done that did not run, and what has ended can only be retried', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...events)), (story) => {
        let state: (typeof queueStates)[number] = 'queued';
        for (const event of story) {
          const next = nextState(state, event);
          if (next === undefined) continue;
          assert.ok(statesBefore(event).includes(state));
          assert.notEqual(state, 'done');
          if ((next === 'done' && event === 'finish') || next === 'lost') assert.equal(state, 'running');
          if (hasEnded(state)) assert.ok(event === 'retry' || event === 'finishBySecond');
          state = next;
        }
      }),
    );
  });
});

describe('a fault of a queued job', () => {
  const fault = (kind: FaultKind, facts = {}): Fault => new Fault(kind, `because ${kind}`, facts);

  it('goes back to the queue where the next backend may have the job, and nowhere else', () => {
    for (const kind of Object.keys(treatments) as FaultKind[]) {
      const { is } = afterFault(fault(kind), 'local', true, []);
      assert.equal(is, treatments[kind].failover ? 'again' : 'fail', kind);
    }
  });

  it('of the whole machine, before anything was sent, stops all backends for a while instead', () => {
    const verdict = afterFault(fault('io'), 'local', false, []);
    assert.ok(verdict.is === 'again' && verdict.rest?.of === 'all');
  });

  it('that is the job’s and this backend’s keeps it from there for good', () => {
    for (const kind of ['mismatch', 'outOfMemory'] as const) {
      const verdict = afterFault(fault(kind), 'local', true, []);
      assert.ok(verdict.is === 'again');
      assert.deepEqual(verdict.excluded, [{ backend: 'local', why: `because ${kind}`, for: 'ever', times: 1 }]);
    }
  });

  it('of the way there keeps it away until nobody else can, and for good after three jobs lost there', () => {
    let excluded: readonly Exclusion[] = [];
    const story = [];
    for (let n = 0; n < 4; n++) {
      const verdict = afterFault(fault('unavailable'), 'local', true, excluded);
      assert.ok(verdict.is === 'again');
      excluded = verdict.excluded;
      story.push([excluded[0]?.for, verdict.waitMs]);
    }
    assert.deepEqual(story, [
      ['now', 1_000],
      ['now', 2_000],
      ['ever', 4_000],
      ['ever', 8_000],
    ]);
  });

  it('where nothing was sent never counts against the job', () => {
    let excluded: readonly Exclusion[] = [];
    for (let n = 0; n < 20; n++) {
      const verdict = afterFault(fault('unreachable'), 'local', false, excluded);
      assert.ok(verdict.is === 'again');
      excluded = verdict.excluded;
    }
    assert.deepEqual(excluded, [{ backend: 'local', why: 'because unreachable', for: 'now', times: 0 }]);
  });

  it('of the backend lets that rest, as long as it was told to', () => {
    const rest = (kind: FaultKind, facts = {}) => {
      const verdict = afterFault(fault(kind, facts), 'local', false, []);
      return verdict.is === 'again' ? verdict.rest : undefined;
    };
    assert.deepEqual(rest('rateLimited', { retryAfterMs: 7_000 }), { of: 'backend', ms: 7_000 });
    assert.deepEqual(rest('rateLimited', { retryAfterMs: 1e12 }), { of: 'backend', ms: 900_000 });
    assert.equal(rest('overBudget')?.of, 'backend');
    assert.equal(rest('noCapacity')?.of, 'backend');
    assert.equal(rest('unavailable'), undefined);
  });
});

describe('packed graphs', () => {
  const value = fc.oneof(
    fc.integer(),
    fc.string(),
    fc.boolean(),
    fc.constant(null),
    fc.tuple(fc.constant('1'), fc.nat(3)),
  );
  const name = fc.constantFrom('seed', 'text', '__proto__', 'constructor', 'width');
  const node = fc.record({ class_type: fc.constantFrom('A', 'B'), inputs: fc.dictionary(name, value, { maxKeys: 3 }) });
  const graph = fc.dictionary(fc.constantFrom('1', '2', '3', '__proto__'), node, { minKeys: 1, maxKeys: 3 });

  it('come back letter by letter, whatever stands in them', () => {
    fc.assert(
      fc.property(fc.array(graph, { minLength: 1, maxLength: 6 }), (graphs) => {
        const packer = new GraphPacker();
        for (const one of graphs) {
          const { base, text } = packer.pack(one);
          assert.equal(base === undefined ? text : unpackGraph(base.text, text), JSON.stringify(one));
        }
        assert.equal(({} as Record<string, unknown>).seed, undefined, 'no prototype was touched');
      }),
    );
  });

  it('keep the digits of 64-bit seeds', () => {
    const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => unknown };
    const packer = new GraphPacker();
    const seeded = (seed: unknown) => ({ '1': { class_type: 'KSampler', inputs: { seed, steps: 20 } } });
    packer.pack(seeded(rawJSON('18446744073709551615')));
    const { base, text } = packer.pack(seeded(rawJSON('18446744073709551614')));
    assert.equal(text, '{"1":{"seed":18446744073709551614}}');
    assert.match(unpackGraph(base?.text ?? '', text), /"seed":18446744073709551614,"steps":20/);
  });
});

describe('the records of the queue', () => {
  let root: string;
  let database: Database;
  let queue: QueueStore;
  let mine: ScheduleStore;
  let theirs: ScheduleStore;
  const quiet = (): void => undefined;
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const lease = { jobLeaseMs: 15_000, leadMs: 15_000 };
  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'podrelay-queue-records-'));
    database = createDatabase({ file: path.join(root, 'r.db'), steps: schemaSteps, clock: systemClock, log });
    queue = createQueueStore(database);
    mine = createScheduleStore(database, { owner: 'mine', ...lease });
    theirs = createScheduleStore(database, { owner: 'theirs', ...lease });
  });
  afterEach(async () => {
    database.dispose();
    await rm(root, { recursive: true });
  });

  const job = (id: string, change: Partial<NewQueuedJob> = {}): NewQueuedJob => ({
    id,
    label: id,
    graph: { base: undefined, text: '{"1":{"class_type":"A","inputs":{}}}' },
    details: {},
    priority: 0,
    fingerprint: 'f',
    models: [],
    localOnly: false,
    ...change,
  });
  const order = async (): Promise<string> =>
    (await queue.list({ queued: 500, ended: 0 })).jobs
      .filter(({ state }) => state === 'queued')
      .map(({ id }) => id)
      .join('');
  const claim = async (by: ScheduleStore, id: string, at = 0): Promise<boolean> =>
    (await by.claim([{ jobId: id, backend: 'local', why: 'why' }], at)).length === 1;
  const back = { attempts: [], excluded: [], waitsFor: undefined, notBefore: 0 };

  it('keep an order that any sequence of moves leaves as a list would', async () => {
    const moves = fc.array(
      fc.record({ id: fc.constantFrom(...'abcdef'), to: fc.constantFrom('top', 'up', 'down', 'bottom') }),
      { maxLength: 25 },
    );
    await fc.assert(
      fc.asyncProperty(moves, async (story) => {
        await database.write((rows) => rows.run('DELETE FROM job'));
        const jobs = [...'abcdef'].map((id, n) => job(id, { priority: n % 3 === 0 ? 5 : n % 3 === 1 ? 0 : -5 }));
        await queue.enqueue(jobs, 0);
        const list = [...(await order())];
        assert.equal(list.join(''), 'adbecf');
        for (const { id, to } of story) {
          const at = list.indexOf(id);
          list.splice(at, 1);
          list.splice({ top: 0, up: Math.max(0, at - 1), down: at + 1, bottom: list.length }[to], 0, id);
          await queue.move(id, to);
          assert.equal(await order(), list.join(''), `${id} ${to}`);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('put a job back before those that wait, wherever others were moved meanwhile', async () => {
    await queue.enqueue(
      [...'abcd'].map((id) => job(id)),
      0,
    );
    await mine.lead(0);
    assert.ok(await claim(mine, 'a'));
    await queue.move('d', 'top');
    assert.equal(await mine.putBack('a', back, 1), true);
    assert.equal(await order(), 'adbc');
    await queue.move('d', 'up');
    assert.equal(await order(), 'dabc');
  });

  it('give a job to whoever leads, once', async () => {
    await queue.enqueue([job('a')], 0);
    assert.equal((await mine.lead(0)).is, 'ours');
    assert.equal((await theirs.lead(1)).is, 'others');
    assert.equal(await claim(theirs, 'a'), false);
    assert.equal(await claim(mine, 'a'), true);
    assert.equal(await claim(mine, 'a'), false);
  });

  it('give nothing to a leader who slept while another one took over', async () => {
    await queue.enqueue([job('a'), job('b')], 0);
    await mine.lead(0);
    assert.equal((await theirs.lead(14_999)).is, 'others');
    assert.equal((await theirs.lead(15_000)).is, 'ours');
    assert.equal(await claim(mine, 'a', 15_001), false);
    assert.equal((await mine.lead(15_002)).is, 'others');
    assert.equal(await claim(theirs, 'a', 15_003), true);
    await theirs.standDown();
    assert.equal((await mine.lead(15_004)).is, 'ours');
  });

  it('have one leader whatever the clocks of the windows show', async () => {
    const step = fc.record({
      who: fc.boolean(),
      jumpMs: fc.oneof(fc.nat(20_000), fc.integer({ min: -1e9, max: 1e9 })),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (story) => {
        await database.write((rows) => rows.run(`UPDATE scheduler SET leader = '', lease_until = 0`));
        let now = 1e12;
        for (const { who, jumpMs } of story) {
          now += jumpMs;
          await (who ? mine : theirs).lead(now);
          const leaders = [await mine.pulse(), await theirs.pulse()].filter(({ is }) => is === 'ours');
          assert.equal(leaders.length, 1);
        }
        // A lease of a clock that was wrong keeps nobody out for long.
        await mine.lead(now + 1e9);
        assert.equal((await theirs.lead(now)).is, 'ours');
      }),
      { numRuns: 40 },
    );
  });

  it('pause what is given away, not what is asked for', async () => {
    await queue.enqueue([job('a')], 0);
    await mine.lead(0);
    await queue.setPaused(true);
    assert.equal(await claim(mine, 'a'), false);
    assert.equal((await mine.look(0, 10)).paused, true);
    await queue.setPaused(false);
    assert.equal(await claim(mine, 'a'), true);
  });

  it('end a job that was cancelled while it ran when it comes back', async () => {
    await queue.enqueue([job('a')], 0);
    await mine.lead(0);
    await claim(mine, 'a');
    await queue.cancel(['a'], 1);
    assert.deepEqual(await mine.report(new Map()), ['a']);
    assert.deepEqual(await theirs.report(new Map()), []);
    await mine.putBack('a', back, 2);
    assert.equal((await queue.list({ queued: 9, ended: 9 })).jobs[0]?.state, 'cancelled');
  });

  it('hold a job until its time, unless that is of a clock that was wrong', async () => {
    await queue.enqueue([job('a'), job('b')], 0);
    await mine.lead(0);
    await claim(mine, 'a');
    await mine.putBack('a', { ...back, notBefore: 5_000, waitsFor: 'because' }, 1);
    const ids = async (at: number): Promise<string> => (await mine.look(at, 10)).waiting.map(({ id }) => id).join('');
    assert.equal(await ids(4_999), 'b');
    assert.equal((await mine.look(4_999, 10)).nextAt, 5_000);
    assert.equal(await ids(5_000), 'ab');
    await database.write((rows) => rows.run(`UPDATE job SET not_before = 1e15 WHERE id = 'a'`));
    assert.equal(await ids(6_000), 'ab');
  });

  it('count what there is, and keep the newest ended jobs', async () => {
    const small = createQueueStore(database, { keep: 3 });
    await small.enqueue(
      [...'abcdef'].map((id) => job(id)),
      0,
    );
    await small.cancel([...'abcde'], 1);
    const { counts } = await queue.list({ queued: 9, ended: 9 });
    assert.deepEqual(counts, { queued: 1, running: 0, done: 0, failed: 0, cancelled: 5, lost: 0 });
    await small.enqueue([job('g')], 2);
    assert.equal((await queue.list({ queued: 9, ended: 9 })).counts.cancelled, 3);
    await small.retry([...'abcdefg'], 3);
    const after = (await queue.list({ queued: 9, ended: 9 })).counts;
    assert.deepEqual([after.queued, after.cancelled], [5, 0]);
  });

  it('keep the graphs of a batch once, and none that no job is about', async () => {
    const packer = new GraphPacker();
    const graphs = (count: number) =>
      Array.from({ length: count }, (_, n) =>
        job(`j${n}`, {
          graph: packer.pack({ '1': { class_type: 'A', inputs: { seed: n, text: 'x'.repeat(5_000) } } }),
        }),
      );
    await queue.enqueue(graphs(50), 0);
    await mine.lead(0);
    const [record] = await mine.claim([{ jobId: 'j7', backend: 'local', why: '' }], 0);
    assert.equal(JSON.parse(record?.workflow ?? '')[1].inputs.seed, 7);
    const stored = async () =>
      database.read((rows) => rows.first(sum, 'SELECT sum(length(graph)) AS bytes FROM job_graph')?.bytes);

    assert.ok(((await stored()) ?? 0) < 6_000);
    await queue.cancel(
      Array.from({ length: 50 }, (_, n) => `j${n}`),
      1,
    );
    await mine.refuse('j7', { kind: 'bug', message: '' }, 1);
    await createJobStore(database, { owner: 'mine' }).update('j7', { state: 'done' }, 2);
    await queue.clearEnded();
    assert.equal(await stored(), null);
  });

  it('remember the newest run times of a kind', async () => {
    const times = createRunTimeStore(database);
    const run = { fingerprint: 'f', gpu: 'g', cold: false };
    for (let n = 1; n <= 25; n++) await times.add({ ...run, seconds: n, atMs: n });
    await times.add({ ...run, gpu: 'h', seconds: 1, atMs: 1, cold: true });
    const all = await times.recent();
    assert.equal(all.length, 21);
    assert.deepEqual([all[0]?.seconds, all.at(-1)?.cold], [6, true]);
  });

  it('a lead is renewed when that is due, and given up on request', async () => {
    let now = 1_000_000;
    const clock = { now: () => now, sleep: (ms: number, signal: AbortSignal) => systemClock.sleep(ms, signal) };
    const asked: string[] = [];
    const store = {
      lead: (at: number) => (asked.push('lead'), mine.lead(at)),
      pulse: () => (asked.push('pulse'), mine.pulse()),
      standDown: () => mine.standDown(),
    };
    const own = new LeaderLease(store, clock, 15_000);
    for (const ms of [0, 1_000, 3_999, 1, 100]) {
      now += ms;
      assert.equal((await own.keep()).is, 'ours');
    }
    assert.deepEqual(asked, ['lead', 'pulse', 'pulse', 'lead', 'pulse']);
    now -= 3_600_000;
    await own.keep();
    assert.equal(asked.at(-1), 'lead');
    await own.letGo();
    assert.equal((await theirs.lead(now)).is, 'ours');
    assert.equal((await own.keep()).is, 'others');
    assert.equal(own.leads, false);
  });
});
