import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isBilled, openEntry, stepMeter } from '../../src/core/cost/podMeter.ts';
import type { PodSight } from '../../src/core/cost/podMeter.ts';
import type { LedgerEntry, PodMeter } from '../../src/core/store/ledgerStore.ts';

const minute = 60_000;
const hour = 60 * minute;
/** $0.36 an hour is 100 micro-dollars a second. */
const usdPerHourMicros = 360_000;
const t0 = Date.UTC(2026, 0, 15, 12);

const running = (more: Partial<PodSight> = {}): PodSight => ({
  id: 'pod1',
  name: 'podrelay-a',
  status: 'RUNNING',
  usdPerHourMicros,
  startedAtMs: t0,
  ...more,
});
const exited = (more: Partial<PodSight> = {}): PodSight => running({ status: 'EXITED', usdPerHourMicros: 0, ...more });

/** Steps one meter through sights, and says what it comes to in seconds at 100 micro-dollars. */
function walk(sights: readonly (readonly [atMs: number, sight: PodSight | undefined])[]): {
  measured: number;
  estimated: number;
  entries: readonly LedgerEntry[];
  meter: PodMeter | undefined;
} {
  let meter: PodMeter | undefined;
  const entries: LedgerEntry[] = [];
  for (const [atMs, sight] of sights) {
    const step = stepMeter(meter, sight, atMs);
    if (step === undefined) continue;
    meter = step.meter;
    entries.push(...step.entries);
  }
  const open = meter === undefined ? undefined : openEntry(meter);
  const all = open === undefined ? entries : [...entries, open];
  const sum = (basis: LedgerEntry['basis']): number =>
    all.filter((entry) => entry.basis === basis).reduce((total, entry) => total + entry.micros, 0) / 100;
  return { measured: sum('measured'), estimated: sum('estimated'), entries, meter };
}

