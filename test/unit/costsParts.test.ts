import assert from 'node:assert/strict';
import type { BudgetUse } from '../../src/core/cost/budget.ts';
import type { Statement } from '../../src/core/cost/ledger.ts';
import { startOfDay, startOfMonth } from '../../src/core/cost/periods.ts';
import { parseUsd } from '../../src/core/cost/price.ts';
import type { LedgerEntry } from '../../src/core/store/ledgerStore.ts';
import { billTable, driftPercent, reasonText } from '../../src/ui/costs/billTable.ts';
import { budgetBars } from '../../src/ui/costs/budgetBars.ts';
import { costChart, tickText, ticksUpTo } from '../../src/ui/costs/costChart.ts';
import { costDays } from '../../src/ui/costs/costDays.ts';
import { costReport } from '../../src/ui/costs/costReport.ts';
import { costsCsv } from '../../src/ui/costs/costsCsv.ts';

const hour = 3_600_000;
const nowMs = new Date(2026, 4, 15, 12).getTime();

const entry = (change: Partial<LedgerEntry> = {}): LedgerEntry => ({
  kind: 'pod',
  subject: 'pod1',
  label: 'podrelay-a',
  fromMs: nowMs - hour,
  toMs: nowMs,
  micros: 340_000,
  basis: 'measured',
  inPodTime: false,
  note: undefined,
  ...change,
});
const job = (label: string, micros: number, change: Partial<LedgerEntry> = {}): LedgerEntry =>
  entry({ kind: 'job', subject: `job on ${label}`, label, fromMs: nowMs, micros, ...change });
const statement = (entries: readonly LedgerEntry[], open: readonly LedgerEntry[] = []): Statement => ({
  entries,
  open,
  sessionFromMs: nowMs - hour,
  dayFromMs: startOfDay(nowMs),
  monthFromMs: startOfMonth(nowMs),
  nowMs,
});

