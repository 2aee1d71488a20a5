import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { FleetPolicy, ScaleRule } from '../../src/core/fleet/fleetScene.ts';
import type { DispatchPolicy } from '../../src/core/queue/dispatch.ts';
import { simulate } from './fleetWorld.ts';
import type { Setup } from './setup.ts';
import { offers } from './market.ts';
import type { Span, Weather } from './market.ts';
import { drainPolicy } from './policies.ts';
import { hourMs } from './traces.ts';
import type { Arrival } from './traces.ts';

const horizonMs = 3 * hourMs;

const span: fc.Arbitrary<Span> = fc
  .tuple(fc.nat(horizonMs), fc.nat(hourMs))
  .map(([fromMs, length]) => ({ fromMs, toMs: fromMs + length }));

const share = (most: number): fc.Arbitrary<number> => fc.double({ min: 0, max: most, noNaN: true });

const weather: fc.Arbitrary<Weather> = fc.record({
  outages: fc.array(span, { maxLength: 3 }),
  droughts: fc.array(
    fc.tuple(span, fc.subarray(offers.map(({ gpu }) => gpu))).map(([when, gpus]) => ({ ...when, gpus })),
    { maxLength: 3 },
  ),
  priceJumps: fc.array(
    fc.tuple(span, fc.double({ min: 0.5, max: 6, noNaN: true })).map(([when, times]) => ({ ...when, times })),
    { maxLength: 2 },
  ),
  zeroGpuShare: share(0.5),
  refusedShare: share(0.5),
  deathShare: share(0.1),
  slowBoot: fc.double({ min: 1, max: 4, noNaN: true }),
});

const arrivals: fc.Arbitrary<readonly Arrival[]> = fc
  .array(
    fc.record({
      atMs: fc.nat(horizonMs),
      count: fc.integer({ min: 1, max: 12 }),
      fingerprint: fc.constantFrom('image', 'detail', 'video'),
    }),
    { minLength: 1, maxLength: 8 },
  )
  .map((groups) =>
    groups
      .flatMap(({ atMs, count, fingerprint }) =>
        Array.from({ length: count }, (_, index): Arrival => {
          const work = { image: 30, detail: 60, video: 300 }[fingerprint] ?? 30;
          return { atMs: atMs + index * 500, fingerprint, work };
        }),
      )
      .sort((a, b) => a.atMs - b.atMs),
  );

const rule: fc.Arbitrary<ScaleRule> = fc.oneof(
  fc.record({ by: fc.constant('drain' as const), targetWaitSeconds: fc.integer({ min: 0, max: 600 }) }),
  fc.record({ by: fc.constant('queueDelay' as const), delaySeconds: fc.integer({ min: 0, max: 60 }) }),
  fc.record({ by: fc.constant('queueLength' as const), jobsPerPod: fc.integer({ min: 1, max: 10 }) }),
);

const strategy = fc.constantFrom('priority' as const, 'cheapest' as const, 'fastest' as const, 'balanced' as const);

const policy: fc.Arbitrary<FleetPolicy> = fc.record({
  rule,
  strategy,
  secondsPerUsd: fc.integer({ min: 0, max: 10_000 }),
  maxPods: fc.integer({ min: 1, max: 5 }),
  // Always enough for the cheapest card at its dearest.
  maxUsdPerHourMicros: fc.integer({ min: 1_100_000 * 6, max: 12_000_000 }),
  warmPods: fc.integer({ min: 0, max: 1 }),
  idleSeconds: fc.constant(drainPolicy.idleSeconds),
  stuckSeconds: fc.constantFrom(300, 1_200),
  restSeconds: fc.constantFrom(0, 300, 900),
});

const dispatchPolicy: fc.Arbitrary<DispatchPolicy> = fc.record({
  strategy,
  secondsPerUsd: fc.integer({ min: 0, max: 10_000 }),
});

const setup: fc.Arbitrary<Setup> = fc.record({
  seed: fc.nat(),
  arrivals,
  offers: fc.subarray([...offers], { minLength: 1 }),
  policy,
  weather,
  dispatchPolicy,
  home: fc.constantFrom([], [{ gpu: 'RTX 3090', speed: 1 }]),
  foreignPods: fc.nat(3),
  noise: share(0.8),
});

describe('whatever happens to the fleet', function () {
  this.timeout(120_000);

  it('no limit is passed, no foreign pod touched, no work stopped, nothing started blindly or back and forth; every job ends', async () => {
    await fc.assert(
      fc.asyncProperty(setup, async (given) => {
        const { violations, jobs, ended, mostPods } = await simulate(given, horizonMs + 9 * hourMs);
        assert.deepEqual(violations, []);
        assert.equal(ended, jobs);
        assert.ok(mostPods <= given.policy.maxPods);
      }),
      { numRuns: 60 },
    );
  });

  it('a budget is passed by no more than the boots and idle times that were under way', async () => {
    await fc.assert(
      fc.asyncProperty(setup, fc.integer({ min: 0, max: 400_000 }), async (given, budgetMicros) => {
        const calm = { ...given, weather: { ...given.weather, outages: [] } };
        const { gpuMicros, violations } = await simulate({ ...calm, budgetMicros }, horizonMs + hourMs);
        assert.deepEqual(violations, []);
        const dearest = 12 * 2_390_000;
        const underWay = (given.policy.maxPods * dearest * (given.policy.stuckSeconds + 60)) / 3_600;
        assert.ok(gpuMicros <= budgetMicros + underWay, `${gpuMicros} of ${budgetMicros}`);
      }),
      { numRuns: 25 },
    );
  });
});
