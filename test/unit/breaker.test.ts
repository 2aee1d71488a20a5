import assert from 'node:assert/strict';
import { Fault } from '../../src/core/kernel/fault.ts';
import type { FaultKind } from '../../src/core/kernel/fault.ts';
import { afterFault, closedBreaker, lookAt } from '../../src/core/routing/breaker.ts';
import type { Breaker } from '../../src/core/routing/breaker.ts';

const fault = (kind: FaultKind, retryAfterMs?: number): Fault =>
  new Fault(kind, kind, retryAfterMs === undefined ? {} : { retryAfterMs });

function retryAt(breaker: Breaker): number {
  assert.equal(breaker.is, 'open');
  return breaker.is === 'open' ? breaker.retryAtMs : NaN;
}

describe('breaker', () => {
  it('closes the door at the first refused connection', () => {
    assert.equal(retryAt(afterFault(closedBreaker, fault('unreachable'), 1_000)), 16_000);
  });

  it('opens after two consecutive server errors or time-outs', () => {
    const one = afterFault(closedBreaker, fault('unavailable'), 0);
    assert.equal(one.is, 'closed');
    assert.equal(afterFault(one, fault('timeout'), 0).is, 'open');
  });

  it('lets one through in half-open, and doubles the pause when that fails too', () => {
    const open = afterFault(closedBreaker, fault('unreachable'), 0);
    assert.equal(lookAt(open, 14_999).is, 'open');
    const half = lookAt(open, 15_000);
    assert.equal(half.is, 'halfOpen');
    assert.equal(retryAt(afterFault(half, fault('unavailable'), 15_000)), 45_000);
  });

  it('never pauses longer than five minutes by its own count', () => {
    let breaker: Breaker = closedBreaker;
    for (let round = 0; round < 12; round++) breaker = afterFault(lookAt(breaker, Infinity), fault('unreachable'), 0);
    assert.equal(retryAt(breaker), 300_000);
  });

  it('waits exactly as long as a rate limit says', () => {
    assert.equal(retryAt(afterFault(closedBreaker, fault('rateLimited', 7_000), 0)), 7_000);
  });

  it('does not wait for longer than a quarter of an hour, whatever a rate limit says', () => {
    assert.equal(retryAt(afterFault(closedBreaker, fault('rateLimited', 899_000), 0)), 899_000);
    assert.equal(retryAt(afterFault(closedBreaker, fault('rateLimited', 86_400_000), 5)), 900_005);
  });

  it('stays open without credit or key until something changes', () => {
    for (const kind of ['noCredit', 'unauthorized'] as const) {
      assert.equal(retryAt(afterFault(closedBreaker, fault(kind), 0)), Infinity);
    }
  });

  it('does not blame the backend for a mistake in the job', () => {
    for (const kind of ['rejected', 'mismatch', 'jobFailed', 'outOfMemory', 'blocked', 'cancelled'] as const) {
      assert.deepEqual(afterFault(closedBreaker, fault(kind), 0), closedBreaker);
    }
  });
});
