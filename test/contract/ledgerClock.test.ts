import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Ledger } from '../../src/core/cost/ledger.ts';
import { sightOf } from '../../src/core/fleet/podWatch.ts';
import { createDispatcher } from '../../src/core/http/dispatcher.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { createRunpodClient } from '../../src/core/runpod/runpodClient.ts';
import { createDatabase } from '../../src/core/store/database.ts';
import { createLedgerStore } from '../../src/core/store/ledgerStore.ts';
import { schemaSteps } from '../../src/core/store/schema.ts';
import { removeFolder } from './jobWindow.ts';
import { apiKey, bench, podBody } from './simRunpodHarness.ts';

const minute = 60_000;
const hour = 60 * minute;
const quiet = (): void => undefined;
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };

describe('the ledger on a machine whose clock is not RunPod’s', () => {
  for (const [what, ms] of [
    ['2 hours ahead', 2 * hour],
    ['2 hours behind', -2 * hour],
    ['4 seconds ahead', 4_000],
    ['4 seconds behind', -4_000],
  ] as const) {
    it(`bills what RunPod bills while RunPod’s is ${what}`, async () => {
      const world = await bench({ base: 'realistic', change: { rateLimit: 'exempt', createLagMs: 0 } });
      const folder = await mkdtemp(path.join(tmpdir(), 'podrelay-clock-'));
      const database = createDatabase({ file: path.join(folder, 'r.db'), steps: schemaSteps, clock: systemClock, log });
      const transport = createDispatcher({ proxyUrl: undefined, noProxy: [], strictTls: true });
      const clock = { ...systemClock, now: () => world.time.now() };
      const ledger = new Ledger(createLedgerStore(database), clock);
      const { signal } = new AbortController();
      /** Each window has a client of its own, which learns the difference for itself. */
      const openWindow = (): (() => Promise<void>) => {
        const client = createRunpodClient({
          ...{ clock, log, random: () => 0, userAgent: 'PodRelay-test', baseUrl: `${world.apiUrl}/v2` },
          transport: () => Promise.resolve(transport),
          apiKey: () => Promise.resolve(apiKey),
        });
        return async () => {
          const pods = await client.listPods(signal);
          const sights = pods.map((pod) => sightOf(pod, 15 * minute, true));
          await ledger.observePods(sights, clock.now());
        };
      };
      try {
        world.sim.faults.set({ failure: { kind: 'clockSkew', ms } });
        await world.send('POST', '/v2/pods', { body: podBody('podrelay-late') });
        world.time.advance(40 * minute + 300);
        const first = openWindow();
        await first();
        await world.send('POST', '/v2/pods', { body: podBody('podrelay-seen') });
        world.time.advance(700);
        await first();
        world.time.advance(hour);
        // Nobody looked for an hour.
        await openWindow()();
        const { open, entries } = await ledger.statement(2);
        const spent = [...open, ...entries].filter(({ part }) => part !== 'disk');
        const invoice = world.sim.invoice().lines;
        const usdPerHourMicros = 690_000;
        for (const name of ['podrelay-late', 'podrelay-seen']) {
          const ledgerMicros = spent.reduce((sum, one) => sum + (one.label === name ? one.micros : 0), 0);
          const billed = invoice.find((line) => line.name === name)?.computeMicros ?? Number.NaN;
          assert.ok(billed > usdPerHourMicros / 2, `${billed} is billed`);
          const seconds = ((ledgerMicros - billed) / usdPerHourMicros) * 3_600;
          assert.ok(Math.abs(seconds) < 7, `${name}: ${ledgerMicros} for ${billed}, ${seconds.toFixed(1)} s too many`);
        }
        assert.deepEqual(
          spent.filter(({ basis }) => basis === 'estimated').map(({ note }) => note),
          ['Boot, before the first look at the pod'],
        );
      } finally {
        database.dispose();
        await transport.close();
        await world.close();
        await removeFolder(folder);
      }
    });
  }
});
