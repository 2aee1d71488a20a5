import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Ledger } from '../../src/core/cost/ledger.ts';
import type { Statement } from '../../src/core/cost/ledger.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { createDatabase } from '../../src/core/store/database.ts';
import { createLedgerStore } from '../../src/core/store/ledgerStore.ts';
import type { LedgerEntry } from '../../src/core/store/ledgerStore.ts';
import { schemaSteps } from '../../src/core/store/schema.ts';
import { costDays } from '../../src/ui/costs/costDays.ts';
import { costReport } from '../../src/ui/costs/costReport.ts';
import { costsPage, timeText } from '../../src/ui/costs/costsPage.ts';
import type { CostsPageInput } from '../../src/ui/costs/costsPage.ts';

const hour = 3_600_000;
/** Noon of the 15th, local time. */
const nowMs = new Date(2026, 4, 15, 12).getTime();
const sessionFromMs = nowMs - hour;
const dayFromMs = new Date(2026, 4, 15).getTime();
const monthFromMs = new Date(2026, 4, 1).getTime();

function entry(more: Partial<LedgerEntry>): LedgerEntry {
  const at = more.toMs ?? nowMs;
  const base = { kind: 'job', subject: 'j', label: 'gemini', fromMs: at, toMs: at, micros: 40_000 } as const;
  return { ...base, basis: 'measured', inPodTime: false, note: undefined, ...more };
}

function statement(entries: readonly LedgerEntry[], open: readonly LedgerEntry[] = []): Statement {
  return { entries, open, sessionFromMs, dayFromMs, monthFromMs, nowMs };
}

const pod = (more: Partial<LedgerEntry>) => entry({ kind: 'pod', subject: 'pod1', label: 'podrelay-a', ...more });

describe('cost report', () => {
  it('sums session, day and month, and names the estimated part', () => {
    const { total } = costReport(
      statement([
        entry({ toMs: nowMs - 1, micros: 1_000 }),
        entry({ toMs: nowMs - 2 * hour, micros: 20_000, basis: 'estimated' }),
        entry({ toMs: dayFromMs - hour, micros: 300_000 }),
      ]),
    );
    assert.deepEqual(total.session, { micros: 1_000, estimatedMicros: 0 });
    assert.deepEqual(total.day, { micros: 21_000, estimatedMicros: 20_000 });
    assert.deepEqual(total.month, { micros: 321_000, estimatedMicros: 20_000 });
  });

  it('counts a job on a pod in the pod’s time alone, and tells what is left for boot and idle', () => {
    const { total, podTime, backends } = costReport(
      statement([
        pod({ fromMs: nowMs - hour, toMs: nowMs, micros: 340_000 }),
        entry({ label: 'cloud', micros: 100_000, inPodTime: true }),
        entry({ label: 'gemini', micros: 40_000 }),
      ]),
    );
    assert.equal(total.month.micros, 380_000);
    assert.equal(podTime?.month.micros, 340_000);
    assert.equal(podTime?.workMicros, 100_000);
    assert.equal(podTime?.restMicros, 240_000);
    assert.equal(podTime?.jobs, 1);
    assert.deepEqual(
      backends.map(({ id, month, jobs }) => [id, month.micros, jobs]),
      [['gemini', 40_000, 1]],
    );
  });

  it('lists pods with their billed time; one that bills now says so', () => {
    const { pods } = costReport(
      statement(
        [pod({ fromMs: monthFromMs - hour, toMs: monthFromMs + hour, micros: 200_000 })],
        [pod({ subject: 'pod2', label: 'podrelay-b', fromMs: nowMs - 2 * hour, toMs: nowMs, micros: 680_000 })],
      ),
    );
    assert.deepEqual(
      pods.map(({ podId, ms, running, month, session }) => [podId, ms, running, month.micros, session.micros]),
      [
        ['pod2', 2 * hour, true, 680_000, 340_000],
        ['pod1', hour, false, 100_000, 0],
      ],
    );
  });

  it('shows the newest entries and counts the others', () => {
    const many = Array.from({ length: 50 }, (_, index) => entry({ subject: `j${index}`, toMs: nowMs - index }));
    const { entries, older } = costReport(statement(many));
    assert.equal(entries.length + older, 50);
    assert.equal(entries[0]?.subject, 'j0');
  });
});

