import assert from 'node:assert/strict';
import type { Health, Tier } from '../../src/core/backends/backend.ts';
import { known, unknown } from '../../src/core/kernel/observed.ts';
import { closedBreaker } from '../../src/core/routing/breaker.ts';
import { route } from '../../src/core/routing/route.ts';
import type { Candidate, RoutePolicy } from '../../src/core/routing/route.ts';

const healthy: Health = { state: 'healthy', why: 'answers' };
const unhealthy: Health = { state: 'unhealthy', why: 'Connection refused' };

function candidate(id: Tier, change: Partial<Candidate> = {}): Candidate {
  return { id, tier: id, ready: { ok: true }, health: known(healthy, 0), breaker: closedBreaker, ...change };
}

const all = [candidate('local'), candidate('cloud'), candidate('gemini')];
const policy: RoutePolicy = { priority: ['local', 'cloud', 'gemini'], localOnly: false };
const shut = (retryAtMs: number) => ({ is: 'open', why: 'down', retryAtMs, opened: 1 }) as const;

describe('route', () => {
  it('default priority order', () => {
    assert.deepEqual(route(all, policy).use, ['local', 'cloud', 'gemini']);
  });

  it('follows another priority', () => {
    assert.deepEqual(route(all, { ...policy, priority: ['gemini', 'local'] }).use, ['gemini', 'local']);
  });

  it('respects a forced backend, without fallback', () => {
    assert.deepEqual(route(all, { ...policy, forced: 'cloud' }).use, ['cloud']);
  });

  it('puts the preferred backend first when it is healthy, and only then', () => {
    assert.deepEqual(route(all, { ...policy, preferred: 'gemini' }).use, ['gemini', 'local', 'cloud']);
    const sick = [candidate('local'), candidate('gemini', { health: known(unhealthy, 0) })];
    assert.deepEqual(route(sick, { ...policy, preferred: 'gemini' }).use, ['local']);
  });

  it('does not try what is unhealthy, and keeps the reason', () => {
    const { use, refused } = route([candidate('local', { health: known(unhealthy, 0) }), candidate('cloud')], policy);
    assert.deepEqual(use, ['cloud']);
    assert.deepEqual(refused, [{ id: 'local', why: 'Connection refused' }]);
  });

  it('tries what is unknown: unknown is not unhealthy', () => {
    assert.deepEqual(route([candidate('local', { health: unknown(0) })], policy).use, ['local']);
  });

  it('never sends a local-only job anywhere else, not even when local is down', () => {
    const down = [
      candidate('local', { breaker: shut(5) }),
      candidate('cloud', { breaker: shut(1) }),
      candidate('gemini'),
    ];
    assert.deepEqual(route(down, { ...policy, localOnly: true }).use, ['local']);
    assert.deepEqual(route([candidate('cloud'), candidate('gemini')], { ...policy, localOnly: true }).use, []);
  });

  it('fails open on the backend whose retry is nearest, and says so', () => {
    const down = [candidate('local', { breaker: shut(9) }), candidate('cloud', { breaker: shut(3) })];
    const found = route(down, policy);
    assert.deepEqual([found.use, found.failOpen], [['cloud'], 'cloud']);
  });

  it('does not fail open where only a person can help', () => {
    const found = route([candidate('cloud', { breaker: shut(Number.POSITIVE_INFINITY) })], policy);
    assert.deepEqual([found.use, found.failOpen], [[], undefined]);
  });
});
