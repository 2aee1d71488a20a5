import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { JobRequest } from '../src/core/backends/backend.ts';
import { BackendManager } from '../src/core/backends/backendManager.ts';
import { createLocalBackend } from '../src/core/backends/comfyBackend.ts';
import { createComfyClient } from '../src/core/comfy/comfyClient.ts';
import { Budgets } from '../src/core/cost/budgets.ts';
import { Ledger } from '../src/core/cost/ledger.ts';
import { createDispatcher } from '../src/core/http/dispatcher.ts';
import { JobRunner } from '../src/core/jobs/jobRunner.ts';
import { JobRecovery } from '../src/core/jobs/recoverJobs.ts';
import { systemClock as clock } from '../src/core/kernel/clock.ts';
import { Lifetime } from '../src/core/kernel/lifetime.ts';
import { createQueue } from '../src/core/queue/createQueue.ts';
import type { JobQueue } from '../src/core/queue/jobQueue.ts';
import { readSettings } from '../src/core/settings.ts';
import { createDatabase } from '../src/core/store/database.ts';
import { createJobStore } from '../src/core/store/jobStore.ts';
import { createLedgerStore } from '../src/core/store/ledgerStore.ts';
import { createReservationStore } from '../src/core/store/reservationStore.ts';
import { schemaSteps } from '../src/core/store/schema.ts';
import { createComfySim } from '../src/sim/comfy/comfySim.ts';
import type { ComfySim } from '../src/sim/comfy/comfySim.ts';
import { listen } from '../src/sim/listener.ts';
import type { SimTime } from '../src/sim/mount.ts';
import { samplerWorkflow } from '../test/contract/world.ts';

/** ComfyUI servers of different speed on ports of their own. */
export interface Servers {
  readonly all: readonly { readonly origin: string; readonly speed: number; readonly sim: ComfySim }[];
  dispose(): Promise<void>;
}

/** A job's nodes take so many ms on a server of speed 1: two texts, a step of 64 x 64, the decoder. */
const jobMs = 60 + 60 + 200 / 64 + 250;

/** `jobSeconds`: what one job takes on a server of speed 1. */
export async function startServers(speeds: readonly number[], jobSeconds: number): Promise<Servers> {
  // Models are loaded in no time.
  let scale = 1_000;
  const time: SimTime = {
    now: () => Date.now(),
    after: (ms, work) => {
      const timer = setTimeout(work, ms / scale);
      return { cancel: () => clearTimeout(timer) };
    },
  };
  const started = await Promise.all(
    speeds.map(async (speed, n) => {
      const gpu = { name: `NVIDIA Speed ${speed}`, vramBytes: 24 * 1024 ** 3, speed };
      const sim = createComfySim({ profile: '0.33.0', time, seed: n + 1, gpu });
      return { sim, speed, listener: await listen(sim) };
    }),
  );
  await Promise.all(started.map(({ listener }) => runOnce(listener.origin)));
  scale = jobMs / 1_000 / jobSeconds;
  return {
    all: started.map(({ sim, speed, listener }) => ({ sim, speed, origin: listener.origin })),
    dispose: async () => {
      await Promise.all(started.map(({ listener }) => listener.dispose()));
      for (const { sim } of started) sim.dispose();
    },
  };
}

/** Straight to a server. */
export async function send(origin: string): Promise<void> {
  const body = JSON.stringify({ prompt: lightWorkflow() });
  const headers = { 'content-type': 'application/json' };
  const reply = await fetch(`${origin}/prompt`, { method: 'POST', body, headers });
  if (!reply.ok) throw new Error(await reply.text());
}

export async function endedOn(origin: string): Promise<number> {
  return Object.keys((await (await fetch(`${origin}/history`)).json()) as object).length;
}

