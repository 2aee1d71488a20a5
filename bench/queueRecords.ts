import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { JobRequest } from '../src/core/backends/backend.ts';
import { systemClock } from '../src/core/kernel/clock.ts';
import { prepareJobs } from '../src/core/queue/prepareJobs.ts';
import { createDatabase } from '../src/core/store/database.ts';
import type { Database } from '../src/core/store/database.ts';
import { createQueueStore } from '../src/core/store/queueStore.ts';
import { schemaSteps } from '../src/core/store/schema.ts';
import { samplerWorkflow } from '../test/contract/world.ts';
import type { Bench, Measurement } from './measurement.ts';
import { timed } from './measurement.ts';

const many = 10_000;
const finished = 100_000;
const shown = { queued: 500, ended: 100 };
const moves = ['top', 'up', 'down', 'bottom'] as const;

/** The queue's records at the size of their limits: a batch of one workflow, each job with its own text and seed. */
export const queueRecords: Bench = {
  name: 'queueRecords',
  async measure() {
    const folder = await mkdtemp(path.join(tmpdir(), 'podrelay-bench-queue-'));
    try {
      return [...(await fullQueue(folder)), ...(await longHistory(folder))];
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function fullQueue(folder: string): Promise<readonly Measurement[]> {
  const samples: number[] = [];
  for (let run = 0; run < 3; run++) {
    const database = open(path.join(folder, `enqueue${run}.db`));
    const asked = batch(many);
    samples.push(...(await timed(1, () => enqueue(database, asked))));
    database.dispose();
  }
  const database = open(path.join(folder, 'enqueue0.db'));
  const queue = createQueueStore(database);
  const { jobs } = await queue.list({ queued: many, ended: 0 });
  const lists = await timed(60, () => queue.list(shown));
  const reorders = await timed(200, (run) => queue.move(jobs[(run * 47) % many]!.id, moves[run % 4]!));
  database.dispose();
  return [
    { what: `enqueue ${count(many)} jobs (5,000/s)`, judge: 'max', under: 2_000, unit: 'ms', samples },
    { what: `list with ${count(many)} queued`, judge: 'p99', under: 16, unit: 'ms', samples: lists },
    { what: `reorder with ${count(many)} queued`, judge: 'p99', under: 16, unit: 'ms', samples: reorders },
  ];
}

/** What a history of ended jobs adds to the time from the start to the first view. */
async function longHistory(folder: string): Promise<readonly Measurement[]> {
  const empty = path.join(folder, 'empty.db');
  const long = path.join(folder, 'long.db');
  await fill(long, finished);
  await fill(empty, 0);
  const firstView = async (file: string): Promise<number> => {
    const startedAt = performance.now();
    const database = open(file);
    await createQueueStore(database).list(shown);
    const ms = performance.now() - startedAt;
    database.dispose();
    return ms;
  };
  const samples: number[] = [];
  for (let run = 0; run < 15; run++) samples.push((await firstView(long)) - (await firstView(empty)));
  const what = `first view after a restart, ${count(finished)} finished jobs on record, beyond an empty one`;
  return [{ what, judge: 'median', under: 50, unit: 'ms', samples }];
}

async function fill(file: string, jobs: number): Promise<void> {
  const database = open(file);
  for (let from = 0; from < jobs; from += many) {
    await enqueue(database, batch(many));
    await database.write((rows) => {
      const attempts = JSON.stringify([
        { backend: 'cloud', label: 'RunPod pod podrelay-abc', outcome: 'done', ms: 9_120 },
      ]);
      const outputs = JSON.stringify([
        { path: `/home/someone/project/generated/sampled_00001_.png`, bytes: 812_345, kind: 'image' },
      ]);
      const sql = `UPDATE job SET state = 'done', attempts = ?, outputs = ?, micros = 1800, cost_basis = '9.1 s of the price',
        backend = 'cloud', why = ?, prompt_id = id, client_id = id, address = 'https://abc-8188.proxy.runpod.net',
        changed_at = changed_at + rowid WHERE state = 'queued'`;
      const why =
        'about 9.1 s on RunPod pod podrelay-abc (RTX 4090): ends first there. The others: Local ComfyUI 42 s.';
      rows.run(sql, attempts, outputs, why);
    });
  }
  await createQueueStore(database).list(shown);
  database.dispose();
}

async function enqueue(database: Database, asked: readonly JobRequest[]): Promise<void> {
  const signal = new AbortController().signal;
  const jobs = await prepareJobs(asked, '/home/someone/project/generated', systemClock, signal);
  await createQueueStore(database).enqueue(jobs, systemClock.now());
}

function batch(size: number): readonly JobRequest[] {
  return Array.from({ length: size }, (_, n) => {
    const workflow = samplerWorkflow(n, 20);
    workflow['2']!.inputs.text = `a lighthouse at dawn, number ${String(n)}, oil on canvas, storm, gulls, wide angle`;
    return { id: randomUUID(), label: `row ${String(n)}`, workflow, media: 'image', localOnly: false };
  });
}

function open(file: string): Database {
  const quiet = (): void => undefined;
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  return createDatabase({ file, steps: schemaSteps, clock: systemClock, log });
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
