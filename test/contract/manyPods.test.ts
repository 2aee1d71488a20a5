// Several pods in one tier, over the whole simulator: who gets a job, and who takes over.
import assert from 'node:assert/strict';
import type { JobOutcome } from '../../src/core/jobs/jobRunner.ts';
import { AllBackendsFailed } from '../../src/core/backends/backendManager.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { SeedPod } from '../../src/sim/runpod/runpodSim.ts';
import { readSidecar } from '../../src/core/outputs/sidecar.ts';
import { job, openWorld, samplerWorkflow, smallWorkflow } from './world.ts';
import type { World } from './world.ts';

describe('several pods', function () {
  this.timeout(40_000);
  let world: World;
  /** The configured pod. */
  let a: string;

  beforeEach(async () => {
    world = await openWorld();
    set({ 'gemini.enabled': false });
    await world.sim.setLocalOpen(false);
    a = seed('podrelay-aaaa');
    world.podId = a;
  });
  afterEach(() => world.close());

  const quiet = (): void => undefined;
  const set = (change: Partial<Settings>): void => void (world.settings = { ...world.settings, ...change });
  const seed = (name: string, change: Partial<SeedPod> = {}): string =>
    world.sim.runpod.seedPod({ name, ...change }).id;
  const ids = (): string[] => world.core.backends.statuses().map(({ backend }) => backend.id);
  const look = (): Promise<unknown> => world.core.pods.refresh(world.signal);
  const run = (request = job()): Promise<JobOutcome> => world.core.jobs.run(request, quiet, world.signal);
  const prompts = (podId: string): number =>
    world.sim.podComfy(podId)?.requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/prompt'))
      .length ?? 0;
  const simulated = (podId: string) => world.sim.runpod.state().pods.find(({ id }) => id === podId)?.status;
  const actions = () =>
    world.sim.runpod.requests.filter(({ method, operation }) => method !== 'GET' && operation !== 'proxy');
  const terminate = async (podId: string): Promise<void> => {
    const reply = await fetch(`${world.sim.addresses.runpodApiUrl}/pods/${podId}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${world.sim.runpodApiKey}` },
    });
    assert.ok(reply.ok, String(reply.status));
  };
  const deadProxy = (podId: string): number =>
    world.sim.runpod.faults.set({ failure: { kind: 'status', status: 502, effect: 'before' }, on: ['proxy'], podId });
  const untilSampling = (): { readonly began: Promise<void>; readonly onProgress: (at: object) => void } => {
    const { promise, resolve } = Promise.withResolvers<void>();
    return {
      began: promise,
      onProgress: (at) => {
        if ('fraction' in at && typeof at.fraction === 'number' && at.fraction > 0) resolve();
      },
    };
  };

  describe('are listed', () => {
    it('while they are ours and run, the configured one first', async () => {
      assert.deepEqual(ids(), ['local', 'cloud', 'gemini'], 'nobody was asked yet');
      const b = seed('podrelay-bbbb');
      seed('podrelay-stopped', { status: 'EXITED' });
      seed('somebody-elses');
      const c = seed('podrelay-starting', { status: 'PROVISIONING' });
      seed('podrelay-training', { ports: ['22/tcp'] });
      await look();
      assert.deepEqual(ids().toSorted(), ['cloud', 'gemini', 'local', `pod:${b}`, `pod:${c}`].toSorted());
      assert.equal(ids()[1], 'cloud');
      const labels = world.core.backends.statuses().map(({ backend }) => backend.label);
      assert.ok(labels.includes('RunPod pod podrelay-aaaa') && labels.includes('RunPod pod podrelay-bbbb'));
    });

    it('and vanish when they stop, with a word to who listens', async () => {
      const b = seed('podrelay-bbbb');
      await look();
      const changed: string[] = [];
      world.core.backends.onDidChange((id) => changed.push(id));
      await world.core.pods.stop(b, world.signal);
      assert.ok(!ids().includes(`pod:${b}`));
      assert.ok(changed.includes(`pod:${b}`));
    });

    it('not where the settings say so', async () => {
      seed('podrelay-bbbb');
      await look();
      set({ 'cloud.useAllPods': false });
      assert.deepEqual(ids(), ['local', 'cloud', 'gemini']);
      set({ 'cloud.useAllPods': true, 'cloud.enabled': false });
      assert.deepEqual(ids(), ['local', 'cloud', 'gemini']);
    });

    it('under their own names when another one is configured', async () => {
      const b = seed('podrelay-bbbb');
      await look();
      world.podId = b;
      assert.deepEqual(ids(), ['local', 'cloud', `pod:${a}`, 'gemini']);
    });
  });

  describe('share the work', () => {
    it('of jobs that run at once', async () => {
      const b = seed('podrelay-bbbb');
      const outcomes = await Promise.all([1, 2, 3, 4].map((seedOf) => run(job(samplerWorkflow(seedOf, 40)))));
      assert.deepEqual([prompts(a), prompts(b)], [2, 2]);
      const names = new Set(outcomes.map(({ backendLabel }) => backendLabel));
      assert.deepEqual([...names].sort(), ['RunPod pod podrelay-aaaa', 'RunPod pod podrelay-bbbb']);
    });

    it('without a configured one', async () => {
      world.podId = undefined;
      const outcome = await run();
      assert.equal(outcome.backend, `pod:${a}`);
      const { backend } = await readSidecar(outcome.outputs[0]!.path);
      assert.deepEqual(backend, { id: `pod:${a}`, label: 'RunPod pod podrelay-aaaa', tier: 'cloud' });
    });

    it('and one that runs is used before a stopped one is started and paid for', async () => {
      world.podId = seed('podrelay-stopped', { status: 'EXITED' });
      const outcome = await run();
      assert.equal(outcome.backend, `pod:${a}`);
      assert.equal(simulated(world.podId), 'EXITED');
      assert.deepEqual(actions(), []);
    });

    it('but a stopped one that is not the configured one is never started', async () => {
      await world.core.pods.stop(a, world.signal);
      set({ 'cloud.autoStart': false });
      const b = seed('podrelay-stopped', { status: 'EXITED' });
      const before = actions().length;
      await assert.rejects(run(), AllBackendsFailed);
      assert.deepEqual([simulated(a), simulated(b), actions().length], ['EXITED', 'EXITED', before]);
    });

    it('a boot of one is not waited for while another works', async () => {
      world.sim.runpod.faults.set({ failure: { kind: 'stuckPulling' } });
      world.podId = seed('podrelay-booting', { status: 'PROVISIONING' });
      const outcome = await run();
      assert.equal(outcome.backend, `pod:${a}`);
    });

    it('one that hangs is not waited for while another answers', async () => {
      const b = seed('podrelay-bbbb');
      world.podId = b;
      world.sim.runpod.faults.set({ failure: { kind: 'hang', effect: 'before' }, on: ['proxy'], podId: b });
      const startedAt = Date.now();
      assert.equal((await run()).backend, `pod:${a}`);
      assert.ok(Date.now() - startedAt < 3_000, `${Date.now() - startedAt} ms`);
    });

    it('or leave it to the one that a dispatcher has chosen, and go on when it cannot', async () => {
      const b = seed('podrelay-bbbb');
      await look();
      assert.equal((await run(job(smallWorkflow(1), { first: `pod:${b}` }))).backend, `pod:${b}`);
      assert.equal((await run(job(smallWorkflow(2), { first: 'pod:gone' }))).backend, 'cloud');
      world.sim.podComfy(b)!.control.faults = {
        httpError: { path: '/object_info', status: 200, body: '{}', contentType: 'application/json' },
      };
      assert.equal((await run(job(smallWorkflow(3), { first: `pod:${b}` }))).backend, 'cloud');
    });

    it('or leave it to the one that a person has chosen', async () => {
      const b = seed('podrelay-bbbb');
      set({ 'routing.forced': `pod:${b}` });
      assert.equal((await run()).backend, `pod:${b}`);
      set({ 'routing.forced': `pod:${a}` });
      assert.equal((await run()).backend, 'cloud', 'which is the configured one');
      set({ 'routing.forced': 'pod:nowhere' });
      await assert.rejects(run(), /pod:nowhere: .*not there now/);
      set({ 'routing.forced': 'none', 'routing.preferred': `pod:${b}` });
      await world.core.backends.checkAll(world.signal);
      assert.equal((await run()).backend, `pod:${b}`);
    });

    it("while RunPod's API is down, as they were last seen", async () => {
      const b = seed('podrelay-bbbb');
      await look();
      world.sim.runpod.faults.set({ failure: { kind: 'apiDown' } });
      const outcomes = await Promise.all([run(), run(job(smallWorkflow(0x00ff00)))]);
      assert.deepEqual(outcomes.map(({ backend }) => backend).sort(), ['cloud', `pod:${b}`]);
      const health = await world.core.backends.check('cloud', world.signal);
      assert.equal(health.state, 'degraded');
      assert.match(health.why, /ComfyUI answers; RunPod cannot be asked/);
    });
  });

  describe('take over from each other', () => {
    it('when one dies in the middle of a job', async () => {
      const b = seed('podrelay-bbbb');
      await look();
      set({ 'routing.preferred': `pod:${a}` });
      await world.core.backends.checkAll(world.signal);
      world.sim.podComfy(a)!.control.faults = { acceptThenDie: { afterMs: 500, downMs: 4_000_000 } };
      const outcome = await run(job(samplerWorkflow(3, 60)));
      assert.equal(outcome.backend, `pod:${b}`);
      const [first] = outcome.attempts.filter(({ outcome: how }) => how === 'failed');
      assert.equal(first?.label, 'RunPod pod podrelay-aaaa');
      assert.match(first.why ?? '', /went away while it ran the job/);
      assert.equal(world.done.length, 1);
    });

    it('when one lacks a node, which says nothing of its health', async () => {
      const b = seed('podrelay-bbbb');
      await world.core.backends.checkAll(world.signal);
      world.sim.podComfy(a)!.control.faults = {
        httpError: { path: '/object_info', status: 200, body: '{}', contentType: 'application/json' },
      };
      const outcome = await run();
      assert.equal(outcome.backend, `pod:${b}`);
      const failed = outcome.attempts.find(({ backend }) => backend === 'cloud');
      assert.equal(failed?.faultKind, 'mismatch');
      const { breaker, health } = world.core.backends.statuses().find(({ backend }) => backend.id === 'cloud')!;
      assert.deepEqual(breaker, { is: 'closed', failures: 0 });
      assert.ok(!health.known || health.value.state === 'healthy');
    });

    it('and each has a door of its own', async () => {
      const b = seed('podrelay-bbbb');
      await run();
      await run(job(smallWorkflow(0x112233)));
      deadProxy(b);
      await world.core.backends.checkAll(world.signal);
      await world.core.backends.checkAll(world.signal);
      const doors = new Map(world.core.backends.statuses().map(({ backend, breaker }) => [backend.id, breaker.is]));
      assert.deepEqual([doors.get('cloud'), doors.get(`pod:${b}`)], ['closed', 'open']);
      assert.equal((await run(job(smallWorkflow(0x445566)))).backend, 'cloud');
      assert.equal(
        world.core.backends.route(false).refused.some(({ id }) => id === `pod:${b}`),
        true,
      );
    });

    it("when one is terminated in RunPod's console while a job runs on it, and says so; nothing else is touched", async () => {
      const b = seed('podrelay-bbbb');
      const c = seed('podrelay-cccc', { status: 'EXITED' });
      await look();
      set({ 'routing.preferred': `pod:${a}` });
      await world.core.backends.checkAll(world.signal);
      const { began, onProgress } = untilSampling();
      const running = world.core.jobs.run(job(samplerWorkflow(3, 400)), onProgress, world.signal);
      await began;
      await terminate(a);
      const sent = actions().length;
      const startedAt = Date.now();
      await look();
      while (world.core.jobsOn(b) === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      assert.ok(Date.now() - startedAt < 4_000, `${Date.now() - startedAt} ms until the other one had it`);
      const outcome = await running;
      assert.equal(outcome.backend, `pod:${b}`);
      const failed = outcome.attempts.find(({ outcome: how, backend }) => how === 'failed' && backend === 'cloud');
      assert.match(failed?.why ?? '', /^The pod was terminated while it ran the job$/);
      assert.deepEqual([simulated(b), simulated(c)], ['RUNNING', 'EXITED']);
      assert.equal(actions().length, sent, 'nothing was created, started or stopped');
    });

    it('one that came while the job ran, too', async () => {
      await world.core.backends.checkAll(world.signal);
      world.sim.podComfy(a)!.control.faults = { acceptThenDie: { afterMs: 500, downMs: 4_000_000 } };
      const running = run(job(samplerWorkflow(3, 60)));
      while (prompts(a) === 0) await new Promise((resolve) => setTimeout(resolve, 10));
      const b = seed('podrelay-bbbb');
      await look();
      assert.equal((await running).backend, `pod:${b}`);
    });
  });

  it('are each kept as long as they have work, and no longer', async () => {
    const b = seed('podrelay-bbbb');
    set({ 'routing.forced': `pod:${a}` });
    await look();
    const { began, onProgress } = untilSampling();
    const stop = new AbortController();
    const running = world.core.jobs
      .run(job(samplerWorkflow(9, 3_000)), onProgress, stop.signal)
      .catch((error: unknown) => error);
    await began;
    assert.deepEqual([world.core.jobsOn(a), world.core.jobsOn(b)], [1, 0]);
    stop.abort();
    await running;
    assert.equal(world.core.jobsOn(a), 0);
  });

  it('are asked for a job that an earlier window sent there, whichever is configured now', async () => {
    await look();
    const backend = world.core.backends.find('pod:gone');
    assert.equal(backend?.tier, 'cloud');
    assert.ok(backend.resume !== undefined);
    const address = world.core.pods.address(a);
    assert.equal(world.core.backends.find('cloud', address)?.label, 'RunPod pod podrelay-aaaa');
    world.podId = seed('podrelay-bbbb');
    await look();
    assert.equal(world.core.backends.find('cloud', address)?.label, 'RunPod pod podrelay-aaaa');
    assert.equal(world.core.backends.find('cloud')?.label, 'RunPod pod podrelay-bbbb');
    assert.equal(world.core.backends.find(`pod:${a}`)?.id, `pod:${a}`);
  });
});
