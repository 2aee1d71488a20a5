import assert from 'node:assert/strict';
import { allLaunches, stopKey } from '../../src/core/fleet/fleetScene.ts';
import type { FleetPod, FleetPolicy, LaunchCandidate, QueuedWork, Scene } from '../../src/core/fleet/fleetScene.ts';
import { idleSecondsToKeep } from '../../src/core/fleet/idleTime.ts';
import { plan } from '../../src/core/fleet/plan.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import { known, unknown } from '../../src/core/kernel/observed.ts';

const nowMs = 10_000_000;
const gpu = 'RTX 4090';

const policy: FleetPolicy = {
  rule: { by: 'drain', targetWaitSeconds: 90 },
  strategy: 'priority',
  secondsPerUsd: 0,
  maxPods: 3,
  maxUsdPerHourMicros: 2_000_000,
  warmPods: 0,
  idleSeconds: { least: 60, most: 900 },
  stuckSeconds: 1_200,
  restSeconds: 300,
};

function pod(id: string, more: Partial<FleetPod> = {}): FleetPod {
  return {
    id,
    name: id,
    ours: true,
    keep: false,
    mayStart: true,
    phase: 'ready',
    gpu,
    usdPerHourMicros: 340_000,
    sinceMs: nowMs - 600_000,
    bootSeconds: 120,
    idleSinceMs: undefined,
    inFlight: 1,
    busySeconds: 10,
    jobSeconds: 20,
    ...more,
  };
}

const idle = (id: string, seconds: number, more: Partial<FleetPod> = {}): FleetPod =>
  pod(id, { inFlight: 0, busySeconds: 0, idleSinceMs: nowMs - seconds * 1_000, ...more });

function candidate(more: Partial<LaunchCandidate> = {}): LaunchCandidate {
  const name = more.gpu ?? gpu;
  return {
    key: `${name} SECURE`,
    gpu: name,
    cloud: 'SECURE',
    usdPerHourMicros: 690_000,
    stock: 'HIGH',
    bootSeconds: 240,
    ...more,
  };
}

function work(count: number, more: Partial<QueuedWork> = {}): readonly QueuedWork[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `job-${index}`,
    sinceMs: nowMs - 20_000,
    seconds: { [gpu]: 20 },
    otherSeconds: 60,
    onPods: true,
    onElsewhere: true,
    ...more,
  }));
}

function scene(more: Partial<Scene> & { pods?: Scene['pods'] } = {}): Scene {
  return {
    nowMs,
    pods: known([], nowMs),
    waiting: [],
    elsewhere: [],
    candidates: known([candidate()], nowMs),
    policy,
    budget: { remainingMicros: undefined, usedShare: 0 },
    gapsSeconds: [],
    coolingUntilMs: new Map(),
    lastIdleStopMs: undefined,
    ...more,
  };
}

const pods = (...all: FleetPod[]): Pick<Scene, 'pods'> => ({ pods: known(all, nowMs) });
const first = (given: Scene): string => {
  const [action] = plan(given);
  if (action?.do === 'create') return `create ${action.candidates.map((one) => one.gpu).join(', ')}`;
  if (action?.do === 'move') return `move ${action.podId} to ${action.candidates.map((one) => one.gpu).join(', ')}`;
  return action?.do === 'wait' ? 'wait' : `${action?.do} ${action?.podId}`;
};
const why = (given: Scene): string => plan(given)[0]?.because ?? '';

