import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { defaultWorkflow } from '../../src/core/generate/defaultWorkflow.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { readBatch } from '../../src/core/queue/batch.ts';
import type { Batch } from '../../src/core/queue/batch.ts';
import { createDatabase } from '../../src/core/store/database.ts';
import { batchJobId, createJobReports } from '../../src/core/store/jobReports.ts';
import type { BatchTally } from '../../src/core/store/jobReports.ts';
import { createJobStore } from '../../src/core/store/jobStore.ts';
import { schemaSteps } from '../../src/core/store/schema.ts';
import { batchNewsText } from '../../src/ui/queue/batchNewsText.ts';
import { batchFailure, batchQuestion, batchReport } from '../../src/ui/queue/batchTexts.ts';
import { jobStoryText } from '../../src/ui/queue/jobStoryText.ts';

const workflow = defaultWorkflow({ prompt: 'a boat', width: 512, height: 512, seed: 7 });
const names = { file: 'prompts.csv', workflow: 'text-to-image.json', encoding: 'UTF-8' };

async function read(text: string): Promise<Batch> {
  const options = { workflow, maxJobs: 10_000, newSeed: () => 1, clock: systemClock };
  return readBatch({ name: names.file, format: 'csv', text }, options, new AbortController().signal);
}

describe('what is said of a batch file', () => {
  it('reports everything that is wrong, the columns as they were read, and what they could be', async () => {
    const batch = await read('prompt,colour,width\na,red,500\nb,blue,512\n');
    const report = batchReport(batch, names);
    assert.match(report, /^prompts\.csv: 2 problems\. Nothing was queued\./);
    assert.match(report, /line 1: the column 'colour' is not used/);
    assert.match(report, /line 2: width must be a multiple of 8, not 500/);
    assert.match(report, /prompt: sets 2\.text/);
    assert.match(report, /colour: not used/);
    assert.match(report, /can be used: prompt, negative, seed, width, height, steps, cfg, checkpoint, label, priority/);
    assert.equal(
      batchFailure(batch),
      "line 1: the column 'colour' is not used: it names no input of this workflow (and 1 more problem)",
    );
  });

  it('counts what it does not list', async () => {
    const report = batchReport(await read(`prompt,seed\n${'a,x\n'.repeat(1_500)}`), names);
    assert.match(report, /1,500 problems/);
    assert.match(report, /… and 500 more/);
  });

  it('asks with the count, the columns, the first jobs, and what is known of time and cost', async () => {
    const batch = await read(`prompt,repeat\n${'a lighthouse,20\n'.repeat(10)}`);
    const prediction = { ms: 600_000, micros: 400_000, labels: ['RunPod pod x', 'Local ComfyUI'] };
    const { message, detail } = batchQuestion(batch, names, {
      ...{ prediction, next: undefined, queued: 3, isPaused: true },
    });
    assert.equal(message, 'Queue 200 jobs from prompts.csv?');
    for (const part of [
      'Workflow: text-to-image.json.',
      '• prompt: sets 2.text',
      '• repeat: how often',
      '• a lighthouse (1/20) (line 2)',
      '• and 195 more',
      'About 10 min, for $0.40, on what is up now: RunPod pod x, Local ComfyUI.',
      '3 jobs of before wait in the queue.',
      'The queue is paused',
    ]) {
      assert.ok(detail.includes(part), `${part} in\n${detail}`);
    }
    const before = { prediction: undefined, queued: 0, isPaused: false };
    const unknown = batchQuestion(batch, names, { ...before, next: undefined }).detail;
    assert.match(unknown, /not known: .* No backend can take a job/);
    assert.doesNotMatch(unknown, /\$/);
    const quote = { micros: 2_000, basis: 'as of its price list' };
    const first = batchQuestion(batch, names, { ...before, next: { label: 'RunPod pod x', quote } }).detail;
    assert.match(first, /On RunPod pod x all would cost about \$0\.40 \(as of its price list\)\./);
  });
});

