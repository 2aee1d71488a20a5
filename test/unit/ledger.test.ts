import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod/mini';
import { Ledger, sumSince } from '../../src/core/cost/ledger.ts';
import type { Spending } from '../../src/core/cost/ledger.ts';
import { startOfDay, startOfMonth } from '../../src/core/cost/periods.ts';
import type { PodSight } from '../../src/core/cost/podMeter.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import type { Clock } from '../../src/core/kernel/ports.ts';
import { createDatabase } from '../../src/core/store/database.ts';
import type { Database } from '../../src/core/store/database.ts';
import { createLedgerStore } from '../../src/core/store/ledgerStore.ts';
import type { LedgerEntry } from '../../src/core/store/ledgerStore.ts';
import { schemaSteps } from '../../src/core/store/schema.ts';

const quiet = (): void => undefined;
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const minute = 60_000;
const hour = 60 * minute;
/** Noon of the 15th, local time. */
const noon = new Date(2026, 4, 15, 12).getTime();

describe('the ledger', () => {
  let root: string;
  let database: Database;
  let nowMs: number;
  const clock: Clock = { now: () => nowMs, sleep: (ms, signal) => systemClock.sleep(ms, signal) };
  const opened: Database[] = [];

  const openDatabase = (steps = schemaSteps): Database => {
    const file = path.join(root, 'records.sqlite');
    const next = createDatabase({ file, steps, clock: systemClock, log });
    opened.push(next);
    return next;
  };
  const open = (): Ledger => {
    database = openDatabase();
    return new Ledger(createLedgerStore(database), clock);
  };
  const spending = (ledger: Ledger): Spending => {
    assert.ok(ledger.spending.known, 'the sums are unknown');
    return ledger.spending.value;
  };
  const hourlyCost = (ledger: Ledger): number | undefined =>
    ledger.runningUsdPerHourMicros.known ? ledger.runningUsdPerHourMicros.value : undefined;
  const running = (more: Partial<PodSight> = {}): PodSight => ({
    id: 'pod1',
    name: 'podrelay-a',
    status: 'RUNNING',
    usdPerHourMicros: 360_000,
    startedAtMs: noon,
    ...more,
  });
  const job = { jobId: 'job1', backend: 'gemini', micros: 39_000, basis: 'measured', inPodTime: false } as const;

  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'podrelay-ledger-'));
    nowMs = noon;
  });
  afterEach(async () => {
    for (const each of opened.splice(0)) each.dispose();
    await rm(root, { recursive: true });
  });

  it('does not know before it has looked, and then knows that nothing was spent', async () => {
    const ledger = open();
    assert.equal(ledger.spending.known, false);
    assert.equal(hourlyCost(ledger), undefined);
    await ledger.refresh();
    assert.deepEqual(spending(ledger).month, { micros: 0, estimatedMicros: 0 });
    assert.equal(hourlyCost(ledger), undefined);
    await ledger.observePods([], noon);
    assert.equal(hourlyCost(ledger), 0);
  });

  it('should track accumulated costs, also over a restart', async () => {
    const before = open();
    await before.recordJob({ ...job, at: noon });
    await before.observePods([running()], noon + 1);
    nowMs = noon + minute;
    await before.observePods([running()], nowMs);
    assert.deepEqual(spending(before).session, { micros: 39_000 + 6_000, estimatedMicros: 0 });
    database.dispose();

    nowMs = noon + hour;
    const after = open();
    await after.observePods([running()], nowMs);
    assert.deepEqual(spending(after).day, { micros: 39_000 + 360_000, estimatedMicros: 0 });
    assert.deepEqual(spending(after).session, { micros: 0, estimatedMicros: 0 });
    assert.deepEqual(spending(after).pods.get('pod1'), { micros: 360_000, estimatedMicros: 0 });
  });

  it('tells running cost, and none once the pod is stopped', async () => {
    const ledger = open();
    const events: boolean[] = [];
    ledger.onDidChange(() => events.push(ledger.runningUsdPerHourMicros.known));
    await ledger.observePods([running(), running({ id: 'pod2' })], noon + 1);
    assert.equal(hourlyCost(ledger), 720_000);
    const stopped = { status: 'EXITED', usdPerHourMicros: 0, stoppedAtMs: noon + minute };
    await ledger.observePods([running(stopped), running({ id: 'pod2', ...stopped })], noon + minute);
    assert.equal(hourlyCost(ledger), 0);
    assert.deepEqual(events, [true, true]);
    nowMs = noon + minute;
    await ledger.refresh();
    assert.equal(spending(ledger).day.micros, 12_000);
  });

  it('does not count a job on a pod twice', async () => {
    const ledger = open();
    nowMs = noon + hour;
    await ledger.observePods([running()], nowMs);
    await ledger.recordJob({ ...job, backend: 'cloud', micros: 2_000, inPodTime: true, at: nowMs });
    assert.equal(spending(ledger).day.micros, 360_000);
  });

  it('records the cost of a job once, even when two windows collect it', async () => {
    const first = open();
    const second = open();
    await Promise.all([first.recordJob({ ...job, at: noon }), second.recordJob({ ...job, at: noon + 5 })]);
    await first.refresh();
    assert.equal(spending(first).day.micros, 39_000);
    await first.recordJob({ ...job, backend: 'cloud', at: noon });
    assert.equal(spending(first).day.micros, 78_000);
  });

  it('records each run of a job, and each once', async () => {
    const [first, second] = [open(), open()];
    for (const ledger of [first, second]) {
      await ledger.recordJob({ ...job, run: 1, at: noon });
      await ledger.recordJob({ ...job, run: 2, micros: 6_000, at: noon + 1 });
    }
    assert.equal(spending(second).day.micros, 45_000);
  });

  it('keeps what it had when it learned to tell runs apart', async () => {
    database = openDatabase(schemaSteps.slice(0, 5));
    const old = `INSERT INTO ledger_entry (kind, subject, label, from_ms, to_ms, micros, basis)
      VALUES ('job', 'job1', 'gemini', ${noon}, ${noon}, 39000, 'measured')`;
    await database.write((rows) => rows.run(old));
    database.dispose();
    const ledger = open();
    await ledger.refresh();
    assert.equal(spending(ledger).day.micros, 39_000);
    await ledger.recordJob({ ...job, at: noon });
    assert.equal(spending(ledger).day.micros, 39_000);
    await ledger.recordJob({ ...job, run: 1, at: noon });
    assert.equal(spending(ledger).day.micros, 78_000);
    await assert.rejects(database.write((rows) => rows.run('DELETE FROM ledger_entry')));
  });

  it('refuses a cost that is no whole number of micro-dollars', async () => {
    const ledger = open();
    for (const micros of [Number.NaN, 0.5, Number.POSITIVE_INFINITY]) {
      await assert.rejects(ledger.recordJob({ ...job, micros, at: noon }), Fault);
    }
    await ledger.refresh();
    assert.equal(spending(ledger).day.micros, 0);
  });

  it('comes to the same sums by reading only what is new as by reading all', async function () {
    this.timeout(30_000);
    const [ledger, other] = [open(), open()];
    const random = (n: number): number => (n * 7919) % 1_000;
    for (let n = 1; n <= 60; n += 1) {
      nowMs += random(n) * minute;
      const writer = n % 3 === 0 ? other : ledger;
      const basis = n % 4 === 0 ? 'estimated' : 'measured';
      if (n % 2 === 0) await writer.recordJob({ ...job, jobId: `job${n}`, micros: random(n), basis, at: nowMs });
      else await writer.observePods(random(n) < 700 ? [running({ startedAtMs: nowMs - minute })] : [], nowMs);
      await ledger.refresh();
      const { entries, open: owed, ...from } = await ledger.statement();
      const all = [...entries, ...owed];
      const { session, day, month } = spending(ledger);
      for (const [found, fromMs] of [
        [session, from.sessionFromMs],
        [day, from.dayFromMs],
        [month, from.monthFromMs],
      ] as const) {
        const wanted = sumSince(all, fromMs);
        assert.ok(Math.abs(found.micros - wanted.micros) <= 1, `${n}: ${found.micros} for ${wanted.micros}`);
        assert.ok(Math.abs(found.estimatedMicros - wanted.estimatedMicros) <= 1);
      }
    }
    assert.ok(spending(ledger).month.micros > 0);
  });

  it('shows how much of a sum is an estimate', async () => {
    const ledger = open();
    await ledger.observePods([running()], noon + minute);
    nowMs = noon + hour;
    await ledger.observePods([], nowMs);
    assert.deepEqual(spending(ledger).day, { micros: 360_000, estimatedMicros: 354_000 });
    assert.equal(spending(ledger).pods.size, 0);
  });

  it('gives a day and a month their part of a run that began before', async () => {
    const ledger = open();
    const midnight = startOfDay(noon) + 24 * hour;
    const firstOfMonth = new Date(2026, 5, 1).getTime();
    await ledger.observePods([running()], noon + minute);
    nowMs = midnight + hour;
    await ledger.observePods([running()], nowMs);
    assert.equal(spending(ledger).day.micros, 360_000);
    assert.equal(spending(ledger).month.micros, 13 * 360_000);
    await ledger.observePods([running({ status: 'EXITED', stoppedAtMs: nowMs })], nowMs + 1);
    nowMs = firstOfMonth + hour;
    await ledger.observePods([running({ startedAtMs: firstOfMonth - hour })], nowMs);
    assert.equal(spending(ledger).month.micros, 360_000);
    assert.equal(spending(ledger).pods.get('pod1')?.micros, 15 * 360_000);
  });

  it('bills each second once when several windows observe at their own times', async () => {
    const windows = [open(), open(), open()];
    for (let n = 0; n < 60; n += 1) {
      await Promise.all(windows.map((window, i) => window.observePods([running()], noon + n * minute + i * 7_000 + 1)));
    }
    nowMs = noon + hour;
    await windows[0]!.observePods([running()], nowMs);
    assert.deepEqual(spending(windows[0]!).day, { micros: 360_000, estimatedMicros: 0 });
  });

  it('bills each second once when several processes observe at once', async function () {
    this.timeout(60_000);
    const module = (name: string): string => JSON.stringify(path.resolve(`src/core/${name}.ts`));
    const script = `
      import { createDatabase } from ${module('store/database')};
      import { createLedgerStore } from ${module('store/ledgerStore')};
      import { schemaSteps } from ${module('store/schema')};
      import { systemClock } from ${module('kernel/clock')};
      import { Ledger } from ${module('cost/ledger')};
      const quiet = () => undefined;
      const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
      const [file, pod] = [process.argv[1], JSON.parse(process.argv[2])];
      const database = createDatabase({ file, steps: schemaSteps, clock: systemClock, log, waitMs: 30_000 });
      let nowMs = pod.startedAtMs;
      const ledger = new Ledger(createLedgerStore(database), { ...systemClock, now: () => nowMs });
      for (let n = 1; n <= 40; n += 1) {
        nowMs = pod.startedAtMs + n * 10_000;
        const status = n % 10 === 0 ? { status: 'EXITED', usdPerHourMicros: 0, stoppedAtMs: nowMs } : {};
        const startedAtMs = pod.startedAtMs + Math.floor(n / 10) * 100_000;
        await ledger.observePods([{ ...pod, startedAtMs, ...status }], nowMs);
      }
      database.dispose();`;
    const args = ['--input-type=module', '-e', script, path.join(root, 'records.sqlite'), JSON.stringify(running())];
    const run = (): Promise<unknown> => promisify(execFile)(process.execPath, args);
    await Promise.all([run(), run(), run()]);
    const ledger = open();
    nowMs = noon + hour;
    await ledger.refresh();
    assert.deepEqual(spending(ledger).day, { micros: 40 * 1_000, estimatedMicros: 0 });
  });

  it('ignores a listing from before the machine slept', async () => {
    const awake = open();
    const late = open();
    await awake.observePods([running()], noon + minute);
    nowMs = noon + 8 * hour;
    await awake.observePods([running()], nowMs);
    await late.observePods([], noon + minute + 1);
    await awake.observePods([running()], nowMs + 1);
    assert.deepEqual(spending(awake).day, { micros: 8 * 360_000, estimatedMicros: 0 });
  });

  it('is append-only', async () => {
    const ledger = open();
    await ledger.recordJob({ ...job, at: noon });
    for (const sql of ['UPDATE ledger_entry SET micros = 0', 'DELETE FROM ledger_entry']) {
      await assert.rejects(
        database.write((rows) => rows.run(sql)),
        /append-only/,
      );
    }
    const count = z.object({ n: z.int() });
    assert.equal((await database.read((rows) => rows.first(count, 'SELECT count(*) AS n FROM ledger_entry')))?.n, 1);
  });

  it('says that it does not know when its records cannot be read', async () => {
    const ledger = open();
    await ledger.refresh();
    database.dispose();
    await assert.rejects(ledger.refresh(), Fault);
    assert.equal(ledger.spending.known, false);
  });
});

