import assert from 'node:assert/strict';
import type { FleetChange, FleetPod, FleetPolicy, QueuedWork } from '../../src/core/fleet/fleetScene.ts';
import { Reconciler } from '../../src/core/fleet/reconciler.ts';
import type { FleetEvent, ObservedScene } from '../../src/core/fleet/reconciler.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import { known, unknown } from '../../src/core/kernel/observed.ts';
import { VirtualClock } from '../simulation/virtualClock.ts';

const policy: FleetPolicy = {
  rule: { by: 'drain', targetWaitSeconds: 90 },
  strategy: 'priority',
  secondsPerUsd: 0,
  maxPods: 2,
  maxUsdPerHourMicros: 5_000_000,
  warmPods: 0,
  idleSeconds: { least: 60, most: 900 },
  stuckSeconds: 1_200,
  restSeconds: 0,
};

const pod: FleetPod = {
  id: 'pod',
  name: 'pod',
  ours: true,
  keep: false,
  mayStart: true,
  phase: 'stopped',
  gpu: 'RTX 4090',
  usdPerHourMicros: 340_000,
  sinceMs: 0,
  bootSeconds: 100,
  idleSinceMs: undefined,
  inFlight: 0,
  busySeconds: 0,
  jobSeconds: 20,
};

const job: QueuedWork = { id: 'job', sinceMs: 0, seconds: {}, otherSeconds: 20, onPods: true, onElsewhere: true };

/** One account whose state a test sets, with the reconciler on a virtual clock over it. */
class Bench {
  readonly clock = new VirtualClock();
  readonly events: FleetEvent[] = [];
  readonly errors: unknown[] = [];
  pods: readonly FleetPod[] | 'unknown' = [pod];
  waiting: readonly QueuedWork[] = [];
  leftMicros: number | undefined;
  holdSeconds = 0;
  looks = 0;
  policy = policy;
  observeFault: Error | undefined;
  carryOut: (change: FleetChange) => void = () => undefined;
  readonly reconciler: Reconciler;

  constructor() {
    const log = {
      debug: ignore,
      info: ignore,
      warn: ignore,
      error: (_: string, cause?: unknown) => void this.errors.push(cause),
    };
    this.reconciler = new Reconciler({
      clock: this.clock,
      log,
      ports: {
        observe: async () => this.#scene(),
        carryOut: async (change, signal) => {
          await this.clock.sleep(500, signal);
          this.carryOut(change);
        },
      },
    });
    this.reconciler.onDidAct((event) => this.events.push(event));
  }

  #scene(): ObservedScene {
    this.looks += 1;
    if (this.observeFault !== undefined) throw this.observeFault;
    const nowMs = this.clock.now();
    return {
      pods: this.pods === 'unknown' ? unknown(nowMs) : known(this.pods, nowMs),
      waiting: this.waiting,
      elsewhere: [],
      candidates: known([], nowMs),
      policy: this.policy,
      budget: { remainingMicros: this.leftMicros, usedShare: 0, holdSeconds: this.holdSeconds },
      gapsSeconds: [],
    };
  }

  become(phase: FleetPod['phase'], more: Partial<FleetPod> = {}): void {
    const sinceMs = this.clock.now();
    this.pods = [{ ...pod, phase, sinceMs, idleSinceMs: phase === 'ready' ? sinceMs : undefined, ...more }];
  }

  get log(): readonly string[] {
    return this.events.map(
      ({ atMs, change, fault }) => `${Math.round(atMs / 1_000)} ${change.do} ${fault?.kind ?? 'done'}`,
    );
  }
}

function ignore(): void {
  // Nothing is expected here.
}

const minute = 60_000;

