import assert from 'node:assert/strict';
import type { RunningJob } from '../../src/core/jobs/runningJobs.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import { known, unknown } from '../../src/core/kernel/observed.ts';
import type { QueueJob, QueueView } from '../../src/core/queue/queueView.ts';
import { burstSize, nextBurst } from '../../src/ui/queue/burst.ts';
import { progressText } from '../../src/ui/queue/progressText.ts';
import { jobRows, jobsBadge, jobsDescription, jobsState } from '../../src/ui/trees/jobRows.ts';
import type { JobScene } from '../../src/ui/trees/jobRows.ts';
import type { Row } from '../../src/ui/trees/row.ts';
import { TreeNodes } from '../../src/ui/trees/treeNodes.ts';

const now = 1_800_000_000_000;

function job(id: string, change: Partial<QueueJob> = {}): QueueJob {
  return {
    id,
    label: `picture ${id}`,
    state: 'queued',
    priority: 0,
    position: undefined,
    backend: undefined,
    backendLabel: undefined,
    why: undefined,
    waitsFor: undefined,
    progress: undefined,
    finishAt: undefined,
    requestedAt: now - 240_000,
    changedAt: now - 180_000,
    outputs: [],
    micros: undefined,
    fault: undefined,
    here: true,
    ...change,
  };
}

const zero = { queued: 0, running: 0, done: 0, failed: 0, cancelled: 0, lost: 0 };

function viewOf(jobs: readonly QueueJob[], change: Partial<QueueView> = {}): QueueView {
  const counts = { ...zero };
  for (const { state } of jobs) counts[state] += 1;
  return { jobs, counts, paused: false, leader: 'here', finishAt: undefined, ...change };
}

function sceneOf(view: QueueView, change: Partial<JobScene> = {}): JobScene {
  return { view: known(view, now), lastSeen: undefined, hasRecords: true, nowMs: now, ...change };
}

const groups = (rows: readonly Row[]): string[] => rows.map(({ label, description = '' }) => `${label} ${description}`);
const inside = (rows: readonly Row[], group: string): readonly Row[] =>
  rows.find(({ label }) => label === group)?.children ?? [];

const all = viewOf([
  job('1', {
    state: 'running',
    backendLabel: 'RunPod pod x',
    progress: { phase: 'Sampling', fraction: 0.42, node: 'KSampler' },
    finishAt: now + 12_000,
    why: 'about 9 s on RunPod pod x: ends first there',
  }),
  job('2', { position: 1, finishAt: now + 40_000, priority: 5 }),
  job('3', { position: 2, waitsFor: 'no backend is up' }),
  job('4', { state: 'done', backendLabel: 'local', outputs: ['/out/a.png', '/out/b.png'], micros: 0 }),
  job('5', { state: 'failed', fault: 'Node 5 (KSampler): out of memory' }),
  job('6', { state: 'lost', fault: 'its server does not know it' }),
  job('7', { state: 'cancelled' }),
]);

