// What an endpoint counts for where work is shared out: its workers, whether they are up or come with the jobs.
import assert from 'node:assert/strict';
import type { Backend, Health } from '../../src/core/backends/backend.ts';
import type { BackendStatus } from '../../src/core/backends/backendManager.ts';
import { elsewhereOf } from '../../src/core/fleet/fleetWork.ts';
import { known } from '../../src/core/kernel/observed.ts';
import { readRuns } from '../../src/core/queue/measurements.ts';
import { predictBatch } from '../../src/core/queue/predictBatch.ts';
import { workersOf } from '../../src/core/queue/queueScene.ts';
import type { QueueScene } from '../../src/core/queue/queueScene.ts';
import { fingerprintOf } from '../../src/core/queue/fingerprint.ts';
import { closedBreaker } from '../../src/core/routing/breaker.ts';

const nowMs = 1_000_000;
const workflow = { '1': { class_type: 'EmptyImage', inputs: {} } };
const { key } = fingerprintOf(workflow);
const id = 'endpoint:e';
const book = readRuns([{ fingerprint: key, gpu: id, seconds: 30, atMs: nowMs }], nowMs);

function status(state: Health['state'], jobs = 0): BackendStatus {
  const backend: Backend = {
    id,
    tier: 'cloud',
    label: 'RunPod endpoint e',
    billing: 'job',
    depth: 5,
    workers: { most: 3, startSeconds: 20 },
    ready: () => ({ ok: true }),
    probe: () => Promise.reject(new Error('not asked')),
    refusals: () => Promise.resolve([]),
    quote: () => ({ micros: 1_000, basis: '' }),
    run: () => Promise.reject(new Error('not asked')),
  };
  const health = known({ state, why: '' }, nowMs);
  return { backend, ready: { ok: true }, health, breaker: closedBreaker, checking: false, jobs };
}

const scene = (state: Health['state'], givenAgoMs: readonly number[] = []): QueueScene => ({
  nowMs,
  statuses: [status(state)],
  policy: {
    ...{ priority: ['local', 'cloud', 'gemini'], forced: undefined, preferred: undefined, failOpen: true },
    ...{ strategy: 'fastest', secondsPerUsd: 0, localOnly: false, mayPayGemini: false, mayStart: false },
  } as unknown as QueueScene['policy'],
  atWork: givenAgoMs.map((ago, at) => ({
    ...{ id: `job-${at}`, backend: id, fingerprint: key, givenAt: nowMs - ago },
  })),
  book,
  loadedOn: () => [],
  loadSeconds: () => 0,
  priceOf: () => ({ usdPerHourMicros: 0, microsPerJob: 1_000 }),
  resting: new Map(),
  freeSince: new Map(),
});
const aheads = (given: QueueScene): readonly number[] => {
  const [worker] = workersOf(given).open;
  assert.ok(worker !== undefined);
  return [worker.secondsAhead, ...(worker.otherSecondsAhead ?? [])];
};

describe('an endpoint where work is shared out', () => {
  it('gets jobs while no worker is up, though nothing may be started: it starts them itself', () => {
    for (const state of ['stopped', 'starting'] as const) {
      const { open, reserve } = workersOf(scene(state));
      assert.deepEqual([open.length, reserve.length], [1, 0], state);
      assert.deepEqual([open[0]?.freeSlots, open[0]?.closed], [5, undefined], state);
      assert.deepEqual(aheads(scene(state)), [20, 20, 20], state);
    }
    assert.deepEqual(aheads(scene('healthy')), [0, 0, 0]);
  });

  it('has as many lines as workers; what waits in its queue comes after', () => {
    // Four jobs on three workers: those at work for 10, 20 and 25 s have 20, 10 and 5 s left, and the last takes 30 s more.
    assert.deepEqual(aheads(scene('healthy', [10_000, 20_000, 25_000, 0])), [10, 20, 35]);
    assert.equal(workersOf(scene('healthy', [10_000, 20_000, 25_000, 0])).open[0]?.freeSlots, 1);
  });

  it('shares a batch with all of them', () => {
    const predicted = predictBatch({
      ...{ workflow, count: 30, book, priceOf: () => ({ usdPerHourMicros: 0, microsPerJob: 1_000 }) },
      statuses: [status('stopped')],
    });
    assert.deepEqual([predicted?.ms, predicted?.micros], [300_000, 30_000]);
  });

  it('counts for the fleet as so many machines, so that no pod is started for what its workers do', () => {
    const none = new Set<string>();
    assert.deepEqual(
      elsewhereOf([status('stopped')], none).map(({ busySeconds }) => busySeconds),
      [20, 20, 20],
    );
    assert.deepEqual(
      elsewhereOf([status('healthy', 3)], none).map(({ busySeconds }) => busySeconds),
      [10, 10, 10],
    );
    assert.deepEqual(elsewhereOf([status('unhealthy')], none), []);
  });
});
