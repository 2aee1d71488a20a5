import assert from 'node:assert/strict';
import fc from 'fast-check';
import { adviseGpus, basisText, jobsPerPrice, priceText } from '../../src/core/cost/gpuAdvice.ts';
import type { GpuCandidate } from '../../src/core/fleet/rankGpus.ts';
import { readRuns } from '../../src/core/queue/measurements.ts';

function gpu(name: string, usdPerHour: number): GpuCandidate {
  return {
    gpuId: `NVIDIA GeForce ${name}`,
    name,
    memoryGb: 24,
    count: 1,
    cloud: 'SECURE',
    usdPerHourMicros: Math.round(usdPerHour * 1e6),
    stock: 'HIGH',
  };
}

const runs = (name: string, seconds: number, count = 3) =>
  Array.from({ length: count }, (_, at) => ({ fingerprint: 'portrait', gpu: name, seconds, atMs: at }));
const nothing = readRuns([], 0);
const names = (list: { readonly gpus: readonly { readonly candidate: GpuCandidate }[] }): readonly string[] =>
  list.gpus.map(({ candidate }) => candidate.name);

describe('the advice for a GPU', () => {
  it('goes by the price of a job, not of an hour', () => {
    const book = readRuns([...runs('RTX 3090', 30), ...runs('RTX 4090', 10)], 0);
    const list = adviseGpus([gpu('RTX 3090', 0.36), gpu('RTX 4090', 0.72)], 'portrait', book);
    assert.deepEqual(
      list.gpus.map(({ candidate, seconds, microsPerJob, basis }) => [candidate.name, seconds, microsPerJob, basis]),
      [
        ['RTX 4090', 10, 2_000, 'measured'],
        ['RTX 3090', 30, 3_000, 'measured'],
      ],
    );
    assert.equal(list.because, '33 % less than RTX 3090');
  });

  it('replaces what it assumes as soon as it is measured, though that turns the order round', () => {
    const both = [gpu('RTX 3090', 0.3), gpu('RTX 4090', 0.7)];
    assert.deepEqual(names(adviseGpus(both, 'portrait', nothing)), ['RTX 3090', 'RTX 4090']);
    const book = readRuns([...runs('RTX 3090', 40), ...runs('RTX 4090', 10)], 0);
    assert.deepEqual(names(adviseGpus(both, 'portrait', book)), ['RTX 4090', 'RTX 3090']);
  });

  it('scales from a GPU that was measured to one that was not, and says so', () => {
    const book = readRuns(runs('RTX 3090', 40, 1), 0);
    const [first, second] = adviseGpus([gpu('RTX 4090', 0.5), gpu('RTX 3090', 0.5)], 'portrait', book).gpus;
    assert.ok(first && second);
    assert.deepEqual([first.candidate.name, first.seconds, first.basis], ['RTX 4090', 20, 'scaled']);
    assert.equal(priceText(first, 100), 'about $0.28 per 100 jobs');
    assert.equal(basisText(first), 'not measured here: scaled from 1 run elsewhere');
    assert.equal(priceText(second, 100), '$0.56 per 100 jobs');
    assert.equal(basisText(second), 'measured in 1 run');
  });

  it('marks all as assumed while nothing has run', () => {
    for (const one of adviseGpus([gpu('RTX 4090', 0.5), gpu('RTX 3090', 0.3)], 'portrait', nothing).gpus) {
      assert.match(priceText(one, 1), /^about \$.+ a job$/);
      assert.equal(basisText(one), 'not measured: assumed');
    }
  });

  it('takes the quicker of two that cost the same by the job', () => {
    const book = readRuns([...runs('RTX 3090', 30), ...runs('RTX 4090', 10)], 0);
    const list = adviseGpus([gpu('RTX 3090', 0.24), gpu('RTX 4090', 0.72)], 'portrait', book);
    assert.deepEqual(names(list), ['RTX 4090', 'RTX 3090']);
    assert.match(list.because ?? '', /as cheap as RTX 3090 and sooner done/);
  });

  it('tells the price of so many jobs that two GPUs can be told apart', () => {
    const jobs = (seconds: number) =>
      jobsPerPrice(
        adviseGpus([gpu('L4', 0.36), gpu('RTX 4090', 0.72)], 'portrait', readRuns(runs('L4', seconds), 0)).gpus,
      );
    assert.deepEqual([jobs(3_600), jobs(60), jobs(1)], [1, 100, 1_000]);
  });

  it('has nothing to say of none, and no reason for a single one', () => {
    assert.deepEqual(adviseGpus([], 'portrait', nothing), { gpus: [], because: undefined });
    const one = adviseGpus([gpu('RTX 3090', 0.24)], 'portrait', nothing);
    assert.deepEqual([one.gpus.length, one.because], [1, undefined]);
  });

  it('keeps every GPU once, and puts none first that is dearer by the job than a twentieth above the least', () => {
    const some = fc.uniqueArray(
      fc.record({
        name: fc.constantFrom('RTX 3090', 'RTX 4090', 'L4', 'A40', 'H100 PCIe'),
        usd: fc.double({ min: 0.01, max: 5, noNaN: true }),
      }),
      { selector: ({ name }) => name, minLength: 1 },
    );
    const measured = fc.array(
      fc.record({
        gpu: fc.constantFrom('RTX 3090', 'L4', 'A40'),
        seconds: fc.double({ min: 0.1, max: 900, noNaN: true }),
      }),
    );
    fc.assert(
      fc.property(some, measured, (gpus, seen) => {
        const book = readRuns(
          seen.map((one) => ({ ...one, fingerprint: 'portrait', atMs: 0 })),
          0,
        );
        const list = adviseGpus(
          gpus.map(({ name, usd }) => gpu(name, usd)),
          'portrait',
          book,
        );
        assert.deepEqual(names(list).toSorted(), gpus.map(({ name }) => name).toSorted());
        const least = Math.min(...list.gpus.map(({ microsPerJob }) => microsPerJob));
        assert.ok((list.gpus[0]?.microsPerJob ?? 0) <= least * 1.05);
        const rest = list.gpus.slice(1).map(({ microsPerJob }) => microsPerJob);
        assert.deepEqual(
          rest,
          rest.toSorted((a, b) => a - b),
        );
      }),
    );
  });
});
