// The very program that pods get, run by Python on the loopback, in front of servers of ours.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { withAgentDoor } from '../../src/sim/runpod/agentDoor.ts';
import { createSimTime } from '../../src/sim/simTime.ts';
import { hasPython, pause, serve, startAgent } from './podAgentWorld.ts';
import type { Agent, Served } from './podAgentWorld.ts';

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

interface Ask {
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: Buffer | string;
  readonly agent?: http.Agent;
}

function ask(base: string, path: string, { method = 'GET', headers = {}, body, agent }: Ask = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = http.request(`${base}${path}`, { method, headers, agent: agent ?? false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }),
      );
    });
    request.on('upgrade', (answer, socket) => {
      socket.destroy();
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.alloc(0) });
    });
    request.on('error', reject);
    request.end(body);
  });
}

describe('the pod agent at the door', function () {
  this.timeout(60_000);
  let agent: Agent;
  let behind: Served;
  /** What ComfyUI got. */
  const seen: { url: string; headers: IncomingHttpHeaders; raw: string[] }[] = [];
  let answer: (req: IncomingMessage, res: ServerResponse) => void;
  const plain = (_: IncomingMessage, res: ServerResponse): void => void res.end('hello');

  before(async function () {
    if (!hasPython()) {
      console.log('      skipped: no python3 from 3.8 on, so the agent cannot run here');
      this.skip();
    }
    const server = http.createServer((req, res) => {
      if (req.url === '/prompt' && req.method === 'GET') {
        res.end(JSON.stringify({ exec_info: { queue_remaining: 0 } }));
        return;
      }
      seen.push({ url: req.url ?? '', headers: req.headers, raw: req.rawHeaders });
      answer(req, res);
    });
    server.on('upgrade', (req, socket) => {
      seen.push({ url: req.url ?? '', headers: req.headers, raw: req.rawHeaders });
      const key = req.headers['sec-websocket-key'] ?? '';
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      );
      socket.on('data', (data) => socket.write(data));
      socket.on('end', () => socket.end());
      socket.on('error', () => undefined);
    });
    behind = await serve(server);
    agent = await startAgent(behind.port);
  });
  beforeEach(() => {
    seen.length = 0;
    answer = plain;
  });
  after(async () => {
    await agent?.end();
    await behind?.close();
  });

  describe('to whom it opens', () => {
    it('answers 401 without the token, to anything, and ComfyUI hears nothing of it', async () => {
      const wrong = { authorization: `Bearer ${randomBytes(32).toString('base64url')}` };
      const cookie = { cookie: `__Host-podrelay=${randomBytes(32).toString('base64url')}` };
      const upgrade = {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
        'sec-websocket-version': '13',
      };
      for (const headers of [{}, wrong, cookie, { authorization: 'Bearer' }, { authorization: agent.token }, upgrade]) {
        for (const path of ['/', '/system_stats', '/ws?clientId=1', '/podrelay/state', '/?token=', '/?token=wrong']) {
          const reply = await ask(agent.base, path, { headers });
          assert.equal(reply.status, 401, `${path} ${JSON.stringify(headers)}`);
          assert.equal(reply.headers['www-authenticate'], 'Bearer realm="PodRelay"');
        }
      }
      const posted = await ask(agent.base, '/prompt', { method: 'POST', body: Buffer.alloc(3_000_000) });
      assert.equal(posted.status, 401, 'also with a body that nobody reads');
      assert.equal((await ask(agent.base, '/', { method: 'OPTIONS' })).status, 401);
      assert.equal(seen.length, 0);
    });

    it('lets the bearer of the token in, and keeps the token to itself', async () => {
      const reply = await ask(agent.base, `/view?filename=a%20b.png&x=1&token=${agent.token}&token=other`, {
        method: 'HEAD',
        headers: { ...agent.bearer, 'X-Mine': 'yes', referer: `${agent.base}/?token=${agent.token}` },
      });
      assert.equal(reply.status, 200);
      assert.equal(seen[0]?.url, '/view?filename=a%20b.png&x=1&token=other');
      assert.equal(seen[0].headers['x-mine'], 'yes');
      assert.ok(!JSON.stringify(seen).includes(agent.token));
    });

    it('gives a cookie for a link, by a page of its own, and takes the cookie from its own pages only', async () => {
      const link = await ask(agent.base, `//evil.example/view?a=%22%3E&token=${agent.token}&b="`);
      assert.equal(link.status, 200);
      assert.match(link.body.toString(), /url=\.\/view\?a=%22%3E&amp;b=%22"/);
      assert.equal(link.headers['referrer-policy'], 'no-referrer');
      const set = link.headers['set-cookie']?.[0] ?? '';
      assert.match(set, /^__Host-podrelay=[\w-]+; Path=\/; Secure; HttpOnly; SameSite=Strict$/);
      assert.equal(seen.length, 0, 'ComfyUI is not asked yet');

      const cookie = `first=1; ${set.split(';')[0]}; last=2`;
      const tried = async (headers: http.OutgoingHttpHeaders, method = 'GET') =>
        (await ask(agent.base, '/', { method, headers: { cookie, ...headers } })).status;
      assert.equal(await tried({}), 200);
      assert.equal(seen.at(-1)?.headers.cookie, 'first=1; last=2');
      assert.equal(await tried({ 'sec-fetch-site': 'same-origin', origin: 'https://pod.example' }, 'POST'), 200);
      assert.equal(await tried({ 'sec-fetch-site': 'none' }), 200);
      assert.equal(await tried({ 'sec-fetch-site': 'same-site' }), 401, "another pod's page");
      assert.equal(await tried({ 'sec-fetch-site': 'cross-site' }, 'POST'), 401);
      assert.equal(await tried({ origin: 'https://evil.example' }, 'POST'), 401);
      assert.equal(await tried({ origin: `http://127.0.0.1:${agent.port}` }, 'POST'), 200);
    });

    it('does not tell a WebSocket with the token in its address from any other stranger', async () => {
      const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'x' };
      assert.equal((await ask(agent.base, `/ws?token=${agent.token}`, { headers })).status, 401);
    });

    it("is told apart from the simulator's emulation of it by nothing that a caller sees", async () => {
      const comfy = { handle: (_: unknown, res: ServerResponse) => void res.end('hello'), dispose: () => undefined };
      const upgrade = (_: unknown, socket: Duplex): void => void socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n');
      const env = { PODRELAY_TOKEN_SHA256: createHash('sha256').update(agent.token).digest('hex') };
      const options = { podId: 'p', env, time: createSimTime(1), queueLength: () => 0 };
      const door = withAgentDoor({ ...comfy, upgrade }, options);
      const server = http.createServer((req, res) => door.handle(req, res));
      server.on('upgrade', (req, socket, head) => door.upgrade(req, socket, head));
      const served = await serve(server);
      const emulated = `http://127.0.0.1:${served.port}`;
      const { token, bearer } = agent;
      const socket = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'x' };
      const mine = { cookie: `a=1; __Host-podrelay=${token}; podrelay-p=${token}` };
      const asks: [string, Ask][] = [];
      for (const headers of [
        {},
        bearer,
        { authorization: `bearer ${token}` },
        { authorization: 'Bearer x' },
        { authorization: token },
        mine,
      ]) {
        for (const path of [
          '/',
          '/x?a=1',
          `/x?token=${token}&a=1`,
          '/?token=wrong',
          '/podrelay/state',
          '/podrelay/x',
        ]) {
          for (const site of [{}, { 'sec-fetch-site': 'same-site' }, { 'sec-fetch-site': 'same-origin' }]) {
            for (const method of ['GET', 'POST']) asks.push([path, { method, headers: { ...headers, ...site } }]);
          }
          if (!path.startsWith('/podrelay/')) asks.push([path, { headers: { ...headers, ...socket } }]);
        }
        asks.push(['/podrelay/lease', { method: 'POST', headers, body: '{"holder":"w","seconds":9}' }]);
        asks.push(['/podrelay/lease', { method: 'POST', headers, body: 'not JSON' }]);
      }
      try {
        for (const [path, how] of asks) {
          const [real, simulated] = await Promise.all([ask(agent.base, path, how), ask(emulated, path, how)]);
          const what = `${path} ${JSON.stringify(how)}`;
          assert.equal(simulated.status, real.status, what);
          assert.equal(simulated.headers['www-authenticate'], real.headers['www-authenticate'], what);
          const isState = path.startsWith('/podrelay/') && real.status === 200;
          const keysOf = (body: Buffer): string[] => Object.keys(JSON.parse(body.toString()) as object).sort();
          if (isState) assert.deepEqual(keysOf(simulated.body), keysOf(real.body));
          else if (real.status !== 101) assert.equal(simulated.body.toString(), real.body.toString(), what);
        }
      } finally {
        await served.close();
      }
    });

    it('lets the owner in while hundreds of strangers hold connections open', async () => {
      const crowd = await Promise.all(
        Array.from({ length: 400 }, async () => {
          const socket = net.connect(agent.port, '127.0.0.1');
          socket.on('error', () => undefined);
          await once(socket, 'connect');
          return socket;
        }),
      );
      const startedAt = performance.now();
      const replies = await Promise.all(
        Array.from({ length: 20 }, () => ask(agent.base, '/', { headers: agent.bearer })),
      );
      assert.deepEqual([...new Set(replies.map(({ status }) => status))], [200]);
      assert.ok(performance.now() - startedAt < 2_000);
      for (const socket of crowd) socket.destroy();
    });

    it('writes neither the token nor a request to the log', async () => {
      await pause(500);
      assert.ok(!agent.log().includes(agent.token), agent.log());
      assert.ok(!agent.log().includes('clientId'), agent.log());
      assert.match(agent.log(), /requests without the token were refused/);
    });
  });
});
