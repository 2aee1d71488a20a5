import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { forbidding, limitsOf, usesOf } from '../src/core/cost/budget.ts';
import { Ledger } from '../src/core/cost/ledger.ts';
import { systemClock } from '../src/core/kernel/clock.ts';
import { toFault } from '../src/core/kernel/fault.ts';
import { readSettings } from '../src/core/settings.ts';
import { createDatabase } from '../src/core/store/database.ts';
import { createLedgerStore } from '../src/core/store/ledgerStore.ts';
import { createReservationStore } from '../src/core/store/reservationStore.ts';
import { schemaSteps } from '../src/core/store/schema.ts';
import { removeFolder } from '../test/contract/jobWindow.ts';
import { simulateWeek } from '../test/contract/moneyWeek.ts';
import { job, openWorld, samplerWorkflow } from '../test/contract/world.ts';
import { timed } from './measurement.ts';
import type { Bench } from './measurement.ts';

const weeks = [11, 12, 13];
const budgetMicros = 2_000_000;
const quiet = (): void => undefined;

/** Is the ledger what is billed, do budgets hold, and what does it cost to ask? */
export const money: Bench = {
  name: 'money',
  async measure() {
    const drifts: number[] = [];
    for (const seed of weeks) {
      const week = await simulateWeek(seed);
      drifts.push(Math.abs(week.ledgerMicros / week.invoice.totalMicros - 1) * 100);
      await week.close();
    }
    return [
      { what: 'ledger against the invoice of a week', judge: 'max', under: 2, unit: '%', samples: drifts },
      {
        what: '50 jobs at once against a budget: overshoot',
        judge: 'max',
        under: 1,
        unit: 'micro-dollars',
        samples: [await overshootMicros()],
      },
      {
        what: 'a reservation, 100,000 entries this month',
        judge: 'median',
        under: 50,
        unit: 'ms',
        samples: await reservationMs(),
      },
    ];
  },
};

/** What the simulated Gemini bills beyond two dollars when 50 jobs are begun at once. */
async function overshootMicros(): Promise<number> {
  const world = await openWorld();
  world.settings = readSettings(
    (key) =>
      ({ 'gemini.fallback': 'always', 'routing.forced': 'gemini', 'budget.dayUsd': budgetMicros / 1e6 })[key as never],
  ).settings;
  const run = () => world.core.jobs.run(job(samplerWorkflow()), quiet, world.signal);
  const ended = await Promise.allSettled(Array.from({ length: 50 }, run));
  const { totalMicros, generations } = world.sim.gemini.bill();
  await world.close();
  for (const one of ended) {
    if (one.status === 'rejected' && toFault(one.reason).kind !== 'overBudget') throw toFault(one.reason);
  }
  if (generations < 10) throw new Error(`Only ${String(generations)} jobs were run`);
  return Math.max(0, totalMicros - budgetMicros);
}

async function reservationMs(): Promise<readonly number[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'podrelay-money-'));
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const file = path.join(folder, 'podrelay.db');
  const database = createDatabase({ file, steps: schemaSteps, clock: systemClock, log });
  const nowMs = Date.now();
  await database.write((rows) => {
    rows.run(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
       INSERT INTO ledger_entry (kind, subject, label, from_ms, to_ms, micros, basis)
       SELECT iif(i % 2, 'pod', 'job'), 'subject' || i, iif(i % 2, 'pod' || (i % 20), 'gemini'), ?1 - i - 5, ?1 - i, 10,
         'measured' FROM n`,
      nowMs,
    );
  });
  const ledger = new Ledger(createLedgerStore(database), systemClock);
  const store = createReservationStore(database);
  const limits = limitsOf(readSettings((key) => (key === 'budget.monthUsd' ? 100 : undefined)).settings);
  const samples = await timed(50, async (run) => {
    const hold = { subject: `job${String(run)}`, run: 0, backend: 'gemini', kind: 'job', tier: 'gemini' } as const;
    const allowed = await store.reserve(ledger.periods(), (sums) => {
      const refusal = forbidding(usesOf(limits, sums), 'gemini', 40_000);
      return { hold: { ...hold, micros: 40_000, fromMs: nowMs, toMs: nowMs }, value: refusal === undefined };
    });
    if (!allowed) throw new Error('It was refused');
  });
  database.dispose();
  await removeFolder(folder);
  return samples;
}
