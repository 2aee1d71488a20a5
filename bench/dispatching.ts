import { dispatch, forecast } from '../src/core/queue/dispatch.ts';
import type { DispatchScene, WaitingJob, Worker } from '../src/core/queue/dispatch.ts';
import { readRuns } from '../src/core/queue/measurements.ts';
import type { MeasuredRun } from '../src/core/queue/measurements.ts';
import type { Bench } from './measurement.ts';

const workerCount = 50;
const jobCount = 1_000;
const decisions = 2_000;
const gpus = ['RTX 3090', 'RTX 4090', 'A40', 'L4', 'H100 PCIe'];
const fingerprints = ['portrait', 'landscape', 'upscale', 'video', 'loop', 'sketch', 'sheet', 'card'];

/** Which job a worker gets that has just become free, while 49 others are busy and 1,000 jobs wait. */
export const dispatching: Bench = {
  name: 'dispatching',
  measure() {
    const runs = fingerprints.flatMap((fingerprint, index) =>
      gpus.map((gpu, place): MeasuredRun => ({ fingerprint, gpu, seconds: (10 + 7 * index) / (1 + place), atMs: 0 })),
    );
    const book = readRuns(runs, 0);
    const jobs = Array.from({ length: jobCount }, (_, index) => waiting(index));
    const one: number[] = [];
    const ten: number[] = [];
    const whole: number[] = [];
    for (let decision = 0; decision < decisions; decision++) {
      const strategy = (['fastest', 'balanced', 'cheapest', 'priority'] as const)[decision % 4]!;
      const given = (free: number): DispatchScene => ({
        jobs,
        workers: Array.from({ length: workerCount }, (_, index) => worker(index, decision, free)),
        book,
        policy: { strategy, secondsPerUsd: 1_000 },
      });
      one.push(timed(given(1)));
      if (decision % 4 === 0) ten.push(timed(given(10)));
      if (decision % 4 === 0) whole.push(timedForecast(given(1)));
    }
    const what = `who gets the next job: ${String(workerCount)} backends, ${String(jobCount)} queued jobs`;
    return Promise.resolve([
      { what: `${what}, 1 free`, judge: 'median', under: 0.5, unit: 'ms', samples: one },
      { what: `${what}, 1 free`, judge: 'p99', under: 5, unit: 'ms', samples: one },
      { what: `${what}, 10 free`, judge: 'p99', under: 5, unit: 'ms', samples: ten },
      { what: 'when each of 1,000 queued jobs ends, 50 backends', judge: 'p99', under: 5, unit: 'ms', samples: whole },
    ]);
  },
};

/** Milliseconds of processor time: what other programs take from the machine meanwhile is no part of the decision. */
function busyMs<T>(work: () => T): { ms: number; result: T } {
  const before = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(before);
  return { ms: (user + system) / 1_000, result };
}

function timed(scene: DispatchScene): number {
  const { ms, result } = busyMs(() => dispatch(scene));
  const { assignments, held } = result;
  if (assignments.length + held.size === 0) throw new Error('Nothing was decided');
  return ms;
}

/** The dearest case of a decision too: no job goes to the worker that is free, so all are looked at. */
function timedForecast(scene: DispatchScene): number {
  const { ms, result } = busyMs(() => forecast(scene));
  if (result.size !== jobCount) throw new Error('A job was left out');
  return ms;
}

function worker(index: number, decision: number, free: number): Worker {
  const place = (index + decision) % workerCount;
  return {
    id: `worker-${String(index)}`,
    label: `Worker ${String(index)}`,
    rank: index % 3,
    gpu: gpus[index % gpus.length]!,
    freeSlots: place < free ? 1 : 0,
    secondsAhead: place < free ? 0 : place * 3,
    loadedModels: [fingerprints[place % fingerprints.length]!],
    loadSeconds: 15,
    transferSeconds: 2,
    usdPerHourMicros: (index % gpus.length) * 300_000,
    microsPerJob: 0,
    closed: place === workerCount - 1 ? 'Connection refused' : undefined,
    lastResort: false,
  };
}

function waiting(index: number): WaitingJob {
  const fingerprint = fingerprints[index % fingerprints.length]!;
  const excluded = new Map(index % 10 === 0 ? [['worker-0', 'Its ComfyUI has no such node']] : []);
  return {
    id: `job-${String(index)}`,
    priority: index % 3,
    order: index,
    fingerprint,
    models: [fingerprint],
    excluded,
  };
}