describe('rows of the Jobs view', () => {
  it('groups what runs, what waits in order, and what has ended', () => {
    const rows = jobRows(sceneOf(all));
    assert.deepEqual(groups(rows), ['Running 1', 'Queued 2', 'Failed 2', 'Done 1', 'Cancelled 1']);
    const description = (group: string): (string | undefined)[] => inside(rows, group).map((row) => row.description);
    assert.deepEqual(description('Running'), ['42 % · KSampler · x · 12 s left']);
    assert.deepEqual(description('Queued'), ['#1 · priority 5 · done in 40 s', '#2 · no backend is up']);
    assert.deepEqual(description('Done'), ['local · free · 2 files · 3 min ago']);
    assert.deepEqual(description('Failed'), [
      'Node 5 (KSampler): out of memory · 3 min ago',
      'its server does not know it · 3 min ago',
    ]);
  });

  it('stands still from one second to the next: what is drawn anew cannot be clicked', () => {
    const fresh = { requestedAt: now - 20_000, changedAt: now - 10_000 };
    const jobs = all.jobs.filter(({ state }) => state !== 'running').map((one) => ({ ...one, ...fresh }));
    const [at, later] = [now, now + 1_000].map((nowMs) => jobRows(sceneOf(viewOf(jobs), { nowMs })));
    assert.deepEqual(at, later);
    const minute = [60_000, 61_000].map((ms) => jobRows(sceneOf(viewOf(jobs), { nowMs: now + ms })));
    assert.equal(inside(minute[0]!, 'Cancelled')[0]?.description, '1 min ago');
    assert.equal(inside(minute[1]!, 'Cancelled')[0]?.description, '1 min ago');
    const old = jobRows(sceneOf(viewOf(jobs), { nowMs: now + 170_000 }));
    assert.equal(inside(old, 'Cancelled')[0]?.description, '3 min ago');
  });

  it('offers what each row can do, and only that', () => {
    const rows = jobRows(sceneOf(all));
    const context = (group: string): (string | undefined)[] => inside(rows, group).map((row) => row.context);
    assert.deepEqual(context('Running'), [';job;cancellable;']);
    assert.deepEqual(context('Queued'), [';job;cancellable;movable;', ';job;cancellable;movable;']);
    assert.deepEqual(context('Failed'), [';job;retryable;', ';job;retryable;']);
    assert.deepEqual(context('Done'), [';job;openable;']);
    assert.deepEqual(context('Cancelled'), [';job;retryable;']);
    assert.deepEqual(inside(rows, 'Done')[0]?.command?.args, ['4']);
  });

  it('tells the state by shape and in words, and the reasons below', () => {
    const rows = jobRows(sceneOf(all));
    const jobsOf = rows.flatMap((row) => row.children ?? []);
    assert.deepEqual(
      jobsOf.map(({ icon }) => icon?.id),
      ['sync~spin', 'clock', 'watch', 'error', 'question', 'pass-filled', 'circle-slash'],
    );
    assert.match(jobsOf[0]?.spoken ?? '', /^picture 1, running, 42 %, KSampler/);
    const details = (jobsOf[0]?.children ?? []).map(({ label, description }) => `${label}: ${description}`);
    assert.ok(details.includes('Why there: about 9 s on RunPod pod x: ends first there'), details.join('\n'));
    const files = (jobsOf[5]?.children ?? []).filter(({ command }) => command !== undefined);
    assert.deepEqual(
      files.map(({ label, command }) => [label, command?.args]),
      [
        ['a.png', ['4', 0]],
        ['b.png', ['4', 1]],
      ],
    );
  });

  it('tells a job whose connection was lost from one that runs in another window, with no figures of before', () => {
    const running = { state: 'running', here: false, backendLabel: 'RunPod pod x', finishAt: now + 12_000 } as const;
    const [left, other] = inside(
      jobRows(
        sceneOf(
          viewOf([
            job('1', { ...running, isLeft: true, progress: { phase: 'Sampling', fraction: 0.4 } }),
            job('2', running),
          ]),
        ),
      ),
      'Running',
    );
    assert.equal(left?.description, 'connection lost, asked for again · x');
    assert.equal(left?.icon?.id, 'debug-disconnect');
    assert.deepEqual(
      left?.children?.slice(0, 1).map(({ description }) => description),
      ['Running · connection lost, asked for again'],
    );
    assert.ok(left?.children?.every(({ label }) => label !== 'Predicted end'));
    assert.match(other?.description ?? '', /in another window$/);
  });

  it('does not call an unknown cost free, nor a lost job failed', () => {
    const rows = jobRows(sceneOf(viewOf([job('1', { state: 'done', outputs: ['/a.png'] })])));
    assert.match(inside(rows, 'Done')[0]?.description ?? '', /cost not known/);
  });

  it('leaves the view to its welcome text when there is nothing, also before anything was ever done here', () => {
    assert.equal(jobsState(sceneOf(viewOf([]))), 'none');
    assert.deepEqual(jobRows(sceneOf(viewOf([]))), []);
    const fresh = sceneOf(viewOf([]), { view: unknown(now), hasRecords: false });
    assert.equal(jobsState(fresh), 'none');
    const loading = jobRows({ ...fresh, hasRecords: true });
    assert.deepEqual(
      loading.map(({ label }) => label),
      ['Looking for jobs…'],
    );
  });

  it('tells a failed load with a way to try again, above what was last seen', () => {
    const view = unknown(now, new Fault('io', 'The database is locked'));
    const rows = jobRows(sceneOf(all, { view, lastSeen: { view: all, at: now - 20_000 } }));
    assert.deepEqual(
      rows.slice(0, 3).map(({ label }) => label),
      ['Jobs not loaded', 'Try Again', 'Running'],
    );
    assert.match(rows[0]?.tooltip ?? '', /as seen 20 s ago/);
    assert.equal(inside(rows, 'Running')[0]?.faded, true);
    assert.equal(jobRows(sceneOf(all, { view })).length, 2);
  });

  it('says in its head that it is paused and how long it takes, and counts in its badge', () => {
    assert.equal(jobsDescription({ ...all, finishAt: now + 600_000 }, now), '10 min left');
    assert.equal(jobsDescription({ ...all, paused: true, finishAt: now + 600_000 }, now), 'paused');
    assert.equal(jobsDescription(all, now), '', 'what waits may take longer than what runs');
    assert.equal(jobsDescription(viewOf(all.jobs.slice(0, 1)), now), '12 s left');
    assert.deepEqual(jobsBadge(all), { value: 3, tooltip: '1 running, 2 queued' });
    assert.equal(jobsBadge(viewOf([job('1', { state: 'done' })])), undefined);
    const rows = jobRows(sceneOf({ ...all, paused: true }));
    assert.match(rows[1]?.description ?? '', /paused/);
  });

  it('shows ten thousand waiting jobs as a hundred rows and a count', () => {
    const jobs = Array.from({ length: 500 }, (_, at) => job(`q.${at}`, { position: at + 1 }));
    const done = Array.from({ length: 100 }, (_, at) => job(`d.${at}`, { state: 'done', outputs: [`/o/${at}.png`] }));
    const counts = { ...zero, queued: 10_000, done: 4_000 };
    const scene = sceneOf(viewOf([...jobs, ...done], { counts }));
    const rows = jobRows(scene);
    assert.equal(inside(rows, 'Queued').length, 101);
    assert.equal(inside(rows, 'Queued').at(-1)?.label, 'and 9,900 more');
    assert.equal(inside(rows, 'Done').at(-1)?.label, 'and 3,900 more');
    const nodes = new TreeNodes();
    nodes.update(rows);
    assert.deepEqual(nodes.update(jobRows(scene)), [], 'nothing is drawn again');
  });

  it('has ids that are unique', () => {
    const ids: string[] = [];
    const visit = (row: Row): void => {
      ids.push(row.id);
      row.children?.forEach(visit);
    };
    jobRows(sceneOf(all)).forEach(visit);
    assert.equal(new Set(ids).size, ids.length);
  });
});

