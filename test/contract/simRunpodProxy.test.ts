import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import type { Failure } from '../../src/sim/runpod/faults.ts';
import { apiKey, bench, exchange, type Answer, type Bench } from './simRunpodHarness.ts';

const turn = (ms = 30): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("RunPod simulator: the pods' proxy (S41 to S47)", () => {
  let world: Bench;
  let id: string;
  beforeEach(async () => {
    world = await bench({ base: 'fast' });
    ({ id } = world.sim.seedPod({ name: 'p', ports: ['8188/http', '9000/http', '22/tcp'] }));
  });
  afterEach(() => world.close());

  const fail = (failure: Failure): void => void world.sim.faults.set({ failure, on: ['proxy'], times: 1 });
  const act = (action: string): Promise<Answer> => world.send('POST', `/v2/pods/${id}/action`, { body: { action } });
  const dial = async (): Promise<WebSocket> => {
    const client = new WebSocket(`${world.proxyUrl.replace('http', 'ws')}/${id}-8188/ws?clientId=c1`);
    await once(client, 'open');
    return client;
  };
  const echo = async (client: WebSocket, text: string): Promise<string> => {
    client.send(text);
    const [data] = (await once(client, 'message')) as [Buffer];
    return data.toString();
  };

  it('S41: unknown pods and ports are 404, silent ports 502', async () => {
    for (const path of ['/nosuchpod-8188/', `/${id}-8080/`, `/${id}-22/`, '/', '/favicon.ico']) {
      assert.equal((await world.proxied(path)).status, 404, path);
    }
    assert.equal((await world.proxied(`/${id}-9000/`)).status, 502);
  });

  it('S41: a pod that does not run is 404 or 502; one that boots is 502 or an HTML page with 200', async () => {
    await act('stop');
    assert.equal((await world.proxied(`/${id}-8188/`)).status, 404);
    world.sim.configure({ proxyWhenStopped: 502 });
    assert.equal((await world.proxied(`/${id}-8188/`)).status, 502);
    await act('start');
    world.time.advance(250);
    const booting = await world.proxied(`/${id}-8188/system_stats`);
    assert.equal(booting.status, 502);
    assert.match(String(booting.headers['content-type']), /^text\/html/);
    world.sim.configure({ proxyWhileBooting: 'html200' });
    const page = await world.proxied(`/${id}-8188/system_stats`);
    assert.deepEqual([page.status, page.json], [200, undefined]);
    world.time.advance(300);
    assert.deepEqual((await world.proxied(`/${id}-8188/system_stats`)).json.url, '/system_stats');
  });

  it('S41: the address can also be given as a Host of RunPod form', async () => {
    const headers = { host: `${id}-8188.proxy.runpod.net` };
    assert.equal((await world.proxied('/history?max_items=1', { headers })).json.url, '/history?max_items=1');
    assert.equal((await world.proxied(`/${id}-8188`)).json.url, '/');
  });

  it('S42: no key is needed, and one that arrives is on record', async () => {
    assert.equal((await world.proxied(`/${id}-8188/`)).status, 200);
    const leaked = (): boolean[] =>
      world.sim.requests.filter(({ surface }) => surface === 'proxy').map(({ carriesApiKey }) => carriesApiKey);
    assert.deepEqual(leaked(), [false]);
    await world.proxied(`/${id}-8188/`, { headers: { authorization: `Bearer ${apiKey}` } });
    await world.proxied(`/${id}-8188/?token=${apiKey}`);
    await world.proxied('/nosuchpod-8188/', { headers: { cookie: `key=${apiKey}` } });
    assert.deepEqual(leaked(), [false, true, true, true]);
    await world.send('GET', '/v2/pods');
    assert.equal(world.sim.requests.at(-1)?.surface, 'api');
    assert.equal(world.sim.requests.at(-1)?.headers.authorization, `Bearer ${apiKey}`);
  });

  it('S43: 100 s of silence are 524; an answer that has begun may take its time', async () => {
    const silent = world.proxied(`/${id}-8188/silent`);
    while (world.servers[0]?.seen.length !== 1) await turn(5);
    world.time.advance(99_999);
    await turn();
    assert.equal(world.sim.requests.at(-1)?.status, undefined);
    world.time.advance(1);
    assert.equal((await silent).status, 524);

    let chunks = 0;
    const req = request(`${world.proxyUrl}/${id}-8188/trickle`, (res) => res.on('data', () => chunks++));
    req.on('error', () => undefined);
    req.end();
    while (chunks === 0) await turn(5);
    world.time.advance(500_000);
    await turn();
    assert.equal(req.destroyed, false);
    req.destroy();
  });

  it('S44: a body over the limit is 413, with and without a length', async () => {
    world.sim.configure({ proxyUploadLimitBytes: 1_000 });
    const url = `${world.proxyUrl}/${id}-8188/upload/image`;
    assert.equal((await exchange(url, { method: 'POST', raw: Buffer.alloc(1_000) })).status, 200);
    assert.equal((await exchange(url, { method: 'POST', raw: Buffer.alloc(1_001) })).status, 413);
    assert.equal(world.servers[0]?.seen.length, 1, 'the pod has not seen the second');
    const headers = { 'transfer-encoding': 'chunked' };
    assert.equal((await exchange(url, { method: 'POST', headers, raw: Buffer.alloc(5_000) })).status, 413);
    assert.equal((await exchange(url, { method: 'POST', headers, raw: Buffer.alloc(500) })).status, 200);
  });

  it('S45: WebSockets pass, are cut, go mute, and can be had again', async () => {
    for (const how of ['close', 'reset'] as const) {
      fail({ kind: 'cutSocket', afterMs: 5_000, how });
      const client = await dial();
      assert.equal(await echo(client, 'one'), '/ws?clientId=c1 one');
      const closed = once(client, 'close');
      world.time.advance(5_000);
      await closed;
    }
    fail({ kind: 'cutSocket', afterMs: 5_000, how: 'mute' });
    const mute = await dial();
    assert.equal(await echo(mute, 'two'), '/ws?clientId=c1 two');
    world.time.advance(5_000);
    let heard = false;
    mute.on('message', () => (heard = true));
    mute.send('three');
    await turn(60);
    assert.deepEqual([heard, mute.readyState], [false, WebSocket.OPEN]);
    assert.equal(await echo(await dial(), 'four'), '/ws?clientId=c1 four');
  });

  it('S45: an upgrade is refused as a request is', async () => {
    const refused = async (path: string): Promise<number | undefined> => {
      const client = new WebSocket(world.proxyUrl.replace('http', 'ws') + path);
      client.on('error', () => undefined);
      const [, res] = (await once(client, 'unexpected-response')) as [unknown, { statusCode?: number }];
      return res.statusCode;
    };
    assert.equal(await refused('/nosuchpod-8188/ws'), 404);
    assert.equal(await refused(`/${id}-9000/ws`), 502);
    fail({ kind: 'status', status: 503, effect: 'before' });
    assert.equal(await refused(`/${id}-8188/ws`), 503);
    const statuses = world.sim.requests.filter(({ upgrade }) => upgrade).map(({ status }) => status);
    assert.deepEqual(statuses, [404, 502, 503]);
  });

  it('S46: ComfyUI on the loopback of its pod is 502 for ever', async () => {
    world.sim.faults.set({ failure: { kind: 'loopbackBind' }, times: 1 });
    const other = world.sim.seedPod({ name: 'b' });
    world.time.advance(3_600_000);
    assert.equal((await world.proxied(`/${other.id}-8188/system_stats`)).status, 502);
  });

  it('S47: the pod sees the public host name, so its origin check for loopback hosts does not fire', async () => {
    await world.proxied(`/${id}-8188/prompt`, { headers: { origin: 'http://elsewhere.example' } });
    assert.deepEqual(world.servers[0]?.seen, [`GET /prompt host=${id}-8188.proxy.runpod.net`]);
  });

  it('faults: 5xx, HTML, truncated JSON, reset, hang, delay, and a reply lost after the work was done', async () => {
    const path = `/${id}-8188/prompt`;
    fail({ kind: 'status', status: 503, effect: 'before' });
    assert.equal((await world.proxied(path)).status, 503);
    fail({ kind: 'html' });
    assert.match((await world.proxied(path)).text, /^<!doctype html>/);
    fail({ kind: 'truncatedJson' });
    assert.deepEqual((await world.proxied(path)).json, undefined);
    fail({ kind: 'reset', effect: 'before' });
    await assert.rejects(world.proxied(path));
    assert.deepEqual(world.servers[0]?.seen, [], 'nothing has reached the pod');
    fail({ kind: 'reset', effect: 'after' });
    await assert.rejects(world.proxied(path, { method: 'POST', raw: Buffer.from('{}') }));
    assert.match(String(world.servers[0].seen[0]), /^POST \/prompt/);
    fail({ kind: 'delay', ms: 1_000 });
    const late = world.proxied(path);
    await turn();
    world.time.advance(1_000);
    assert.equal((await late).status, 200);
    fail({ kind: 'hang', effect: 'before' });
    await assert.rejects(fetch(world.proxyUrl + path, { signal: AbortSignal.timeout(80) }), /timeout/i);
  });

  it('garbage on the wire breaks nothing', async () => {
    const { port } = new URL(world.proxyUrl);
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    socket.end(
      'GET /%zz-8188/%E0%A4%A HTTP/1.1\r\nHost: x\r\nUpgrade: nonsense\r\nConnection: upgrade\r\n\r\n\u0000\u0001',
    );
    await once(socket, 'close');
    assert.equal((await world.proxied(`/${id}-8188/`)).status, 200);
  });
});
