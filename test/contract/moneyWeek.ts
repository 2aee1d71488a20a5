import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Ledger, sumSince } from '../../src/core/cost/ledger.ts';
import type { Statement } from '../../src/core/cost/ledger.ts';
import { isBilled } from '../../src/core/cost/podMeter.ts';
import { sightOf } from '../../src/core/fleet/podWatch.ts';
import { createDispatcher } from '../../src/core/http/dispatcher.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import type { Pod } from '../../src/core/runpod/pod.ts';
import { createRunpodClient } from '../../src/core/runpod/runpodClient.ts';
import type { RunpodClient } from '../../src/core/runpod/runpodClient.ts';
import { createDatabase } from '../../src/core/store/database.ts';
import { createLedgerStore } from '../../src/core/store/ledgerStore.ts';
import { schemaSteps } from '../../src/core/store/schema.ts';
import type { Invoice } from '../../src/sim/runpod/billing.ts';
import { removeFolder } from './jobWindow.ts';
import { apiKey, bench, podBody } from './simRunpodHarness.ts';

/** A week of one account, as the simulator bills it and as the ledger has it. */
export interface MoneyWeek {
  readonly statement: Statement;
  readonly ledgerMicros: number;
  readonly estimatedMicros: number;
  readonly invoice: Invoice;
  readonly client: RunpodClient;
  readonly looks: number;
  readonly startMs: number;
  readonly signal: AbortSignal;
  close(): Promise<void>;
}

const minute = 60_000;
const hour = 60 * minute;
/** As PodWatch looks while a pod costs money. */
const lookEveryMs = 30_000;
const idleStopMs = 15 * minute;
const gpus = ['NVIDIA GeForce RTX 4090', 'NVIDIA GeForce RTX 3090', 'NVIDIA RTX A5000'];

/**
 * Seven days in simulated time over real sockets: windows that are open some hours a day and look every 30 s while a pod
 * bills, two of them at times, on one database; pods that are created, stopped, started, restarted and terminated at any
 * moment, by the window, by their own watchdog once no window is left, and now and then in RunPod's console.
 */
export async function simulateWeek(seed: number): Promise<MoneyWeek> {
  const world = await bench({ base: 'realistic', change: { rateLimit: 'exempt' } });
  const folder = await mkdtemp(path.join(tmpdir(), 'podrelay-week-'));
  const quiet = (): void => undefined;
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const random = lehmer(seed);
  const between = (least: number, most: number): number => least + random() * (most - least);
  const pass = (ms: number): void => world.time.advance(Math.round(Math.max(0, ms)));
  const pick = <T>(some: readonly T[]): T | undefined => some[Math.floor(random() * some.length)];
  const transport = createDispatcher({ proxyUrl: undefined, noProxy: [], strictTls: true });
  const stop = new AbortController();
  const { signal } = stop;
  const clock = { ...systemClock, now: () => world.time.now() };
  const client = createRunpodClient({
    transport: () => Promise.resolve(transport),
    clock,
    log,
    random: () => 0,
    userAgent: 'PodRelay-test',
    baseUrl: `${world.apiUrl}/v2`,
    apiKey: () => Promise.resolve(apiKey),
  });
  const file = path.join(folder, 'podrelay.db');
  const databases = [0, 1].map(() => createDatabase({ file, steps: schemaSteps, clock: systemClock, log }));
  const ledgers = databases.map((database) => new Ledger(createLedgerStore(database), clock));
  const startMs = world.time.now();
  let names = 0;
  let looks = 0;

  async function look(windows: number): Promise<readonly Pod[]> {
    const pods = await client.listPods(signal);
    looks += 1;
    const ready = (pod: Pod): boolean => pod.startedAtMs !== undefined && clock.now() - pod.startedAtMs > 2 * minute;
    const sights = pods.map((pod) => sightOf(pod, idleStopMs, ready(pod)));
    await ledgers[looks % windows]?.observePods(sights, clock.now());
    return pods;
  }
  async function act(pods: readonly Pod[]): Promise<void> {
    const living = pods.filter((pod) => pod.status !== 'TERMINATED');
    const running = living.filter(isBilled);
    const resting = living.filter((pod) => pod.status === 'EXITED');
    const chance = random();
    if (living.length < 2 || (living.length < 5 && chance < 0.15)) {
      const gpu = { id: pick(gpus), count: random() < 0.1 ? 2 : 1 };
      const mounts = { persistent: { size: Math.round(between(20, 120)), path: '/workspace' } };
      const name = `podrelay-week-${String(++names)}`;
      await world.send('POST', '/v2/pods', { body: podBody(name, { gpu, mounts, env: { PODRELAY_POD: name } }) });
    } else if (chance < 0.45) await command(pick(resting), 'start');
    else if (chance < 0.75) await command(pick(running), 'stop');
    else if (chance < 0.85) await command(pick(running), 'restart');
    else if (chance < 0.9) await command(pick(living), 'terminate');
  }
  async function command(pod: Pod | undefined, action: 'start' | 'stop' | 'restart' | 'terminate'): Promise<void> {
    if (pod === undefined) return;
    if (action === 'terminate') await client.deletePod(pod.id, signal);
    else await client.podAction(pod.id, action, signal).catch(() => undefined);
  }

  for (let day = 0; day < 7; day += 1) {
    const nightUntil = startMs + day * 24 * hour + between(0, 3) * hour;
    pass(nightUntil - clock.now());
    for (let session = 0; session < 3; session += 1) {
      const closesAt = clock.now() + between(0.5, 3.5) * hour;
      const windows = random() < 0.4 ? 2 : 1;
      let pods = await look(windows);
      let nextActAt = clock.now() + between(0, 10) * minute;
      while (clock.now() < closesAt) {
        const billed = pods.some(isBilled);
        pass(billed ? lookEveryMs : Math.max(1_000, nextActAt - clock.now()));
        if (clock.now() >= nextActAt) {
          await act(pods);
          nextActAt = clock.now() + between(5, 40) * minute;
        }
        pods = await look(windows);
      }
      // The window has closed. Each pod's own watchdog stops it; a person may be in RunPod's console before.
      if (random() < 0.15) {
        pass(between(0, 10) * minute);
        await command(pick(pods.filter(isBilled)), random() < 0.3 ? 'terminate' : 'stop');
      }
      pass(closesAt + idleStopMs - clock.now());
      for (const pod of (await client.listPods(signal)).filter(isBilled)) await command(pod, 'stop');
      pass(between(1, 3) * hour);
    }
  }
  pass(startMs + 7 * 24 * hour - clock.now());
  await look(1);
  const statement = await (ledgers[0] ?? new Ledger(createLedgerStore(databases[0]!), clock)).statement(10);
  const { micros, estimatedMicros } = sumSince([...statement.open, ...statement.entries], 0);
  const invoice = world.sim.invoice();
  return {
    ...{ statement, ledgerMicros: micros, estimatedMicros, invoice, client, looks, startMs, signal },
    close: async () => {
      stop.abort();
      for (const database of databases) database.dispose();
      await transport.close();
      await world.close();
      await removeFolder(folder);
    },
  };
}

function lehmer(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}