describe('what is said at the end of a batch', () => {
  const tally = (jobs: Record<string, number>, micros = 0, unknownCosts = 0) => ({ jobs, micros, unknownCosts });

  const news = (label: string, of: BatchTally) => batchNewsText(label, of, undefined);

  it('counts by outcome, with the cost as far as it is known', () => {
    assert.deepEqual(news('a.csv', tally({ done: 198, failed: 2 }, 420_000)), {
      text: 'a.csv: 198 done, 2 failed, $0.42',
      isQuiet: false,
      again: 2,
    });
    assert.equal(news('a.csv', tally({ done: 3 }))?.text, 'a.csv: 3 done, free');
    assert.equal(
      news('a.csv', tally({ done: 3, lost: 1 }, 0, 2))?.text,
      'a.csv: 3 done, 1 lost, the cost of 2 not known',
    );
    assert.equal(news('a.csv', tally({ done: 2 }, 5_000, 1))?.text, 'a.csv: 2 done, $0.005, the cost of 1 not known');
  });

  it('is silent before the end, and when nothing is on record any more', () => {
    assert.equal(news('a.csv', tally({ done: 3, queued: 1 })), undefined);
    assert.equal(news('a.csv', tally({ done: 3, running: 1 })), undefined);
    assert.equal(news('a.csv', tally({})), undefined);
  });

  it('says little of one job that is done and free', () => {
    assert.deepEqual(news('x.json', tally({ done: 1 })), {
      text: 'x.json: done, free',
      isQuiet: true,
      again: 0,
    });
    assert.equal(news('x.json', tally({ failed: 1 }))?.isQuiet, false);
    assert.equal(news('x.json', tally({ failed: 1 }))?.text, 'x.json: failed');
  });

  it('gives a reason of what failed', () => {
    const text = (jobs: Record<string, number>): string | undefined =>
      batchNewsText('x.json', tally(jobs), 'Node 5: out of memory.')?.text;
    assert.equal(text({ failed: 1 }), 'x.json: failed. Reason: Node 5: out of memory');
    assert.equal(text({ done: 1, failed: 2 }), 'x.json: 1 done, 2 failed, free. One reason: Node 5: out of memory');
    assert.equal(text({ done: 2 }), 'x.json: 2 done, free');
  });
});

describe('why a job is where it is', () => {
  it('tells the reasons on record, the tries and the files', () => {
    const text = jobStoryText(
      {
        ...{ id: 'a', label: 'a boat', state: 'done', priority: 0, position: undefined, backend: 'cloud', here: true },
        ...{ backendLabel: 'RunPod pod x', why: 'about 9 s there. The others: local not: switched off; y 12 s.' },
        ...{ waitsFor: undefined, progress: undefined, finishAt: undefined, requestedAt: 0, changedAt: 0 },
        ...{ outputs: ['/out/a.png'], micros: undefined, fault: undefined },
      },
      [
        { backend: 'local', label: 'Local ComfyUI', outcome: 'refused', why: 'Connection refused', ms: 0 },
        { backend: 'pod:1', label: 'RunPod pod y', outcome: 'failed', why: 'The pod has gone', ms: 3_200 },
        { backend: 'cloud', label: 'RunPod pod x', outcome: 'done', ms: 9_100 },
      ],
    );
    assert.deepEqual(text.split('\n'), [
      'a boat',
      '',
      'State:      Done',
      'Backend:    RunPod pod x',
      'Why there:  about 9 s there.',
      '            The others: local not: switched off;',
      '            y 12 s.',
      'Cost:       cost not known',
      'File:       /out/a.png',
      '',
      'Tried',
      '',
      '  1. Local ComfyUI: not tried: Connection refused',
      '  2. RunPod pod y: failed after 3.2 s: The pod has gone',
      '  3. RunPod pod x: done after 9.1 s',
      '',
    ]);
  });
});

describe('reports on job records', () => {
  it('tally one batch by its ids, and give the tries of a job', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'podrelay-reports-'));
    const quiet = (): void => undefined;
    const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    const database = createDatabase({ file: path.join(folder, 'db'), steps: schemaSteps, clock: systemClock, log });
    try {
      const store = createJobStore(database, { owner: 'me' });
      const put = (id: string): Promise<void> =>
        store.put({ id, label: id, workflow: JSON.stringify(workflow), details: {}, requestedAt: 1 });
      for (const index of [1, 2, 3, 12]) await put(batchJobId('one', index));
      for (const id of ['one', 'one-more.1', 'on.1', 'other.1']) await put(id);
      const attempts = [{ backend: 'local', label: 'Local', outcome: 'done', ms: 5 }, { odd: true }];
      const done = { state: 'done', backend: 'cloud', attempts } as const;
      await store.update('one.1', { ...done, cost: { micros: 1_500, basis: 'x' } }, 2);
      await store.update('one.12', { ...done, cost: { micros: 500, basis: 'x' } }, 2);
      await store.update('one.2', done, 2);
      await store.update('one.3', { state: 'failed', fault: { kind: 'jobFailed', message: 'x' } }, 2);
      await store.update('other.1', { state: 'lost' }, 2);
      const reports = createJobReports(database);
      assert.deepEqual(await reports.tally('one'), { jobs: { done: 3, failed: 1 }, micros: 2_000, unknownCosts: 1 });
      assert.deepEqual(await reports.tally('none'), { jobs: {}, micros: 0, unknownCosts: 0 });
      assert.deepEqual(await reports.failed('one'), ['one.3']);
      assert.deepEqual(await reports.attempts('one.1'), [attempts[0]]);
      assert.deepEqual(await reports.attempts('gone'), []);
    } finally {
      database.dispose();
      await rm(folder, { recursive: true });
    }
  });
});
