import assert from 'node:assert/strict';
import { bootingSinceMs, phaseOf } from '../../src/core/fleet/fleetPods.ts';
import type { Pod } from '../../src/core/runpod/pod.ts';
import type { FleetLook } from '../../src/core/store/fleetStore.ts';

const pod: Pod = {
  ...{ id: 'a', name: 'podrelay-a', status: 'STARTING', actions: [], gpu: { id: 'NVIDIA RTX A5000', count: 1 } },
  ...{ usdPerHourMicros: 0, image: '', ports: ['8188/http'], mark: undefined, cloud: undefined, locked: false },
  ...{ dataCenterId: undefined, runtime: undefined, containerDiskGb: 10, volumeGb: 10, networkVolumeIds: [] },
  ...{ createdAtMs: 1_000, startedAtMs: undefined },
};
const nowMs = 100_000;

function since(change: Partial<Pod>, launchedMs?: number, seenMs?: number): number {
  const launched = new Map(launchedMs === undefined ? [] : [['a', launchedMs]]);
  const look: FleetLook = { waiting: [], atWork: [], gapsSeconds: [], launched, boots: [], lastPrices: new Map() };
  return bootingSinceMs({ ...pod, ...change }, look, nowMs, seenMs);
}

describe('since when a pod boots', () => {
  it('is known to a window that has just been opened', () => {
    assert.equal(since({}), 1_000, 'a new one: since it was created');
    assert.equal(since({ startedAtMs: 2_000 }, 60_000), 60_000, 'started by automation: since then');
    assert.equal(since({ status: 'RUNNING', startedAtMs: 70_000 }, 60_000), 70_000, 'its container runs since then');
  });

  it('is not taken from an earlier run', () => {
    assert.equal(since({ startedAtMs: 70_000 }, 60_000), nowMs, 'started by hand: nobody has told when');
    assert.equal(since({ startedAtMs: 70_000 }, 60_000, 90_000), 90_000, 'since it was seen');
    assert.equal(since({}, 60_000, 90_000), 90_000);
  });

  it('is never ahead, whatever the clocks say', () => {
    assert.equal(since({ status: 'RUNNING', startedAtMs: 200_000 }), nowMs);
    assert.equal(since({ status: 'RUNNING', startedAtMs: 200_000 }, undefined, 80_000), 80_000);
  });
});

describe('the phase of a pod', () => {
  it('in a state that we do not know is not taken for stopped: it may cost money', () => {
    assert.equal(phaseOf({ ...pod, status: 'MIGRATING' }, false), 'booting');
    assert.equal(phaseOf({ ...pod, status: 'EXITED' }, false), 'stopped');
  });
});