describe('fleet reconciler', () => {
  it('looks at nothing before it is woken, and rests when neither work nor pods are there', async () => {
    const bench = new Bench();
    await bench.clock.run(10 * minute);
    assert.equal(bench.looks, 0);
    bench.reconciler.wake();
    await bench.clock.run(600 * minute);
    assert.equal(bench.looks, 1);
  });

  it('starts a pod for work, keeps it while it is used, stops it when idle, and rests again', async () => {
    const bench = new Bench();
    bench.waiting = [job];
    bench.carryOut = ({ do: what }) => bench.become(what === 'start' ? 'ready' : 'stopped');
    bench.reconciler.wake();
    bench.clock.at(5_000, () => {
      bench.waiting = [];
      bench.become('ready', { inFlight: 1, idleSinceMs: undefined });
      bench.reconciler.wake();
    });
    bench.clock.at(30 * minute, () => {
      bench.become('ready');
      bench.reconciler.wake();
    });
    await bench.clock.run(600 * minute);
    assert.deepEqual(bench.log, ['1 start done', `${30 * 60 + 101} stop done`]);
    const { looks } = bench;
    await bench.clock.run(6_000 * minute);
    assert.equal(bench.looks, looks);
  });

  it('starts again at once for work that came while it was stopping a pod', async () => {
    const bench = new Bench();
    bench.policy = { ...policy, restSeconds: 300 };
    bench.become('ready');
    bench.carryOut = ({ do: what }) => {
      if (what === 'stop') bench.waiting = [{ ...job, sinceMs: bench.clock.now() - 1 }];
      bench.become(what === 'stop' ? 'stopped' : 'booting');
    };
    bench.reconciler.wake();
    await bench.clock.run(5 * minute);
    assert.deepEqual(bench.log, ['101 stop done', '102 start done']);
  });

  it('stops the pods that were left when the laptop fell asleep as soon as it is awake, and starts what is needed', async () => {
    const bench = new Bench();
    bench.become('ready');
    bench.carryOut = ({ do: what }) => bench.become(what === 'stop' ? 'stopped' : 'booting');
    bench.reconciler.wake();
    bench.clock.at(minute, () => bench.clock.jump(480 * minute));
    await bench.clock.run(483 * minute);
    const [stop] = bench.events;
    assert.equal(stop?.change.do, 'stop');
    assert.ok(stop.atMs - 481 * minute < minute, `${stop.atMs / minute} min`);
    bench.waiting = [
      { ...job, sinceMs: 2 * minute },
      { ...job, id: 'new', sinceMs: 482 * minute },
    ];
    bench.reconciler.wake();
    await bench.clock.run(484 * minute);
    assert.equal(bench.events.at(-1)?.change.do, 'start');
    assert.equal(bench.events.length, 2);
  });

  it('waits no longer than it would have when the clock is set back by hours', async () => {
    const bench = new Bench();
    bench.policy = { ...policy, restSeconds: 300 };
    bench.become('ready');
    bench.carryOut = ({ do: what }) => bench.become(what === 'stop' ? 'stopped' : 'booting');
    bench.clock.jump(600 * minute);
    bench.reconciler.wake();
    await bench.clock.run(605 * minute);
    assert.equal(bench.events.at(-1)?.change.do, 'stop');
    bench.clock.jump(-180 * minute);
    bench.waiting = [{ ...job, sinceMs: bench.clock.now() }];
    bench.reconciler.wake();
    await bench.clock.run(427 * minute);
    assert.equal(bench.events.at(-1)?.change.do, 'start');
    bench.become('stopped');
    bench.carryOut = () => {
      throw new Fault('noCapacity', 'Nothing is free');
    };
    bench.reconciler.wake();
    await bench.clock.run(428 * minute);
    assert.equal(bench.events.at(-1)?.fault?.kind, 'noCapacity');
    const tried = bench.events.length;
    bench.clock.jump(-180 * minute);
    bench.reconciler.wake();
    await bench.clock.run(bench.clock.now() + 3 * minute);
    assert.ok(bench.events.length > tried, 'the cool-down would have been three hours long');
  });

  it('waits after a refused start, longer each time, and never storms', async () => {
    const bench = new Bench();
    bench.waiting = [job];
    bench.carryOut = () => {
      throw new Fault('noCapacity', 'There are not enough free GPUs on the host machine');
    };
    bench.reconciler.wake();
    await bench.clock.run(120 * minute);
    const at = bench.events.map(({ atMs }) => atMs / minute);
    assert.ok(at.length >= 5 && at.length <= 8, `${at.length} attempts`);
    assert.ok(at[1]! - at[0]! >= 2 && at[2]! - at[1]! >= 4 && at[3]! - at[2]! >= 8);
    assert.ok(at.every((one, index) => index === 0 || one - at[index - 1]! <= 32));
  });

  it('pauses all launches when only a person can help, until it is told that something has changed', async () => {
    const bench = new Bench();
    bench.waiting = [job];
    bench.carryOut = () => {
      throw new Fault('noCredit', 'No credit');
    };
    bench.reconciler.wake();
    await bench.clock.run(10 * minute);
    assert.equal(bench.events.length, 1);
    assert.match(bench.reconciler.next?.because ?? '', /the last launch failed/);
    bench.reconciler.forgetFailures();
    await bench.clock.run(11 * minute);
    assert.equal(bench.events.length, 2);
  });

  it('takes a refusal of the budget for what it is, and tries again when more is left, however soon or late', async () => {
    const bench = new Bench();
    bench.waiting = [job];
    bench.leftMicros = 100_000;
    bench.carryOut = () => {
      throw new Fault('overBudget', 'The pod costs about $0.11', { delivered: 'no' });
    };
    bench.reconciler.wake();
    await bench.clock.run(90 * minute);
    assert.equal(bench.events.length, 1, 'time alone changes nothing');
    assert.match(bench.reconciler.next?.because ?? '', /, but the budget has too little left$/);
    bench.leftMicros = 105_000;
    await bench.clock.run(95 * minute);
    assert.equal(bench.events.length, 1, 'nor does a little more');
    bench.leftMicros = 200_000;
    bench.carryOut = () => bench.become('ready', { inFlight: 1, idleSinceMs: undefined });
    await bench.clock.run(97 * minute);
    assert.deepEqual(
      bench.log.map((line) => line.replace(/^\d+ /, '')),
      ['start overBudget', 'start done'],
    );
  });

  it('does not ask a budget in vain for what a launch will reserve', async () => {
    const bench = new Bench();
    bench.waiting = [job];
    bench.leftMicros = 100_000;
    bench.holdSeconds = 20 * 60;
    bench.reconciler.wake();
    await bench.clock.run(1 * minute);
    assert.deepEqual(bench.events, []);
    assert.match(bench.reconciler.next?.because ?? '', /the budget has too little left$/);
    bench.leftMicros = 120_000;
    await bench.clock.run(3 * minute);
    assert.ok(bench.events.length > 0);
  });

  it('pauses after a pod that was dearer than RunPod had said, which more budget does not heal', async () => {
    const bench = new Bench();
    bench.waiting = [job];
    bench.leftMicros = 100_000;
    bench.carryOut = () => {
      throw new Fault('overBudget', 'The pod costs $0.50/h instead of the quoted $0.30/h; it was stopped');
    };
    bench.reconciler.wake();
    await bench.clock.run(1 * minute);
    bench.leftMicros = 900_000;
    await bench.clock.run(10 * minute);
    assert.equal(bench.events.length, 1);
    assert.match(bench.reconciler.next?.because ?? '', /the last launch failed/);
  });

  it('asks again for a stop that failed', async () => {
    const bench = new Bench();
    bench.become('ready');
    let refusals = 3;
    bench.carryOut = () => {
      if (refusals-- > 0) throw new Fault('unavailable', 'HTTP 500');
      bench.become('stopped');
    };
    bench.reconciler.wake();
    await bench.clock.run(60 * minute);
    assert.deepEqual(
      bench.events.map(({ change, fault }) => `${change.do} ${fault?.kind ?? 'done'}`),
      ['stop unavailable', 'stop unavailable', 'stop unavailable', 'stop done'],
    );
    assert.ok(bench.events[3]!.atMs < 7 * minute);
  });

  it('changes nothing while the pods are unknown, and goes on when they are known', async () => {
    const bench = new Bench();
    bench.pods = 'unknown';
    bench.waiting = [job];
    bench.reconciler.wake();
    await bench.clock.run(60 * minute);
    assert.deepEqual(bench.log, []);
    bench.carryOut = () => bench.become('booting');
    bench.become('stopped');
    await bench.clock.run(61 * minute);
    assert.equal(bench.events[0]?.change.do, 'start');
  });

  it('survives an observation that throws, and says so', async () => {
    const bench = new Bench();
    bench.observeFault = new Error('broken');
    bench.reconciler.wake();
    await bench.clock.run(minute);
    assert.ok(bench.errors.length >= 5 && bench.errors.length <= 7);
  });

  it('does one action, then looks again', async () => {
    const bench = new Bench();
    const idleSinceMs = 0;
    bench.pods = ['a', 'b'].map((id) => ({ ...pod, id, phase: 'ready' as const, idleSinceMs }));
    const looksAt: number[] = [];
    bench.carryOut = (change) => {
      looksAt.push(bench.looks);
      if (change.do !== 'stop' || bench.pods === 'unknown') return;
      bench.pods = bench.pods.map((one) => (one.id === change.podId ? { ...one, phase: 'stopped' } : one));
    };
    bench.clock.at(10 * minute, () => bench.reconciler.wake());
    await bench.clock.run(20 * minute);
    assert.deepEqual(looksAt, [1, 2]);
  });

  it('ends with its owner, also while it waits', async () => {
    const bench = new Bench();
    bench.waiting = [job];
    bench.pods = 'unknown';
    bench.reconciler.wake();
    await bench.clock.run(minute);
    bench.reconciler.dispose();
    const { looks } = bench;
    bench.reconciler.wake();
    await bench.clock.run(60 * minute);
    assert.equal(bench.looks, looks);
  });

  it('looks once a second at most, however often it is woken', async () => {
    const bench = new Bench();
    bench.become('ready', { inFlight: 1, idleSinceMs: undefined });
    for (let ms = 0; ms < 10_000; ms += 10) bench.clock.at(ms, () => bench.reconciler.wake());
    await bench.clock.run(10_000);
    assert.ok(bench.looks <= 11, `${bench.looks} looks`);
  });
});
