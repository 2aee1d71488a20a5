import assert from 'node:assert/strict';
import { retryAfterMs } from '../../src/core/http/rateLimit.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { Fault } from '../../src/core/kernel/fault.ts';

describe('a wait', () => {
  it('of longer than a timer can be set for is not over at once, and can be cancelled', async () => {
    for (const ms of [2 ** 31, 1e300, Infinity]) {
      const stop = new AbortController();
      setTimeout(() => stop.abort(new Fault('cancelled', 'By hand')), 20);
      await assert.rejects(systemClock.sleep(ms, stop.signal), /By hand/);
    }
  });

  const nowMs = Date.parse('2026-01-02T03:04:05Z');
  for (const [stated, ms] of [
    ['', undefined],
    ['  ', undefined],
    ['-5', undefined],
    ['soon', undefined],
    ['0', 0],
    [' 1.5 ', 1_500],
    ['Fri, 02 Jan 2026 03:04:07 GMT', 2_000],
    ['Fri, 02 Jan 2026 03:04:00 GMT', 0],
  ] as const) {
    it(`that is stated as '${stated}' is ${ms === undefined ? 'not told' : `${ms} ms`}`, () => {
      assert.equal(retryAfterMs({ 'retry-after': stated }, nowMs), ms);
    });
  }
});
