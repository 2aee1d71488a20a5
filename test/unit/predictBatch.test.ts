import assert from 'node:assert/strict';
import type { BackendStatus } from '../../src/core/backends/backendManager.ts';
import type { Health, Tier } from '../../src/core/backends/backend.ts';
import { defaultWorkflow } from '../../src/core/generate/defaultWorkflow.ts';
import { known, unknown } from '../../src/core/kernel/observed.ts';
import { fingerprintOf } from '../../src/core/queue/fingerprint.ts';
import { gpuKey } from '../../src/core/queue/gpuSpeed.ts';
import { readRuns } from '../../src/core/queue/measurements.ts';
import { predictBatch } from '../../src/core/queue/predictBatch.ts';

const workflow = defaultWorkflow({ prompt: 'a boat', width: 512, height: 512, seed: 7 });
const fingerprint = fingerprintOf(workflow).key;

function status(id: string, tier: Tier, state: Health['state'] | undefined, gpu: string): BackendStatus {
  const health = state === undefined ? unknown(0) : known({ state, why: '', gpu }, 0);
  return {
    backend: { id, tier, label: `the ${id}` },
    ready: { ok: true },
    health,
    breaker: { is: 'closed', failures: 0 },
    checking: false,
  } as unknown as BackendStatus;
}

const local = status('local', 'local', 'healthy', 'RTX 3060');
const pod = status('pod:a', 'cloud', 'healthy', 'RTX 4090');
const measured = (gpu: string, seconds: number) => ({ fingerprint, gpu: gpuKey(gpu), seconds, atMs: 0 });
const book = readRuns([measured('RTX 3060', 30), measured('RTX 4090', 10)], 0);
const priceOf = (id: string) => ({ usdPerHourMicros: id === 'local' ? 0 : 360_000, microsPerJob: 0 });

describe('the prediction for a batch', () => {
  const predict = (statuses: readonly BackendStatus[], count = 40, known = book) =>
    predictBatch({ workflow, count, statuses, book: known, priceOf });

  it('shares the work by speed, and its cost by who does it', () => {
    // Three jobs in 30 s on the pod, one on the local one: 40 jobs in 300 s, 30 of them paid with 10 s each.
    assert.deepEqual(predict([local, pod]), { ms: 300_000, micros: 30_000, labels: ['the pod:a', 'the local'] });
    assert.deepEqual(predict([local]), { ms: 1_200_000, micros: 0, labels: ['the local'] });
  });

  it('counts on nobody who is not up, and never on Gemini', () => {
    const stopped = status('pod:b', 'cloud', 'stopped', 'RTX 4090');
    const unseen = status('pod:c', 'cloud', undefined, 'RTX 4090');
    const gemini = status('gemini', 'gemini', 'healthy', 'RTX 4090');
    assert.deepEqual(predict([local, stopped, unseen, gemini]), predict([local]));
    assert.equal(predict([stopped]), undefined);
    assert.equal(predict([]), undefined);
  });

  it('says nothing of a workflow that has not run yet', () => {
    assert.equal(predict([local, pod], 40, readRuns([], 0)), undefined);
  });
});
