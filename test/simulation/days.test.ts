import assert from 'node:assert/strict';
import { clairvoyantMicros } from './clairvoyant.ts';
import { simulate } from './fleetWorld.ts';
import type { Outcome, Setup } from './setup.ts';
import { fairWeather, hours, offers } from './market.ts';
import { drainPolicy, fixedPolicy, queueDelayPolicy, queueLengthPolicy } from './policies.ts';
import { burstyDay, dayMs, hourMs, nightIdleDay, poisson, steadyDay } from './traces.ts';
import type { Arrival } from './traces.ts';

const traces: Readonly<Record<string, readonly Arrival[]>> = {
  steady: steadyDay(1),
  bursty: burstyDay(1),
  Poisson: poisson(1, 300_000),
  'night idle': nightIdleDay(1),
};
const policies = { drain: drainPolicy, queueDelay: queueDelayPolicy, queueLength: queueLengthPolicy };

async function day(more: Partial<Setup>): Promise<Outcome> {
  const setup = { seed: 1, arrivals: burstyDay(1), offers, policy: drainPolicy, weather: fairWeather, ...more };
  const outcome = await simulate({ foreignPods: 2, ...setup }, dayMs);
  assert.deepEqual(outcome.violations, []);
  return outcome;
}

function allEnd({ jobs, ended }: Outcome): void {
  assert.equal(ended, jobs);
}

describe('simulated days', () => {
  for (const [name, arrivals] of Object.entries(traces)) {
    for (const [rule, policy] of Object.entries(policies)) {
      it(`${name}, by ${rule}: every job ends, no promise is broken, nothing runs on`, async () => {
        const outcome = await day({ arrivals, policy });
        allEnd(outcome);
        assert.equal(outcome.launches, outcome.stops, 'a pod was left running');
        assert.ok(outcome.launches > 0);
      });
    }
  }

  it('a GPU at home does what it can in time, and no pod is started for it', async () => {
    const home = [{ gpu: 'RTX 3090', speed: 1 }];
    const few = poisson(3, 1_800_000).filter(({ fingerprint }) => fingerprint === 'image');
    const outcome = await day({ arrivals: few, home });
    allEnd(outcome);
    assert.deepEqual([outcome.launches, outcome.gpuMicros], [0, 0]);
    const many = await day({ home });
    allEnd(many);
    assert.ok(many.launches > 0);
    assert.ok(many.gpuMicros < (await day({})).gpuMicros);
  });

  it("an hour in which RunPod's API is down: nothing is started blindly, running jobs go on, all end after it", async () => {
    const arrivals = poisson(5, 120_000, 4 * hourMs);
    const outcome = await day({ arrivals, weather: { ...fairWeather, outages: [hours(1, 2)] } });
    allEnd(outcome);
    const during = outcome.events.filter(({ atMs }) => atMs > hourMs && atMs < 2 * hourMs);
    assert.deepEqual(
      during.filter(({ fault }) => fault === undefined).map(({ change }) => change.do),
      [],
    );
    assert.ok(outcome.events.some(({ atMs, change }) => atMs > 2 * hourMs && change.do !== 'stop'));
  });

  it('a drought of the best card: another is taken; of all cards: it waits without storming, and goes on after', async () => {
    const some = await day({ weather: { ...fairWeather, droughts: [{ ...hours(0, 24), gpus: ['RTX 4090'] }] } });
    allEnd(some);
    const gpus = offers.map(({ gpu }) => gpu);
    const arrivals = burstyDay(2);
    const dry = { fromMs: arrivals[0]!.atMs - 1, toMs: arrivals[0]!.atMs + 2 * hourMs, gpus };
    const all = await day({ arrivals, weather: { ...fairWeather, droughts: [dry] } });
    allEnd(all);
    const refused = all.events.filter(({ fault }) => fault?.kind === 'noCapacity');
    assert.ok(refused.length > 0 && refused.length < 40, `${refused.length} refused launches`);
  });

  it('a jump of prices above the limit: nothing over it is started', async () => {
    const jump = { ...hours(9, 13), times: 12 };
    const policy = { ...drainPolicy, maxUsdPerHourMicros: 1_000_000 };
    const outcome = await day({ policy, weather: { ...fairWeather, priceJumps: [jump] } });
    allEnd(outcome);
    const created = outcome.events.filter(({ change }) => change.do === 'create');
    assert.ok(created.length > 0);
    assert.deepEqual(
      created.filter(({ atMs }) => atMs >= jump.fromMs && atMs < jump.toMs),
      [],
    );
  });

  it('pods that lose their GPU are moved, those that cannot start again are replaced, dying ones give their jobs back', async () => {
    const weather = { ...fairWeather, zeroGpuShare: 0.5, refusedShare: 0.3, deathShare: 0.02, slowBoot: 2 };
    const found = new Set<string>();
    for (let seed = 1; seed <= 5; seed++) {
      const outcome = await day({ seed, arrivals: burstyDay(seed, 4), weather });
      allEnd(outcome);
      for (const { change, fault } of outcome.events) found.add(fault === undefined ? change.do : `${change.do} fails`);
    }
    assert.deepEqual([...found].sort(), ['create', 'move', 'start', 'start fails', 'stop']);
  });

  it('a budget ends the spending: no launch after it, and what was running is all that goes beyond', async () => {
    const budgetMicros = 300_000;
    const outcome = await day({ budgetMicros });
    assert.ok(outcome.ended < outcome.jobs);
    assert.ok(outcome.gpuMicros <= budgetMicros * 1.05, `${outcome.gpuMicros} micro-dollars`);
  });

  it('costs at most twice what who knows the future pays, on bursty days', async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const arrivals = burstyDay(seed);
      const outcome = await day({ seed, arrivals });
      const bound = clairvoyantMicros(arrivals, offers, 90);
      assert.ok(outcome.gpuMicros <= 2 * bound, `day ${seed}: ${outcome.gpuMicros} against ${bound}`);
    }
  });

  it('a first batch that nothing is known of waits at most a usual boot longer than with a pod that is always on', async () => {
    const only = offers.filter(({ gpu }) => gpu === 'RTX 4090');
    // Three of four boots of a new pod take less.
    const usualBootSeconds = 276;
    for (const seed of [5014, 5043, 5048]) {
      const arrivals = burstyDay(seed);
      const { waits } = await day({ seed, arrivals, offers: only });
      const always = await day({ seed, arrivals, offers: only, policy: fixedPolicy(1), podsAtStart: only });
      const added = waits.map((wait, index) => wait - always.waits[index]!).sort((a, b) => a - b);
      const p95 = added[Math.floor(added.length * 0.95)]!;
      assert.ok(p95 <= usualBootSeconds, `day ${seed}: ${p95} s`);
    }
  });

  it('a warm floor keeps a pod ready: jobs start within seconds', async () => {
    const few = poisson(4, 1_200_000);
    const outcome = await day({ arrivals: few, policy: { ...drainPolicy, warmPods: 1 } });
    const sorted = [...outcome.waits].sort((a, b) => a - b);
    assert.ok(sorted[Math.floor(sorted.length / 2)]! < 1);
  });

  it('is repeatable', async () => {
    const twice = [await day({ seed: 9 }), await day({ seed: 9 })];
    assert.deepEqual(twice[0], twice[1]);
  });
});
