// What passes the pod agent, and at what cost: bodies of any size, many at a time, slow and broken ones.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import { createComfySim } from '../../src/sim/comfy/comfySim.ts';
import { createSimTime } from '../../src/sim/simTime.ts';
import { openClient } from './comfyClientWorld.ts';
import { eventually, hasPython, pause, raw, serve, startAgent } from './podAgentWorld.ts';
import type { Agent, Served } from './podAgentWorld.ts';
import { samplerWorkflow } from './world.ts';

const mebibyte = 1 << 20;

describe('what passes the pod agent', function () {
  this.timeout(120_000);
  let agent: Agent;
  let behind: Served;
  let direct: string;
  let answer: (req: IncomingMessage, res: ServerResponse) => void;

  before(async function () {
    if (!hasPython()) {
      console.log('      skipped: no python3 from 3.8 on, so the agent cannot run here');
      this.skip();
    }
    const server = http.createServer((req, res) => {
      if (req.url === '/prompt') res.end('{"exec_info":{"queue_remaining":0}}');
      else answer(req, res);
    });
    behind = await serve(server);
    direct = `http://127.0.0.1:${behind.port}`;
    agent = await startAgent(behind.port);
  });
  after(async () => {
    await agent?.end();
    await behind?.close();
  });

  const open = (base: string, path: string, options: http.RequestOptions = {}): http.ClientRequest =>
    http.request(`${base}${path}`, { ...options, headers: { ...agent.bearer, ...options.headers } });

  async function replyTo(request: http.ClientRequest): Promise<IncomingMessage> {
    const [reply] = (await once(request, 'response')) as [IncomingMessage];
    return reply;
  }
  async function textOf(reply: IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of reply as AsyncIterable<Buffer>) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }
  /** kB by which the agent's memory has grown at its highest, while `work` ran. */
  async function growth(work: () => Promise<void>): Promise<number | undefined> {
    const before = agent.memory();
    await work();
    const after = agent.memory();
    return before === undefined || after === undefined ? undefined : after.peak - before.now;
  }

  for (const framing of ['content-length', 'chunked'] as const) {
    it(`takes 200 MB up and down at constant memory (${framing})`, async () => {
      const block = randomBytes(mebibyte);
      const expected = createHash('sha256');
      for (let n = 0; n < 200; n++) expected.update(block);
      const sum = expected.digest('hex');
      answer = (req, res) => {
        if (req.method === 'POST') {
          const hash = createHash('sha256');
          req.on('data', (data: Buffer) => hash.update(data)).on('end', () => res.end(hash.digest('hex')));
          return;
        }
        if (framing === 'content-length') res.setHeader('content-length', 200 * mebibyte);
        void (async () => {
          for (let n = 0; n < 200; n++) if (!res.write(block)) await once(res, 'drain');
          res.end();
        })();
      };
      const times: number[] = [];
      const grown = await growth(async () => {
        const upAt = performance.now();
        const length = framing === 'content-length' ? { 'content-length': 200 * mebibyte } : {};
        const upload = open(agent.base, '/upload/image', { method: 'POST', headers: length });
        const replied = replyTo(upload);
        for (let n = 0; n < 200; n++) if (!upload.write(block)) await once(upload, 'drain');
        upload.end();
        assert.equal(await textOf(await replied), sum);
        const downAt = performance.now();
        const download = open(agent.base, '/view?filename=big.mp4');
        download.end();
        const hash = createHash('sha256');
        for await (const chunk of (await replyTo(download)) as AsyncIterable<Buffer>) hash.update(chunk);
        assert.equal(hash.digest('hex'), sum);
        times.push(downAt - upAt, performance.now() - downAt);
      });
      const speeds = times.map((ms) => `${Math.round(200_000 / ms)} MB/s`).join(' up, ');
      console.log(`        ${speeds} down; memory +${grown ?? '?'} kB`);
      if (grown !== undefined) assert.ok(grown < 8_000, `${grown} kB more`);
    });
  }

  it('adds little to a request', async () => {
    answer = (_, res) => res.end('{"ok":true}');
    const keeping = { a: new http.Agent({ keepAlive: true }), b: new http.Agent({ keepAlive: true }) };
    const timed = async (base: string, by: http.Agent): Promise<number> => {
      const at = performance.now();
      const request = open(base, '/history/x', { agent: by });
      request.end();
      await textOf(await replyTo(request));
      return performance.now() - at;
    };
    const median = (times: number[]): number => times.sort((x, y) => x - y)[times.length >> 1] ?? Infinity;
    const rounds: number[] = [];
    // The best of some rounds: other work on this machine slows the two ways unequally.
    for (let round = 0; round < 4; round++) {
      const times = { direct: [] as number[], through: [] as number[] };
      for (let n = 0; n < 150; n++) {
        times.direct.push(await timed(direct, keeping.a));
        times.through.push(await timed(agent.base, keeping.b));
      }
      rounds.push(median(times.through) - median(times.direct));
    }
    keeping.a.destroy();
    keeping.b.destroy();
    const added = Math.min(...rounds);
    console.log(`        median by round: ${rounds.map((ms) => `+${ms.toFixed(2)}`).join(', ')} ms`);
    // The promise is 2 ms, which a busy machine cannot measure: here only a stall is found.
    assert.ok(added < 40, `${added} ms`);
  });

  it('passes 200 requests at once, each with its own answer', async () => {
    answer = (req, res) => {
      let text = '';
      req.on('data', (data: Buffer) => (text += data.toString()));
      req.on('end', () => setTimeout(() => res.end(`${req.url} ${text}`), Math.random() * 50));
    };
    const asked = Array.from({ length: 200 }, async (_, n) => {
      const request = open(agent.base, `/at/${n}`, { method: 'POST' });
      request.end(`body ${n}`);
      assert.equal(await textOf(await replyTo(request)), `/at/${n} body ${n}`);
    });
    await Promise.all(asked);
  });

  it('answers requests one after the other on one connection, also when they come at once', async () => {
    answer = (req, res) => res.end(`<${req.url}>`);
    const head = `Host: x\r\nAuthorization: Bearer ${agent.token}\r\n`;
    const text = await raw(
      agent.port,
      `GET /1 HTTP/1.1\r\n${head}\r\nPOST /2 HTTP/1.1\r\n${head}Content-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\n${head}Connection: close\r\n\r\n`,
    );
    assert.deepEqual([...text.matchAll(/<\/\d>/g)].map(String), ['</1>', '</2>', '</3>']);
  });

  it('answers a caller who has said all and closed that half', async () => {
    answer = (_, res) => setTimeout(() => res.end('late'), 300);
    const text = await raw(agent.port, `GET / HTTP/1.0\r\nAuthorization: Bearer ${agent.token}\r\n\r\n`, { end: true });
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nlate$/);
    assert.ok(!/transfer-encoding/i.test(text), 'HTTP/1.0 knows no chunks');
  });

  it('keeps a slow caller from filling its memory, and others from waiting for them', async () => {
    let sent = 0;
    answer = (req, res) => {
      if (req.url !== '/slow') return void res.end('quick');
      const block = Buffer.alloc(mebibyte);
      const more = (): void => {
        while (sent < 500 && res.write(block)) sent++;
        if (sent < 500) res.once('drain', more);
      };
      more();
    };
    const grown = await growth(async () => {
      const socket = net.connect(agent.port, '127.0.0.1');
      socket.write(`GET /slow HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${agent.token}\r\n\r\n`);
      socket.pause();
      await pause(500);
      const quick = open(agent.base, '/quick');
      quick.end();
      assert.equal(await textOf(await replyTo(quick)), 'quick');
      socket.destroy();
    });
    assert.ok(sent < 60, `ComfyUI could send ${sent} MB of 500`);
    if (grown !== undefined) assert.ok(grown < 8_000, `${grown} kB more`);
  });

  it('tells ComfyUI when the caller is gone, and the caller when ComfyUI is', async () => {
    let closed = 0;
    answer = (req, res) => {
      res.on('close', () => (closed += 1));
      if (req.url === '/cut') {
        res.writeHead(200, { 'content-length': 1_000 });
        res.write('half of it');
        setTimeout(() => res.destroy(), 100);
      }
    };
    const left = open(agent.base, '/waits');
    left.on('error', () => undefined);
    left.end();
    await pause(200);
    left.socket?.resetAndDestroy();
    await eventually(
      () => closed === 1,
      () => 'ComfyUI still works for nobody',
      2_000,
    );

    const cut = open(agent.base, '/cut');
    cut.end();
    await assert.rejects(textOf(await replyTo(cut)), /aborted/, 'not an answer that looks whole');
  });

  it('gives the answer that comes before the upload is over, as ComfyUI does with 413', async () => {
    answer = (_, res) => res.writeHead(413, { connection: 'close' }).end('Maximum request body size exceeded.');
    const upload = open(agent.base, '/upload/image', { method: 'POST', headers: { 'content-length': 50 * mebibyte } });
    upload.on('error', () => undefined);
    const replied = replyTo(upload);
    upload.write(Buffer.alloc(mebibyte));
    const reply = await replied;
    assert.equal(reply.statusCode, 413);
    assert.match(await textOf(reply), /Maximum/);
    upload.destroy();
  });

  it('says 100 Continue itself, and passes HEAD, 204, 304 and answers without a length', async () => {
    answer = (req, res) => {
      switch (req.url) {
        case '/204':
          return void res.writeHead(204).end();
        case '/304':
          return void res.writeHead(304, { etag: '"x"' }).end();
        case '/head':
          return void res.writeHead(200, { 'content-length': 12_345 }).end();
        case '/endless':
          req.socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end');
          return void req.socket.end();
        default:
          assert.equal(req.headers.expect, undefined);
          req.pipe(res);
      }
    };
    const ask = async (
      path: string,
      method = 'GET',
    ): Promise<[number | undefined, http.IncomingHttpHeaders, string]> => {
      const request = open(agent.base, path, { method });
      request.end();
      const reply = await replyTo(request);
      return [reply.statusCode, reply.headers, await textOf(reply)];
    };
    assert.equal((await ask('/204'))[0], 204);
    assert.equal((await ask('/304'))[1].etag, '"x"');
    assert.equal((await ask('/head', 'HEAD'))[1]['content-length'], '12345');
    assert.equal((await ask('/endless'))[2], 'until the end');
    const patient = open(agent.base, '/echo', { method: 'POST', headers: { expect: '100-continue' } });
    patient.flushHeaders();
    const replied = replyTo(patient);
    await once(patient, 'continue');
    patient.end('now');
    assert.equal(await textOf(await replied), 'now');
  });

  it('answers 502 while ComfyUI is not there', async () => {
    const alone = net.createServer();
    const served = await serve(alone);
    await served.close();
    const early = await startAgent(served.port);
    try {
      const request = http.get(`${early.base}/system_stats`, { headers: early.bearer });
      const reply = await replyTo(request);
      assert.equal(reply.statusCode, 502);
      assert.match(await textOf(reply), /ComfyUI does not answer/);
    } finally {
      await early.end();
    }
  });

  it('is not there for our client to see: a whole job with progress, preview and download', async () => {
    const comfy = createComfySim({ profile: '0.33.0', time: createSimTime(50), seed: 3 });
    const server = http.createServer((req, res) => comfy.handle(req, res));
    server.on('upgrade', (req, socket, head) => comfy.upgrade(req, socket, head));
    const served = await serve(server);
    const door = await startAgent(served.port);
    const client = openClient(door.base, door.token);
    const stranger = openClient(door.base);
    try {
      await assert.rejects(stranger.client.systemStats(stranger.signal), { kind: 'unauthorized' });
      const workflow = samplerWorkflow();
      workflow['1']!.inputs.ckpt_name = 'v1-5-pruned-emaonly-fp16.safetensors';
      const info = await client.client.objectInfo(['CheckpointLoaderSimple'], client.signal);
      const names = (info.CheckpointLoaderSimple as { input: { required: { ckpt_name: [string[]] } } }).input.required;
      workflow['1']!.inputs.ckpt_name = names.ckpt_name[0][0] ?? '';
      const { files, seen } = await client.run(workflow);
      assert.ok(
        seen.some(({ preview }) => preview !== undefined),
        'binary frames of the WebSocket',
      );
      const chunks: Uint8Array[] = [];
      for await (const chunk of (await client.client.download(files[0]!, client.signal)).body) chunks.push(chunk);
      assert.equal(Buffer.concat(chunks).subarray(1, 4).toString(), 'PNG');
      assert.ok(!JSON.stringify(comfy.requests).includes(door.token));
      assert.ok(!door.log().includes(door.token));
    } finally {
      await client.close();
      await stranger.close();
      await door.end();
      await served.close();
      comfy.dispose();
    }
  });
});
