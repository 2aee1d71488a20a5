// What measurements lead to, over the whole simulator: where a job goes by each strategy, and which GPU is advised.
import assert from 'node:assert/strict';
import type { Workflow } from '../../src/core/comfy/workflow.ts';
import { deployRequest } from '../../src/core/fleet/deployRequest.ts';
import { rankGpus } from '../../src/core/fleet/rankGpus.ts';
import type { GpuCandidate } from '../../src/core/fleet/rankGpus.ts';
import type { JobOutcome } from '../../src/core/jobs/jobRunner.ts';
import { fingerprintOf } from '../../src/core/queue/fingerprint.ts';
import type { Settings } from '../../src/core/settings.ts';
import { createRunTimeStore } from '../../src/core/store/runTimeStore.ts';
import { job, openWorld, samplerWorkflow, smallWorkflow } from './world.ts';
import type { World } from './world.ts';

describe('choice', function () {
  this.timeout(40_000);
  let world: World;
  let pod: string;

  beforeEach(async () => {
    world = await openWorld();
    set({ 'gemini.enabled': false });
    pod = world.sim.runpod.seedPod({ name: 'podrelay-aaaa', env: { PODRELAY_POD: 'podrelay-aaaa' } }).id;
  });
  afterEach(() => world.close());

  const set = (change: Partial<Settings>): void => void (world.settings = { ...world.settings, ...change });
  const run = (workflow = samplerWorkflow(), change = {}): Promise<JobOutcome> =>
    world.core.jobs.run(job(workflow, change), () => undefined, world.signal);
  /** As if the workflow had run three times on each of these cards. */
  const measured = async (secondsByGpu: Readonly<Record<string, number>>): Promise<void> => {
    const store = createRunTimeStore(world.core.database);
    const fingerprint = fingerprintOf(samplerWorkflow()).key;
    for (const [gpu, seconds] of Object.entries(secondsByGpu)) {
      for (const atMs of [1, 2, 3].map((ago) => Date.now() - ago)) {
        await store.add({ fingerprint, gpu, seconds, cold: false, atMs });
      }
    }
  };
  const candidates = async (): Promise<readonly GpuCandidate[]> => {
    const gpus = await world.core.gpuTypes({ cloud: 'SECURE', count: 1 }, world.signal);
    const needs = { minVramGb: 16, count: 1, maxUsdPerHourMicros: 1_000_000 };
    return rankGpus([{ cloud: 'SECURE', gpus }], needs).candidates;
  };
  const podPrompts = (): number =>
    world.sim.podComfy(pod)?.requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/prompt'))
      .length ?? 0;

  describe('by strategy, of a job that is run at once', () => {
    const slowAtHome = { 'RTX 3060': 20, 'RTX 3090': 5 };

    it('is the local ComfyUI by priority, though a pod is known to be quicker', async () => {
      await measured(slowAtHome);
      await world.core.backends.checkAll(world.signal);
      assert.equal((await run()).backend, 'local');
    });

    it('is the pod when time counts, without anybody having looked before', async () => {
      await measured(slowAtHome);
      set({ 'routing.strategy': 'fastest' });
      assert.equal((await run()).backend, `pod:${pod}`);
    });

    it('is the local ComfyUI again when money counts', async () => {
      await measured(slowAtHome);
      set({ 'routing.strategy': 'cheapest' });
      assert.equal((await run()).backend, 'local');
      set({ 'routing.strategy': 'balanced', 'routing.secondsPerUsd': 1e6 });
      assert.equal((await run()).backend, 'local');
      set({ 'routing.secondsPerUsd': 1 });
      assert.equal((await run()).backend, `pod:${pod}`);
    });

    it('never leaves this machine when it must not, and the next in line takes over when one fails', async () => {
      await measured(slowAtHome);
      set({ 'routing.strategy': 'fastest' });
      assert.equal((await run(samplerWorkflow(), { localOnly: true })).backend, 'local');
      assert.equal(podPrompts(), 0);
      await world.core.backends.refresh(world.signal);
      await world.core.backends.checkAll(world.signal);
      world.sim.runpod.faults.set({
        failure: { kind: 'status', status: 502, effect: 'before' },
        on: ['proxy'],
        podId: pod,
      });
      const { backend, attempts } = await run();
      assert.equal(backend, 'local');
      assert.ok(attempts.some((one) => one.backend === `pod:${pod}` && one.outcome === 'failed'));
    });

    it('does not start a stopped pod for its speed', async () => {
      const stopped = world.sim.runpod.seedPod({ name: 'podrelay-zzzz', status: 'EXITED' }).id;
      world.podId = stopped;
      await measured({ 'RTX 3060': 90, 'RTX 3090': 80 });
      set({ 'routing.strategy': 'fastest', 'cloud.useAllPods': false });
      assert.equal((await run()).backend, 'local');
      assert.equal(world.sim.runpod.state().pods.find(({ id }) => id === stopped)?.status, 'EXITED');
    });
  });

  it('is told before: what each strategy does with a job like the last', async () => {
    await run();
    await measured({ 'RTX 3060': 20, 'RTX 3090': 5 });
    await world.core.backends.refresh(world.signal);
    await world.core.backends.checkAll(world.signal);
    const { about, strategies, backends } = await world.core.choice.outlook([
      { strategy: 'priority', secondsPerUsd: 0 },
      { strategy: 'fastest', secondsPerUsd: 0 },
    ]);
    assert.equal(about, 'test');
    assert.deepEqual(
      strategies.map(({ backend }) => backend?.id),
      ['local', `pod:${pod}`],
    );
    const onPod = backends.find(({ id }) => id === `pod:${pod}`);
    assert.ok((onPod?.micros ?? 0) > 0);
  });

  it('is told of a job that is thought of, with what Gemini cannot be asked for, and asks nobody', async () => {
    await run();
    set({ 'gemini.enabled': true });
    await world.core.backends.checkAll(world.signal);
    const asked = world.sim.local.requests.length;
    const plain = samplerWorkflow(1);
    const [sampler = ''] = Object.keys(plain).filter((id) => 'positive' in (plain[id]?.inputs ?? {}));
    const { positive } = plain[sampler]?.inputs ?? {};
    const control = { class_type: 'ControlNetApply', inputs: { conditioning: positive, strength: 1 } };
    const controlled = {
      ...plain,
      control,
      [sampler]: { ...plain[sampler]!, inputs: { ...plain[sampler]!.inputs, positive: ['control', 0] } },
    };
    const figures = async (workflow: Workflow) => {
      const { about, backends } = await world.core.choice.outlook([], { label: 'mine', workflow });
      assert.equal(about, 'mine');
      return backends.find(({ id }) => id === 'gemini');
    };
    assert.ok(((await figures(plain))?.micros ?? 0) > 0);
    const cannot = await figures(controlled);
    assert.equal(cannot?.seconds, undefined);
    assert.match(cannot?.why ?? '', /^ControlNet \(node control\)/);
    assert.equal(world.sim.local.requests.length, asked);
  });

  describe('of a GPU to deploy', () => {
    it('goes by the catalogue alone while nothing has run, and says so', async () => {
      const { gpus, about, because } = await world.core.choice.adviseGpus(await candidates());
      assert.ok(gpus.length > 3);
      assert.equal(about, undefined);
      assert.ok(gpus.every(({ basis, microsPerJob }) => basis === 'assumed' && microsPerJob > 0));
      assert.match(because ?? '', /% less than|as cheap as/);
    });

    it('goes by what was measured of the workflow that is run most', async () => {
      await run(smallWorkflow());
      await run(samplerWorkflow(1));
      await run(samplerWorkflow(2), { label: 'the lighthouse' });
      const all = await candidates();
      const dearest = all.at(-1);
      assert.ok(dearest);
      // Of another window, before this one has read.
      await measured({ [dearest.name]: 0.1 });
      await world.core.predictBatch(samplerWorkflow(), 1);
      const before = await world.core.choice.adviseGpus(all);
      assert.equal(before.about, 'the lighthouse');
      assert.ok(
        before.gpus.every(({ basis }) => basis !== 'assumed'),
        'the local runs count for all',
      );
      const advised = await world.core.choice.adviseGpus(all.slice(0, 1));
      assert.equal(advised.because, undefined, 'there is no choice');
    });

    it('is quoted, and the quote is on record beside what RunPod takes', async () => {
      const [candidate] = await candidates();
      assert.ok(candidate);
      const request = deployRequest([candidate], world.settings);
      const microsPerHour = Math.round(candidate.usdPerHourMicros * 0.05);
      world.sim.runpod.faults.set({ failure: { kind: 'dearer', microsPerHour }, times: 1 });
      const { core } = world;
      const made = await core.pods.launch(request, world.signal);
      // Known from the reply: a list may lack it for a moment.
      await core.ledger.observePods([made.pod], Date.now());
      const price = (await core.ledger.statement()).prices?.get(made.pod.id);
      assert.deepEqual(price, {
        quotedUsdPerHourMicros: candidate.usdPerHourMicros,
        billedUsdPerHourMicros: candidate.usdPerHourMicros + microsPerHour,
      });
    });

    it('learns from the pods themselves', async () => {
      set({ 'routing.forced': 'cloud' });
      world.podId = pod;
      assert.equal((await run()).gpu, 'RTX 3090');
      const { gpus } = await world.core.choice.adviseGpus(await candidates());
      const own = gpus.find(({ candidate }) => candidate.name === 'RTX 3090');
      assert.deepEqual([own?.basis, own?.samples], ['measured', 1]);
      const others = gpus.filter((one) => one !== own);
      assert.ok(others.every(({ basis, samples }) => basis === 'scaled' && samples === 1));
    });
  });
});
