import assert from 'node:assert/strict';
import { dispatch, durationText, forecast } from '../../src/core/queue/dispatch.ts';
import type { DispatchPolicy, DispatchScene, WaitingJob, Worker } from '../../src/core/queue/dispatch.ts';
import { readRuns } from '../../src/core/queue/measurements.ts';

const nowMs = 1_000_000_000;
/** An image takes 9 s on the fast, 27 s on the middle and 81 s on the slow card. */
const book = readRuns(
  [
    { fingerprint: 'image', gpu: 'fast', seconds: 9, atMs: nowMs },
    { fingerprint: 'image', gpu: 'middle', seconds: 27, atMs: nowMs },
    { fingerprint: 'image', gpu: 'slow', seconds: 81, atMs: nowMs },
  ],
  nowMs,
);

function worker(id: string, more: Partial<Worker> = {}): Worker {
  return {
    id,
    label: id,
    rank: 0,
    gpu: 'fast',
    freeSlots: 1,
    secondsAhead: 0,
    loadedModels: [],
    loadSeconds: 0,
    transferSeconds: 0,
    usdPerHourMicros: 0,
    microsPerJob: 0,
    closed: undefined,
    lastResort: false,
    ...more,
  };
}

function jobs(count: number, more: Partial<WaitingJob> = {}): readonly WaitingJob[] {
  return Array.from({ length: count }, (_, order) => ({
    id: `job-${order}`,
    priority: 0,
    order,
    fingerprint: 'image',
    models: [],
    excluded: new Map(),
    ...more,
  }));
}

function scene(
  waiting: readonly WaitingJob[],
  workers: readonly Worker[],
  policy: Partial<DispatchPolicy> = {},
): DispatchScene {
  return { jobs: waiting, workers, book, policy: { strategy: 'fastest', secondsPerUsd: 0, ...policy } };
}

const pairs = (given: DispatchScene): readonly string[] =>
  dispatch(given).assignments.map(({ jobId, workerId }) => `${jobId} ${workerId}`);