describe('the meter of a pod', () => {
  it('knows which states cost GPU time', () => {
    for (const status of ['PROVISIONING', 'STARTING', 'RUNNING', 'SOMETHING_NEW']) {
      assert.equal(isBilled({ status, usdPerHourMicros }), true, status);
    }
    assert.equal(isBilled({ status: 'EXITED', usdPerHourMicros }), false);
    assert.equal(isBilled({ status: 'TERMINATED', usdPerHourMicros }), false);
    assert.equal(isBilled({ status: 'ERROR', usdPerHourMicros }), true);
    assert.equal(isBilled({ status: 'ERROR', usdPerHourMicros: 0 }), false);
  });

  it('accrues every second of a running pod, however often it is looked at', () => {
    const sights = Array.from({ length: 721 }, (_, n) => [t0 + n * 5_000, running()] as const);
    const { measured, estimated, entries } = walk(sights);
    assert.equal(measured, 3600);
    assert.equal(estimated, 0);
    assert.deepEqual(entries, []);
  });

  it('bills boot from the creation on', () => {
    const booting = running({ status: 'PROVISIONING', startedAtMs: undefined, createdAtMs: t0 });
    const { measured } = walk([
      [t0 + 1_000, booting],
      [t0 + minute, { ...booting, status: 'STARTING' }],
      [t0 + 2 * minute, running({ createdAtMs: t0, startedAtMs: t0 + 90_000 })],
      [t0 + 3 * minute, exited({ stoppedAtMs: t0 + 3 * minute })],
    ]);
    assert.equal(measured, 180);
  });

  it('keeps the boot apart, up to the first answer of ComfyUI', () => {
    const booting = running({ status: 'PROVISIONING', startedAtMs: undefined, createdAtMs: t0 });
    const up = running({ createdAtMs: t0, startedAtMs: t0 + minute });
    const { entries, measured } = walk([
      [t0 + 1_000, booting],
      [t0 + minute, { ...up, answered: false }],
      [t0 + 2 * minute, { ...up, answered: false }],
      [t0 + 3 * minute, { ...up, answered: true }],
      [t0 + 4 * minute, { ...up, answered: false }],
      [t0 + 5 * minute, exited({ stoppedAtMs: t0 + 5 * minute })],
    ]);
    assert.equal(measured, 300);
    assert.deepEqual(
      entries.map(({ part, fromMs, toMs }) => [part ?? 'run', (fromMs - t0) / minute, (toMs - t0) / minute]),
      [
        ['boot', 0, 3],
        ['run', 3, 5],
      ],
    );
  });

  it('takes a pod for ready that nobody asks, and one that never answers for booting half an hour at most', () => {
    assert.equal(walk([[t0, running({ answered: undefined })]]).meter?.inBoot, false);
    const { entries } = walk([
      [t0, running({ answered: false })],
      [t0 + 20 * minute, running({ answered: false })],
      [t0 + 40 * minute, running({ answered: false })],
      [t0 + 50 * minute, exited({ stoppedAtMs: t0 + 50 * minute })],
    ]);
    assert.deepEqual(
      entries.map(({ part }) => part ?? 'run'),
      ['boot', 'run'],
    );
  });

  it('estimates the boot of a pod that it first sees running', () => {
    const first = walk([[t0 + hour, running({ createdAtMs: t0 - 100_000 })]]);
    assert.deepEqual([first.measured, first.estimated], [3600, 100]);
    assert.match(first.entries[0]?.note ?? '', /Boot/);
    const old = walk([[t0 + hour, running({ createdAtMs: t0 - 30 * 24 * hour })]]);
    assert.deepEqual([old.measured, old.estimated], [3600, 0]);
  });

  it('does not take the last start of a resumed pod for this one', () => {
    const resumed = running({
      status: 'PROVISIONING',
      createdAtMs: t0 - 30 * 24 * hour,
      startedAtMs: t0 - 9 * 24 * hour,
    });
    assert.equal(walk([[t0, resumed]]).measured, 0);
  });

  it('bills the gap when the pod ran on while nobody looked', () => {
    const { measured, estimated } = walk([
      [t0 + minute, running()],
      [t0 + 9 * hour, running()],
    ]);
    assert.deepEqual([measured, estimated], [9 * 3600, 0]);
  });

  it('marks a gap in which the pod stopped at a time unknown as an estimate', () => {
    const { measured, estimated, entries } = walk([
      [t0 + minute, running()],
      [t0 + hour, exited()],
    ]);
    assert.deepEqual([measured, estimated], [60, 3540]);
    assert.equal(entries.at(-1)?.basis, 'estimated');
    assert.match(entries.at(-1)?.note ?? '', /no window was looking/);
  });

  it('bounds the estimate by the time after which the pod stops itself', () => {
    const { measured, estimated } = walk([
      [t0 + minute, running({ idleStopMs: 15 * minute })],
      [t0 + 8 * hour, exited()],
    ]);
    assert.deepEqual([measured, estimated], [60, 900]);
  });

  it('measures a stop whose time is known, and one that was seen at once', () => {
    const told = walk([
      [t0 + minute, running()],
      [t0 + hour, exited({ stoppedAtMs: t0 + 2 * minute })],
    ]);
    assert.deepEqual([told.measured, told.estimated], [120, 0]);
    const seen = walk([
      [t0 + minute, running()],
      [t0 + minute + 5_000, exited()],
    ]);
    assert.deepEqual([seen.measured, seen.estimated], [65, 0]);
  });

  it('tells a restart in the gap from a run that went on', () => {
    const { measured, estimated } = walk([
      [t0 + minute, running()],
      [t0 + 3 * hour, running({ startedAtMs: t0 + 2 * hour })],
    ]);
    assert.deepEqual([measured, estimated], [60 + 3600, 2 * 3600 - 60]);
  });

  it('costs nothing while stopped, and starts with the next run', () => {
    const { measured, estimated } = walk([
      [t0, running()],
      [t0 + minute, exited({ stoppedAtMs: t0 + minute })],
      [t0 + 5 * hour, exited()],
      [t0 + 7 * hour, running({ startedAtMs: t0 + 6 * hour })],
    ]);
    assert.deepEqual([measured, estimated], [60 + 3600, 0]);
  });

  it('ends with a pod that has gone, and does not bill it again', () => {
    const { measured, meter } = walk([
      [t0, running()],
      [t0 + 5_000, undefined],
      [t0 + hour, undefined],
      [t0 + 2 * hour, undefined],
    ]);
    assert.equal(measured, 5);
    assert.equal(meter?.state, 'gone');
  });

  it('goes on when a listing lacked the pod by mistake', () => {
    const { measured, estimated } = walk([
      [t0, running()],
      [t0 + 5_000, undefined],
      [t0 + hour, running()],
    ]);
    assert.deepEqual([measured, estimated], [3600, 0]);
  });

  it('bills each part of a run at its own price', () => {
    const { measured } = walk([
      [t0, running()],
      [t0 + minute, running({ usdPerHourMicros: 2 * usdPerHourMicros })],
      [t0 + 2 * minute, running({ usdPerHourMicros: 2 * usdPerHourMicros })],
    ]);
    assert.equal(measured, 60 + 120);
  });

  it('ignores a look that is older than the last', () => {
    const { measured } = walk([
      [t0, running()],
      [t0 + minute, running()],
      [t0 + 30_000, exited()],
      [t0 + 30_000, undefined],
      [t0 + 2 * minute, running()],
    ]);
    assert.equal(measured, 120);
  });

  it('does not stand still after a clock that was a day ahead', () => {
    const { measured, estimated } = walk([
      [t0 + 24 * hour, running({ startedAtMs: t0 + 24 * hour - minute })],
      [t0, running()],
      [t0 + minute, running()],
    ]);
    assert.deepEqual([measured, estimated], [60, 60]);
  });

  it('never bills a moment twice and never a moment outside, whatever it sees', () => {
    const sight = fc.record({
      afterMs: fc.integer({ min: -5 * minute, max: 4 * hour }),
      status: fc.constantFrom('PROVISIONING', 'STARTING', 'RUNNING', 'RUNNING', 'EXITED', 'ERROR', 'gone'),
      startedAgoMs: fc.option(fc.integer({ min: -minute, max: 5 * hour }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(sight, { minLength: 1, maxLength: 30 }), (looks) => {
        let atMs = t0;
        let firstMs = Number.POSITIVE_INFINITY;
        let lastMs = 0;
        const sights = looks.map((look) => {
          // Further back is a clock that was wrong: counting starts again by it, see above.
          atMs = Math.max(atMs + look.afterMs, lastMs - 10 * minute);
          const startedAtMs = look.startedAgoMs === undefined ? undefined : atMs - look.startedAgoMs;
          firstMs = Math.min(firstMs, atMs, startedAtMs ?? atMs);
          lastMs = Math.max(lastMs, atMs);
          return [atMs, look.status === 'gone' ? undefined : running({ status: look.status, startedAtMs })] as const;
        });
        const { entries, meter } = walk(sights);
        const open = meter === undefined ? undefined : openEntry(meter);
        const spans = (open === undefined ? [...entries] : [...entries, open]).sort((a, b) => a.fromMs - b.fromMs);
        for (const [n, span] of spans.entries()) {
          assert.ok(span.fromMs < span.toMs);
          assert.ok(span.fromMs >= firstMs && span.toMs <= lastMs);
          assert.ok(n === 0 || spans[n - 1]!.toMs <= span.fromMs, 'two entries overlap');
          assert.equal(span.micros, Math.round((span.toMs - span.fromMs) / 10));
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