describe('the progress of the queue', () => {
  it('counts from an idle queue to an idle queue', () => {
    const first = nextBurst(undefined, { ...zero, queued: 3, done: 10 });
    assert.deepEqual(first, { endedBefore: 10 });
    const counts = { ...zero, queued: 1, running: 1, done: 10, failed: 1 };
    assert.deepEqual(nextBurst(first, counts), first);
    assert.deepEqual(burstSize({ endedBefore: 10 }, counts), { ended: 1, total: 3 });
    assert.equal(nextBurst(first, { ...zero, done: 13 }), undefined);
    assert.deepEqual(nextBurst(first, { ...zero, running: 1 }), { endedBefore: 0 }, 'the ended ones were cleared');
  });

  it('reads 3/12 and a percentage over all of them, with what is left', () => {
    const jobs = [
      job('a', { state: 'running', progress: { phase: 'Sampling', fraction: 0.5 }, backendLabel: 'local' }),
      ...Array.from({ length: 8 }, (_, at) => job(`q${at}`)),
    ];
    const view = viewOf(jobs, { counts: { ...zero, running: 1, queued: 8, done: 103 }, finishAt: now + 240_000 });
    const shown = progressText({ running: [], view, burst: { endedBefore: 100 }, nowMs: now });
    assert.equal(shown?.text, '$(sync~spin) 3/12 · 29 %');
    assert.match(shown?.tooltip ?? '', /8 queued/);
    assert.match(shown?.tooltip ?? '', /4 min left/);
    assert.equal(shown?.spoken, 'PodRelay: 3 of 12 done, 29 %, 4 min left');
  });

  it('shows a single job by its phase, then by its percentage', () => {
    const running = (fraction?: number): RunningJob => ({
      id: 'a',
      label: 'a boat',
      startedAt: now,
      backend: 'local',
      tier: 'local',
      backendLabel: 'Local ComfyUI',
      progress: { phase: 'Waiting in the queue', ...(fraction === undefined ? {} : { fraction }) },
      cancel: () => undefined,
    });
    const text = (one: RunningJob): string | undefined =>
      progressText({ running: [one], view: undefined, burst: undefined, nowMs: now })?.text;
    assert.equal(text(running()), '$(sync~spin) Waiting in the queue');
    assert.equal(text(running(0.428)), '$(sync~spin) 42 %');
    assert.equal(progressText({ running: [], view: viewOf([]), burst: undefined, nowMs: now }), undefined);
  });

  it('does not count twice what has begun here since the queue was read', () => {
    const started = (id: string): RunningJob => ({
      ...{ id, label: id, startedAt: now, backend: 'local', tier: 'local', backendLabel: 'Local ComfyUI' },
      ...{ progress: { phase: 'Sampling', fraction: 0.5 }, cancel: () => undefined },
    });
    const view = viewOf([job('a', { state: 'running' }), job('b'), job('c')]);
    const text = (running: readonly RunningJob[]): string | undefined =>
      progressText({ running, view, burst: { endedBefore: 0 }, nowMs: now })?.text;
    assert.equal(text([started('a'), started('b')]), '$(sync~spin) 0/3 · 33 %');
    assert.equal(text([started('a'), started('new')]), '$(sync~spin) 0/4 · 25 %');
  });

  it('shows in its tooltip the last picture on the way, and nothing that is no picture', () => {
    const started = (id: string, mimeType?: string): RunningJob => ({
      ...{ id, label: id, startedAt: now, backend: 'local', tier: 'local', backendLabel: 'Local ComfyUI' },
      progress: {
        phase: 'Sampling',
        ...(mimeType === undefined ? {} : { preview: { mimeType, bytes: Buffer.from(id) } }),
      },
      cancel: () => undefined,
    });
    const pictures = (...running: readonly RunningJob[]): readonly string[] => {
      const shown = progressText({ running, view: undefined, burst: undefined, nowMs: now });
      return shown?.tooltip.split('\n').filter((line) => line.includes('![')) ?? [];
    };
    const picture = `![preview](data:image/jpeg;base64,${Buffer.from('b').toString('base64')})`;
    assert.deepEqual(pictures(started('a', 'image/png'), started('b', 'image/jpeg'), started('c')), [picture]);
    assert.deepEqual(pictures(started('a')), []);
    for (const no of ['image/svg+xml', 'text/html', 'image/png)](command:evil'])
      assert.deepEqual(pictures(started('a', no)), []);
  });

  it('says when it is paused, or waits', () => {
    const view = viewOf([job('1'), job('2')]);
    const text = (paused: boolean): string | undefined =>
      progressText({ running: [], view: { ...view, paused }, burst: { endedBefore: 0 }, nowMs: now })?.text;
    assert.equal(text(true), '$(debug-pause) 0/2 · paused');
    assert.equal(text(false), '$(clock) 0/2 · waiting');
  });
});
