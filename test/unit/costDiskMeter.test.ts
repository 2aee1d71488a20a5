import assert from 'node:assert/strict';
import fc from 'fast-check';
import { openDiskEntry, stepDisk } from '../../src/core/cost/diskMeter.ts';
import type { PodSight } from '../../src/core/cost/podMeter.ts';
import { podTimeMicros } from '../../src/core/cost/price.ts';
import type { DiskMeter, LedgerEntry } from '../../src/core/store/ledgerStore.ts';

const minute = 60_000;
const hour = 60 * minute;
const t0 = Date.UTC(2026, 0, 15, 12);
/** Micro-dollars per hour. */
const rates = { running: 12_000, stopped: 16_000 };

const running = (more: Partial<PodSight> = {}): PodSight => ({
  id: 'pod1',
  name: 'podrelay-a',
  status: 'RUNNING',
  usdPerHourMicros: 340_000,
  startedAtMs: t0,
  diskMicrosPerHour: rates.running,
  ...more,
});
const exited = (more: Partial<PodSight> = {}): PodSight =>
  running({ status: 'EXITED', usdPerHourMicros: 0, diskMicrosPerHour: rates.stopped, ...more });

function walk(sights: readonly (readonly [atMs: number, sight: PodSight | undefined])[]): {
  entries: LedgerEntry[];
  meter: DiskMeter | undefined;
  micros: number;
} {
  let meter: DiskMeter | undefined;
  const entries: LedgerEntry[] = [];
  let lastMs = 0;
  for (const [atMs, sight] of sights) {
    const step = stepDisk(meter, sight, atMs);
    lastMs = Math.max(lastMs, atMs);
    if (step === undefined) continue;
    meter = step.meter;
    entries.push(...step.entries);
  }
  const open = meter === undefined ? undefined : openDiskEntry(meter, meter.untilMs);
  const all = open === undefined ? entries : [...entries, open];
  return { entries: all, meter, micros: all.reduce((sum, { micros }) => sum + micros, 0) };
}

describe('the account of a pod’s disks', () => {
  it('goes on while the pod is stopped, at the price of a stopped one', () => {
    const { micros, entries } = walk([
      [t0, running({ createdAtMs: t0 })],
      [t0 + hour, running()],
      [t0 + hour + 1, exited({ stoppedAtMs: t0 + hour })],
      [t0 + 25 * hour, exited()],
    ]);
    assert.equal(micros, rates.running + 24 * rates.stopped);
    assert.deepEqual(
      entries.map(({ part, basis }) => [part, basis]),
      entries.map(() => ['disk', 'estimated']),
    );
  });

  it('begins with the pod’s creation when it was just made, else with the first look', () => {
    assert.equal(walk([[t0 + 10 * minute, running({ createdAtMs: t0 })]]).micros, rates.running / 6);
    assert.equal(walk([[t0 + 10 * hour, running({ createdAtMs: t0 })]]).micros, 0);
  });

  it('knows by the watchdog when a pod stopped that nobody saw stop, and by its start when it began again', () => {
    const stopped = walk([
      [t0, running({ idleStopMs: 15 * minute })],
      [t0 + hour, exited({ idleStopMs: 15 * minute })],
    ]);
    assert.equal(stopped.micros, rates.running / 4 + (rates.stopped * 3) / 4);
    const started = walk([
      [t0, exited()],
      [t0 + hour, running({ startedAtMs: t0 + hour / 2 })],
    ]);
    assert.equal(started.micros, rates.stopped / 2 + rates.running / 2);
  });

  it('ends with the pod; one that vanished unseen is counted for a day at most', () => {
    const soon = walk([
      [t0, exited()],
      [t0 + hour, undefined],
      [t0 + 9 * hour, undefined],
    ]);
    assert.equal(soon.micros, rates.stopped);
    const late = walk([
      [t0, exited()],
      [t0 + 30 * 24 * hour, undefined],
    ]);
    assert.equal(late.micros, 24 * rates.stopped);
  });

  it('says nothing of a pod whose disks are not known', () => {
    const { diskMicrosPerHour: _, ...bare } = running();
    assert.equal(stepDisk(undefined, bare, t0), undefined);
  });

  it('survives a clock that was a day ahead', () => {
    const { micros } = walk([
      [t0 + 24 * hour, exited()],
      [t0, exited()],
      [t0 + hour, exited()],
    ]);
    assert.equal(micros, rates.stopped);
  });

  it('never counts a moment twice, whatever it sees', () => {
    const look = fc.record({
      afterMs: fc.integer({ min: -5 * minute, max: 30 * hour }),
      is: fc.constantFrom('running', 'stopped', 'gone'),
      agoMs: fc.option(fc.integer({ min: -minute, max: 40 * hour }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(look, { minLength: 1, maxLength: 30 }), (looks) => {
        let atMs = t0;
        let lastMs = 0;
        const sights = looks.map(({ afterMs, is, agoMs }) => {
          // Further back is a clock that was wrong: counting starts again by it, see above.
          atMs = Math.max(atMs + afterMs, lastMs - 10 * minute);
          lastMs = Math.max(lastMs, atMs);
          const at = agoMs === undefined ? undefined : atMs - agoMs;
          const sight = is === 'running' ? running({ startedAtMs: at }) : exited({ stoppedAtMs: at });
          return [atMs, is === 'gone' ? undefined : sight] as const;
        });
        const spans = walk(sights).entries.sort((a, b) => a.fromMs - b.fromMs);
        for (const [n, { fromMs, toMs, micros }] of spans.entries()) {
          assert.ok(fromMs < toMs);
          assert.ok(n === 0 || spans[n - 1]!.toMs <= fromMs, 'two entries overlap');
          assert.ok(micros <= podTimeMicros(rates.stopped, toMs - fromMs));
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