describe('sums', () => {
  const entry: LedgerEntry = {
    kind: 'pod',
    subject: 'pod1',
    label: 'a',
    fromMs: 1_000,
    toMs: 2_000,
    micros: 1_000,
    basis: 'measured',
    inPodTime: false,
    note: undefined,
  };

  it('take the part of an entry that falls in the time', () => {
    assert.equal(sumSince([entry], 0).micros, 1_000);
    assert.equal(sumSince([entry], 1_250).micros, 750);
    assert.equal(sumSince([entry], 2_001).micros, 0);
    assert.equal(sumSince([{ ...entry, fromMs: 2_000 }], 2_000).micros, 1_000);
    assert.deepEqual(sumSince([{ ...entry, basis: 'estimated' }, entry], 1_500), {
      micros: 1_000,
      estimatedMicros: 500,
    });
    assert.equal(sumSince([{ ...entry, inPodTime: true }], 0).micros, 0);
  });

  it('begin at local midnight and on the first', () => {
    const day = new Date(startOfDay(noon));
    assert.deepEqual([day.getDate(), day.getHours(), day.getMinutes(), day.getSeconds()], [15, 0, 0, 0]);
    const month = new Date(startOfMonth(noon));
    assert.deepEqual([month.getMonth(), month.getDate(), month.getHours()], [4, 1, 0]);
  });
});