describe('costs page', () => {
  const reportOf = (entries: readonly LedgerEntry[]) => ({
    ...costReport(statement(entries)),
    days: costDays(statement(entries), 30),
  });
  const page = (more: Partial<CostsPageInput> = {}) =>
    costsPage({
      report: reportOf([]),
      budgets: [],
      bill: { is: 'unasked' },
      runningUsdPerHourMicros: 0,
      demo: false,
      cspSource: 'https://csp',
      styleUri: 'https://s.css',
      ...more,
    });

  it('says unknown where it is not known', () => {
    assert.match(page({ runningUsdPerHourMicros: undefined }), /Running now<\/h2>\s*<p class="sum">\s*unknown/);
    assert.match(page(), /Running now<\/h2>\s*<p class="sum">\s*\$0\.00\/h/);
    const failed = page({ report: { unknown: 'the disk is gone' } });
    assert.match(failed, /What was spent is unknown: the disk is gone/);
    assert.doesNotMatch(failed, /\$0\.00/);
  });

  it('shows text from outside as text', () => {
    const report = reportOf([pod({ label: '<script>alert(1)</script>', note: '<b>', toMs: nowMs })]);
    const text = page({ report });
    assert.doesNotMatch(text, /<script|<b>/);
    assert.match(text, /&lt;script&gt;/);
  });

  it('puts what a pod was quoted beside what it costs', () => {
    const priced = (billedUsdPerHourMicros: number): string => {
      const prices = new Map([['pod1', { quotedUsdPerHourMicros: 340_000, billedUsdPerHourMicros }]]);
      const report = costReport({ ...statement([pod({ fromMs: nowMs - hour, toMs: nowMs })]), prices });
      return page({ report: { ...report, days: [] } });
    };
    assert.match(priced(340_000), /at \$0\.34\/h, as quoted/);
    assert.match(priced(374_000), /at \$0\.37\/h, 10 % more than the quoted \$0\.34\/h/);
    assert.match(priced(306_000), /at \$0\.31\/h, 10 % less than the quoted \$0\.34\/h/);
    const unquoted = costReport(statement([pod({ fromMs: nowMs - hour, toMs: nowMs })]));
    assert.doesNotMatch(page({ report: { ...unquoted, days: [] } }), /quoted/);
  });

  it('says times as people do', () => {
    assert.deepEqual([5_000, 12 * 60_000, 3 * hour, 3.5 * hour].map(timeText), ['5 s', '12 min', '3 h', '3 h 30 min']);
  });

  it('allows no script at all', () => {
    assert.match(page(), /content="default-src 'none'; style-src https:\/\/csp"/);
  });
});

describe('the ledger’s statement', () => {
  it('holds free jobs, shares of pod time and what is owed now', async () => {
    const root = await mkdtemp(path.join(os.tmpdir(), 'podrelay-costs-'));
    const quiet = (): void => undefined;
    const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    const database = createDatabase({ file: path.join(root, 'r.db'), steps: schemaSteps, clock: systemClock, log });
    let now = nowMs - 10_000;
    const ledger = new Ledger(createLedgerStore(database), { now: () => now, sleep: () => Promise.resolve() });
    try {
      const job = { micros: 0, basis: 'measured', at: now, inPodTime: false } as const;
      await ledger.recordJob({ ...job, jobId: 'free', backend: 'local' });
      await ledger.recordJob({ ...job, jobId: 'share', backend: 'cloud', micros: 500, inPodTime: true });
      const sight = { id: 'pod1', name: 'podrelay-a', status: 'RUNNING', usdPerHourMicros: 360_000, startedAtMs: now };
      await ledger.observePods([sight], now);
      now = nowMs;
      await ledger.observePods([sight], now);
      const { entries, open } = await ledger.statement();
      assert.deepEqual(
        entries.map(({ subject }) => subject),
        ['share', 'free'],
      );
      assert.deepEqual(
        open.map(({ subject, micros }) => [subject, micros]),
        [['pod1', 1_000]],
      );
      const { total } = costReport(await ledger.statement());
      await ledger.refresh();
      assert.ok(ledger.spending.known);
      assert.deepEqual(total.month, ledger.spending.value.month, 'the page and the status bar agree');
    } finally {
      ledger.dispose();
      database.dispose();
      await rm(root, { recursive: true, force: true });
    }
  });
});
