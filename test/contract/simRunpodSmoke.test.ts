import assert from 'node:assert/strict';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { bench, podBody, type Bench } from './simRunpodHarness.ts';

describe('RunPod simulator: the story of one pod, over real sockets', () => {
  let it1: Bench;
  before(async () => {
    it1 = await bench();
  });
  after(() => it1.close());

  it('lists cards with stock, creates, boots, proxies, stops, starts and deletes', async () => {
    const { send, proxied, time, sim } = it1;
    const gpus = await send('GET', '/v2/catalog/gpus?include=AVAILABILITY&product=POD&cloud=COMMUNITY');
    const card = gpus.json.gpus.find(({ id }: { id: string }) => id === 'NVIDIA GeForce RTX 3090');
    assert.equal(card.price.community, 0.24);
    assert.equal(card.availability, 'HIGH');

    const created = await send('POST', '/v2/pods', { body: podBody('pr-story') });
    assert.equal(created.status, 201);
    const { id } = created.json as { id: string };
    assert.equal(created.json.status, 'PROVISIONING');
    assert.equal(created.json.startedAt, null);
    assert.equal(created.json.cost, 0.69);
    assert.equal((await proxied(`/${id}-8188/system_stats`)).status, 404);

    time.advance(320);
    assert.equal((await send('GET', `/v2/pods/${id}`)).json.status, 'RUNNING');
    assert.equal((await proxied(`/${id}-8188/system_stats`)).status, 502);
    time.advance(200);
    const stats = await proxied(`/${id}-8188/system_stats?a=1`);
    assert.equal(stats.status, 200);
    assert.equal(stats.json.url, '/system_stats?a=1');

    const client = new WebSocket(`${it1.proxyUrl.replace('http', 'ws')}/${id}-8188/ws?clientId=c1`);
    await once(client, 'open');
    client.send('hello');
    const [data] = (await once(client, 'message')) as [Buffer];
    assert.equal(data.toString(), '/ws?clientId=c1 hello');

    const closed = once(client, 'close');
    const stopped = await send('POST', `/v2/pods/${id}/action`, { body: { action: 'stop' } });
    assert.equal(stopped.json.status, 'EXITED');
    assert.equal(stopped.json.cost, 0);
    await closed;
    assert.equal((await proxied(`/${id}-8188/system_stats`)).status, 404);

    assert.equal((await send('POST', `/v2/pods/${id}/action`, { body: { action: 'start' } })).status, 200);
    time.advance(1000);
    assert.equal((await proxied(`/${id}-8188/system_stats`)).status, 200);
    assert.equal(it1.servers.length, 2, 'a fresh container after the start');

    const gone = await send('DELETE', `/v2/pods/${id}`);
    assert.equal(gone.status, 204);
    assert.equal(gone.text, '');
    assert.equal((await send('GET', `/v2/pods/${id}`)).status, 404);
    assert.deepEqual((await send('GET', '/v2/pods')).json.pods, []);
    assert.ok(it1.servers.every(({ disposed }) => disposed));
    const [line] = sim.invoice().lines;
    assert.equal(line?.podId, id);
    assert.ok(line.totalMicros > 0);
  });
});
