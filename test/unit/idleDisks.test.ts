import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { idleDisks } from '../../src/core/fleet/idleDisks.ts';
import type { DiskFacts, PodHistory } from '../../src/core/fleet/idleDisks.ts';
import type { Pod } from '../../src/core/runpod/pod.ts';

const hourMs = 3_600_000;
const nowMs = 1_000 * hourMs;

const pod: Pod = {
  ...{ id: 'a', name: 'podrelay-a', status: 'EXITED', actions: [], gpu: { id: 'NVIDIA RTX A5000', count: 1 } },
  ...{ usdPerHourMicros: 0, image: '', ports: ['8188/http'], mark: undefined, cloud: undefined, locked: false },
  ...{ dataCenterId: undefined, runtime: undefined, containerDiskGb: 30, volumeGb: 60, networkVolumeIds: [] },
  ...{ createdAtMs: 0, startedAtMs: nowMs - 50 * hourMs },
};

const stoppedFor = (hours: number, change: Partial<PodHistory> = {}): PodHistory => ({
  isCreated: true,
  last: { what: 'stop', atMs: nowMs - hours * hourMs },
  diskSinceMs: nowMs - hours * hourMs,
  ...change,
});

function told(change: Partial<Pod>, history: PodHistory | undefined, facts: Partial<DiskFacts> = {}) {
  return idleDisks([{ ...pod, ...change }], {
    nowMs,
    histories: new Map(history === undefined ? [] : [['a', history]]),
    chosenPodId: undefined,
    bootSeconds: { first: 240, again: 90 },
    usdPerHourMicros: () => 340_000,
    secondsPerUsd: 1_000,
    bootMs: 20 * 60_000,
    ...facts,
  });
}

describe('stopped pods that are not worth their disks', () => {
  it('are told with what they cost, once that is more than the next boot with them would save', () => {
    // 60 GB at $0.20 a month are $0.0164 an hour; 150 s of boot at $0.34 an hour and at $1 per 1,000 s are $0.164.
    assert.deepEqual(told({}, stoppedFor(9.9)), []);
    const [disk] = told({}, stoppedFor(10.1));
    assert.equal(disk?.microsPerDay, 24 * Math.round((60 * 200_000) / 730));
    assert.ok(disk.spentMicros > 164_000 && disk.spentMicros < 167_000, String(disk.spentMicros));
    assert.equal(disk.stoppedSinceMs, nowMs - 10.1 * hourMs);
  });

  it('are kept for longer where time counts more, and where the models take longer to load', () => {
    assert.equal(told({}, stoppedFor(10.1), { secondsPerUsd: 500 }).length, 0);
    assert.equal(told({}, stoppedFor(10.1), { secondsPerUsd: 0 }).length, 1);
    assert.equal(told({}, stoppedFor(10.1), { bootSeconds: { first: 900, again: 90 } }).length, 0);
  });

  it("are automation's own: none that a person has had in hand, however long", () => {
    const never = { ...stoppedFor(900) };
    assert.equal(told({ startedAtMs: nowMs - 901 * hourMs }, never).length, 1);
    assert.equal(told({ startedAtMs: nowMs - 899 * hourMs }, never).length, 0, 'started by hand since');
    assert.equal(told({ startedAtMs: 0, locked: true }, never).length, 0);
    assert.equal(told({ startedAtMs: 0, networkVolumeIds: ['v'] }, never).length, 0);
    assert.equal(told({ startedAtMs: 0, volumeGb: 0 }, never).length, 0, 'nothing is paid for');
    assert.equal(told({ startedAtMs: 0 }, never, { chosenPodId: 'a' }).length, 0);
    assert.equal(told({ startedAtMs: 0 }, { ...never, isCreated: false }).length, 0, 'deployed by hand');
    assert.equal(told({ startedAtMs: 0 }, undefined).length, 0, 'never touched');
  });

  it('also those that have stopped themselves after a start of automation', () => {
    const own = stoppedFor(900, {
      last: { what: 'create', atMs: nowMs - 900 * hourMs },
      diskSinceMs: nowMs - 800 * hourMs,
    });
    const [disk] = told({ startedAtMs: nowMs - 900 * hourMs + 60_000 }, own);
    assert.equal(disk?.stoppedSinceMs, nowMs - 800 * hourMs);
    assert.equal(told({ startedAtMs: nowMs - 899 * hourMs }, own).length, 0);
  });

  it('never one that is not stopped, or that a person may have touched, whatever is known of it', () => {
    const statuses = fc.constantFrom('PROVISIONING', 'STARTING', 'RUNNING', 'EXITED', 'ERROR', 'TERMINATED', 'NEW');
    const pods = fc.record({
      ...{ status: statuses, locked: fc.boolean(), volumeGb: fc.nat(500), startedAtMs: fc.nat(nowMs) },
      networkVolumeIds: fc.array(fc.constant('v'), { maxLength: 1 }),
    });
    const histories = fc.record({
      isCreated: fc.boolean(),
      last: fc.record({
        what: fc.constantFrom('start' as const, 'create' as const, 'stop' as const),
        atMs: fc.nat(nowMs),
      }),
      diskSinceMs: fc.option(fc.nat(nowMs), { nil: undefined }),
    });
    let found = 0;
    fc.assert(
      fc.property(pods, histories, (change, history) => {
        const disks = told(change, history);
        found += disks.length;
        if (disks.length === 0) return;
        const { status, locked, networkVolumeIds, startedAtMs } = change;
        assert.deepEqual([status, locked, networkVolumeIds, history.isCreated], ['EXITED', false, [], true]);
        assert.ok(startedAtMs <= history.last.atMs + (history.last.what === 'stop' ? 0 : 20 * 60_000));
        assert.ok(disks[0]!.spentMicros > 0);
      }),
      { numRuns: 5_000 },
    );
    assert.ok(found > 10, String(found));
  });
});