async function runOnce(origin: string): Promise<void> {
  await send(origin);
  while ((await endedOn(origin)) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
}

let asked = 0;

/** Little to compute and no two alike: the servers wait as long as a GPU would work. */
export function lightWorkflow(): ReturnType<typeof samplerWorkflow> {
  asked += 1;
  const workflow = samplerWorkflow(asked, 1);
  workflow['1']!.inputs.ckpt_name = 'v1-5-pruned-emaonly-fp16.safetensors';
  workflow['2']!.inputs.text = `a lighthouse, number ${String(asked)}`;
  workflow['3']!.inputs.text = `blurry, number ${String(asked)}`;
  Object.assign(workflow['4']!.inputs, { width: 64, height: 64 });
  return workflow;
}

export function lightRequests(count: number): readonly JobRequest[] {
  return Array.from({ length: count }, () => ({
    id: randomUUID(),
    label: 'bench',
    workflow: lightWorkflow(),
    media: 'image',
    localOnly: true,
  }));
}

export interface BenchQueue {
  readonly queue: JobQueue;
  /** ms since the epoch of each end, in order */
  readonly ends: readonly number[];
  untilDone(count: number): Promise<void>;
  dispose(): Promise<void>;
}

/** The real queue, runner and records over servers that are backends of one tier. */
export async function openQueueOn(servers: Servers): Promise<BenchQueue> {
  const folder = await mkdtemp(path.join(tmpdir(), 'podrelay-bench-run-'));
  const life = new Lifetime();
  const quiet = (): void => undefined;
  const log = { debug: quiet, info: quiet, warn: console.warn, error: console.error };
  const newId = (): string => randomUUID();
  const file = path.join(folder, 'podrelay.db');
  const database = life.own(createDatabase({ file, steps: schemaSteps, clock, log }));
  const transport = createDispatcher({ proxyUrl: undefined, noProxy: [], strictTls: true });
  const http = { clock, log, random: Math.random, userAgent: 'PodRelay/bench', transport: async () => transport };
  const list = servers.all.map(({ origin, speed }) => {
    const client = createComfyClient({ ...http, baseUrl: origin });
    const own = { client: () => client, comfyAt: () => client, enabled: () => true, checkpoint: () => undefined };
    const backend = createLocalBackend({ clock, log, newId, ...own });
    return { ...backend, id: `speed-${speed}`, label: `Server of speed ${speed}` };
  });
  const backends = life.own(
    new BackendManager({
      backends: {
        list: () => list,
        find: (id) => list.find((one) => one.id === id),
        refresh: () => Promise.resolve(),
        onDidChange: () => ({ dispose: quiet }),
      },
      clock,
      log,
      policy: () => ({ priority: ['local'] }),
    }),
  );
  const { settings } = readSettings(() => undefined);
  const ledger = life.own(new Ledger(createLedgerStore(database), clock));
  const store = createReservationStore(database);
  const budgets = life.own(new Budgets({ store, ledger, clock, log, newId, settings: () => settings }));
  const owner = newId();
  const leaseMs = 15_000;
  const jobStore = createJobStore(database, { owner, leaseMs });
  const ends: number[] = [];
  const outputFolder = (): string => path.join(folder, 'generated');
  const jobs: JobRunner = life.own(
    new JobRunner({
      ...{ backends, store: jobStore, leaseMs, ledger, budgets, clock, log, outputFolder },
      onDone: async (outcome) => {
        ends.push(clock.now());
        await opened.runTimes.note(outcome);
      },
      putBack: (...args) => opened.schedule.putBack(...args),
    }),
  );
  const recovery = new JobRecovery({ store: jobStore, jobs, backends, clock, log });
  const opened = createQueue(
    {
      ...{ database, databaseFile: file, jobs, backends, recovery, owner, clock, log, outputFolder },
      jobLeaseMs: leaseMs,
      prepare: () => Promise.resolve(),
      mayRun: () => true,
      policy: () => ({
        priority: ['local'],
        strategy: 'fastest',
        secondsPerUsd: 0,
        localOnly: false,
        mayPayGemini: false,
        mayStart: false,
        secondRunMostMicros: undefined,
      }),
      priceOf: () => ({ usdPerHourMicros: 0, microsPerJob: 0 }),
    },
    life,
  );
  return {
    queue: opened.queue,
    ends,
    untilDone: async (count) => {
      for (const deadline = Date.now() + 300_000; ends.length < count;) {
        if (Date.now() > deadline) throw new Error(`Only ${ends.length} of ${count} jobs are done`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    dispose: async () => {
      life.dispose();
      await transport.close();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
