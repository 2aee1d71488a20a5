import assert from 'node:assert/strict';
import type { Health, Standing, Tier } from '../../src/core/backends/backend.ts';
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

  describe('of several backends in a tier', () => {
    const pod = (id: string, change: Partial<Candidate> = {}): Candidate => ({ ...candidate('cloud', change), id });
    const state = (what: Health['state'], queueLength = 0) => known({ state: what, why: what, queueLength }, 0);
    const order = (...candidates: readonly Candidate[]): readonly string[] => route(candidates, policy).use;

    it('keeps the tiers in their order, whatever stands in them', () => {
      const busy = candidate('local', { health: state('healthy', 9) });
      assert.deepEqual(order(candidate('gemini'), pod('pod:a'), pod('pod:b'), busy), [
        'local',
        'pod:a',
        'pod:b',
        'gemini',
      ]);
    });

    it('takes who works now before who must start, and who is unknown between them', () => {
      const stopped = pod('cloud', { health: state('stopped') });
      const starting = pod('pod:a', { health: state('starting') });
      const unseen = pod('pod:b', { health: unknown(0) });
      const degraded = pod('pod:c', { health: state('degraded') });
      assert.deepEqual(order(stopped, starting, unseen, degraded, pod('pod:d')), [
        'pod:d',
        'pod:c',
        'pod:b',
        'pod:a',
        'cloud',
      ]);
    });

    it('goes by what is known without asking when nobody was asked, and by the worse of both', () => {
      const unseen = (id: string, standing: Standing) => pod(id, { health: unknown(0), standing });
      assert.deepEqual(
        order(
          unseen('cloud', 'stopped'),
          unseen('pod:a', 'starting'),
          unseen('pod:b', 'unknown'),
          unseen('pod:c', 'ready'),
        ),
        ['pod:c', 'pod:b', 'pod:a', 'cloud'],
      );
      const stoppedSince = pod('cloud', { health: state('healthy'), standing: 'stopped' });
      const mute = pod('pod:a', { health: state('starting'), standing: 'ready' });
      assert.deepEqual(order(stoppedSince, mute, pod('pod:b', { standing: 'ready' })), ['pod:b', 'pod:a', 'cloud']);
    });

    it('takes who is free before who is busy, with our jobs or with others', () => {
      const ours = pod('cloud', { load: { jobs: 1, depth: 2 } });
      const others = pod('pod:a', { health: state('healthy', 3), load: { jobs: 0, depth: 2 } });
      assert.deepEqual(order(ours, others, pod('pod:b', { load: { jobs: 0, depth: 2 } })), ['pod:b', 'cloud', 'pod:a']);
    });

    it('leaves a full one for last, though it be quick', () => {
      const full = pod('cloud', { load: { jobs: 2, depth: 2 }, forecast: { seconds: 1, micros: 0 } });
      assert.deepEqual(order(full, pod('pod:a', { forecast: { seconds: 90, micros: 0 } })), ['pod:a', 'cloud']);
    });

    it('takes who ends first, by measured times', () => {
      const quick = (jobs: number) => pod('pod:a', { forecast: { seconds: 10, micros: 0 }, load: { jobs, depth: 9 } });
      const slow = pod('cloud', { forecast: { seconds: 35, micros: 0 } });
      assert.deepEqual(order(slow, quick(0)), ['pod:a', 'cloud']);
      assert.deepEqual(order(slow, quick(2)), ['pod:a', 'cloud'], 'three of ten seconds each');
      assert.deepEqual(order(slow, quick(3)), ['cloud', 'pod:a']);
    });

    it('of one tier go by forecast with every strategy', () => {
      const far = { waitPerUsd: 0 };
      const one = pod('pod:a', { forecast: { seconds: 40, micros: 0 } });
      const other = pod('pod:b', { forecast: { seconds: 10, micros: 0 } });
      assert.deepEqual(order(one, other), ['pod:b', 'pod:a']);
      assert.deepEqual(route([one, other], { ...policy, ...far }).use, ['pod:b', 'pod:a']);
    });

    it('keeps the order of the list between equals', () => {
      assert.deepEqual(order(pod('cloud'), pod('pod:b'), pod('pod:a')), ['cloud', 'pod:b', 'pod:a']);
    });

    it('forces a whole tier, one backend, or one by its other name', () => {
      const chain = [candidate('local'), pod('cloud', { alias: 'pod:a' }), pod('pod:b'), candidate('gemini')];
      const forced = (name: string) => route(chain, { ...policy, forced: name }).use;
      assert.deepEqual(forced('cloud'), ['cloud', 'pod:b']);
      assert.deepEqual(forced('pod:b'), ['pod:b']);
      assert.deepEqual(forced('pod:a'), ['cloud']);
    });

    it('says so when the forced one is not there', () => {
      const { use, refused } = route(all, { ...policy, forced: 'pod:gone' });
      assert.deepEqual(use, []);
      assert.deepEqual(
        refused.map(({ id }) => id),
        ['pod:gone'],
      );
    });

    it('prefers a tier or one backend, and the rest of the chain follows', () => {
      const chain = [candidate('local'), pod('cloud', { alias: 'pod:a' }), pod('pod:b'), candidate('gemini')];
      const preferred = (name: string) => route(chain, { ...policy, preferred: name }).use;
      assert.deepEqual(preferred('cloud'), ['cloud', 'pod:b', 'local', 'gemini']);
      assert.deepEqual(preferred('pod:b'), ['pod:b', 'local', 'cloud', 'gemini']);
      assert.deepEqual(preferred('pod:a'), ['cloud', 'local', 'pod:b', 'gemini']);
    });

    it('refuses each for its own reason, and none of them gets a local-only job', () => {
      const dead = pod('pod:a', { breaker: shut(5) });
      const { use, refused } = route([pod('cloud'), dead, pod('pod:b', { health: known(unhealthy, 0) })], policy);
      assert.deepEqual(use, ['cloud']);
      assert.deepEqual(refused, [
        { id: 'pod:a', why: 'down' },
        { id: 'pod:b', why: 'Connection refused' },
      ]);
      assert.deepEqual(route([pod('cloud'), pod('pod:a')], { ...policy, localOnly: true }).use, []);
    });
  });
});

