import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { muchBetter } from '../../src/core/fleet/chooseLaunch.ts';
import { drain } from '../../src/core/fleet/drain.ts';
import type { Server } from '../../src/core/fleet/drain.ts';
import type {
  FleetPod,
  FleetPolicy,
  LaunchCandidate,
  PlannedAction,
  QueuedWork,
  Scene,
} from '../../src/core/fleet/fleetScene.ts';
import { plan } from '../../src/core/fleet/plan.ts';
import { known } from '../../src/core/kernel/observed.ts';

const nowMs = 10_000_000;
/** Seconds that one job takes. */
const speeds: Readonly<Record<string, number>> = { A4000: 55, 'RTX 3090': 30, 'RTX 4090': 15, H100: 5 };
const prices: Readonly<Record<string, number>> = {
  A4000: 170_000,
  'RTX 3090': 220_000,
  'RTX 4090': 340_000,
  H100: 2e6,
};

const policy: FleetPolicy = {
  rule: { by: 'drain', targetWaitSeconds: 90 },
  strategy: 'fastest',
  secondsPerUsd: 1_000,
  maxPods: 3,
  maxUsdPerHourMicros: 5_000_000,
  warmPods: 0,
  idleSeconds: { least: 60, most: 900 },
  stuckSeconds: 1_200,
  restSeconds: 300,
};

function stopped(id: string, gpu: string, more: Partial<FleetPod> = {}): FleetPod {
  return {
    ...{ id, name: id, ours: true, keep: false, mayStart: true, phase: 'stopped', gpu },
    ...{ usdPerHourMicros: prices[gpu]!, sinceMs: 0, bootSeconds: 90, idleSinceMs: undefined },
    ...{ inFlight: 0, busySeconds: 0, jobSeconds: speeds[gpu]! },
    ...more,
  };
}

function candidate(gpu: string, more: Partial<LaunchCandidate> = {}): LaunchCandidate {
  const usdPerHourMicros = prices[gpu]!;
  return { key: `${gpu} SECURE`, gpu, cloud: 'SECURE', usdPerHourMicros, stock: 'HIGH', bootSeconds: 240, ...more };
}

function work(count: number, more: Partial<QueuedWork> = {}): readonly QueuedWork[] {
  return Array.from({ length: count }, (_, index) => ({
    ...{ id: `job-${index}`, sinceMs: nowMs - 20_000, seconds: speeds, otherSeconds: 30 },
    ...{ onPods: true, onElsewhere: false },
    ...more,
  }));
}

function scene(pods: readonly FleetPod[], more: Partial<Scene> = {}): Scene {
  return {
    nowMs,
    pods: known(pods, nowMs),
    waiting: work(40),
    elsewhere: [],
    candidates: known([candidate('RTX 4090')], nowMs),
    policy,
    budget: { remainingMicros: undefined, usedShare: 0 },
    gapsSeconds: [],
    coolingUntilMs: new Map(),
    lastIdleStopMs: undefined,
    ...more,
  };
}

const first = (given: Scene): PlannedAction => plan(given)[0]!;
const told = (given: Scene): string => {
  const action = first(given);
  if (action.do === 'create') return `create ${action.candidates.map(({ gpu }) => gpu).join(', ')}`;
  return action.do === 'wait' ? 'wait' : `${action.do} ${action.podId}`;
};

