import assert from 'node:assert/strict';
import type { BackendStatus } from '../../src/core/backends/backendManager.ts';
import type { Backend, Health, Tier } from '../../src/core/backends/backend.ts';
import { known } from '../../src/core/kernel/observed.ts';
import { readRuns } from '../../src/core/queue/measurements.ts';
import type { QueueScene } from '../../src/core/queue/queueScene.ts';
import { strategyOutlook } from '../../src/core/queue/strategyOutlook.ts';
import type { StrategyChoice } from '../../src/core/queue/strategyOutlook.ts';
import { usualJob } from '../../src/core/queue/usualJob.ts';
import { samplerWorkflow, smallWorkflow } from '../contract/world.ts';

function status(id: string, tier: Tier, gpu: string, state: Health['state'] = 'healthy'): BackendStatus {
  const billing: Backend['billing'] = tier === 'local' ? 'free' : tier === 'gemini' ? 'job' : 'podTime';
  return {
    backend: { id, tier, label: `the ${id}`, depth: 2, billing },
    ready: { ok: true },
    health: known({ state, why: '', gpu }, 0),
    breaker: { is: 'closed', failures: 0 },
    checking: false,
    jobs: 0,
  } as unknown as BackendStatus;
}

const run = (gpu: string, seconds: number) => ({ fingerprint: 'portrait', gpu, seconds, atMs: 0 });
const prices: Readonly<Record<string, number>> = { local: 0, 'pod:a': 720_000, 'pod:b': 0, gemini: 0 };
const scene: QueueScene = {
  nowMs: 0,
  statuses: [
    status('local', 'local', 'RTX 3060'),
    status('pod:a', 'cloud', 'RTX 4090'),
    status('pod:b', 'cloud', 'RTX 3090', 'stopped'),
    status('gemini', 'gemini', 'gemini'),
  ],
  policy: {
    priority: ['local', 'cloud', 'gemini'],
    strategy: 'priority',
    secondsPerUsd: 0,
    localOnly: false,
    mayPayGemini: false,
    mayStart: true,
    secondRunMostMicros: undefined,
  },
  atWork: [],
  book: readRuns([run('RTX 3060', 40), run('RTX 4090', 10)], 0),
  loadedOn: () => [],
  loadSeconds: () => 5,
  priceOf: (id) => ({ usdPerHourMicros: prices[id] ?? 0, microsPerJob: id === 'gemini' ? 40_000 : 0 }),
  resting: new Map(),
  freeSince: new Map(),
};
const choices: readonly StrategyChoice[] = [
  { strategy: 'priority', secondsPerUsd: 0 },
  { strategy: 'cheapest', secondsPerUsd: 0 },
  { strategy: 'fastest', secondsPerUsd: 0 },
  { strategy: 'balanced', secondsPerUsd: 36 },
  { strategy: 'balanced', secondsPerUsd: 36_000 },
];
const look = (change: Partial<QueueScene> = {}) =>
  strategyOutlook({ key: 'portrait', models: [] }, { ...scene, ...change }, choices);

describe('what each strategy does with the next job', () => {
  it('is where the dispatcher would send it, with time and money', () => {
    const chosen = look().strategies.map(({ backend }) => [backend?.id, backend?.seconds, backend?.micros]);
    assert.deepEqual(chosen, [
      ['local', 40.1, 0],
      ['local', 40.1, 0],
      ['pod:a', 11, 2_000],
      ['pod:a', 11, 2_000],
      ['local', 40.1, 0],
    ]);
  });

  it('does not send it where it cannot be, and says why there', () => {
    const excluded = [{ backend: 'local', why: 'It lacks a node', for: 'ever', times: 1 }] as const;
    const { strategies, backends } = strategyOutlook({ key: 'portrait', models: [] }, scene, choices, excluded);
    assert.deepEqual([...new Set(strategies.map(({ backend }) => backend?.id))], ['pod:a']);
    assert.deepEqual(
      [backends[0]?.seconds, backends[0]?.micros, backends[0]?.why],
      [undefined, undefined, 'It lacks a node'],
    );
  });

  it('tells of every backend, in the order of the chain, how far it is known', () => {
    const [local, pod, stopped, gemini] = look().backends;
    assert.deepEqual([local?.basis, pod?.basis], ['measured', 'measured']);
    assert.equal(stopped?.micros, undefined, 'RunPod says no price of a stopped pod, which is not free');
    assert.ok((stopped?.seconds ?? 0) > 240, 'it has to boot first');
    assert.equal(stopped?.basis, 'scaled');
    assert.deepEqual([gemini?.seconds, /asks before each job/.test(gemini?.why ?? '')], [undefined, true]);
  });

  it('counts what is at work there before it', () => {
    const busy = { id: 'x', backend: 'pod:a', fingerprint: 'portrait', givenAt: 0 } as QueueScene['atWork'][number];
    const { strategies } = look({ atWork: [busy, { ...busy, id: 'y' }, { ...busy, id: 'z' }, { ...busy, id: 'u' }] });
    assert.equal(strategies[2]?.backend?.id, 'local');
  });

  it('is where it would wait when nobody has a free place', () => {
    const job = (backend: string, id: string) =>
      ({ id, backend, fingerprint: 'portrait', givenAt: 0 }) as QueueScene['atWork'][number];
    const { strategies } = look({ atWork: ['local', 'pod:a'].flatMap((id) => [job(id, `${id}1`), job(id, `${id}2`)]) });
    assert.deepEqual([strategies[0]?.backend?.id, strategies[2]?.backend?.id], ['local', 'pod:a']);
  });

  it('is nothing when no backend may have it', () => {
    const { strategies, backends } = look({ resting: new Map([['*', 'The disk is full']]) });
    assert.deepEqual(
      strategies.map(({ backend }) => backend),
      choices.map(() => undefined),
    );
    assert.equal(backends[0]?.why, 'The disk is full');
  });
});

describe('the usual job', () => {
  const record = (label: string, workflow: object) => ({ label, workflow: JSON.stringify(workflow) });

  it('is what is run most, seeds and texts aside; of several the first', () => {
    const jobs = [
      record('a flat one', smallWorkflow()),
      record('a boat', samplerWorkflow(1)),
      record('a ship', samplerWorkflow(2)),
    ];
    assert.equal(usualJob(jobs).label, 'a boat');
    assert.equal(usualJob(jobs.slice(0, 2)).label, 'a flat one');
  });

  it('is what ‘Generate from Prompt’ makes while nothing has run, or nothing can be read', () => {
    for (const jobs of [[], [{ label: 'odd', workflow: '{' }]]) {
      const { label, workflow } = usualJob(jobs);
      assert.equal(label, undefined);
      assert.ok(Object.values(workflow).some(({ class_type }) => class_type === 'KSampler'));
    }
  });
});
