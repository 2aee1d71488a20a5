import assert from 'node:assert/strict';
import { plan } from '../../src/core/fleet/plan.ts';
import type { FleetPod, FleetPolicy, QueuedWork, Scene } from '../../src/core/fleet/fleetScene.ts';
import { waitingWork } from '../../src/core/fleet/fleetWork.ts';
import { reckoned } from '../../src/core/fleet/unmeasured.ts';
import { known } from '../../src/core/kernel/observed.ts';
import { readRuns } from '../../src/core/queue/measurements.ts';

const nowMs = 1_000_000;
const gpu = 'RTX 4090';

const policy: FleetPolicy = {
  rule: { by: 'drain', targetWaitSeconds: 90 },
  strategy: 'priority',
  secondsPerUsd: 1_000,
  maxPods: 4,
  maxUsdPerHourMicros: 5_000_000,
  warmPods: 0,
  idleSeconds: { least: 60, most: 900 },
  stuckSeconds: 1_200,
  restSeconds: 300,
};

function pod(id: string, phase: FleetPod['phase'], more: Partial<FleetPod> = {}): FleetPod {
  return {
    ...{ id, name: id, ours: true, keep: false, mayStart: true, phase, gpu, usdPerHourMicros: 340_000 },
    ...{ sinceMs: nowMs - 10_000, bootSeconds: 240, idleSinceMs: undefined, inFlight: 0, busySeconds: 0 },
    jobSeconds: 10,
    ...more,
  };
}

function work(count: number, more: Partial<QueuedWork> = {}): readonly QueuedWork[] {
  return Array.from({ length: count }, (_, index) => ({
    ...{ id: `job-${index}`, sinceMs: nowMs - 20_000, seconds: { [gpu]: 10 }, otherSeconds: 20 },
    ...{ onPods: true, onElsewhere: true, unmeasured: true },
    ...more,
  }));
}

function scene(pods: readonly FleetPod[], waiting: readonly QueuedWork[], more: Partial<Scene> = {}): Scene {
  const usdPerHourMicros = 340_000;
  const candidate = { key: gpu, gpu, cloud: 'COMMUNITY', usdPerHourMicros, stock: 'HIGH', bootSeconds: 240 } as const;
  return {
    ...{ nowMs, pods: known(pods, nowMs), waiting, elsewhere: [], policy },
    candidates: known([{ ...candidate, diskMicros: 100_000 }], nowMs),
    budget: { remainingMicros: undefined, usedShare: 0 },
    ...{ gapsSeconds: [], coolingUntilMs: new Map(), lastIdleStopMs: undefined },
    ...more,
  };
}

const first = (given: Scene): string => plan(given)[0]!.do;
const why = (given: Scene): string => plan(given)[0]!.because;

describe('work that has never run, while the only pod boots', () => {
  const booting = pod('one', 'booting');

  it('gets a second pod, and the reason says that this is a guess', () => {
    assert.equal(first(scene([booting], work(11))), 'create');
    assert.match(why(scene([booting], work(11))), /^11 jobs would take \d+ min at a guess; RTX 4090 as pod 2/);
  });

  it('does not where its times are known to be so short', () => {
    const measured = scene([booting], work(11, { unmeasured: false }));
    assert.equal(first(measured), 'wait');
    assert.match(why(measured), /^What waits is done in \d+ min: another pod is not worth it/);
  });

  it('does not for three jobs: even at the mean time they would not be worth a boot', () => {
    const few = scene([booting], work(3));
    assert.equal(first(few), 'wait');
    assert.match(why(few), /at a guess: another pod is not worth it/);
  });

  it('gets no third one before its times are known', () => {
    assert.equal(first(scene([booting, pod('two', 'booting')], work(24))), 'wait');
  });

  it('gets none on a guess where a machine is up that will tell: a pod, or a GPU at home', () => {
    const ready = pod('two', 'ready', { inFlight: 1, busySeconds: 10 });
    assert.equal(first(scene([booting, ready], work(11))), 'wait');
    assert.equal(first(scene([booting], work(11), { elsewhere: [{ gpu: 'RTX 3090', busySeconds: 0 }] })), 'wait');
  });

  it('is a guess all the same where what is up can not run it', () => {
    const ready = pod('two', 'ready');
    const isGuess = (waiting: readonly QueuedWork[], more: Partial<Scene> = {}): boolean =>
      reckoned(scene([booting, ready], waiting, more), [booting, ready]).isGuess;
    assert.equal(isGuess(work(1)), false);
    assert.equal(isGuess(work(1, { notOn: ['two'] })), true);
    const home = { elsewhere: [{ gpu: 'RTX 3090', busySeconds: 0 }] };
    assert.equal(isGuess(work(1, { notOn: ['one', 'two'] })), false);
    assert.equal(isGuess(work(1, { notOn: ['two'] }), home), false);
    assert.equal(isGuess(work(1, { notOn: ['two'], onElsewhere: false }), home), true);
  });

  it('changes nothing for rules that do not reckon with time, nor for the first pod', () => {
    const waiting = work(11);
    const byLength = { ...policy, rule: { by: 'queueLength', jobsPerPod: 4 } } as const;
    assert.equal(reckoned(scene([booting], waiting, { policy: byLength }), [booting]).waiting, waiting);
    assert.equal(reckoned(scene([], waiting), []).waiting, waiting);
  });
});

describe('the queue as the plan sees it', () => {
  it('tells which workflows have never run anywhere', () => {
    const book = readRuns([{ fingerprint: 'known', gpu: 'A4000', seconds: 30, atMs: 0 }], nowMs);
    const job = { sinceMs: 0, localOnly: false, refused: [], excluded: [], count: 1 };
    const waiting = ['known', 'new'].map((fingerprint) => ({ ...job, id: fingerprint, fingerprint }));
    const facts = { book, gpus: [gpu], localOnly: false, podOf: new Map<string, string>() };
    const none = { atWork: [], gapsSeconds: [], launched: new Map(), boots: [], lastPrices: new Map() };
    const works = waitingWork({ waiting, ...none }, facts);
    assert.deepEqual(
      works.map(({ id, unmeasured }) => [id, unmeasured]),
      [
        ['known', undefined],
        ['new', true],
      ],
    );
  });
});
