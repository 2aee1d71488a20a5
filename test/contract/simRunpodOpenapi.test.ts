import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { Contract, documentUrl } from './runpodContract.ts';
import { bench, podBody, readOnlyKey, type Answer, type Bench } from './simRunpodHarness.ts';

describe('RunPod simulator: every reply by the OpenAPI document', () => {
  let contract: Contract;
  let world: Bench;

  before(async function () {
    if (!existsSync(documentUrl)) {
      console.log('      skipped: ../shared/contracts/runpod-openapi-v2.json is not here');
      return this.skip();
    }
    contract = new Contract(readFileSync(documentUrl, 'utf8'));
    world = await bench({ base: 'realistic', change: { createLagMs: 0 } });
  });
  after(() => world?.close());

  const call = async (
    method: string,
    template: string,
    options: Parameters<Bench['send']>[2] & { id?: string; query?: string } = {},
  ): Promise<Answer> => {
    const path = template.replace('{id}', encodeURIComponent(options.id ?? '')) + (options.query ?? '');
    return contract.check(method, template, await world.send(method, path, options));
  };

  it('a checker that finds a missing field', async () => {
    const answer = await world.send('GET', '/v2/catalog/gpus');
    const broken = { ...answer, json: { gpus: [{ ...answer.json.gpus[0], memory: undefined }] } };
    assert.throws(() => contract.check('GET', '/v2/catalog/gpus', broken), /memory/);
  });

  it('a pod in every state of its life', async () => {
    const created = await call('POST', '/v2/pods', { body: podBody('pr-contract') });
    assert.equal(created.status, 201);
    const { id } = created.json as { id: string };
    const seen = new Set<string>();
    const look = async (): Promise<void> => {
      seen.add((await call('GET', '/v2/pods/{id}', { id })).json.status);
      await call('GET', '/v2/pods');
    };
    await look();
    world.time.advance(5_000);
    await look();
    world.time.advance(60_000);
    await look();
    assert.equal((await call('PATCH', '/v2/pods/{id}', { id, body: { name: 'pr-renamed' } })).json.name, 'pr-renamed');
    await call('POST', '/v2/pods/{id}/action', { id, body: { action: 'restart' } });
    world.time.advance(60_000);
    await call('POST', '/v2/pods/{id}/action', { id, body: { action: 'stop' } });
    await look();
    world.sim.faults.set({ failure: { kind: 'errorAfterRun' }, times: 1 });
    await call('POST', '/v2/pods/{id}/action', { id, body: { action: 'start' } });
    world.time.advance(600_000);
    await look();
    assert.equal((await call('POST', '/v2/pods/{id}/action', { id, body: { action: 'terminate' } })).status, 204);
    assert.deepEqual([...seen].sort(), ['ERROR', 'EXITED', 'PROVISIONING', 'RUNNING', 'STARTING']);
    const cpu = await call('POST', '/v2/pods', { body: { name: 'c', image: 'x', cpu: { id: 'cpu3c', vcpuCount: 4 } } });
    assert.equal((await call('DELETE', '/v2/pods/{id}', { id: cpu.json.id })).status, 204);
  });

  it('pods of other shapes: template, network volume, cluster member, zero GPUs', async () => {
    world.sim.seedVolume({ id: 'vol1', name: 'v', size: 50, dataCenter: 'EU-RO-1', type: 'STANDARD' });
    const network = { mounts: { network: [{ volumeId: 'vol1', path: '/workspace' }] }, globalNetworking: true };
    await call('POST', '/v2/pods', { body: podBody('n', network) });
    await call('POST', '/v2/pods', {
      body: { name: 't', templateId: 'cw3nka7d08', gpu: { id: 'NVIDIA GeForce RTX 4090' } },
    });
    world.sim.seedPod({ name: 'member', inCluster: true });
    const { id } = world.sim.seedPod({ name: 'z', status: 'EXITED' });
    world.sim.faults.set({ failure: { kind: 'zeroGpuRestart' }, times: 1 });
    await call('POST', '/v2/pods/{id}/action', { id, body: { action: 'start' } });
    world.time.advance(120_000);
    const list = await call('GET', '/v2/pods', { query: '?includeClusterPods=true' });
    assert.equal(list.json.pods.length, 4);
  });

  it('the catalogue', async () => {
    await call('GET', '/v2/catalog/gpus');
    for (const cloud of ['SECURE', 'COMMUNITY']) {
      await call('GET', '/v2/catalog/gpus', { query: `?include=AVAILABILITY&product=POD,SERVERLESS&cloud=${cloud}` });
    }
    const query = '?include=AVAILABILITY&product=POD&countryCodes=CA&cudaVersions=12.8';
    await call('GET', '/v2/catalog/gpus/{id}', { id: 'NVIDIA GeForce RTX 4090', query });
    await call('GET', '/v2/catalog/cpus', { query: '?include=AVAILABILITY&product=POD' });
    await call('GET', '/v2/catalog/cpus/{id}', { id: 'cpu3c' });
    await call('GET', '/v2/catalog/datacenters', { query: '?include=GPU_AVAILABILITY,CPU_AVAILABILITY' });
    await call('GET', '/v2/catalog/datacenters/{id}', { id: 'EU-RO-1' });
    await call('GET', '/v2/catalog/templates');
  });

  it('network volumes', async () => {
    const body = { name: 'data', size: 20, dataCenter: 'EU-RO-1' };
    const { id } = (await call('POST', '/v2/network-volumes', { body })).json;
    await call('GET', '/v2/network-volumes');
    await call('GET', '/v2/network-volumes/{id}', { id });
    await call('DELETE', '/v2/network-volumes/{id}', { id });
  });

  it('billing of every family and bucket size, with and without records', async () => {
    world.time.advance(3 * 3_600_000);
    for (const family of ['', '/pods', '/network-volumes', '/serverless', '/endpoints', '/clusters']) {
      for (const bucketSize of ['hour', 'day', 'week', 'month', 'year']) {
        const answer = await call('GET', `/v2/billing${family}`, { query: `?bucketSize=${bucketSize}&lastN=6` });
        assert.equal(answer.json.metadata.recordCount, answer.json.records.length);
      }
    }
    assert.notEqual((await call('GET', '/v2/billing/pods')).json.records.length, 0);
    assert.notEqual((await call('GET', '/v2/billing/network-volumes')).json.records.length, 0);
  });

  it('refusals: 400, 401, 402, 403, 404, 409, 413, 422, 429, 5xx', async () => {
    const { sim } = world;
    const { faults } = sim;
    const refused = async (status: number, answer: Promise<Answer>): Promise<void> => {
      assert.equal((await answer).status, status);
      assert.match(String((await answer).headers['content-type']), /^application\/problem\+json/);
    };
    const { id } = sim.seedPod({ name: 'r' });
    await refused(401, call('GET', '/v2/pods', { key: null }));
    await refused(403, call('POST', '/v2/pods', { key: readOnlyKey, body: podBody('x') }));
    await refused(404, call('GET', '/v2/pods/{id}', { id: 'nothere' }));
    await refused(404, call('GET', '/v2/pods/{id}/logs', { id: 'nothere' }));
    await refused(409, call('POST', '/v2/pods/{id}/action', { id, body: { action: 'start' } }));
    await refused(422, call('POST', '/v2/pods/{id}/action', { id, body: { action: 'resume' } }));
    await refused(422, call('POST', '/v2/pods', { body: { name: 'x' } }));
    await refused(400, call('POST', '/v2/pods', { body: podBody('x', { dataCenterIds: ['US-KS-2'] }) }));
    await refused(413, call('POST', '/v2/pods', { body: podBody('x', { args: 'a'.repeat(110_000) }) }));
    faults.set({ failure: { kind: 'noCredit' }, times: 1 });
    await refused(402, call('POST', '/v2/pods', { body: podBody('x') }));
    faults.set({ failure: { kind: 'rateLimited' }, times: 1 });
    await refused(429, call('GET', '/v2/pods'));
    for (const status of [500, 502, 503, 504]) {
      faults.set({ failure: { kind: 'status', status, effect: 'before' }, times: 1 });
      await refused(status, call('GET', '/v2/pods'));
    }
  });

  it('every operation of pods, catalogue, volumes and billing was exercised', () => {
    const operations = new Set([...contract.covered].map((entry) => entry.split(' ')[0]));
    const wanted = [
      'listPods',
      'createPod',
      'getPod',
      'updatePod',
      'deletePod',
      'podAction',
      'getPodLogs',
      'listGpuTypes',
      'getGpuType',
      'listCpuTypes',
      'getCpuType',
      'listDataCenters',
      'getDataCenter',
      'listPublicTemplates',
      'listNetworkVolumes',
      'createNetworkVolume',
      'getNetworkVolume',
      'deleteNetworkVolume',
      'listBilling',
      'listPodBilling',
      'listServerlessBilling',
      'listEndpointBilling',
      'listNetworkVolumeBilling',
      'listClusterBilling',
    ];
    assert.deepEqual(
      wanted.filter((name) => !operations.has(name)),
      [],
    );
  });

  it('takes and refuses create bodies as the schema does', async () => {
    const fits = contract.validator('/components/schemas/CreatePodRequest');
    const gpu = { id: 'NVIDIA GeForce RTX 4090' };
    const bodies: object[] = [
      podBody('ok'),
      { image: 'i', gpu },
      { name: '', image: 'i', gpu },
      { name: 'n', gpu },
      { name: 'n', image: 'i', gpu: {} },
      { name: 'n', image: 'i', gpu: { ...gpu, count: 0 } },
      { name: 'n', image: 'i', gpu: { ...gpu, count: 1.5 } },
      { name: 'n', image: 'i', gpu: { ...gpu, bid: 1 } },
      { name: 'n', image: 'i', gpu: { ...gpu, minCudaVersion: '12' } },
      { name: 'n', image: 'i', gpu: { ...gpu, allowedCudaVersions: ['12.8', 'new'] } },
      { name: 'n', image: 'i', gpu, cloud: 'ALL' },
      { name: 'n', image: 'i', gpu, gpuTypeIds: ['x'] },
      { name: 'n', image: 'i', gpu, disk: 0 },
      { name: 'n', image: 'i', gpu, env: { A: 1 } },
      { name: 'n', image: 'i', gpu, registry: null },
      { name: 'n', image: 'i', gpu, registry: 7 },
      { name: 'n', image: 'i', gpu, mounts: {} },
      { name: 'n', image: 'i', gpu, mounts: { persistent: { size: 9, path: '/w' } } },
      { name: 'n', image: 'i', gpu, mounts: { persistent: { size: 10 } } },
      { name: 'n', image: 'i', gpu, mounts: { object: {} } },
      { name: 'n', image: 'i', gpu, mounts: { network: [1, 2].map(() => ({ volumeId: 'vol1', path: '/w' })) } },
      { name: 'n', image: 'i', cpu: { id: 'cpu3c', vcpuCount: 1 } },
      { name: 'n', image: 'i', gpu, ports: '8188/http' },
      { name: 'n', image: 'i', gpu, startSsh: 'yes' },
      { name: 'n', templateId: '', gpu },
    ];
    for (const body of bodies) {
      const { status } = await world.send('POST', '/v2/pods', { body });
      assert.equal(status === 201, fits(body), `${JSON.stringify(body)} was answered ${status}`);
      if (status !== 201) assert.equal(status, 422, JSON.stringify(body));
    }
  });
});
