// Serverless endpoints among the other backends, over the whole simulator.
import assert from 'node:assert/strict';
import type { JobOutcome } from '../../src/core/jobs/jobRunner.ts';
import type { Settings } from '../../src/core/settings.ts';
import { job, openWorld, smallWorkflow } from './world.ts';
import type { World } from './world.ts';

describe('configured endpoints', function () {
  this.timeout(30_000);
  let world: World;
  let endpoint: string;

  beforeEach(async () => {
    world = await openWorld({ runpodPresets: { change: { rateLimit: 'exempt' } } });
    world.sim.runpod.serverless.configure({ firstPullMs: 20_000, coldStartMs: 10_000 });
    endpoint = world.sim.runpod.serverless.seedEndpoint({ name: 'comfy-for-all' }).id;
    world.endpointIds = [endpoint];
    set({ 'gemini.enabled': false });
    await world.sim.setLocalOpen(false);
  });
  afterEach(() => world.close());

  const set = (change: Partial<Settings>): void => void (world.settings = { ...world.settings, ...change });
  const ids = (): string[] => world.core.backends.statuses().map(({ backend }) => backend.id);
  const run = (color = 0x3366cc): Promise<JobOutcome> =>
    world.core.jobs.run(job(smallWorkflow(color)), () => undefined, world.signal);
  const submitted = (): number => world.sim.runpod.requests.filter(({ operation }) => operation === 'runJob').length;

  it('stand after the pods', async () => {
    world.podId = world.sim.runpod.seedPod({ name: 'podrelay-aaaa' }).id;
    const b = world.sim.runpod.seedPod({ name: 'podrelay-bbbb' }).id;
    await world.core.pods.refresh(world.signal);
    assert.deepEqual(ids(), ['local', 'cloud', `pod:${b}`, `endpoint:${endpoint}`, 'gemini']);
    assert.equal((await run()).backend, 'cloud');
    assert.equal(submitted(), 0);
  });

  it('run a job when no pod can, with a price of its own', async () => {
    const outcome = await run();
    assert.equal(outcome.backend, `endpoint:${endpoint}`);
    assert.equal(outcome.tier, 'cloud');
    assert.equal(outcome.backendLabel, 'RunPod endpoint comfy-for-all');
    assert.equal(outcome.outputs.length, 1);
    assert.ok(outcome.micros > 0);
    const { entries } = await world.core.ledger.statement();
    const [entry] = entries.filter(({ kind }) => kind === 'job');
    assert.deepEqual([entry?.label, entry?.inPodTime, entry?.micros], [`endpoint:${endpoint}`, false, outcome.micros]);
  });

  it('take over from a pod that fails', async () => {
    world.podId = world.sim.runpod.seedPod({ name: 'podrelay-aaaa' }).id;
    await world.core.backends.checkAll(world.signal);
    world.sim.podComfy(world.podId)!.control.faults = {
      httpError: { path: '/object_info', status: 200, body: '{}', contentType: 'application/json' },
    };
    const outcome = await run();
    assert.equal(outcome.backend, `endpoint:${endpoint}`);
    assert.equal(outcome.attempts.find(({ backend }) => backend === 'cloud')?.faultKind, 'mismatch');
  });

  it('may have taken a job whose answer was lost: nobody else makes it unasked, and it is on record as lost', async () => {
    set({ 'gemini.enabled': true, 'gemini.fallback': 'always' });
    world.sim.runpod.faults.set({ failure: { kind: 'reset', effect: 'after' }, on: ['runJob'], times: 1 });
    const request = job(smallWorkflow());
    await assert.rejects(
      world.core.jobs.run(request, () => undefined, world.signal),
      /whether RunPod took the job is not known; gemini: not asked, since it might be paid for twice/,
    );
    assert.equal(submitted(), 1);
    assert.equal(world.sim.gemini.requests.length, 0);
    await world.core.queue.refresh();
    const { view } = world.core.queue;
    assert.equal(view.known ? view.value.jobs.find(({ id }) => id === request.id)?.state : undefined, 'lost');
  });

  it('are chosen by a person like any other backend', async () => {
    world.podId = world.sim.runpod.seedPod({ name: 'podrelay-aaaa' }).id;
    set({ 'routing.forced': `endpoint:${endpoint}` });
    assert.equal((await run()).backend, `endpoint:${endpoint}`);
  });

  it('are nothing to a job that stays on this machine, nor where the cloud is switched off', async () => {
    const localOnly = job(smallWorkflow(), { localOnly: true });
    await assert.rejects(
      world.core.jobs.run(localOnly, () => undefined, world.signal),
      /local only/,
    );
    set({ 'cloud.enabled': false });
    await assert.rejects(run(), /Switched off/);
    assert.equal(submitted(), 0);
  });

  it('are asked for a job on record though they are configured no longer', () => {
    world.endpointIds = [];
    assert.deepEqual(ids(), ['local', 'cloud', 'gemini']);
    const backend = world.core.backends.find(`endpoint:${endpoint}`);
    assert.ok(backend?.resume !== undefined);
  });
});