describe('a stopped pod is started before a new one is created', () => {
  it('also where the new one would be twice as quick', () => {
    assert.equal(told(scene([stopped('old', 'RTX 3090')])), 'start old');
  });

  it('also for another pod beside those that work', () => {
    const busy = stopped('busy', 'RTX 4090', { phase: 'ready', inFlight: 2, busySeconds: 30 });
    const given = scene([busy, stopped('old', 'RTX 3090')], { waiting: work(200) });
    assert.equal(told(given), 'start old');
  });

  it('the best of several', () => {
    const pods = [stopped('slow', 'A4000'), stopped('quick', 'RTX 4090'), stopped('middle', 'RTX 3090')];
    assert.equal(told(scene(pods)), 'start quick');
  });

  it('but not where the queue would take several times as long, which is said', () => {
    const given = scene([stopped('old', 'A4000')], {
      waiting: work(400),
      candidates: known([candidate('H100'), candidate('RTX 4090')], nowMs),
    });
    assert.equal(told(given), 'create H100, RTX 4090');
    assert.match(
      first(given).because,
      /; old stays stopped, since the queue would take \d+\.\d times as long on its A4000; H100 as pod 1 at/,
    );
  });

  it('by what the person wants: who wants it cheap waits, and does not pay several times as much', () => {
    const pods = [stopped('old', 'H100', { usdPerHourMicros: 3e6 })];
    const cheap = { ...policy, strategy: 'cheapest' } as const;
    const slowH100 = work(400, { seconds: { ...speeds, H100: 14 } });
    const given = scene(pods, { waiting: slowH100, policy: cheap });
    assert.equal(told(given), 'create RTX 4090');
    assert.match(first(given).because, /old stays stopped, since the work would cost \d\.\d times as much on its H100/);
    assert.equal(told({ ...given, policy }), 'start old');
    const patient = scene([stopped('old', 'A4000')], {
      waiting: work(400),
      candidates: known([candidate('H100')], nowMs),
      policy: cheap,
    });
    assert.equal(told(patient), 'start old');
  });

  it('nor one that fits no longer: over the dollars per hour, cooling down, a stranger, another use, beyond the budget', () => {
    const dear = stopped('old', 'H100', { usdPerHourMicros: 6e6 });
    assert.equal(told(scene([dear])), 'create RTX 4090');
    const cooling = new Map([['old', nowMs + 1]]);
    assert.equal(told(scene([stopped('old', 'RTX 4090')], { coolingUntilMs: cooling })), 'create RTX 4090');
    assert.equal(told(scene([stopped('old', 'RTX 4090', { ours: false })])), 'create RTX 4090');
    assert.equal(told(scene([stopped('old', 'RTX 4090', { mayStart: false })])), 'create RTX 4090');
    const poor = scene([stopped('old', 'H100')], { budget: { remainingMicros: 120_000, usedShare: 0.5 } });
    assert.equal(told(poor), 'create RTX 4090');
    assert.match(first(poor).because, /old stays stopped, since the budget has too little left for it/);
  });

  it('nor one that has refused the jobs; and nothing is created for jobs that every pod has refused', () => {
    const refused = work(40, { notOn: ['old'] });
    const pods = [stopped('old', 'RTX 4090'), stopped('able', 'A4000')];
    assert.equal(told(scene(pods, { waiting: refused })), 'start able');
    assert.equal(told(scene([pods[0]!], { waiting: refused })), 'wait');
    assert.equal(told(scene([pods[0]!], { waiting: [...refused, ...work(1)] })), 'start old');
    const cooling = scene(pods, { waiting: refused, coolingUntilMs: new Map([['able', nowMs + 9_000]]) });
    assert.deepEqual(first(cooling), {
      do: 'wait',
      untilMs: nowMs + 9_000,
      because: 'Nothing that runs can do 40 jobs, and nothing that can be had now could do it either',
    });
  });

  const gpu = fc.constantFrom(...Object.keys(speeds));
  const pods = fc.array(
    fc.record({
      gpu,
      ours: fc.boolean(),
      mayStart: fc.boolean(),
      isCooling: fc.boolean(),
      phase: fc.constantFrom('stopped' as const, 'stopped' as const, 'ready' as const, 'zeroGpu' as const),
      bootSeconds: fc.integer({ min: 20, max: 900 }),
    }),
    { maxLength: 5 },
  );
  const scenes = fc
    .record({
      pods,
      offered: fc.subarray(Object.keys(speeds)),
      jobs: fc.integer({ min: 0, max: 300 }),
      strategy: fc.constantFrom('priority' as const, 'cheapest' as const, 'fastest' as const, 'balanced' as const),
      maxUsdPerHourMicros: fc.integer({ min: 100_000, max: 6_000_000 }),
      remainingMicros: fc.option(fc.integer({ min: 0, max: 1_000_000 }), { nil: undefined }),
      rule: fc.constantFrom<FleetPolicy['rule']>(policy.rule, { by: 'queueLength', jobsPerPod: 4 }),
    })
    .map((given): Scene => {
      const all = given.pods.map(({ isCooling: _, ...more }, index) => {
        const isReady = more.phase === 'ready';
        return stopped(`pod-${index}`, more.gpu, { ...more, inFlight: isReady ? 2 : 0, busySeconds: isReady ? 20 : 0 });
      });
      const cooling = given.pods.flatMap(({ isCooling }, index): [string, number][] =>
        isCooling ? [[`pod-${index}`, nowMs + 60_000]] : [],
      );
      return scene(all, {
        waiting: work(given.jobs),
        candidates: known(
          given.offered.map((one) => candidate(one)),
          nowMs,
        ),
        policy: { ...policy, ...given },
        budget: { remainingMicros: given.remainingMicros, usedShare: 0 },
        coolingUntilMs: new Map(cooling),
      });
    });

  it('always, unless its reason says which one stays stopped and why; and no other is ever started', () => {
    const found = { start: 0, create: 0, explained: 0 };
    fc.assert(
      fc.property(scenes, (given) => {
        assert.ok(given.pods.known);
        const all = given.pods.value;
        const launch = plan(given).find(({ do: what }) => what === 'create' || what === 'move' || what === 'start');
        if (launch === undefined || launch.do === 'wait' || launch.do === 'stop') return;
        // Its place is free for its successor.
        const lost = all.find(({ ours, phase }) => ours && phase === 'zeroGpu')?.id;
        const spent = all
          .filter(({ id, ours, phase }) => ours && phase !== 'stopped' && id !== lost)
          .reduce((sum, { usdPerHourMicros }) => sum + usdPerHourMicros, 0);
        const { maxUsdPerHourMicros } = given.policy;
        const fits = ({ id, ours, mayStart, phase, usdPerHourMicros }: FleetPod): boolean =>
          ours &&
          mayStart &&
          phase === 'stopped' &&
          !given.coolingUntilMs.has(id) &&
          spent + usdPerHourMicros <= maxUsdPerHourMicros;
        if (launch.do === 'start') {
          found.start += 1;
          const pod = all.find(({ id }) => id === launch.podId);
          assert.ok(pod !== undefined && fits(pod));
        } else if (all.some(fits)) {
          found.explained += 1;
          assert.match(launch.because, /pod-\d stays stopped, since /);
        } else {
          found.create += 1;
          assert.ok(!launch.because.includes('stays stopped'));
        }
      }),
      { numRuns: 3_000 },
    );
    for (const [what, times] of Object.entries(found)) assert.ok(times > 20, `${what}: ${times}`);
  });

  it('and the times that it names are true', () => {
    let named = 0;
    fc.assert(
      fc.property(gpu, gpu, fc.integer({ min: 30, max: 900 }), (old, fresh, bootSeconds) => {
        const pod = stopped('old', old, { bootSeconds });
        const given = scene([pod], { waiting: work(300), candidates: known([candidate(fresh)], nowMs) });
        const server = (one: string, readyInSeconds: number): Server => ({
          ...{ gpu: one, kind: 'pod', readyInSeconds, usdPerHourMicros: 0 },
        });
        const seconds = (one: Server): number => drain(given.waiting, [one]).seconds;
        const times = seconds(server(old, bootSeconds)) / seconds(server(fresh, 240));
        const action = first(given);
        assert.equal(action.do, times > muchBetter ? 'create' : 'start');
        if (action.do !== 'create') return;
        named += 1;
        assert.ok(action.because.includes(`${times.toFixed(1)} times as long`), `${action.because}: ${times}`);
      }),
      { numRuns: 300 },
    );
    assert.ok(named > 10);
  });
});