describe('fleet plan: scaling up', () => {
  it('does nothing at all while the pods are unknown, and says so', () => {
    const given = scene({ pods: unknown(nowMs, new Fault('unreachable', 'no answer')), waiting: work(100) });
    assert.deepEqual(
      plan(given).map((action) => action.do),
      ['wait'],
    );
    assert.match(why(given), /does not say which pods/);
  });

  it('starts from zero at once', () => {
    assert.equal(first(scene({ waiting: work(1, { sinceMs: nowMs }) })), `create ${gpu}`);
  });

  it('starts nothing for work that may not leave this machine', () => {
    assert.equal(first(scene({ waiting: work(100, { onPods: false }) })), 'wait');
  });

  it('starts nothing while the queue drains soon enough elsewhere', () => {
    assert.equal(first(scene({ waiting: work(4), elsewhere: [{ gpu, busySeconds: 0 }] })), 'wait');
  });

  it('counts pods that boot as capacity', () => {
    const booting = pod('p', { phase: 'booting', sinceMs: nowMs - 30_000, inFlight: 0, busySeconds: 0 });
    assert.equal(first(scene({ ...pods(booting), waiting: work(5) })), 'wait');
  });

  it('adds a pod when the queue outlasts its boot, and says what it saves and costs', () => {
    const given = scene({ ...pods(pod('p')), waiting: work(100) });
    const [action] = plan(given);
    assert.equal(action?.do, 'create');
    assert.ok(action.expected.savedSeconds! > 600 && action.expected.savedSeconds! < 1_000);
    // 240 s of boot and 240 s until it is stopped at $0.69 an hour, and 900 s of work that would cost $0.34 an hour.
    assert.ok(action.expected.micros! > 160_000 && action.expected.micros! < 200_000, String(action.expected.micros));
    assert.match(
      action.because,
      /100 jobs would take 34 min; RTX 4090 as pod 2 at \$0\.69\/h saves 1\d min for about \$0\.1/,
    );
  });

  it('adds none that would not earn its boot', () => {
    assert.equal(first(scene({ ...pods(pod('p')), waiting: work(16) })), 'wait');
    assert.match(why(scene({ ...pods(pod('p')), waiting: work(16) })), /another pod is not worth it/);
  });

  it('lets a batch be typed to its end first', () => {
    const given = scene({ ...pods(pod('p')), waiting: work(100, { sinceMs: nowMs - 1_000 }) });
    assert.deepEqual(plan(given), [{ do: 'wait', untilMs: nowMs + 4_000, because: 'New work is being queued' }]);
  });

  it('starts a stopped pod before it creates one', () => {
    const stopped = pod('old', { phase: 'stopped', inFlight: 0, busySeconds: 0 });
    assert.equal(first(scene({ ...pods(stopped), waiting: work(1) })), 'start old');
    const foreign = { ...stopped, ours: false };
    assert.equal(first(scene({ ...pods(foreign), waiting: work(1) })), `create ${gpu}`);
  });

  it('never starts more than the limits allow', () => {
    const busy = [pod('a'), pod('b'), pod('c')];
    assert.equal(first(scene({ ...pods(...busy), waiting: work(500) })), 'wait');
    assert.match(why(scene({ ...pods(...busy), waiting: work(500) })), /but the limit is 3 pods/);
    const tight = { ...policy, maxUsdPerHourMicros: 1_000_000 };
    assert.equal(first(scene({ ...pods(pod('a')), waiting: work(500), policy: tight })), 'wait');
    assert.match(why(scene({ ...pods(pod('a')), waiting: work(500), policy: tight })), /the limit is \$1\.00\/h/);
  });

  it('starts nothing that the budget cannot carry to a job', () => {
    // Boot, two boots of work and a minute: about 13 min at $0.69 an hour.
    const budget = (remainingMicros: number): Scene =>
      scene({ waiting: work(100), budget: { remainingMicros, usedShare: 0.5 } });
    assert.equal(first(budget(100_000)), 'wait');
    assert.match(why(budget(100_000)), /the budget has too little left/);
    assert.equal(first(budget(200_000)), `create ${gpu}`);
  });

  it('ranks candidates by the price of the work, passes over what is out of stock or cooling', () => {
    const slow = candidate({ gpu: 'RTX 3090', usdPerHourMicros: 220_000 });
    const fast = candidate({ gpu: 'H100', usdPerHourMicros: 900_000 });
    const none = candidate({ gpu: 'A40', usdPerHourMicros: 10_000, stock: 'NONE' });
    const seconds = { 'RTX 3090': 60, H100: 10, A40: 60, [gpu]: 20 };
    const given = (strategy: FleetPolicy['strategy'], cooling = new Map<string, number>()): string =>
      first(
        scene({
          waiting: work(100, { seconds }),
          candidates: known([slow, none, candidate(), fast], nowMs),
          policy: { ...policy, strategy },
          coolingUntilMs: cooling,
        }),
      );
    // A job costs 3,667 micro-dollars on the 3090, 3,833 on the 4090 and 2,500 on the H100.
    assert.equal(given('cheapest').startsWith('create H100, RTX 3090'), true);
    assert.equal(given('fastest').startsWith('create H100, RTX 4090'), true);
    assert.equal(given('fastest', new Map([['H100 SECURE', nowMs + 1]])).startsWith('create RTX 4090'), true);
    assert.ok(!given('cheapest').includes('A40'));
  });

  it('waits for the cool-down when everything has failed', () => {
    const given = scene({ waiting: work(1), coolingUntilMs: new Map([[`${gpu} SECURE`, nowMs + 60_000]]) });
    assert.deepEqual(plan(given)[0], {
      do: 'wait',
      untilMs: nowMs + 60_000,
      because: 'Nothing that runs can do 1 job, but every GPU tried has failed',
    });
    const paused = scene({ waiting: work(1), coolingUntilMs: new Map([[allLaunches, nowMs + 60_000]]) });
    assert.equal(first(paused), 'wait');
  });

  it('starts stopped pods only while the catalogue is unknown', () => {
    const candidates = unknown(nowMs);
    assert.equal(first(scene({ waiting: work(1), candidates })), 'wait');
    const stopped = pod('old', { phase: 'stopped', inFlight: 0, busySeconds: 0 });
    assert.equal(first(scene({ ...pods(stopped), waiting: work(1), candidates })), 'start old');
  });

  it('does not start again what it has just stopped, unless new work has come', () => {
    const stopped = pod('old', { phase: 'stopped', inFlight: 0, busySeconds: 0 });
    const lastIdleStopMs = nowMs - 10_000;
    assert.equal(first(scene({ ...pods(stopped), waiting: work(1), lastIdleStopMs })), 'wait');
    const fresh = work(1, { sinceMs: nowMs - 5_000 });
    assert.equal(first(scene({ ...pods(stopped), waiting: fresh, lastIdleStopMs })), 'start old');
  });

  it('keeps the warm floor without any work', () => {
    assert.equal(first(scene({ policy: { ...policy, warmPods: 1 } })), `create ${gpu}`);
    assert.equal(first(scene({ ...pods(idle('p', 5_000)), policy: { ...policy, warmPods: 1 } })), 'wait');
  });
});

