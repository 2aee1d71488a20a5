import assert from 'node:assert/strict';
import { compareBill } from '../../src/core/cost/compareBill.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import { simulateWeek } from './moneyWeek.ts';
import type { MoneyWeek } from './moneyWeek.ts';
import { openWorld } from './world.ts';
import type { World } from './world.ts';

describe('the ledger over a simulated week', function () {
  this.timeout(180_000);
  let week: MoneyWeek;
  before(async () => {
    week = await simulateWeek(11);
  });
  after(() => week.close());

  it('is within 2 per cent of what RunPod has billed to the second, disks included', () => {
    const { ledgerMicros, invoice, looks } = week;
    assert.ok(looks > 1_000, `only ${looks} looks`);
    assert.ok(invoice.totalMicros > 10_000_000, 'the week was too cheap to tell');
    const drift = Math.abs(ledgerMicros / invoice.totalMicros - 1);
    assert.ok(drift < 0.02, `${(drift * 100).toFixed(2)} %`);
  });

  it('knows boots and disks as lines of their own', () => {
    const { statement, invoice } = week;
    const of = (part: string): number =>
      [...statement.open, ...statement.entries]
        .filter((entry) => (entry.part ?? 'run') === part)
        .reduce((sum, { micros }) => sum + micros, 0);
    const disks = invoice.lines.reduce((sum, line) => sum + line.totalMicros - line.computeMicros, 0);
    assert.ok(Math.abs(of('disk') / disks - 1) < 0.05, `disks: ${of('disk')} for ${disks}`);
    assert.ok(of('boot') > 0 && of('boot') < of('run') / 4);
  });

  it('is what RunPod’s own bill says day by day, and what it is not has a reason', async () => {
    const { client, statement, signal, invoice } = week;
    const query = { bucketSize: 'day', lastN: 8 } as const;
    const [billed, billedPods] = await Promise.all([client.billing(query, signal), client.podBilling(query, signal)]);
    const entries = [...statement.open, ...statement.entries];
    const found = compareBill({ billed, billedPods, entries, days: 8, nowMs: statement.nowMs });
    assert.ok(Math.abs(found.billedMicros / invoice.totalMicros - 1) < 0.001);
    assert.ok(Math.abs(found.ledgerMicros - week.ledgerMicros) < 10);
    assert.equal(found.days.filter(({ billedMicros }) => billedMicros > 0).length, 8);
    const drift = found.billedMicros - found.ledgerMicros;
    const explained = found.reasons.reduce((sum, { micros }) => sum + micros, 0);
    assert.ok(Math.abs(drift - explained) < 20, `${explained} of ${drift}`);
    assert.deepEqual(
      found.reasons.filter(({ cause }) => cause !== 'podTime' && cause !== 'disks'),
      [],
    );
    for (const { billedMicros, ledgerMicros } of found.days) {
      assert.ok(Math.abs(billedMicros - ledgerMicros) < 1_000_000, `${billedMicros} against ${ledgerMicros}`);
    }
  });

  it('tells what it never saw: the bill of a machine that has seen none of the pods', async () => {
    const { client, signal, statement } = week;
    const query = { bucketSize: 'day', lastN: 8 } as const;
    const [billed, billedPods] = await Promise.all([client.billing(query, signal), client.podBilling(query, signal)]);
    const { reasons, billedMicros } = compareBill({ billed, billedPods, entries: [], days: 8, nowMs: statement.nowMs });
    assert.deepEqual(
      reasons.map(({ cause }) => cause),
      ['otherPods'],
    );
    assert.ok(Math.abs((reasons[0]?.micros ?? 0) - billedMicros) < 20);
    assert.equal(reasons[0]?.pods.length, week.invoice.lines.length);
  });
});

describe('the comparison with RunPod’s bill', () => {
  let world: World;
  beforeEach(async () => {
    world = await openWorld({ podWatchEveryMs: 40, timeScale: 3_600 });
  });
  afterEach(() => world.close());

  it('says why when billing is down or answers nonsense, and the ledger stands', async () => {
    world.sim.runpod.seedPod({ name: 'podrelay-a', env: { PODRELAY_POD: 'podrelay-a' } });
    await world.core.pods.refresh(world.signal);
    for (const failure of [
      { kind: 'status', status: 500, effect: 'before' },
      { kind: 'html' },
      { kind: 'truncatedJson' },
      { kind: 'revokedKey' },
    ] as const) {
      const standing = world.sim.runpod.faults.set({ failure, on: ['listBilling', 'listPodBilling'] });
      const error = await world.core.compareBill(3, world.signal).then(
        () => assert.fail(`${failure.kind} passed`),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof Fault && error.kind !== 'bug', String(error));
      world.sim.runpod.faults.clear(standing);
    }
    const { entries, open } = await world.core.ledger.statement();
    assert.ok(entries.length + open.length > 0);
  });

  it('shows a bill that disagrees, with its reason', async () => {
    world.sim.runpod.configure({ billingLagMs: 0 });
    world.sim.runpod.seedPod({ name: 'on another machine' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { billedMicros, ledgerMicros, reasons } = await world.core.compareBill(2, world.signal);
    assert.ok(billedMicros > 10_000, `${billedMicros} was billed`);
    assert.equal(ledgerMicros, 0);
    assert.equal(reasons[0]?.cause, 'otherPods');
  });
});
