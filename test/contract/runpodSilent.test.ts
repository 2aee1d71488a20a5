// RunPod's API hangs or is gone: what is known of it is not waited for again by every job.
import assert from 'node:assert/strict';
import { Fault } from '../../src/core/kernel/fault.ts';
import type { JobOutcome } from '../../src/core/jobs/jobRunner.ts';
import { job, openWorld, samplerWorkflow } from './world.ts';
import type { World } from './world.ts';

describe('a RunPod that does not answer', function () {
  this.timeout(90_000);
  let world: World;

  beforeEach(async () => {
    world = await openWorld();
    world.settings = { ...world.settings, 'gemini.fallback': 'always' };
    await world.sim.setLocalOpen(false);
    await world.core.backends.checkAll(world.signal, 'local');
  });
  afterEach(() => world.close());

  const run = (): Promise<JobOutcome> => world.core.jobs.run(job(samplerWorkflow()), () => undefined, world.signal);
  const pod = (): string =>
    world.sim.runpod.seedPod({ name: 'podrelay-aaaa', env: { PODRELAY_POD: 'podrelay-aaaa' } }).id;
  /** From the request to the first backend's turn. */
  async function passingMs(): Promise<number> {
    const startedAt = performance.now();
    const pass = () => Promise.resolve(performance.now() - startedAt);
    return (await world.core.backends.executeWithFallback({ localOnly: false }, pass, world.signal)).value;
  }
  async function passings(): Promise<{ readonly median: number; readonly worst: number }> {
    const samples: number[] = [];
    for (let turn = 0; turn < 25; turn++) samples.push(await passingMs());
    return { median: samples.toSorted((a, b) => a - b)[12] ?? Number.NaN, worst: Math.max(...samples) };
  }

  it('is waited for once, though its list hangs on, and then passed over in less than 5 ms', async () => {
    world.sim.runpod.faults.set({ failure: { kind: 'hang', effect: 'before' } });
    const first = await passingMs();
    assert.ok(first >= 4_900, `${first} ms: a list that may come is worth a moment`);
    const { median, worst } = await passings();
    assert.ok(median < 5 && worst < 2_000, `${median} ms, ${worst} ms at worst`);
    // Time to ask once more, which no job waits for either.
    await pause(10_100);
    const later = await passingMs();
    assert.ok(later < 2_000, `${later} ms`);
    assert.equal((await run()).backend, 'gemini');
  });

  it('is asked again behind the jobs, and its pods get jobs once it is back', async () => {
    const down = world.sim.runpod.faults.set({ failure: { kind: 'apiDown' } });
    const id = pod();
    assert.equal((await run()).backend, 'gemini');
    world.sim.runpod.faults.clear(down);
    const lists = (): number => world.sim.runpod.requests.filter(({ operation }) => operation === 'listPods').length;
    const before = lists();
    for (const end = Date.now() + 30_000; lists() === before; await pause(200)) {
      assert.ok(Date.now() < end, 'RunPod was never asked again');
      assert.ok((await passingMs()) < 1_000);
    }
    await until(() => world.core.pods.pods.known);
    assert.equal((await run()).backend, `pod:${id}`);
  });

  it('does not hold up a job for a pod that ran when last seen', async () => {
    world.podId = pod();
    assert.equal((await run()).backend, 'cloud');
    world.sim.runpod.faults.set({
      failure: { kind: 'hang', effect: 'before' },
      on: ['listPods', 'getPod'],
    });
    // Somebody else has found it out.
    world.core.pods.noteSilence(new Fault('timeout', 'RunPod did not answer in 5 s', { delivered: 'no' }));
    await pause(1_100);
    const startedAt = performance.now();
    assert.equal((await run()).backend, 'cloud');
    const ms = performance.now() - startedAt;
    assert.ok(ms < 8_000, `${ms} ms, where its list alone takes 30 s to be given up`);
  });
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(isTrue: () => boolean): Promise<void> {
  for (const end = Date.now() + 10_000; !isTrue(); await pause(20))
    assert.ok(Date.now() < end, 'It did not come to this');
}
