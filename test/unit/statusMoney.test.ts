import assert from 'node:assert/strict';
import type { Health, Tier } from '../../src/core/backends/backend.ts';
import type { BackendStatus } from '../../src/core/backends/backendManager.ts';
import type { BudgetUse } from '../../src/core/cost/budget.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import { known, unknown } from '../../src/core/kernel/observed.ts';
import type { Observed } from '../../src/core/kernel/observed.ts';
import { closedBreaker } from '../../src/core/routing/breaker.ts';
import { toPod } from '../../src/core/runpod/pod.ts';
import { PodClock } from '../../src/core/runpod/podClock.ts';
import type { Pod } from '../../src/core/runpod/pod.ts';
import { toEndpoint } from '../../src/core/serverless/endpoint.ts';
import type { GpuPrice } from '../../src/core/serverless/endpoint.ts';
import type { Worker } from '../../src/core/serverless/endpointClient.ts';
import { moneySnapshot } from '../../src/ui/moneySnapshot.ts';
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
    setUp: true,
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

describe('the status bar when no job can go anywhere', () => {
  it('says that nothing is set up, and alarms nobody', () => {
    const { text, background, spoken } = shown([], { setUp: false });
    assert.equal(text, '$(circle-slash) not set up · $0.00/h · $0.84 today');
    assert.equal(background, undefined);
    assert.match(spoken, /not set up/);
    assert.equal(shown([use(1_000_000)], { setUp: false }).background, 'error');
  });

  it('names no backend in Restricted Mode', () => {
    const { text, background, tooltip } = shown([], { trusted: false, selected: undefined });
    assert.match(text, /^\$\(shield\) Restricted Mode · /);
    assert.equal(background, undefined);
    assert.match(tooltip, /nothing is run/);
  });
});

describe('the running pods in the tooltip', () => {
  const pod = {
    name: 'my-pod',
    link: 'https://console.runpod.io/pods?id=p1',
    gpu: 'RTX 4090',
    usdPerHourMicros: 340_000,
  };

  it("lead to RunPod's page of each, but not in the demo", () => {
    assert.ok(
      shown([], { runningPods: [pod] }).tooltip.includes(
        '| [my\\-pod](https://console.runpod.io/pods?id=p1) | RTX 4090',
      ),
    );
    assert.doesNotMatch(shown([], { runningPods: [pod], demo: true }).tooltip, /https/);
  });
});

describe('the status bar and backends', () => {
  const backend = (id: Tier, change: Partial<BackendStatus> = {}): BackendStatus => ({
    backend: { id, tier: id, label: `The ${id}` } as BackendStatus['backend'],
    ready: { ok: true },
    health: unknown(0),
    breaker: closedBreaker,
    checking: false,
    jobs: 0,
    ...change,
  });
  const seen = (id: Tier, state: Health['state'], change: Partial<BackendStatus> = {}): BackendStatus =>
    backend(id, { health: known({ state, why: state }, 0), ...change });
  const colour = (...statuses: readonly BackendStatus[]) => shown([], { statuses }).background;

  it('is red when all that were looked at fail and none is left to hope for', () => {
    const off = backend('cloud', { ready: { ok: false, why: 'No pod is set' } });
    const breaker = { is: 'open', why: 'refused', retryAtMs: 9, opened: 1 } as const;
    assert.equal(colour(seen('local', 'unhealthy')), 'error');
    assert.equal(colour(seen('local', 'unhealthy', { breaker }), off, seen('gemini', 'off')), 'error');
    for (const hope of [
      backend('cloud'),
      seen('cloud', 'healthy'),
      seen('cloud', 'degraded'),
      seen('cloud', 'stopped'),
    ])
      assert.equal(colour(seen('local', 'unhealthy'), hope), undefined);
  });

  it('is not red before anything was looked at, and is when no backend can be chosen', () => {
    const off = backend('cloud', { ready: { ok: false, why: 'No pod is set' } });
    assert.equal(colour(backend('local'), off), undefined);
    assert.equal(colour(off), undefined, 'what is not set up is not broken');
    assert.equal(shown([], { selected: undefined }).background, 'error');
  });

  it('says once in its tooltip that a backend is stopped', () => {
    const stopped = backend('cloud', { health: known({ state: 'stopped', why: 'Stopped; a job starts it' }, 0) });
    assert.match(shown([], { statuses: [stopped] }).tooltip, /\| The cloud \| Stopped; a job starts it \|/);
  });

  it('says in its tooltip that nothing is run in Restricted Mode', () => {
    assert.match(shown([], { trusted: false }).tooltip, /^\$\(shield\) Restricted Mode: nothing is run\.$/m);
    assert.doesNotMatch(shown([]).tooltip, /Restricted/);
  });
});

