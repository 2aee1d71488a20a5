// A pod that we deploy is private from its first second: the whole core, over the whole simulator.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { Fault } from '../../src/core/kernel/fault.ts';
import type { DeployRequest } from '../../src/core/fleet/deployPod.ts';
import { tokenHash } from '../../src/core/fleet/agentToken.ts';
import type { PodTokens } from '../../src/core/fleet/agentToken.ts';
import { rankGpus } from '../../src/core/fleet/rankGpus.ts';
import { defaultWatchdog } from '../../src/core/fleet/watchdog.ts';
import { job, openWorld, samplerWorkflow } from './world.ts';
import type { World, WorldOptions } from './world.ts';

function statusAt(address: string, headers: Record<string, string> = {}, method = 'GET'): Promise<number> {
  return new Promise((resolve, reject) => {
    request(address, { headers, method }, (reply) => resolve(reply.resume().statusCode ?? 0))
      .on('error', reject)
      .end();
  });
}

describe('a pod that we deployed', function () {
  this.timeout(30_000);
  let world: World;
  let deployed: DeployRequest;
  const wait = { readyTimeoutMs: 20_000, onProgress: () => undefined };

  beforeEach(() => open());
  afterEach(() => world.close());

  async function open(options: WorldOptions = {}): Promise<void> {
    world = await openWorld(options);
    const types = await world.core.gpuTypes({ cloud: 'COMMUNITY', count: 1 }, world.signal);
    const needs = { minVramGb: 16, count: 1, maxUsdPerHourMicros: 2_000_000 };
    const { candidates } = rankGpus([{ cloud: 'COMMUNITY', gpus: types }], needs);
    deployed = {
      candidates,
      image: 'runpod/comfyui:latest',
      containerDiskGb: 30,
      storage: { kind: 'none' },
      watchdog: defaultWatchdog,
    };
  }

  const createBody = (): string =>
    world.sim.runpod.requests.find(({ operation }) => operation === 'createPod')?.body ?? '';

  it('runs our jobs, and answers 401 to anyone else', async () => {
    const { pod, url } = await world.core.pods.deploy(deployed, wait, world.signal);
    assert.equal(await statusAt(`${url}/system_stats`), 401);
    assert.equal(await statusAt(`${url}/system_stats`, { authorization: `Bearer ${world.sim.runpodApiKey}` }), 401);

    world.podId = pod.id;
    world.settings = { ...world.settings, 'routing.forced': 'cloud' };
    const seen: (number | undefined)[] = [];
    const outcome = await world.core.jobs.run(job(samplerWorkflow()), (at) => seen.push(at.fraction), world.signal);
    assert.equal(outcome.outputs.length, 1);
    assert.ok(
      seen.some((fraction) => fraction !== undefined && fraction > 0 && fraction < 1),
      'progress, by the WebSocket',
    );
    const sockets = world.sim.runpod.requests.filter(({ upgrade }) => upgrade);
    assert.ok(sockets.length > 0 && sockets.every(({ headers }) => headers.authorization !== undefined));
    const leases = world.sim.runpod.requests.filter(({ url: at }) => at.endsWith('/podrelay/lease'));
    assert.ok(leases.length > 0, 'the agent was told that the pod is in use');
  });

  it('has its token stored before RunPod hears of it, and RunPod sees the hash only', async () => {
    const stored: string[] = [];
    const { podTokens } = world;
    const kept: PodTokens = { ...podTokens };
    Object.assign(podTokens, {
      set: async (name: string, token: string) => {
        assert.equal(createBody(), '', 'nothing was sent yet');
        stored.push(name);
        await kept.set(name, token);
      },
    });
    const { pod } = await world.core.pods.deploy(deployed, wait, world.signal);
    const token = await podTokens.get(pod.name);
    assert.deepEqual(stored, [pod.name]);
    assert.ok(token !== undefined && !JSON.stringify(world.sim.runpod.state()).includes(token));
    assert.ok(createBody().includes(tokenHash(token)));
    const told = world.sim.runpod.requests.filter(({ surface }) => surface === 'api');
    assert.ok(!JSON.stringify(told).includes(token));
    assert.ok(!world.log.join('\n').includes(token));

    const link = await world.core.pods.link(pod.id);
    assert.equal(link, `${world.core.pods.address(pod.id)}/?token=${token}`);
    assert.equal(await statusAt(link), 200);
    assert.ok(!(await world.core.pods.link(pod.id, 8888)).includes(token), 'for ComfyUI alone');

    await world.core.pods.terminate(pod.id, world.signal);
    assert.equal(await podTokens.get(pod.name), undefined);
  });

  it('is not asked for when the token cannot be stored', async () => {
    Object.assign(world.podTokens, { set: () => Promise.reject(new Fault('io', 'The secret store is locked')) });
    await assert.rejects(world.core.pods.deploy(deployed, wait, world.signal), { kind: 'io' });
    assert.equal(createBody(), '');
  });

  it('is not started from a computer that has no token for it', async () => {
    const { pod } = await world.core.pods.deploy(deployed, wait, world.signal);
    await world.core.pods.stop(pod.id, world.signal);
    const elsewhere = await openWorld({ sim: world.sim });
    const started = (): number => world.sim.runpod.requests.filter(({ operation }) => operation === 'startPod').length;
    try {
      const work = elsewhere.core.pods.ensureReady(pod.id, wait, elsewhere.signal);
      await assert.rejects(work, { kind: 'unauthorized', message: /its token is not on this computer/ });
      assert.equal(started(), 0, 'nothing was spent for it');
    } finally {
      await elsewhere.close();
    }
    assert.equal(await world.core.pods.ensureReady(pod.id, wait, world.signal), true);
  });

  describe('seen from another computer, which has no token for it', () => {
    let elsewhere: World;
    let id: string;
    const brief = { 'cloud.idleMinutes': 300 / 60_000, 'cloud.readyTimeoutMinutes': 600 / 60_000 };
    const states = (): (string | undefined)[] => world.sim.runpod.state().pods.map(({ status }) => status);

    beforeEach(async () => {
      const { pod } = await world.core.pods.deploy(deployed, wait, world.signal);
      id = pod.id;
      elsewhere = await openWorld({ sim: world.sim, podWatchEveryMs: 40 });
      elsewhere.settings = { ...elsewhere.settings, ...brief };
    });
    afterEach(() => elsewhere.close());

    it('is not stopped there as idle, whatever it does; a person may stop it', async () => {
      let looks = 0;
      elsewhere.core.pods.onDidList(() => (looks += 1));
      await elsewhere.core.pods.refresh(elsewhere.signal);
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      assert.ok(looks > 5);
      assert.deepEqual(states(), ['RUNNING']);
      const [seen] = elsewhere.core.pods.lastSeen?.pods ?? [];
      assert.ok(seen !== undefined && !(await elsewhere.core.pods.opens(seen)));
      const { running } = await elsewhere.core.pods.reconcile(elsewhere.signal);
      assert.deepEqual(
        running.map((pod) => pod.id),
        [id],
        'it is offered',
      );
      await elsewhere.core.pods.stop(id, elsewhere.signal);
      assert.deepEqual(states(), ['EXITED']);
    });

    it('is none of its fleet: neither started for its jobs nor counted', async () => {
      await world.core.pods.stop(id, world.signal);
      await elsewhere.core.keys.load();
      elsewhere.settings = {
        ...elsewhere.settings,
        ...{ 'local.enabled': false, 'gemini.enabled': false, 'fleet.maxPods': 1, 'cloud.maxUsdPerHour': 0.3 },
        'cloud.readyTimeoutMinutes': 10,
      };
      const decisions: string[] = [];
      elsewhere.core.fleet.onDidDecide(({ what }) => void decisions.push(what));
      await elsewhere.core.queue.enqueue([job(samplerWorkflow())], elsewhere.signal);
      for (const end = Date.now() + 15_000; decisions.length === 0 && Date.now() < end;) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      assert.deepEqual([decisions[0], states()[0]], ['create', 'EXITED']);
    });
  });

  it('counts as used while somebody works with it in a browser', async () => {
    await world.close();
    await open({ timeScale: 1, runpodPresets: { base: 'fast' }, podWatchEveryMs: 40 });
    const { pod, url } = await world.core.pods.deploy(deployed, wait, world.signal);
    const authorization = `Bearer ${(await world.podTokens.get(pod.name)) ?? ''}`;
    world.settings = { ...world.settings, 'cloud.idleMinutes': 600 / 60_000 };
    const state = (): string | undefined => world.sim.runpod.state().pods[0]?.status;
    for (let n = 0; n < 20; n++) {
      await statusAt(`${url}/upload/image`, { authorization }, 'POST');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.equal(state(), 'RUNNING', world.log.join('\n'));
    for (const end = Date.now() + 5_000; state() === 'RUNNING' && Date.now() < end;) {
      assert.notEqual(await statusAt(`${url}/upload/image`, {}, 'POST'), 200, 'a stranger holds no pod');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.equal(state(), 'EXITED', 'nobody used it any more');
  });

  it('gets its token only: another pod and other servers get none', async () => {
    const { pod } = await world.core.pods.deploy(deployed, wait, world.signal);
    const token = (await world.podTokens.get(pod.name)) ?? '';
    const { id } = world.sim.runpod.seedPod({ name: 'someone-elses', status: 'RUNNING' });
    world.podId = id;
    world.settings = { ...world.settings, 'routing.forced': 'cloud' };
    await world.core.jobs.run(job(), () => undefined, world.signal);
    await world.core.backends.check('local', world.signal);
    const others = [
      ...world.sim.runpod.requests.filter(({ podId, surface }) => podId !== pod.id || surface === 'api'),
      ...world.sim.local.requests,
    ];
    assert.ok(others.length > 10);
    assert.ok(!JSON.stringify(others).includes(token));
  });
});
