import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Backend, JobRequest } from '../../src/core/backends/backend.ts';
import { Budgets } from '../../src/core/cost/budgets.ts';
import type { BudgetNotice } from '../../src/core/cost/budgets.ts';
import { Ledger } from '../../src/core/cost/ledger.ts';
import { startOfDay } from '../../src/core/cost/periods.ts';
import type { PodSight } from '../../src/core/cost/podMeter.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import { readSettings } from '../../src/core/settings.ts';
import type { Settings } from '../../src/core/settings.ts';
import { createDatabase } from '../../src/core/store/database.ts';
import type { Database } from '../../src/core/store/database.ts';
import { createJobStore } from '../../src/core/store/jobStore.ts';
import { createLedgerStore } from '../../src/core/store/ledgerStore.ts';
import { createReservationStore } from '../../src/core/store/reservationStore.ts';
import { schemaSteps } from '../../src/core/store/schema.ts';

const quiet = (): void => undefined;
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const noon = new Date(2026, 4, 15, 12).getTime();

/** One window: a ledger and budgets of its own on records that it shares. */
interface Window {
  readonly ledger: Ledger;
  readonly budgets: Budgets;
  readonly notices: BudgetNotice[];
}

describe('budgets on record', () => {
  let root: string;
  let database: Database;
  let nowMs: number;
  let settings: Settings;
  const opened: { dispose(): void }[] = [];

  const open = (): Window => {
    const own = createDatabase({
      file: path.join(root, 'records.sqlite'),
      steps: schemaSteps,
      clock: systemClock,
      log,
    });
    const clock = { ...systemClock, now: () => nowMs };
    const ledger = new Ledger(createLedgerStore(own), clock);
    const store = createReservationStore(own);
    let ids = 0;
    const newId = (): string => `id-${String(++ids)}`;
    const budgets = new Budgets({ store, ledger, clock, log, newId, settings: () => settings });
    const notices: BudgetNotice[] = [];
    budgets.onDidNotice((notice) => notices.push(notice));
    opened.push(budgets, ledger, own);
    database = own;
    return { ledger, budgets, notices };
  };
  const set = (change: Partial<Settings>): void => void (settings = { ...settings, ...change });
  const job = (id: string): JobRequest => ({ id, label: id, workflow: {}, media: 'image', localOnly: false });
  const backend = (id: string, micros: number, billing: Backend['billing'] = 'job'): Backend => {
    const tier = id === 'gemini' || id === 'local' ? id : 'cloud';
    return { id, tier, label: id, billing, depth: 1, quote: () => ({ micros, basis: '' }) } as unknown as Backend;
  };
  const gemini = backend('gemini', 40_000);
  const over = (error: unknown): boolean => error instanceof Fault && error.kind === 'overBudget';
  const charge = (jobId: string, micros: number) =>
    ({ jobId, backend: 'gemini', micros, basis: 'measured', at: nowMs, inPodTime: false }) as const;
  const running = (more: Partial<PodSight> = {}): PodSight => ({
    id: 'pod1',
    name: 'podrelay-a',
    status: 'RUNNING',
    usdPerHourMicros: 600_000,
    startedAtMs: noon,
    ...more,
  });

  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'podrelay-budgets-'));
    nowMs = noon;
    settings = readSettings(() => undefined).settings;
  });
  afterEach(async () => {
    for (const each of opened.splice(0)) each.dispose();
    await rm(root, { recursive: true });
  });

  it('without a limit refuse nothing and know so at once', async () => {
    const { budgets } = open();
    assert.deepEqual(budgets.uses.known && budgets.uses.value, []);
    await budgets.reserve(job('a'), backend('gemini', 99_000_000));
    const { remainingMicros, usedShare } = budgets.podBudget();
    assert.deepEqual([remainingMicros, usedShare], [undefined, 0]);
  });

  it('hold what is asked for until it is settled, and then count what it did cost', async () => {
    set({ 'budget.dayUsd': 0.1 });
    const { budgets, ledger } = open();
    await budgets.reserve(job('a'), gemini);
    await budgets.reserve(job('b'), gemini);
    await assert.rejects(budgets.reserve(job('c'), gemini), over);
    await ledger.recordJob(charge('a', 10_000));
    await budgets.reserve(job('c'), gemini);
    await budgets.refresh();
    const [use] = budgets.uses.known ? budgets.uses.value : [];
    assert.deepEqual([use?.spentMicros, use?.heldMicros], [10_000, 80_000]);
    await budgets.release(job('b'), 'gemini');
    await budgets.reserve(job('d'), gemini);
  });

  it('hold for a run of a job until that run is settled: a late word of an earlier one lets go of nothing', async () => {
    set({ 'budget.dayUsd': 0.1 });
    const { budgets, ledger } = open();
    const heldMicros = async (): Promise<number | undefined> => {
      await budgets.refresh();
      return budgets.uses.known ? budgets.uses.value[0]?.heldMicros : undefined;
    };
    const [first, second] = [
      { ...job('a'), run: 1 },
      { ...job('a'), run: 2 },
    ];
    await budgets.reserve(first, gemini);
    await ledger.recordJob({ ...charge('a', 6_000), run: 1 });
    await budgets.reserve(second, gemini);
    await ledger.recordJob({ ...charge('a', 6_000), run: 1 });
    await budgets.release(first, 'gemini');
    await budgets.settleUnknown(first, 'gemini');
    assert.equal(await heldMicros(), 40_000);
    await budgets.settleUnknown(second, 'gemini');
    assert.equal(await heldMicros(), 0);
    assert.equal(ledger.spending.known && ledger.spending.value.day.micros, 46_000);
  });

  it('hold the most that it may cost, not what is likely, and count what it did cost', async () => {
    set({ 'budget.dayUsd': 0.1 });
    const { budgets, ledger } = open();
    const quoting = { ...gemini, quote: () => ({ micros: 40_000, mostMicros: 70_000, basis: 'a list' }) };
    await budgets.reserve(job('a'), quoting);
    const refused = budgets.reserve(job('b'), quoting);
    await assert.rejects(
      refused,
      /It costs about \$0\.04, \$0\.07 at most, and today's budget of \$0\.10 has \$0\.03 left/,
    );
    await ledger.recordJob(charge('a', 25_000));
    await budgets.reserve(job('b'), quoting);
  });

  it('never refuse what is free, and refuse all else when the budget is 0', async () => {
    set({ 'budget.monthUsd': 0 });
    const { budgets } = open();
    await budgets.reserve(job('a'), backend('local', 0, 'free'));
    await assert.rejects(budgets.reserve(job('b'), backend('cloud', 0, 'podTime')), over);
    await assert.rejects(budgets.reserve(job('c'), gemini), over);
    await assert.rejects(budgets.commit({ podId: 'pod1', what: 'The pod' }), over);
    assert.equal((await budgets.mayCommit(340_000, 20))?.kind, 'overBudget');
    assert.equal(budgets.isSpent('cloud'), true);
    const { remainingMicros, usedShare } = budgets.podBudget();
    assert.deepEqual([remainingMicros, usedShare], [0, 1]);
  });

  it('hold for 200 that ask at once in two windows, and none beyond the limit', async () => {
    set({ 'budget.perBackendUsd': { gemini: 1 } });
    const windows = [open(), open()];
    const asked = Array.from({ length: 200 }, (_, n) => windows[n % 2]!.budgets.reserve(job(`job${n}`), gemini));
    const given = (await Promise.allSettled(asked)).filter(({ status }) => status === 'fulfilled').length;
    assert.equal(given, 25);
  });

  it('hold in four processes on one database', async function () {
    this.timeout(120_000);
    const module = (name: string): string => JSON.stringify(path.resolve(`src/core/${name}.ts`));
    const script = `
      import { createDatabase } from ${module('store/database')};
      import { createLedgerStore } from ${module('store/ledgerStore')};
      import { createReservationStore } from ${module('store/reservationStore')};
      import { schemaSteps } from ${module('store/schema')};
      import { systemClock } from ${module('kernel/clock')};
      import { Budgets } from ${module('cost/budgets')};
      import { Ledger } from ${module('cost/ledger')};
      import { readSettings } from ${module('settings')};
      const quiet = () => undefined;
      const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
      const [, file, name] = process.argv;
      const database = createDatabase({ file, steps: schemaSteps, clock: systemClock, log, waitMs: 60_000 });
      const ledger = new Ledger(createLedgerStore(database), systemClock);
      const settings = readSettings((key) => (key === 'budget.dayUsd' ? 1 : undefined)).settings;
      const store = createReservationStore(database);
      const budgets = new Budgets({ store, ledger, clock: systemClock, log, newId: () => name, settings: () => settings });
      const backend = { id: 'gemini', tier: 'gemini', billing: 'job', quote: () => ({ micros: 30_000, basis: '' }) };
      let given = 0;
      await Promise.all(Array.from({ length: 50 }, async (_, n) => {
        const id = name + n;
        try { await budgets.reserve({ id }, backend); } catch (error) { if (error.kind === 'overBudget') return; throw error; }
        given += 1;
        await ledger.recordJob({ jobId: id, backend: 'gemini', micros: 25_000, basis: 'measured', at: Date.now(), inPodTime: false });
      }));
      database.dispose();
      console.log(given);`;
    const file = path.join(root, 'records.sqlite');
    const run = async (name: string): Promise<number> =>
      Number((await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, file, name])).stdout);
    const given = await Promise.all(['a', 'b', 'c', 'd'].map(run));
    nowMs = Date.now();
    const { ledger } = open();
    await ledger.refresh();
    const spent = ledger.spending.known ? ledger.spending.value.day.micros : Number.NaN;
    const all = given.reduce((sum, one) => sum + one);
    assert.equal(spent, all * 25_000);
    assert.ok(spent <= 1_000_000, `${spent} micro-dollars of 1,000,000`);
    // 38 × 25,000 leave less than one more: whoever asked while others held may have been refused before.
    assert.ok(all >= 33, `only ${all} were given`);
  });

  it('count the pods that run, up to now and not up to the last look', async () => {
    set({ 'budget.dayUsd': 1 });
    const { budgets, ledger } = open();
    await ledger.observePods([running()], noon + 1);
    nowMs = noon + hour;
    await budgets.refresh();
    const [use] = budgets.uses.known ? budgets.uses.value : [];
    assert.equal(use?.spentMicros, 600_000);
    await assert.rejects(budgets.reserve(job('a'), backend('cloud', 400_001, 'podTime')), over);
    await budgets.reserve(job('b'), backend('cloud', 399_000, 'podTime'));
  });

  it('hold boot and idle time of a pod that is started; it melts as the pod runs, and goes when it has stopped', async () => {
    set({ 'budget.dayUsd': 1, 'cloud.idleMinutes': 15 });
    const { budgets } = open();
    const held = async (): Promise<number | undefined> => {
      await budgets.refresh();
      return budgets.uses.known ? budgets.uses.value[0]?.heldMicros : undefined;
    };
    const start = await budgets.commit({ what: 'A new pod', usdPerHourMicros: 600_000 });
    assert.equal(await held(), 200_000);
    await start.keep('pod1', 900_000);
    assert.equal(await held(), 300_000, 'at the price that RunPod says');
    await start.keep('pod1', 0);
    nowMs += 10 * minute;
    assert.equal(await held(), 150_000);
    nowMs -= 8 * hour;
    assert.equal(await held(), 300_000);
    nowMs += 8 * hour;
    await budgets.ended('pod1');
    assert.equal(await held(), 0);
    await assert.rejects(budgets.commit({ what: 'A new pod', usdPerHourMicros: 4_000_000 }), over);
    const never = await budgets.commit({ what: 'A new pod', usdPerHourMicros: 600_000 });
    await never.release();
    assert.equal(await held(), 0);
  });

  it('price a stopped pod, of which RunPod says 0, by its last run; one that never ran as dear as may be', async () => {
    set({ 'budget.dayUsd': 1, 'cloud.maxUsdPerHour': 2.4 });
    const { budgets, ledger } = open();
    await ledger.observePods([running()], noon + 1);
    await ledger.observePods([running({ status: 'EXITED', usdPerHourMicros: 0 })], noon + 2);
    await budgets.commit({ podId: 'pod1', what: 'The pod' });
    await budgets.refresh();
    assert.equal(budgets.uses.known && budgets.uses.value[0]?.heldMicros, 200_000);
    await budgets.commit({ podId: 'pod2', what: 'The pod' });
    await budgets.refresh();
    assert.equal(budgets.uses.known && budgets.uses.value[0]?.heldMicros, 1_000_000);
  });

  it('keep the money of a window that crashed until its job has ended, and not for ever', async () => {
    set({ 'budget.monthUsd': 0.1 });
    const crashed = open();
    const jobs = createJobStore(database, { owner: 'crashed' });
    const row = { label: '', workflow: '{}', details: {}, requestedAt: nowMs };
    await jobs.put({ id: 'on record', ...row });
    await crashed.budgets.reserve(job('on record'), gemini);
    await crashed.budgets.reserve(job('stray'), gemini);
    const { budgets } = open();
    await assert.rejects(budgets.reserve(job('next'), gemini), over);
    nowMs += 2 * hour;
    await budgets.reserve(job('next'), gemini);
    await budgets.release(job('next'), 'gemini');
    nowMs += 14 * day;
    await assert.rejects(budgets.reserve(job('dear'), backend('gemini', 60_001)), over);
    await jobs.update('on record', { state: 'failed' }, nowMs);
    await budgets.reserve(job('dear'), backend('gemini', 60_001));
  });

  it('count what nobody can know any more as spent, as an estimate', async () => {
    set({ 'budget.monthUsd': 0.1 });
    const { budgets, ledger } = open();
    await budgets.reserve(job('a'), gemini);
    await budgets.settleUnknown(job('a'), 'gemini');
    await budgets.settleUnknown(job('a'), 'gemini');
    await budgets.settleUnknown(job('never asked'), 'gemini');
    assert.ok(ledger.spending.known);
    assert.deepEqual(ledger.spending.value.month, { micros: 40_000, estimatedMicros: 40_000 });
    await budgets.refresh();
    assert.equal(budgets.uses.known && budgets.uses.value[0]?.heldMicros, 0);
  });

  it('warn once at each mark, in one window, and again in the next month or for another limit', async () => {
    set({ 'budget.monthUsd': 0.1 });
    const windows = [open(), open()];
    const told = async (): Promise<string[]> => {
      for (const { budgets } of windows) await budgets.refresh();
      return windows.flatMap(({ notices }) => notices.splice(0).map(({ use, mark }) => `${use.name} ${mark}`));
    };
    const { ledger } = windows[0]!;
    await ledger.recordJob(charge('a', 49_999));
    assert.deepEqual(await told(), []);
    await ledger.recordJob(charge('b', 1));
    assert.deepEqual(await told(), ['month 50']);
    await ledger.recordJob(charge('c', 60_000));
    assert.deepEqual(await told(), ['month 100']);
    assert.deepEqual(await told(), []);
    set({ 'budget.monthUsd': 0.13 });
    assert.deepEqual(await told(), ['month 80']);
    nowMs = new Date(2026, 5, 1, 0, 1).getTime();
    assert.deepEqual(await told(), []);
    await ledger.recordJob(charge('d', 70_000));
    assert.deepEqual(await told(), ['month 50']);
  });

  it('of a day begin again at midnight, of a session with the window', async () => {
    set({ 'budget.dayUsd': 0.1, 'budget.sessionUsd': 0.1 });
    const { budgets, ledger } = open();
    await ledger.recordJob(charge('a', 90_000));
    await assert.rejects(budgets.reserve(job('b'), gemini), /this session|today/);
    nowMs = startOfDay(noon, 1);
    await assert.rejects(budgets.reserve(job('b'), gemini), /this session/);
    await open().budgets.reserve(job('b'), gemini);
  });

  it('cannot be escaped by a clock that is set back', async () => {
    set({ 'budget.sessionUsd': 0.1, 'budget.dayUsd': 0.1 });
    const { budgets, ledger } = open();
    await ledger.recordJob(charge('a', 50_000));
    const jobs = createJobStore(database, { owner: 'me' });
    await jobs.put({ id: 'b', label: '', workflow: '{}', details: {}, requestedAt: nowMs });
    await budgets.reserve(job('b'), gemini);
    nowMs -= 3 * hour;
    await assert.rejects(budgets.reserve(job('c'), gemini), over);
    nowMs -= 30 * day;
    await assert.rejects(budgets.reserve(job('c'), gemini), over);
    await ledger.recordJob(charge('c', 10_000));
    assert.equal(ledger.spending.known && ledger.spending.value.session.micros, 60_000);
  });

  it('are unknown when their records cannot be read: then nothing is started and nothing is stopped', async () => {
    set({ 'budget.dayUsd': 1 });
    const { budgets } = open();
    database.dispose();
    await assert.rejects(budgets.reserve(job('a'), gemini), Fault);
    await budgets.refresh();
    assert.equal(budgets.uses.known, false);
    assert.equal(budgets.isSpent('cloud'), false);
    const { remainingMicros, usedShare } = budgets.podBudget();
    assert.deepEqual([remainingMicros, usedShare], [1, 0]);
  });
});
