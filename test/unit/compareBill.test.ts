import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compareBill, microsIn } from '../../src/core/cost/compareBill.ts';
import type { BillingRecord, PodBillingRecord } from '../../src/core/runpod/billing.ts';
import type { LedgerEntry } from '../../src/core/store/ledgerStore.ts';

const hour = 3_600_000;
const day = 24 * hour;
const today = Date.UTC(2026, 10, 22);
const nowMs = today + 15 * hour;

const entry = (change: Partial<LedgerEntry> = {}): LedgerEntry => ({
  kind: 'pod',
  subject: 'pod1',
  label: 'podrelay-a',
  fromMs: today,
  toMs: today + hour,
  micros: 340_000,
  basis: 'measured',
  inPodTime: false,
  note: undefined,
  ...change,
});
const podBill = (change: Partial<PodBillingRecord> = {}): PodBillingRecord => ({
  podId: 'pod1',
  startAtMs: today,
  endAtMs: today + day,
  totalMicros: 350_000,
  gpuMicros: 340_000,
  cpuMicros: 0,
  diskMicros: 10_000,
  ...change,
});
const bill = (totalMicros: number, change: Partial<BillingRecord> = {}): BillingRecord => ({
  startAtMs: today,
  endAtMs: today + day,
  totalMicros,
  podGpuMicros: undefined,
  podCpuMicros: undefined,
  podDiskMicros: undefined,
  networkVolumeMicros: 0,
  ...change,
});
const causes = (facts: Partial<Parameters<typeof compareBill>[0]>) =>
  compareBill({ billed: [], billedPods: [], entries: [], days: 3, nowMs, ...facts }).reasons.map(
    ({ cause, micros, pods }) => [cause, micros, ...pods] as const,
  );

describe('the bill beside the ledger', () => {
  it('has a row for every day, also for those without a bill', () => {
    const { days } = compareBill({ billed: [], billedPods: [], entries: [], days: 3, nowMs });
    assert.deepEqual(
      days.map(({ fromMs, billedMicros, ledgerMicros, isOpen }) => [fromMs, billedMicros, ledgerMicros, isOpen]),
      [
        [today, 0, 0, true],
        [today - day, 0, 0, false],
        [today - 2 * day, 0, 0, false],
      ],
    );
  });

  it('gives each day its part of a run over midnight, and leaves out what is older', () => {
    const run = entry({ fromMs: today - 3 * hour, toMs: today + hour, micros: 400_000 });
    const old = entry({ fromMs: today - 9 * day, toMs: today - 8 * day });
    const { days, ledgerMicros } = compareBill({ billed: [], billedPods: [], entries: [run, old], days: 3, nowMs });
    assert.deepEqual(
      days.map((row) => row.ledgerMicros),
      [100_000, 300_000, 0],
    );
    assert.equal(ledgerMicros, 400_000);
    assert.equal(microsIn(entry({ toMs: today, micros: 7 }), today, today + day), 7);
  });

  it('leaves out Gemini, the local ComfyUI and shares of pod time', () => {
    const jobs = ['gemini', 'local', 'cloud'].map((label) =>
      entry({ kind: 'job', subject: label, label, toMs: today, inPodTime: label === 'cloud' }),
    );
    const { ledgerMicros } = compareBill({ billed: [], billedPods: [], entries: jobs, days: 3, nowMs });
    assert.equal(ledgerMicros, 0);
  });

  it('finds no drift where there is none', () => {
    const entries = [entry(), entry({ part: 'disk', micros: 10_000, basis: 'estimated' })];
    assert.deepEqual(causes({ billed: [bill(350_000)], billedPods: [podBill()], entries }), []);
  });

  it('tells pods of other machines, disks, time, volumes and other services apart', () => {
    const billedPods = [podBill(), podBill({ podId: 'foreign', totalMicros: 900_000 })];
    const billed = [bill(350_000 + 900_000 + 20_000 + 5_000, { networkVolumeMicros: 20_000 })];
    const entries = [entry({ micros: 380_000 }), entry({ subject: 'pod2', label: 'podrelay-b', micros: 70_000 })];
    assert.deepEqual(causes({ billed, billedPods, entries }), [
      ['otherPods', 900_000, 'foreign'],
      ['notBilled', -70_000, 'podrelay-b'],
      ['podTime', -40_000],
      ['networkVolumes', 20_000],
      ['disks', 10_000],
      ['otherServices', 5_000],
    ]);
  });

  it('does not lose a record that has no date', () => {
    const found = compareBill({
      billed: [bill(9_000, { startAtMs: undefined })],
      billedPods: [],
      entries: [],
      days: 3,
      nowMs,
    });
    assert.equal(found.billedMicros, 9_000);
  });

  it('has reasons that add up to the whole drift', () => {
    const pods = fc.constantFrom('a', 'b', 'c');
    const micros = fc.integer({ min: 0, max: 5_000_000 });
    const ago = fc.integer({ min: 0, max: 2 });
    fc.assert(
      fc.property(
        fc.array(fc.record({ podId: pods, ago, gpu: micros, disk: fc.option(micros, { nil: undefined }) })),
        fc.array(fc.record({ ago, more: micros, volumes: fc.option(micros, { nil: undefined }) })),
        fc.array(
          fc.record({
            subject: pods,
            label: fc.constantFrom('x', 'gemini', 'endpoint:e'),
            kind: fc.constantFrom('pod', 'job'),
            part: fc.constantFrom('run', 'boot', 'disk'),
            fromMs: fc.integer({ min: today - 4 * day, max: nowMs - 1 }),
            ms: fc.integer({ min: 1, max: 2 * day }),
            micros,
          }),
        ),
        (podBills, bills, entries) => {
          const billedPods = podBills.map(({ podId, ago: days, gpu, disk }) =>
            podBill({
              podId,
              startAtMs: today - days * day,
              gpuMicros: gpu,
              diskMicros: disk,
              totalMicros: gpu + (disk ?? 0),
            }),
          );
          const billed = bills.map(({ ago: days, more, volumes }) =>
            bill(more, { startAtMs: today - days * day, networkVolumeMicros: volumes }),
          );
          const found = compareBill({
            billed,
            billedPods,
            entries: entries.map(({ ms, ...rest }) => entry({ ...rest, toMs: Math.min(nowMs, rest.fromMs + ms) })),
            days: 3,
            nowMs,
          });
          const drift = found.billedMicros - found.ledgerMicros;
          const explained = found.reasons.reduce((sum, reason) => sum + reason.micros, 0);
          assert.ok(Math.abs(drift - explained) <= 6 * 5 + 6, `${drift} against ${explained}`);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