describe('the strategy of a job that is run at once', () => {
  const home = candidate('local', { forecast: { seconds: 42, micros: 0 } });
  const quick = { ...candidate('cloud', { forecast: { seconds: 9, micros: 2_000 } }), id: 'pod:a' };
  const gemini = candidate('gemini', { forecast: { seconds: 1, micros: 1 } });
  const order = (waitPerUsd: number | undefined, ...some: Candidate[]) =>
    route(some, { ...policy, ...(waitPerUsd === undefined ? {} : { waitPerUsd }) }).use;

  it('is the order of the tiers, unless another one is chosen', () => {
    assert.deepEqual(order(undefined, home, quick, gemini), ['local', 'pod:a', 'gemini']);
  });

  it('weighs time against money: 33 seconds for a fifth of a cent', () => {
    assert.deepEqual(order(0, home, quick, gemini), ['pod:a', 'local', 'gemini']);
    assert.deepEqual(order(1_000, home, quick, gemini), ['pod:a', 'local', 'gemini']);
    assert.deepEqual(order(100_000, home, quick, gemini), ['local', 'pod:a', 'gemini']);
  });

  it('leaves what is nearly the same to the order of the tiers', () => {
    const near = { ...quick, forecast: { seconds: 36, micros: 0 } };
    assert.deepEqual(order(0, home, near), ['local', 'pod:a']);
    assert.deepEqual(order(0, home, { ...near, forecast: { seconds: 34, micros: 0 } }), ['pod:a', 'local']);
  });

  it('counts the jobs that are before it', () => {
    const busy = { ...quick, load: { jobs: 5, depth: 9 } };
    assert.deepEqual(order(0, home, busy), ['local', 'pod:a']);
  });

  it('starts no pod for its speed, and trusts none that it does not know', () => {
    for (const health of [known({ state: 'stopped', why: '' } as const, 0), unknown(0)]) {
      assert.deepEqual(order(0, home, { ...quick, health }), ['local', 'pod:a']);
    }
  });

  it('never takes the last resort first, nor a backend that is refused', () => {
    assert.deepEqual(order(0, gemini, home), ['local', 'gemini']);
    const down = { ...quick, breaker: shut(100) };
    const { use, refused } = route([home, down, gemini], { ...policy, waitPerUsd: 0 });
    assert.deepEqual([use, refused.map(({ id }) => id)], [['local', 'gemini'], ['pod:a']]);
  });

  it('is not asked about a job that stays here, one that is forced, or one that is preferred', () => {
    const weighing = { ...policy, waitPerUsd: 0 };
    assert.deepEqual(route([home, quick], { ...weighing, localOnly: true }).use, ['local']);
    assert.deepEqual(route([home, quick], { ...weighing, forced: 'local' }).use, ['local']);
    assert.deepEqual(route([home, quick], { ...weighing, preferred: 'local' }).use, ['local', 'pod:a']);
  });

  it('ends also where a forecast is no number', () => {
    const odd = { ...quick, forecast: { seconds: Number.NaN, micros: 0 } };
    assert.deepEqual(order(0, home, odd), ['local', 'pod:a']);
  });
});