describe('fleet plan: the simple rules', () => {
  it('queueDelay: one more while a job waits too long', () => {
    const delay = { ...policy, rule: { by: 'queueDelay', delaySeconds: 4 } } as const;
    assert.equal(first(scene({ ...pods(pod('p')), waiting: work(1), policy: delay })), `create ${gpu}`);
    const young = work(1, { sinceMs: nowMs - 1_000 });
    assert.equal(first(scene({ ...pods(pod('p')), waiting: young, policy: delay })), 'wait');
    const booting = pod('b', { phase: 'booting', inFlight: 0 });
    assert.equal(first(scene({ ...pods(booting), waiting: work(1), policy: delay })), 'wait');
  });

  it('queueLength: one pod for so many jobs', () => {
    const length = { ...policy, rule: { by: 'queueLength', jobsPerPod: 4 } } as const;
    assert.equal(first(scene({ ...pods(pod('p')), waiting: work(3), policy: length })), 'wait');
    assert.equal(first(scene({ ...pods(pod('p')), waiting: work(4), policy: length })), `create ${gpu}`);
  });

  it('fixed: always so many, no more and no less', () => {
    const fixed = { ...policy, rule: { by: 'fixed', pods: 1 } } as const;
    assert.equal(first(scene({ policy: fixed })), `create ${gpu}`);
    assert.equal(first(scene({ ...pods(idle('p', 9_999)), policy: fixed, waiting: work(99) })), 'wait');
    assert.equal(first(scene({ ...pods(idle('p', 9_999), idle('q', 9_999)), policy: fixed })), 'stop p');
  });
});