describe('costs by day', () => {
  it('give each local day its part, by what the money went to', () => {
    const midnight = startOfDay(nowMs);
    const days = costDays(
      statement(
        [
          entry({ fromMs: midnight - hour, toMs: midnight + 3 * hour, micros: 400_000 }),
          entry({ part: 'boot', micros: 5_000 }),
          job('gemini', 40_000),
          job('endpoint:abc', 70_000),
          job('cloud', 90_000, { inPodTime: true }),
          entry({ fromMs: midnight - 90 * 24 * hour, toMs: midnight - 89 * 24 * hour }),
        ],
        [entry({ part: 'disk', micros: 1_000 })],
      ),
      3,
    );
    assert.deepEqual(
      days.map(({ micros, totalMicros }) => [micros.pods, micros.disks, micros.serverless, micros.gemini, totalMicros]),
      [
        [0, 0, 0, 0, 0],
        [100_000, 0, 0, 0, 100_000],
        [305_000, 1_000, 70_000, 40_000, 416_000],
      ],
    );
    assert.equal(days.at(-1)?.fromMs, midnight);
  });

  it('follow days of 23 and 25 hours', () => {
    const days = costDays(statement([]), 366).map(({ fromMs }) => new Date(fromMs));
    assert.ok(days.every((day) => day.getHours() === 0 && day.getMinutes() === 0));
    assert.equal(new Set(days.map((day) => day.toDateString())).size, 366);
  });

  it('are drawn with round steps that reach the highest bar', () => {
    for (const micros of [1, 900, 12_345, 40_000, 999_999, 1_000_000, 4_200_000, 87_000_000]) {
      const ticks = ticksUpTo(micros);
      assert.ok(ticks.length >= 3 && ticks.length <= 7, `${micros}: ${ticks.length}`);
      assert.ok((ticks.at(-1) ?? 0) >= micros * (1 - 1e-9), `${micros}: ${ticks.at(-1)}`);
    }
    assert.deepEqual(
      [
        [0, 500],
        [500, 500],
        [20_000, 20_000],
        [500_000, 500_000],
        [15_000_000, 5_000_000],
      ].map(([micros, step]) => tickText(micros!, step!)),
      ['$0', '$0.0005', '$0.02', '$0.50', '$15'],
    );
    const { text } = costChart(costDays(statement([entry(), job('gemini', 40_000)]), 30));
    assert.equal(text.match(/class="bar (pods|gemini)" {2,}|<rect\s+class="bar /g)?.length, 4, 'two parts, two keys');
    assert.match(text, /<title>May 15: \$0\.38 \(RunPod pods \$0\.34, Gemini \$0\.04\)<\/title>/);
    assert.doesNotMatch(text, /style=|NaN/);
  });

  it('say so when nothing was spent', () => {
    assert.match(costChart(costDays(statement([]), 30)).text, /Nothing was spent in the last 30 days/);
  });
});

describe('the cost report', () => {
  it('has boot, idle and disks as lines of their own', () => {
    const { podTime, pods, total } = costReport(
      statement([
        entry({ micros: 340_000 }),
        entry({ part: 'boot', micros: 20_000, fromMs: nowMs - 2 * hour, toMs: nowMs - hour }),
        entry({ part: 'disk', micros: 12_000, basis: 'estimated' }),
        job('cloud', 100_000, { inPodTime: true }),
      ]),
    );
    assert.deepEqual(
      [podTime?.workMicros, podTime?.bootMicros, podTime?.restMicros, podTime?.diskMicros],
      [100_000, 20_000, 240_000, 12_000],
    );
    assert.equal(podTime?.month.micros, 372_000);
    assert.equal(total.month.micros, 372_000);
    assert.equal(pods[0]?.ms, 2 * hour, 'disks are no time');
  });

  it('takes a stopped pod with a disk for no running one', () => {
    const { pods } = costReport(statement([], [entry({ part: 'disk' })]));
    assert.deepEqual([pods[0]?.running, pods[0]?.ms], [false, 0]);
  });
});

describe('budgets as bars', () => {
  const use = (change: Partial<BudgetUse>): BudgetUse => ({
    name: 'day',
    limitMicros: 1_000_000,
    spentMicros: 0,
    heldMicros: 0,
    ...change,
  });
  it('say what is spent, reserved, near and over', () => {
    const { text } = budgetBars([
      use({ spentMicros: 100_000, heldMicros: 200_000 }),
      use({ name: 'month', spentMicros: 850_000 }),
      use({ name: 'gemini', spentMicros: 1_200_000 }),
      use({ name: 'cloud', limitMicros: 0 }),
    ]);
    assert.match(text, /\$0\.10 of \$1\.00, \$0\.20 reserved/);
    assert.match(text, /class="budget near"/);
    assert.match(text, /85 % · nearly spent/);
    assert.match(text, /120 % · spent: nothing new starts/);
    assert.equal(text.match(/class="budget spent"/g)?.length, 2);
    assert.equal(text.match(/class="mark"/g)?.length, 12);
    assert.doesNotMatch(text, /NaN|Infinity|style=/);
  });

  it('say that there is none, or that it is not known', () => {
    assert.match(budgetBars([]).text, /No budget is set/);
    assert.match(budgetBars(undefined).text, /is not known/);
  });
});

describe('the bill on the page', () => {
  it('shows the drift in dollars and per cent, with its reasons', () => {
    const { text } = billTable({
      is: 'known',
      comparison: {
        days: [
          { fromMs: Date.UTC(2026, 4, 15), billedMicros: 2_000_000, ledgerMicros: 1_900_000, isOpen: true },
          { fromMs: Date.UTC(2026, 4, 14), billedMicros: 0, ledgerMicros: 0, isOpen: false },
        ],
        billedMicros: 2_000_000,
        ledgerMicros: 1_900_000,
        reasons: [{ cause: 'otherPods', micros: 100_000, pods: ['<b>', 'b', 'c', 'd', 'e', 'f'] }],
      },
    });
    assert.match(text, /\+\$0\.10/);
    assert.match(text, /\+5\.0 %/);
    assert.match(text, /6 pods that PodRelay has not seen on this machine: &lt;b&gt;, b, c, d and 2 more/);
    assert.match(text, /some minutes behind/);
    assert.doesNotMatch(text, /May 14/);
  });

  it('says what it does not know', () => {
    assert.match(billTable({ is: 'unknown', why: 'RunPod <is> down' }).text, /not known: RunPod &lt;is&gt; down/);
    assert.match(billTable({ is: 'asking' }).text, /is asked/);
    assert.equal(driftPercent(900, 5), '');
    assert.equal(driftPercent(1_000_000, 1_000_001), '0.0 %');
    assert.equal(driftPercent(1_000_000, 1_100_000), '−10.0 %');
    assert.match(reasonText({ cause: 'notBilled', micros: -1, pods: ['a'] }), /^1 pod counted here/);
  });
});

describe('the CSV of costs', () => {
  it('is as RFC 4180 has it: a header, CR LF, quotes doubled', () => {
    const text = costsCsv(
      statement(
        [entry({ label: 'a "quoted", name', note: 'two\nlines' }), job('gemini', 39)],
        [entry({ part: 'disk' })],
      ),
    );
    const lines = text.split('\r\n');
    assert.equal(lines[0], 'from,to,what,id,name,seconds,usd,basis,counted,note');
    assert.equal(lines.at(-1), '');
    assert.match(lines[1] ?? '', /,pod disks,pod1,podrelay-a,3600,0\.340000,measured,yes,so far$/);
    assert.match(lines[2] ?? '', /,"a ""quoted"", name",3600,0\.340000,measured,yes,"two\nlines"$/);
    assert.match(lines[3] ?? '', /,job,job on gemini,gemini,,0\.000039,measured,yes,$/);
    assert.equal(lines.length, 5);
  });

  it('has no name that a spreadsheet takes for a formula', () => {
    const text = costsCsv(statement([entry({ label: '=HYPERLINK("http://x")', subject: '@x' })]));
    assert.match(text, /,'@x,"'=HYPERLINK\(""http:\/\/x""\)",/);
  });

  it('says which lines are in others already', () => {
    assert.match(costsCsv(statement([job('cloud', 5, { inPodTime: true })])), /,measured,no,\r\n$/);
  });
});

describe('an amount that a person enters', () => {
  it('may have a sign, a point or a comma; nothing is no limit', () => {
    assert.deepEqual(['5', ' $ 2.50 ', '2,5', '.5', '0', ''].map(parseUsd), [5, 2.5, 2.5, 0.5, 0, null]);
    for (const text of ['-1', 'five', '1e3', '1.2.3', 'Infinity', '9'.repeat(12)]) {
      assert.equal(parseUsd(text), undefined, text);
    }
  });
});