describe('a long queue planned in groups', () => {
  const line = (gpu: string, readyInSeconds: number): Server => ({
    ...{ gpu, kind: 'pod', readyInSeconds, usdPerHourMicros: prices[gpu]! },
  });

  it('takes as long as its jobs one by one, but for one job', () => {
    const servers = fc.array(
      fc
        .tuple(fc.constantFrom(...Object.keys(speeds)), fc.integer({ min: 0, max: 2_000 }))
        .map(([gpu, ready]) => line(gpu, ready)),
      { minLength: 1, maxLength: 5 },
    );
    fc.assert(
      fc.property(servers, fc.integer({ min: 2, max: 400 }), (all, count) => {
        const one = drain(work(count), all);
        const many = drain(work(1, { count }), all);
        const longest = Math.max(...all.map(({ gpu }) => speeds[gpu]!));
        assert.ok(Math.abs(one.seconds - many.seconds) <= longest, `${one.seconds} and ${many.seconds}`);
        const sum = ({ taken }: typeof one): number => taken.reduce((total, { work: part }) => total + part, 0);
        assert.ok(Math.abs(sum(one) - sum(many)) < 1e-6 * sum(one));
        for (const [index, { seconds }] of many.taken.entries())
          assert.ok(Math.abs(seconds - one.taken[index]!.seconds) <= longest + 1e-6);
      }),
      { numRuns: 500 },
    );
  });

  it('says how many they are, and counts them all', () => {
    const given = scene([], {
      waiting: [...work(10), ...work(1, { count: 9_990 })],
      policy: { ...policy, maxPods: 1 },
    });
    assert.match(first(given).because, /^Nothing that runs can do 10,000 jobs; /);
    const length = { ...policy, rule: { by: 'queueLength', jobsPerPod: 4 } } as const;
    assert.match(first({ ...given, policy: length }).because, /^10,000 jobs and 0 that run ask for 2,500 pods/);
  });

  it('nobody who can run it: for ever', () => {
    assert.equal(drain(work(1, { count: 5 }), []).seconds, Number.POSITIVE_INFINITY);
    const elsewhere: Server = { gpu: 'A4000', kind: 'elsewhere', readyInSeconds: 0, usdPerHourMicros: 0 };
    assert.equal(drain(work(1, { count: 5 }), [elsewhere]).seconds, Number.POSITIVE_INFINITY);
  });
});