describe('fleet plan: scaling down', () => {
  it('stops a pod once it was idle for its own boot time, and tells when it will', () => {
    assert.equal(first(scene(pods(idle('p', 121)))), 'stop p');
    const [action] = plan(scene(pods(idle('p', 100))));
    assert.deepEqual([action?.do, action?.do === 'wait' && action.untilMs], ['wait', nowMs + 20_000]);
  });

  it('never stops a pod with work, a foreign one, or one that is to stay', () => {
    const untouchable = [pod('busy'), idle('foreign', 9_999, { ours: false }), idle('kept', 9_999, { keep: true })];
    const given = scene({ ...pods(...untouchable), budget: { remainingMicros: 0, usedShare: 1 } });
    assert.deepEqual(
      plan({ ...given, policy: { ...policy, maxPods: 0, maxUsdPerHourMicros: 0 } }).map((action) => action.do),
      ['wait'],
    );
  });

  it('stops the dearest by the job first, and the further ones sooner', () => {
    const dear = idle('dear', 70, { usdPerHourMicros: 2_000_000 });
    const fast = idle('fast', 70, { usdPerHourMicros: 800_000, jobSeconds: 2 });
    assert.equal(first(scene(pods(fast, dear))), 'stop dear');
    assert.equal(first(scene(pods(fast))), 'wait');
  });

  it('stops sooner when most of the budget is used, and at once when it is spent', () => {
    const used = (usedShare: number, remainingMicros: number, seconds: number): string =>
      first(scene({ ...pods(idle('p', seconds)), budget: { remainingMicros, usedShare } }));
    assert.equal(used(0.5, 1_000_000, 61), 'wait');
    assert.equal(used(0.81, 1_000_000, 61), 'stop p');
    assert.equal(used(1, 0, 1), 'stop p');
  });

  it('stops what is idle when a limit was lowered', () => {
    const given = scene({ ...pods(idle('a', 1), pod('b')), policy: { ...policy, maxPods: 1 } });
    assert.deepEqual(
      plan(given).map((action) => action.do === 'stop' && action.cause),
      ['limit'],
    );
  });

  it('gives up a pod that boots for ever', () => {
    const stuck = pod('p', { phase: 'booting', inFlight: 0, sinceMs: nowMs - 1_300_000 });
    const [action] = plan(scene({ ...pods(stuck), waiting: work(1) }));
    assert.equal(action?.do === 'stop' && action.cause, 'stuck');
  });

  it('moves a pod that came back without a GPU, or stops it when nothing needs it', () => {
    const lost = pod('p', { phase: 'zeroGpu', inFlight: 0 });
    assert.equal(first(scene({ ...pods(lost), waiting: work(1) })), `move p to ${gpu}`);
    assert.equal(first(scene(pods(lost))), 'stop p');
    // Its place is free for its successor.
    assert.equal(
      first(scene({ ...pods(lost), waiting: work(1), policy: { ...policy, maxPods: 1 } })),
      `move p to ${gpu}`,
    );
  });

  it('does not repeat a stop that has just failed', () => {
    const given = scene({ ...pods(idle('p', 500)), coolingUntilMs: new Map([[stopKey('p'), nowMs + 5_000]]) });
    assert.equal(first(given), 'wait');
  });
});

describe('how long an idle pod is kept', () => {
  const bounds = { least: 60, most: 900 };

  it('is its boot time while nothing is known, within the bounds', () => {
    assert.equal(idleSecondsToKeep([], 240, bounds), 240);
    assert.equal(idleSecondsToKeep([], 20, bounds), 60);
    assert.equal(idleSecondsToKeep([], 5_000, bounds), 900);
  });

  it('is short when gaps are long, and up to the boot time when they are short', () => {
    assert.equal(idleSecondsToKeep([4_000, 5_000, 3_000, 9_000, 8_000], 240, bounds), 60);
    assert.equal(idleSecondsToKeep([100, 120, 90, 150, 110], 240, bounds), 151);
  });

  it('never costs more than the break-even would have, over the gaps it was learnt from', () => {
    const cost = (seconds: number, gaps: readonly number[]): number =>
      gaps.reduce((sum, gap) => sum + (gap < seconds ? gap : seconds + 240), 0);
    for (const gaps of [
      [10, 300, 20, 500, 90],
      [230, 239, 241, 250, 10],
      [60, 61, 62, 5_000, 5_000],
    ]) {
      assert.ok(cost(idleSecondsToKeep(gaps, 240, bounds), gaps) <= cost(240, gaps));
    }
  });
});
