import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  concerns,
  forbidding,
  leftMicros,
  limitsOf,
  markOf,
  nothing,
  overBudget,
  tierOf,
  usesOf,
} from '../../src/core/cost/budget.ts';
import type { BudgetName, BudgetSettings, BudgetSums, BudgetUse } from '../../src/core/cost/budget.ts';
import { readSettings } from '../../src/core/settings.ts';

const unset: BudgetSettings = readSettings(() => undefined).settings;
const empty: BudgetSums = { spent: { session: nothing, day: nothing, month: nothing }, held: nothing };
const use = (change: Partial<BudgetUse> = {}): BudgetUse => ({
  name: 'day',
  limitMicros: 1_000_000,
  spentMicros: 0,
  heldMicros: 0,
  ...change,
});

describe('budgets', () => {
  it('have no limit unless one is set, and 0 is one', () => {
    assert.equal(limitsOf(unset).size, 0);
    const set = { ...unset, 'budget.dayUsd': 0, 'budget.perBackendUsd': { gemini: 0.5, cloud: null } };
    assert.deepEqual(
      [...limitsOf(set)],
      [
        ['day', 0],
        ['gemini', 500_000],
      ],
    );
  });

  it('that cannot be read allow nothing, since no limit would be the dangerous reading', () => {
    const bad = readSettings((key) => (key.startsWith('budget.') ? '5 dollars' : undefined));
    assert.deepEqual([...limitsOf(bad.settings).values()], [0, 0, 0, 0, 0]);
    assert.equal(bad.problems.length, 4);
    for (const value of [-1, Number.NaN, true, []]) {
      assert.equal(readSettings((key) => (key === 'budget.dayUsd' ? value : undefined)).settings['budget.dayUsd'], 0);
    }
    const strange = readSettings((key) => (key === 'budget.perBackendUsd' ? { cluod: 3 } : undefined));
    assert.deepEqual(strange.settings['budget.perBackendUsd'], { cloud: 0, gemini: 0 });
  });

  it('count what is spent in their time and all that is held, of their tier or of all', () => {
    const sums: BudgetSums = {
      spent: {
        session: { local: 0, cloud: 1, gemini: 2 },
        day: { local: 0, cloud: 10, gemini: 20 },
        month: { local: 0, cloud: 100, gemini: 200 },
      },
      held: { local: 0, cloud: 5, gemini: 7 },
    };
    const limits = new Map<BudgetName, number>(
      (['session', 'day', 'month', 'cloud', 'gemini'] as const).map((name) => [name, 1_000]),
    );
    assert.deepEqual(
      usesOf(limits, sums).map(({ spentMicros, heldMicros }) => [spentMicros, heldMicros]),
      [
        [3, 12],
        [30, 12],
        [300, 12],
        [100, 5],
        [200, 7],
      ],
    );
  });

  it('know whose money it is', () => {
    assert.equal(tierOf('pod', 'gemini'), 'cloud');
    assert.equal(tierOf('job', 'gemini'), 'gemini');
    assert.equal(tierOf('job', 'local'), 'local');
    for (const id of ['cloud', 'pod:abc', 'endpoint:abc']) assert.equal(tierOf('job', id), 'cloud');
  });

  it('forbid what does not fit, and say which one, what is left and what to do', () => {
    const uses = [use({ name: 'month', limitMicros: 5_000_000 }), use({ spentMicros: 900_000, heldMicros: 60_000 })];
    assert.equal(forbidding(uses, 'gemini', 40_000), undefined);
    const found = forbidding(uses, 'gemini', 40_001);
    assert.equal(found?.name, 'day');
    const fault = overBudget(found, 'It', 40_001);
    assert.equal(fault.kind, 'overBudget');
    assert.equal(fault.facts.delivered, 'no');
    assert.match(
      fault.message,
      /today's budget of \$1\.00 has \$0\.04 left \(\$0\.90 is spent and \$0\.06 is reserved/,
    );
    assert.match(fault.facts.nextStep ?? '', /Set Budget….*wait until tomorrow/);
  });

  it('forbid what costs money but nobody knows how much only when nothing is left', () => {
    assert.equal(forbidding([use({ spentMicros: 999_999 })], 'cloud', 0), undefined);
    assert.equal(forbidding([use({ spentMicros: 1_000_000 })], 'cloud', 0)?.name, 'day');
    assert.equal(forbidding([use({ limitMicros: 0 })], 'cloud', 0)?.name, 'day');
  });

  it('of a backend do not concern the other one', () => {
    const spent = use({ name: 'gemini', spentMicros: 1_000_000 });
    assert.equal(forbidding([spent], 'cloud', 1_000), undefined);
    assert.equal(concerns(spent, 'gemini'), true);
  });

  it('below what is spent forbid all, and have nothing left rather than less', () => {
    const below = use({ spentMicros: 3_000_000 });
    assert.equal(leftMicros(below), 0);
    assert.equal(forbidding([below], 'cloud', 1)?.name, 'day');
    assert.match(overBudget(below, 'It', 1).message, /has \$0\.00 left \(\$3\.00 is spent\)/);
  });

  it('warn at 50, 80 and 100 per cent', () => {
    const mark = (spentMicros: number): number | undefined => markOf(use({ spentMicros }));
    assert.deepEqual([0, 499_999, 500_000, 799_999, 800_000, 999_999, 1_000_000, 9_000_000].map(mark), [
      undefined,
      undefined,
      50,
      50,
      80,
      80,
      100,
      100,
    ]);
    assert.equal(markOf(use({ limitMicros: 0 })), 100);
  });

  it('are never overshot by any order of asking, settling and letting go', () => {
    const step = fc.record({
      tier: fc.constantFrom('cloud' as const, 'gemini' as const),
      micros: fc.integer({ min: 0, max: 400_000 }),
      /** What it costs in the end, as a share of what was asked for. */
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      settles: fc.nat({ max: 6 }),
    });
    const limits = fc.record({
      session: fc.option(fc.integer({ min: 0, max: 2_000_000 })),
      month: fc.option(fc.integer({ min: 0, max: 2_000_000 })),
      cloud: fc.option(fc.integer({ min: 0, max: 1_000_000 })),
      gemini: fc.option(fc.integer({ min: 0, max: 1_000_000 })),
    });
    fc.assert(
      fc.property(limits, fc.array(step, { maxLength: 60 }), (limit, steps) => {
        const set = new Map(Object.entries(limit).filter((one): one is [BudgetName, number] => one[1] !== null));
        const spent = { ...nothing };
        const open: { tier: 'cloud' | 'gemini'; micros: number; actual: number }[] = [];
        const sums = (): BudgetSums => ({
          spent: { session: spent, day: spent, month: spent },
          held: open.reduce((all, { tier, micros }) => ({ ...all, [tier]: all[tier] + micros }), nothing),
        });
        for (const { tier, micros, share, settles } of steps) {
          if (forbidding(usesOf(set, sums()), tier, micros) === undefined) {
            open.push({ tier, micros, actual: Math.floor(micros * share) });
          }
          for (const done of open.splice(0, settles)) spent[done.tier] += done.actual;
          for (const each of usesOf(set, sums())) {
            assert.ok(each.spentMicros + each.heldMicros <= each.limitMicros, each.name);
          }
        }
      }),
      { numRuns: 2_000 },
    );
    assert.deepEqual(usesOf(new Map(), empty), []);
  });
});