describe('the status bar and pods', () => {
  const pod = toPod({ id: 'p1', name: 'podrelay-x', status: 'RUNNING', cost: 0.24, disk: 30 }, new PodClock());
  const failed = unknown(0, new Fault('unavailable', 'RunPod answers 503'));
  const money = (pods: Observed<readonly Pod[]>, lastSeen: readonly Pod[], hasKey = true) =>
    moneySnapshot({
      pods: { pods, lastSeen: { pods: lastSeen, at: 0 } },
      endpoints: { prices: known([], 0), lastSeen: undefined },
      ledger: undefined,
      budgets: { uses: known([], 0) },
      hasRunpodKey: () => hasKey,
    });

  it('never shows as a fact what was seen before a listing that failed', () => {
    assert.match(shown([], money(known([pod], 0), [pod])).text, /\$0\.24\/h/);
    const { text, spoken, background, tooltip } = shown([], money(failed, [pod]));
    assert.match(text, /\$–\/h/);
    assert.match(spoken, /running cost not known/);
    assert.equal(background, 'warning', 'a pod may still cost money');
    assert.match(tooltip, /podrelay\\-x/);
    assert.match(shown([], money(failed, [])).text, /\$–\/h/, 'nor that nothing ran');
  });

  it('knows without a listing that somebody without a key pays nothing', () => {
    assert.match(shown([], money(unknown(0), [], false)).text, /\$0\.00\/h/);
  });
});

describe('the status bar and serverless workers', () => {
  const worker = {
    id: 'w1',
    status: 'running',
    gpuId: 'NVIDIA GeForce RTX 4090',
    gpuCount: 1,
    uptimeSeconds: 9,
  } as const;
  const endpoint = toEndpoint({
    ...{ id: 'e1', name: 'comfy', type: 'QUEUE', workers: { min: 0, max: 2 } },
    gpu: { pools: ['ADA_24'], count: 1 },
  });
  const price = { gpuId: worker.gpuId, name: 'RTX 4090', pool: 'ADA_24', usdPerHourMicros: 1_116_000 };
  const money = (prices: Observed<readonly GpuPrice[]>, up: readonly Worker[] = [worker]) =>
    moneySnapshot({
      pods: { pods: known([], 0), lastSeen: { pods: [], at: 0 } },
      endpoints: {
        prices,
        lastSeen: { endpoints: [{ endpoint, workers: known(up, 0), health: unknown(0) }], at: 0 },
      },
      ledger: undefined,
      budgets: { uses: known([], 0) },
      hasRunpodKey: () => true,
    });

  it('counts what is up now, and names it', () => {
    const { text, tooltip } = shown([], money(known([price], 0)));
    assert.match(text, /\$1\.12\/h/);
    assert.match(tooltip, /1 worker of comfy \| RTX 4090 · \\\$1\\\.12\/h/);
  });

  it('tells many as one row', () => {
    const { text, tooltip } = shown([], money(known([price], 0), [worker, { ...worker, id: 'w2', status: 'idle' }]));
    assert.match(text, /\$2\.23\/h/);
    assert.match(tooltip, /2 workers of comfy \| 2 × RTX 4090 · \\\$2\\\.23\/h/);
  });

  it('does not call a price that it does not know nothing', () => {
    const { text, background } = shown([], money(unknown(0)));
    assert.match(text, /\$–\/h/);
    assert.equal(background, 'warning');
  });
});