describe('dispatch', () => {
  it('leaves the last job to the fast worker, waiting included', () => {
    const busy = worker('fast', { freeSlots: 0, secondsAhead: 20 });
    const slow = worker('slow', { gpu: 'slow' });
    const { assignments, held } = dispatch(scene(jobs(1), [slow, busy]));
    assert.deepEqual(assignments, []);
    assert.equal(held.get('job-0'), 'fast');
  });

  it('gives the slow worker the job that would wait longer for the fast one', () => {
    const busy = worker('fast', { freeSlots: 0, secondsAhead: 20 });
    const slow = worker('slow', { gpu: 'slow' });
    // 29, 38, 47, 56, 65, 74 s on the fast one, then 83 s: the seventh ends sooner on the slow one, in 81 s.
    assert.deepEqual(pairs(scene(jobs(6), [slow, busy])), []);
    assert.deepEqual(pairs(scene(jobs(7), [slow, busy])), ['job-6 slow']);
  });

  it('goes by priority, then by the order of the queue', () => {
    const [first, second, third] = jobs(3);
    const queue = [first!, { ...second!, priority: 1 }, { ...third!, priority: 1, order: -1 }];
    assert.deepEqual(pairs(scene(queue, [worker('one', { freeSlots: 2 })])), ['job-2 one', 'job-1 one']);
  });

  it('prefers the worker that holds the models, and counts loading for the other', () => {
    const workers = [
      worker('empty', { loadSeconds: 30 }),
      worker('loaded', { loadSeconds: 30, loadedModels: ['sdxl'], secondsAhead: 20 }),
    ];
    const given = scene(jobs(1, { models: ['sdxl'] }), workers);
    assert.deepEqual(pairs(given), ['job-0 loaded']);
    const [assignment] = dispatch(given).assignments;
    assert.equal(assignment?.finishSeconds, 29);
    assert.equal(assignment?.others[0]?.finishSeconds, 39);
    assert.match(assignment?.because ?? '', /ends first there; next is empty with 39 s/);
  });

  it('lets the order decide between scores within 20 %, and not beyond', () => {
    const home = (secondsAhead: number): Worker => worker('home', { rank: 0, secondsAhead });
    const pod = worker('pod', { rank: 1, secondsAhead: 91 });
    assert.deepEqual(pairs(scene(jobs(1), [pod, home(110)])), ['job-0 home']);
    assert.deepEqual(pairs(scene(jobs(1), [pod, home(112)])), ['job-0 pod']);
  });

  it('weighs money by the strategy', () => {
    // 9 s at $3.60 an hour are 9,000 micro-dollars; the slow one is free and takes 81 s.
    const paid = worker('paid', { usdPerHourMicros: 3_600_000 });
    const free = worker('free', { gpu: 'slow' });
    const given = (policy: Partial<DispatchPolicy>): readonly string[] => pairs(scene(jobs(1), [paid, free], policy));
    assert.deepEqual(given({ strategy: 'fastest' }), ['job-0 paid']);
    assert.deepEqual(given({ strategy: 'cheapest' }), ['job-0 free']);
    assert.deepEqual(given({ strategy: 'balanced', secondsPerUsd: 5_000 }), ['job-0 paid']);
    assert.deepEqual(given({ strategy: 'balanced', secondsPerUsd: 12_000 }), ['job-0 free']);
  });

  it("'priority' fills the first tier, and goes on to the next only when that is full", () => {
    const home = worker('home', { rank: 0, gpu: 'slow', freeSlots: 2 });
    const pod = worker('pod', { rank: 1 });
    const given = scene(jobs(3), [pod, home], { strategy: 'priority' });
    assert.deepEqual(pairs(given), ['job-0 home', 'job-1 home', 'job-2 pod']);
  });

  it('reckons with several jobs at once where a backend has several workers', () => {
    const endpoint = worker('endpoint', { freeSlots: 5, otherSecondsAhead: [0, 4] });
    const { assignments } = dispatch(scene(jobs(5), [endpoint]));
    // Two workers are free now and one in 4 s: 9, 9, 13 s, then the next round on the first two.
    assert.deepEqual(
      assignments.map(({ finishSeconds }) => finishSeconds),
      [9, 9, 13, 18, 18],
    );
    const pod = worker('pod', { freeSlots: 2 });
    assert.deepEqual(pairs(scene(jobs(4), [pod, endpoint])), [
      'job-0 pod',
      'job-1 endpoint',
      'job-2 endpoint',
      'job-3 endpoint',
    ]);
  });

  it('uses the last resort only for what no other can run', () => {
    const busy = worker('pod', { freeSlots: 0, secondsAhead: 10_000 });
    const gemini = worker('gemini', { lastResort: true, freeSlots: 4 });
    const [first, second] = jobs(2);
    const barred = { ...second!, excluded: new Map([['pod', 'Its ComfyUI has no such node']]) };
    const { assignments, held } = dispatch(scene([first!, barred], [busy, gemini]));
    assert.deepEqual(
      assignments.map(({ jobId }) => jobId),
      ['job-1'],
    );
    assert.match(assignments[0]?.because ?? '', /last resort/);
    assert.equal(held.get('job-0'), 'pod');
  });

  it('tells why no worker can have a job', () => {
    const workers = [worker('home', { closed: 'Connection refused' }), worker('pod')];
    const [job] = jobs(1, { excluded: new Map([['pod', "Marked 'local only'"]]) });
    const { stranded, assignments } = dispatch(scene([job!], workers));
    assert.deepEqual(assignments, []);
    assert.deepEqual(stranded.get('job-0'), ['home: Connection refused', "pod: Marked 'local only'"]);
  });

  it('keeps the reasons of all others with an assignment', () => {
    const workers = [worker('one'), worker('two', { secondsAhead: 5 }), worker('three', { closed: 'Switched off' })];
    const [assignment] = dispatch(scene(jobs(1), workers)).assignments;
    assert.deepEqual(
      assignment?.others.map(({ workerId, finishSeconds, why }) => [workerId, finishSeconds, why]),
      [
        ['two', 14, undefined],
        ['three', undefined, 'Switched off'],
      ],
    );
  });

  it('waits for a worker that boots when that is the sooner way', () => {
    const booting = worker('booting', { freeSlots: 0, secondsAhead: 30 });
    const slow = worker('slow', { gpu: 'slow' });
    assert.equal(dispatch(scene(jobs(1), [booting, slow])).held.get('job-0'), 'booting');
  });

  it('forecasts when each job will have ended', () => {
    const finish = forecast(scene(jobs(4), [worker('fast', { freeSlots: 0 }), worker('middle', { gpu: 'middle' })]));
    assert.deepEqual([...finish.values()], [9, 18, 27, 27]);
  });

  it('never gives more than the free places, nor one job twice', () => {
    const workers = [worker('one', { freeSlots: 2 }), worker('two', { freeSlots: 3, gpu: 'middle' })];
    const { assignments } = dispatch(scene(jobs(50), workers));
    assert.equal(new Set(assignments.map(({ jobId }) => jobId)).size, 5);
    assert.equal(assignments.filter(({ workerId }) => workerId === 'one').length, 2);
  });

  it('writes durations short', () => {
    assert.deepEqual([4.2, 42, 119, 240, 7_500].map(durationText), ['4.2 s', '42 s', '119 s', '4 min', '2 h 5 min']);
  });
});
