import assert from 'node:assert/strict';
import type { FailureKind } from '../../src/sim/runpod/faults.ts';
import type { RunpodBehaviour } from '../../src/sim/runpod/behaviour.ts';
import { bench, podBody, type Answer, type Bench } from './simRunpodHarness.ts';

const noStock =
  'There are no longer any instances available with the requested specifications. Please refresh and try again.';

describe('RunPod simulator: lists, create, life of a pod (S16 to S35)', () => {
  let world: Bench;
  beforeEach(async () => {
    world = await bench({ base: 'fast' });
  });
  afterEach(() => world.close());

  const configure = (change: Partial<RunpodBehaviour>): void => world.sim.configure(change);
  const create = (more: object = {}, name = 'x'): Promise<Answer> =>
    world.send('POST', '/v2/pods', { body: podBody(name, more) });
  const created = async (more: object = {}, name = 'x'): Promise<string> => {
    const answer = await create(more, name);
    assert.equal(answer.status, 201, answer.text);
    return answer.json.id;
  };
  const get = async (id: string): Promise<any> => (await world.send('GET', `/v2/pods/${id}`)).json; // eslint-disable-line @typescript-eslint/no-explicit-any
  const list = (query = ''): Promise<Answer> => world.send('GET', `/v2/pods${query}`);
  const names = (answer: Answer): string[] => answer.json.pods.map(({ name }: { name: string }) => name);
  const act = (id: string, action: string): Promise<Answer> =>
    world.send('POST', `/v2/pods/${id}/action`, { body: { action } });
  const patch = (id: string, body: object): Promise<Answer> => world.send('PATCH', `/v2/pods/${id}`, { body });
  const refused = async (answer: Promise<Answer>, status: number, text: RegExp): Promise<void> => {
    const { status: got, text: body } = await answer;
    assert.equal(got, status, body);
    assert.match(body, text);
  };
  const fail = (kind: Extract<FailureKind, 'hostFull' | 'zeroGpuRestart' | 'stuckPulling' | 'crashLoop'>): void =>
    void world.sim.faults.set({ failure: { kind }, times: 1 });

  describe('lists', () => {
    const seedFive = (): void => {
      for (const name of ['a', 'b', 'c', 'd', 'e']) {
        world.sim.seedPod({ name, status: 'EXITED' });
        world.time.advance(10);
      }
    };

    it('S16: newest first, in pages, with an opaque cursor that is good for its own request only', async () => {
      seedFive();
      const first = await list('?limit=2');
      assert.deepEqual(names(first), ['e', 'd']);
      assert.equal(first.json.pagination.hasNextPage, true);
      const cursor = encodeURIComponent(first.json.pagination.nextCursor);
      const second = await list(`?limit=2&cursor=${cursor}`);
      assert.deepEqual(names(second), ['c', 'b']);
      const third = await list(`?limit=2&cursor=${encodeURIComponent(second.json.pagination.nextCursor)}`);
      assert.deepEqual(names(third), ['a']);
      assert.deepEqual(third.json.pagination, { nextCursor: null, hasNextPage: false });
      await refused(list('?cursor=garbage'), 422, /cursor/);
      await refused(list(`?includeClusterPods=true&cursor=${cursor}`), 422, /cursor/);
      await refused(list('?limit=0'), 422, /limit/);
      await refused(list('?limit=1001'), 422, /limit/);
    });

    it('S17: short pages, no pagination block, a cursor that never advances', async () => {
      seedFive();
      configure({ pagination: 'shortPages' });
      const seen: string[] = [];
      let query = '?limit=3';
      for (let page = 0; page < 9; page++) {
        const answer = await list(query);
        seen.push(...names(answer));
        if (page === 0) assert.equal(names(answer).length, 2, 'fewer than the limit, and more to come');
        if (!answer.json.pagination.hasNextPage) break;
        query = `?limit=3&cursor=${encodeURIComponent(answer.json.pagination.nextCursor)}`;
      }
      assert.deepEqual(seen, ['e', 'd', 'c', 'b', 'a']);
      configure({ pagination: 'absent' });
      assert.equal((await list()).json.pagination, undefined);
      configure({ pagination: 'stuckCursor' });
      const one = (await list()).json.pagination.nextCursor;
      assert.equal((await list(`?cursor=${encodeURIComponent(one)}`)).json.pagination.nextCursor, one);
    });

    it('S18: a created pod is invisible at first: 404 also for DELETE, and it lives and bills', async () => {
      configure({ createLagMs: 1_500 });
      const id = await created();
      assert.equal((await world.send('GET', `/v2/pods/${id}`)).status, 404);
      assert.equal((await world.send('DELETE', `/v2/pods/${id}`)).status, 404);
      assert.deepEqual(names(await list()), []);
      world.time.advance(1_500);
      assert.deepEqual(names(await list()), ['x']);
      assert.ok(world.sim.invoice().totalMicros > 0);
    });

    it('S19: a create that answers 5xx, or never, leaves a pod under its name', async () => {
      const effect = 'after';
      world.sim.faults.set({ failure: { kind: 'status', status: 504, effect }, on: ['createPod'], times: 1 });
      assert.equal((await create({}, 'lost-1')).status, 504);
      world.sim.faults.set({ failure: { kind: 'reset', effect }, on: ['createPod'], times: 1 });
      await assert.rejects(create({}, 'lost-2'));
      assert.deepEqual(names(await list()), ['lost-2', 'lost-1']);
    });

    it('S20: a deleted pod is 404, and may linger in lists as TERMINATED', async () => {
      configure({ deleteLagMs: 2_000 });
      const id = await created();
      assert.equal((await world.send('DELETE', `/v2/pods/${id}`)).status, 204);
      assert.equal((await world.send('GET', `/v2/pods/${id}`)).status, 404);
      const [pod] = (await list()).json.pods;
      assert.deepEqual([pod.status, pod.cost, pod.actions], ['TERMINATED', 0, []]);
      world.time.advance(2_000);
      assert.deepEqual(names(await list()), []);
    });

    it('S21: a pod that appears between two pages shifts nothing', async () => {
      seedFive();
      const first = await list('?limit=2');
      world.sim.seedPod({ name: 'new' });
      const second = await list(`?limit=2&cursor=${encodeURIComponent(first.json.pagination.nextCursor)}`);
      assert.deepEqual([...names(first), ...names(second)], ['e', 'd', 'c', 'b']);
    });
  });

  describe('create', () => {
    const gpu = { id: 'NVIDIA GeForce RTX 4090', count: 1 };

    it('S22: rules between fields', async () => {
      world.sim.seedVolume({ id: 'vol1', name: 'v', size: 50, dataCenter: 'EU-RO-1', type: 'STANDARD' });
      const network = [{ volumeId: 'vol1', path: '/workspace' }];
      const persistent = { size: 20, path: '/workspace' };
      const cpu = { id: 'cpu3c', vcpuCount: 2 };
      await refused(create({ gpu: undefined, mounts: {} }), 400, /exactly one of gpu or cpu/);
      await refused(create({ cpu, mounts: {} }), 400, /exactly one of gpu or cpu/);
      await refused(create({ mounts: { persistent, network } }), 400, /mutually exclusive/);
      await refused(create({ gpu: undefined, cpu, mounts: { persistent } }), 400, /cpu pods/);
      await refused(create({ gpu: undefined, cpu: { id: 'cpu3c', vcpuCount: 3 }, mounts: {} }), 422, /power of two/);
      await refused(create({ mounts: { persistent: { size: 9, path: '/w' } } }), 422, /minimum: got 9, want 10/);
      const both = { ...gpu, allowedCudaVersions: ['12.8'], minCudaVersion: '12.4' };
      await refused(create({ gpu: both }), 400, /mutually exclusive/);
      await refused(create({ gpu: { ...gpu, minCudaVersion: '12' } }), 422, /pattern/);
      await refused(create({ templateId: 'srvless001' }), 422, /serverless template/);
      await refused(create({ templateId: 'nope' }), 404, /template not found/);
      await refused(create({ gpu: { id: 'NVIDIA RTX 9999' } }), 422, /Unknown GPU type: NVIDIA RTX 9999/);
      await refused(create({ gpu: { id: 'unknown' } }), 422, /Unknown GPU type: unknown/);
      await refused(create({ image: 'someone/missing:tag' }), 422, /not found on its registry/);
      const ports = Array.from({ length: 11 }, (_, index) => `${8000 + index}/http`);
      await refused(create({ ports }), 400, /at most 10/);
      await refused(create({ ports: ['8188'] }), 422, /8188/);
      await refused(create({ mounts: { network }, cloud: 'COMMUNITY' }), 400, /SECURE/);
      await refused(create({ mounts: { network }, dataCenterIds: ['US-TX-3'] }), 400, /no longer any instances/);
      await refused(create({ mounts: { network: [{ volumeId: 'nope', path: '/w' }] } }), 400, /network volume/);
      assert.equal((await get(await created({ mounts: { network } }))).dataCenterId, null);
    });

    it('S23: no stock, wherever it comes from, has one text; stock can drop after the catalogue was read', async () => {
      const text = async (more: object): Promise<void> => {
        const answer = await create(more);
        assert.deepEqual([answer.status, answer.json.detail], [400, noStock]);
      };
      await text({ dataCenterIds: ['US-KS-2'] });
      await text({ gpu: { ...gpu, minCudaVersion: '13.0' } });
      await text({ gpu: { ...gpu, count: 9 } });
      await text({ gpu: { id: 'NVIDIA H200 NVL', count: 1 }, cloud: 'COMMUNITY' });
      world.sim.setStock(gpu.id, 'SECURE', '*', 'NONE');
      await text({});
      world.sim.setStock(gpu.id, 'SECURE', 'EU-RO-1', 'LOW');
      const pod = await get(await created({ gpu: { ...gpu, minCudaVersion: '12.9' } }));
      assert.equal(pod.cudaVersion, '12.11', '12.11 is newer than 12.9');

      const other = { id: 'NVIDIA L40S', count: 1 };
      const drop = world.sim.faults.set({ failure: { kind: 'noCapacity', gpuIds: [gpu.id] } });
      const stock = await world.send(
        'GET',
        '/v2/catalog/gpus/NVIDIA%20GeForce%20RTX%204090?include=AVAILABILITY&product=POD',
      );
      assert.equal(stock.json.availability, 'LOW', 'the catalogue still shows it');
      await text({});
      assert.equal((await create({ gpu: other })).status, 201);
      world.sim.faults.clear(drop);
      world.sim.faults.set({ failure: { kind: 'noCapacity' } });
      await text({ gpu: other });
    });

    it('S25: a pool that is closed to the account is 403', async () => {
      configure({ forbiddenPools: ['ADA_24'] });
      await refused(create(), 403, /access denied/);
    });

    it('S26: what is left out: no ports, no mounts, SECURE; env merges with the template, the body wins', async () => {
      const bare = await world.send('POST', '/v2/pods', { body: { name: 'b', image: 'i', gpu } });
      assert.deepEqual([bare.json.ports, bare.json.mounts, bare.json.cloud], [[], {}, 'SECURE']);
      const body = { name: 't', templateId: 'cw3nka7d08', gpu, env: { PRESET: 'mine', OWN: '1' } };
      const { json } = await world.send('POST', '/v2/pods', { body });
      assert.deepEqual(json.env, { PRESET: 'mine', COMFY_FLAVOUR: 'standard', OWN: '1' });
      assert.deepEqual(
        [json.image, json.template, json.ports],
        ['runpod/comfyui:latest', null, ['8188/http', '22/tcp']],
      );
    });

    it('the created pod may be dearer than the catalogue said', async () => {
      world.sim.faults.set({ failure: { kind: 'dearer', microsPerHour: 110_000 }, times: 1 });
      assert.equal((await create()).json.cost, 0.8);
    });

    it('the container finds its own key and id in its environment, the API shows neither', async () => {
      const id = await created();
      world.time.advance(1_000);
      await world.proxied(`/${id}-8188/`);
      const { env } = world.servers[0]!;
      assert.equal(env['RUNPOD_API_KEY'], world.sim.podKey(id));
      assert.equal(env['RUNPOD_POD_ID'], id);
      assert.equal(env['CZ_SESSION'], '7f31c2');
      assert.deepEqual((await get(id)).env, { CZ_SESSION: '7f31c2' });
    });
  });

  describe('life', () => {
    const states = async (id: string, stepMs: number, steps: number): Promise<string> => {
      const seen: string[] = [];
      for (let step = 0; step < steps; step++) {
        const { status } = await get(id);
        if (seen.at(-1) !== status) seen.push(status);
        world.time.advance(stepMs);
      }
      return seen.join(' ');
    };

    it('S27: realistic times: 4 s, 45 s for a first pull, 8 s for a cached image, a minute or more to ComfyUI', async () => {
      await world.close();
      world = await bench({ base: 'realistic', change: { createLagMs: 0 } });
      const first = await created();
      world.time.advance(3_999);
      assert.equal((await get(first)).status, 'PROVISIONING');
      world.time.advance(1);
      assert.equal((await get(first)).status, 'STARTING');
      world.time.advance(45_000);
      assert.equal((await get(first)).status, 'RUNNING');
      world.time.advance(59_000);
      assert.equal((await world.proxied(`/${first}-8188/`)).status, 502);
      world.time.advance(121_001);
      assert.equal((await world.proxied(`/${first}-8188/`)).status, 200);
      const second = await created({}, 'y');
      world.time.advance(12_000);
      assert.equal((await get(second)).status, 'RUNNING');
    });

    it('S27: stuck pulling, crash loop, an error after it ran, never ready', async () => {
      fail('stuckPulling');
      assert.equal(await states(await created(), 3_600_000, 5), 'PROVISIONING STARTING');
      fail('crashLoop');
      assert.match(await states(await created(), 100, 200), /STARTING ERROR STARTING ERROR STARTING/);
      world.sim.faults.set({ failure: { kind: 'errorAfterRun' }, times: 1 });
      assert.equal(await states(await created(), 50, 30), 'PROVISIONING STARTING RUNNING ERROR');
      world.sim.faults.set({ failure: { kind: 'neverReady' }, times: 1 });
      const id = await created();
      world.time.advance(36_000_000);
      assert.equal((await get(id)).status, 'RUNNING');
      assert.equal((await world.proxied(`/${id}-8188/`)).status, 502);
    });

    it('S28: actions follow the status; another action is 409, an unknown one 422 naming the four', async () => {
      const id = await created();
      assert.deepEqual((await get(id)).actions, ['stop', 'terminate']);
      await refused(act(id, 'restart'), 409, /PROVISIONING/);
      world.time.advance(1_000);
      assert.deepEqual((await get(id)).actions, ['stop', 'restart', 'terminate']);
      await refused(act(id, 'start'), 409, /RUNNING/);
      await refused(act(id, 'reset'), 422, /'start', 'stop', 'restart', 'terminate'/);
      assert.deepEqual((await act(id, 'stop')).json.actions, ['start', 'terminate']);
      await refused(act(id, 'stop'), 409, /EXITED/);
      configure({ actionsOnCreate: 'example' });
      assert.deepEqual((await create()).json.actions, ['start', 'terminate']);
    });

    it('S29: cost from create on and 0 when stopped; startedAt and uptime begin anew with each start', async () => {
      const { json } = await create({ gpu: { id: 'NVIDIA GeForce RTX 4090', count: 2 } });
      assert.deepEqual([json.cost, json.startedAt, json.runtime], [1.38, null, null]);
      world.time.advance(10_300);
      const running = await get(json.id);
      assert.equal(running.runtime.uptime, 10);
      assert.equal(running.runtime.gpus.length, 2);
      configure({ load: { gpu: 100, gpuMemory: 64, cpu: 12, memory: 31 } });
      assert.deepEqual((await get(json.id)).runtime.gpus[0], { util: 100, memoryUtil: 64 });
      const stopped = (await act(json.id, 'stop')).json;
      assert.deepEqual([stopped.cost, stopped.runtime, stopped.startedAt], [0, null, running.startedAt]);
      await act(json.id, 'start');
      world.time.advance(1_200);
      const again = await get(json.id);
      assert.notEqual(again.startedAt, running.startedAt);
      assert.equal(again.runtime.uptime, 1);
      await act(json.id, 'stop');
      configure({ runtimeWhenNotRunning: 'emptyObject' });
      assert.deepEqual((await get(json.id)).runtime, {});
    });

    it('S30: restart and start make a fresh container; the network volume survives the pod', async () => {
      world.sim.seedVolume({ id: 'vol1', name: 'v', size: 50, dataCenter: 'EU-RO-1', type: 'STANDARD' });
      const id = await created({ mounts: { network: [{ volumeId: 'vol1', path: '/w' }] } });
      world.time.advance(1_000);
      await world.proxied(`/${id}-8188/`);
      await act(id, 'restart');
      assert.equal(world.servers[0]?.disposed, true);
      assert.equal((await get(id)).status, 'STARTING');
      world.time.advance(1_000);
      await world.proxied(`/${id}-8188/`);
      assert.equal(world.servers.length, 2);
      await world.send('DELETE', `/v2/pods/${id}`);
      const volumes = await world.send('GET', '/v2/network-volumes');
      assert.equal(volumes.json.networkVolumes[0].id, 'vol1');
    });

    it('S31: a start without a free GPU is 400, or comes up with none and 502', async () => {
      const { id } = world.sim.seedPod({ name: 's', status: 'EXITED' });
      fail('hostFull');
      await refused(act(id, 'start'), 400, /There are not enough free GPUs on the host machine to start this pod\./);
      assert.equal((await get(id)).status, 'EXITED');
      fail('zeroGpuRestart');
      assert.equal((await act(id, 'start')).status, 200);
      world.time.advance(60_000);
      const pod = await get(id);
      assert.deepEqual([pod.status, pod.gpu.count, pod.runtime.gpus], ['RUNNING', 1, []]);
      assert.equal((await world.proxied(`/${id}-8188/system_stats`)).status, 502);
      await act(id, 'stop');
      await act(id, 'start');
      world.time.advance(60_000);
      assert.equal((await world.proxied(`/${id}-8188/system_stats`)).status, 200);
    });

    it('S32: a locked pod cannot be stopped, restarted or deleted, though actions say so', async () => {
      const { id } = world.sim.seedPod({ name: 'l' });
      assert.equal((await patch(id, { locked: true })).json.locked, true);
      for (const action of ['stop', 'restart', 'terminate']) await refused(act(id, action), 400, /Pod is locked/);
      await refused(world.send('DELETE', `/v2/pods/${id}`), 400, /Pod is locked/);
      assert.deepEqual((await get(id)).actions, ['stop', 'restart', 'terminate']);
      await patch(id, { locked: false });
      assert.equal((await act(id, 'stop')).status, 200);
    });

    it('S33: PATCH: a name restarts nothing; image, env and ports reset the container; mounts have rules', async () => {
      const id = await created();
      world.time.advance(10_000);
      assert.equal((await patch(id, { name: 'new' })).json.status, 'RUNNING');
      for (const change of [{ env: { A: '1' } }, { image: 'other:1' }, { ports: ['8188/http'] }]) {
        assert.equal((await patch(id, change)).json.status, 'STARTING', JSON.stringify(change));
        world.time.advance(1_000);
        assert.equal((await get(id)).runtime.uptime, 0);
      }
      assert.deepEqual((await get(id)).env, { A: '1' });
      await refused(patch(id, { mounts: { network: [{ volumeId: 'v', path: '/w' }] } }), 400, /kind of a mount/);
      await refused(patch(id, { mounts: { network: [] } }), 400, /mount/);
      await refused(patch(id, { mounts: { persistent: { size: 70 } } }), 422, /missing property 'path'/);
      await refused(patch(id, { mounts: { persistent: { size: 50, path: '/w' } } }), 400, /shrink/);
      assert.equal((await patch(id, { mounts: {} })).json.mounts.persistent.size, 60);
      const grown = await patch(id, { mounts: { persistent: { size: 70, path: '/other' } } });
      assert.deepEqual(grown.json.mounts, { persistent: { size: 70, path: '/other' } });
      await refused(patch(id, { gpu: { id: 'NVIDIA L40S' } }), 422, /additional properties 'gpu'/);
    });

    it('S34: a cluster member is hidden by default, and cannot be changed here', async () => {
      const { id } = world.sim.seedPod({ name: 'member', inCluster: true });
      assert.deepEqual(names(await list()), []);
      assert.deepEqual(names(await list('?includeClusterPods=true')), ['member']);
      await refused(patch(id, { name: 'y' }), 409, /cluster/);
      await refused(world.send('DELETE', `/v2/pods/${id}`), 409, /cluster/);
    });

    it('S35: the TCP port changes with each start, and the first reading may be the old one', async () => {
      configure({ stalePortMs: 5_000 });
      const id = await created();
      world.time.advance(1_000);
      const first = (await get(id)).ssh.direct.port;
      await act(id, 'stop');
      assert.equal((await get(id)).ssh.direct, null);
      await act(id, 'start');
      world.time.advance(1_000);
      assert.equal((await get(id)).ssh.direct.port, first);
      world.time.advance(5_000);
      const later = await get(id);
      assert.notEqual(later.ssh.direct.port, first);
      const mapped = later.runtime.ports.find((port: { private: number }) => port.private === 22);
      assert.equal(later.ssh.direct.port, mapped.public);
    });

    it('the same seed makes the same pods', async () => {
      const other = await bench({ base: 'fast' });
      const body = podBody('x');
      assert.equal((await other.send('POST', '/v2/pods', { body })).json.id, await created());
      await other.close();
    });
  });
});
