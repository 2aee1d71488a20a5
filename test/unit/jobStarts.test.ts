import assert from 'node:assert/strict';
import { standingOf } from '../../src/core/fleet/jobStarts.ts';
import type { Pod } from '../../src/core/runpod/pod.ts';

const at = 10_000_000;
const unbound = { podId: 'a', at, beforeMs: 5_000, runMs: undefined };
const bound = { ...unbound, runMs: at + 60_000 };
const patience = 180_000;

function standing(start: typeof unbound | typeof bound, status: string, startedAtMs: number, afterMs = 1_000): string {
  return standingOf(start, { status, startedAtMs, runMs: startedAtMs } as Pod, at + afterMs, patience);
}

describe('the run of a pod that a job has started', () => {
  it('is ours until another one begins', () => {
    assert.equal(standing(unbound, 'STARTING', 5_000), 'ours');
    assert.equal(standing(unbound, 'RUNNING', at + 60_000), 'ours');
    assert.equal(standing(bound, 'RUNNING', at + 60_000), 'ours');
    assert.equal(standing(bound, 'ERROR', at + 60_000), 'ours', 'a container that fails again and again');
    assert.equal(standing(bound, 'RUNNING', at + 90_000), 'over');
    assert.equal(standing(unbound, 'RUNNING', at + 24 * 3_600_000), 'over', 'nobody saw ours');
  });

  it('is not taken for over while RunPod may not show it yet', () => {
    assert.equal(standing(unbound, 'EXITED', 5_000), 'unsure');
    assert.equal(standing(unbound, 'RUNNING', 5_000), 'unsure');
    assert.equal(standingOf(unbound, undefined, at + 1_000, patience), 'unsure');
  });

  it('is over once the pod is seen stopped or gone', () => {
    assert.equal(standing(unbound, 'EXITED', 5_000, patience + 1), 'over');
    assert.equal(standing(bound, 'EXITED', at + 60_000), 'over');
    assert.equal(standingOf(bound, undefined, at + 1_000, patience), 'over');
  });
});
