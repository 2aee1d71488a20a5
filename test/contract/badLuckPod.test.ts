// Bad luck with a pod, its proxy and the account behind it: a clear error, nothing run twice, nothing left running.
import assert from 'node:assert/strict';
import { Fault } from '../../src/core/kernel/fault.ts';
import { job, openWorld, samplerWorkflow } from './world.ts';
import type { World } from './world.ts';

const quiet = (): void => undefined;

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  const error = await work.then(
    () => assert.fail('It succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Fault, String(error));
  return error;
}

/** Only the pod may run jobs. */
async function openPodWorld(status: 'RUNNING' | 'EXITED' = 'RUNNING'): Promise<World> {
  const world = await openWorld();
  world.podId = world.sim.runpod.seedPod({ name: 'p', status }).id;
  world.settings = { ...world.settings, 'local.enabled': false, 'gemini.enabled': false };
  return world;
}

function podStatus(world: World): string | undefined {
  return world.sim.runpod.state().pods.find(({ id }) => id === world.podId)?.status;
}

function submissions(world: World): number {
  const { requests } = world.sim.podComfy(world.podId!)!;
  return requests.filter(({ method, path }) => method === 'POST' && path === '/prompt').length;
}

describe('bad luck with a pod', () => {
  let world: World;
  afterEach(() => world.close());
  const run = (seed = 1, steps = 12) => world.core.jobs.run(job(samplerWorkflow(seed, steps)), quiet, world.signal);
  const proxyStatuses = [429, 402, 500, 502, 503, 520, 522, 524] as const;

  it('429, 402, 5xx and 52x from the proxy now and then while it runs: the result is had all the same', async function () {
    this.timeout(40_000);
    world = await openPodWorld();
    for (const [index, status] of proxyStatuses.entries()) {
      let struck = false;
      const outcome = await world.core.jobs.run(
        job(samplerWorkflow(index, 60)),
        ({ fraction }) => {
          if (struck || (fraction ?? 0) === 0) return;
          struck = true;
          const failure = { kind: 'status', status, effect: 'before' } as const;
          world.sim.runpod.faults.set({ failure, on: ['proxy'], times: 1 });
        },
        world.signal,
      );
      assert.ok(struck);
      assert.equal(outcome.outputs.length, 1, String(status));
      assert.deepEqual(world.sim.runpod.faults.list(), [], `the ${status} was met`);
    }
    assert.equal(submissions(world), proxyStatuses.length, 'and nothing is run twice');
  });

  it('429, 402, 5xx and 52x from the proxy instead of the reply to the submission: asked after, not sent again', async () => {
    world = await openPodWorld();
    for (const [index, status] of ([500, 502, 520, 524] as const).entries()) {
      let struck = false;
      const outcome = await world.core.jobs.run(
        job(samplerWorkflow(index)),
        ({ phase }) => {
          if (struck || phase !== 'Sending') return;
          struck = true;
          const failure = { kind: 'status', status, effect: 'after' } as const;
          world.sim.runpod.faults.set({ failure, on: ['proxy'], times: 1 });
        },
        world.signal,
      );
      assert.ok(struck);
      assert.equal(outcome.outputs.length, 1, String(status));
      assert.equal(submissions(world), index + 1);
    }
  });

  it('52x from the proxy for good while it runs: said with its status, and the next backend takes the job', async function () {
    this.timeout(40_000);
    world = await openPodWorld();
    world.settings = { ...world.settings, 'local.enabled': true, 'routing.priority': ['cloud', 'local'] };
    let struck = false;
    const outcome = await world.core.jobs.run(
      job(samplerWorkflow(1, 400)),
      ({ fraction }) => {
        if (struck || (fraction ?? 0) === 0) return;
        struck = true;
        world.sim.runpod.faults.set({ failure: { kind: 'status', status: 522, effect: 'before' }, on: ['proxy'] });
      },
      world.signal,
    );
    assert.equal(outcome.backend, 'local');
    const failed = outcome.attempts.find((attempt) => attempt.outcome === 'failed');
    assert.match(failed?.why ?? '', /The server went away while it ran the job: HTTP 522/);
  });

  it('HTML instead of JSON from the proxy while the pod boots is not taken for ComfyUI', async () => {
    world = await openPodWorld('EXITED');
    world.sim.runpod.configure({ proxyWhileBooting: 'html200' });
    const seen: string[] = [];
    const outcome = await world.core.jobs.run(job(samplerWorkflow()), ({ phase }) => seen.push(phase), world.signal);
    assert.equal(outcome.outputs.length, 1);
    assert.ok(seen.includes('Waiting for ComfyUI'));
  });

  it('the pod that never becomes ready: a bounded wait, then it is stopped, and that is said', async () => {
    world = await openPodWorld('EXITED');
    world.settings = { ...world.settings, 'cloud.readyTimeoutMinutes': 0.01 };
    world.sim.runpod.faults.set({ failure: { kind: 'neverReady' } });
    const fault = await faultOf(run());
    assert.match(fault.message, /cloud: The pod was not ready within 1 s.*it was stopped/);
    assert.equal(podStatus(world), 'EXITED');
  });

  it('the pod that comes back without a GPU: said, and not left running', async () => {
    world = await openPodWorld('EXITED');
    world.sim.runpod.faults.set({ failure: { kind: 'zeroGpuRestart' } });
    const fault = await faultOf(run());
    assert.match(fault.message, /without a GPU/);
    assert.equal(podStatus(world), 'EXITED');
  });

  it('no credit (402 from RunPod): said, nothing started, and not tried again before something changes', async () => {
    world = await openPodWorld('EXITED');
    const detail = 'Your balance is too low to start this pod. Please add credit.';
    world.sim.runpod.faults.set({
      failure: { kind: 'status', status: 402, effect: 'before', detail },
      on: ['startPod'],
    });
    const fault = await faultOf(run());
    assert.equal(fault.kind, 'noCredit');
    assert.equal(podStatus(world), 'EXITED');
    const asked = world.sim.runpod.requests.length;
    assert.equal((await faultOf(run(2))).message.includes('credit'), true);
    assert.equal(world.sim.runpod.requests.length, asked, 'the second job asks nobody');
  });

  it('429 from RunPod with a long wait: said, and the door stays shut so long', async () => {
    world = await openPodWorld();
    world.sim.runpod.faults.set({ failure: { kind: 'rateLimited', retryAfterSeconds: 300 } });
    const fault = await faultOf(run());
    assert.match(fault.message, /429/);
    const status = world.core.backends.statuses().find(({ backend }) => backend.id === 'cloud');
    assert.ok(status?.breaker.is === 'open' && status.breaker.retryAtMs - Date.now() > 250_000);
  });

  it('5xx from RunPod: asked again, then said', async function () {
    this.timeout(30_000);
    world = await openPodWorld();
    world.sim.runpod.faults.set({ failure: { kind: 'status', status: 503, effect: 'before' }, times: 1 });
    assert.equal((await run()).outputs.length, 1);
    world.sim.runpod.faults.set({ failure: { kind: 'status', status: 503, effect: 'before' } });
    const fault = await faultOf(run(2));
    assert.equal(fault.kind, 'unavailable');
    assert.match(fault.message, /503/);
  });

  it('a wrong key: said with the next step, and right again as soon as the key is', async () => {
    world = await openPodWorld();
    const right = world.keys.get('runpodApiKey')!;
    world.keys.set('runpodApiKey', 'rpa_wrong');
    world.keysChanged('runpodApiKey');
    const fault = await faultOf(run());
    assert.equal(fault.kind, 'unauthorized');
    assert.match(fault.message, /does not accept the API key/);
    assert.ok(fault.facts.nextStep);
    const asked = world.sim.runpod.requests.length;
    await faultOf(run(2));
    assert.ok(world.sim.runpod.requests.length <= asked + 1, 'at most a look at what pods there are');
    world.keys.set('runpodApiKey', right);
    world.keysChanged('runpodApiKey');
    assert.equal((await run(3)).outputs.length, 1);
  });

  it('a missing key: said, and nothing is sent', async () => {
    world = await openPodWorld();
    world.keys.delete('runpodApiKey');
    world.keysChanged('runpodApiKey');
    const fault = await faultOf(run());
    assert.match(fault.message, /cloud: No RunPod API key is set/);
    assert.equal(world.sim.runpod.requests.length, 0);
  });

  it('the configured pod is not in the account: said with its id', async () => {
    world = await openPodWorld();
    world.podId = 'nosuchpod1';
    const fault = await faultOf(run());
    assert.match(fault.message, /nosuchpod1 is not in this RunPod account/);
  });
});
