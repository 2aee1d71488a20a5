import assert from 'node:assert/strict';
import type { BudgetUse } from '../../src/core/cost/budget.ts';
import { statusText } from '../../src/ui/statusText.ts';
import type { StatusSnapshot } from '../../src/ui/statusText.ts';

const use = (spentMicros: number, name: BudgetUse['name'] = 'day'): BudgetUse => ({
  name,
  limitMicros: 1_000_000,
  spentMicros,
  heldMicros: 0,
});
const shown = (budgets: readonly BudgetUse[], change: Partial<StatusSnapshot> = {}) =>
  statusText({
    statuses: [],
    selected: 'local',
    demo: false,
    trusted: true,
    runningUsdPerHourMicros: 0,
    runningPods: [],
    spent: { session: 100_000, day: 840_000, month: 2_000_000 },
    budgets,
    ...change,
  });

describe('the status bar and budgets', () => {
  it('is yellow from 80 % on and red when one is spent', () => {
    assert.equal(shown([]).background, undefined);
    assert.equal(shown([use(799_999)]).background, undefined);
    assert.equal(shown([use(800_000)]).background, 'warning');
    assert.equal(shown([use(10), use(1_000_000, 'gemini')]).background, 'error');
    assert.equal(shown([{ ...use(0), limitMicros: 0 }]).background, 'error');
  });

  it('says in words what the colour says', () => {
    const { text, spoken } = shown([use(1_000_000)]);
    assert.match(text, /budget spent/);
    assert.match(spoken, /today's budget is spent/);
    assert.doesNotMatch(shown([use(900_000)]).text, /budget spent/);
  });

  it('has spend against budgets in its tooltip', () => {
    const { tooltip } = shown([use(840_000), use(100_000, 'gemini')]);
    assert.match(tooltip, /\| Spent today \| \\\$0\\\.84 of \\\$1\\\.00 \\\(84 %\\\) \$\(warning\) \|/);
    assert.match(tooltip, /\| Spent this month \| \\\$2\\\.00 \|/);
    assert.match(tooltip, /\| Gemini this month \| \\\$0\\\.10 of/);
    assert.match(shown([], { spent: undefined }).tooltip, /\| Spent today \| \\\$– \|/);
  });
});
