import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, createServer as createNetServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import * as z from 'zod/mini';
import { createDispatcher } from '../../src/core/http/dispatcher.ts';
import { createHttpClient } from '../../src/core/http/httpClient.ts';
import type { HttpClientOptions } from '../../src/core/http/httpClient.ts';
import type { NetworkSettings, Transport } from '../../src/core/http/transport.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import type { Log } from '../../src/core/kernel/ports.ts';
import { selfSigned } from './selfSigned.ts';

const pong = z.object({ pong: z.number() });
const get = { method: 'GET', path: 'ping', reply: pong, repeatable: true } as const;
const post = { method: 'POST', path: 'ping', body: { a: 1 }, reply: pong, repeatable: false } as const;
const plainNetwork: NetworkSettings = { proxyUrl: undefined, noProxy: [], strictTls: true };

type Handler = (request: IncomingMessage, response: ServerResponse, nth: number) => void;

describe('the HTTP client of all services', () => {
  const servers: Server[] = [];
  const transports: Transport[] = [];
  const lines: string[] = [];
  const requests: IncomingMessage[] = [];
  const never = new AbortController().signal;

  const listen = async (server: Server): Promise<number> => {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  };
  const serve = async (handler: Handler): Promise<string> => {
    const server = createServer((request, response) => {
      requests.push(request);
      request.resume();
      handler(request, response, requests.length);
    });
    return `http://127.0.0.1:${await listen(server)}`;
  };
  const ok = (response: ServerResponse): void =>
    void response.writeHead(200, { 'content-type': 'application/json' }).end('{"pong":1}');
  const client = (baseUrl: string, change: Partial<HttpClientOptions> = {}, network = plainNetwork) => {
    const transport = createDispatcher(network);
    transports.push(transport);
    const write =
      (level: string) =>
      (text: string, data?: unknown): void =>
        void lines.push(`${level} ${text} ${JSON.stringify(data)}`);
    const log: Log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
    return createHttpClient({
      baseUrl,
      transport: () => Promise.resolve(transport),
      clock: systemClock,
      log,
      random: () => 0,
      userAgent: 'PodRelay/1.2.3 (VS Code 1.106.0)',
      retries: 0,
      timeoutMs: 2_000,
      ...change,
    });
  };
  async function faultOf(work: Promise<unknown>): Promise<Fault> {
    const error = await work.then(
      () => assert.fail('It succeeded'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof Fault, String(error));
    return error;
  }

  afterEach(async () => {
    for (const transport of transports.splice(0)) await transport.close();
    for (const server of servers.splice(0)) {
      (server as Server & { closeAllConnections?: () => void }).closeAllConnections?.();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
    lines.length = requests.length = 0;
  });

  it('says who it is, and writes down the request id of the reply', async () => {
    const base = await serve((_, response) => {
      response.setHeader('x-request-id', 'req-77');
      ok(response);
    });
    await client(base).send(get, never);
    assert.equal(requests[0]?.headers['user-agent'], 'PodRelay/1.2.3 (VS Code 1.106.0)');
    assert.ok(lines.some((line) => line.startsWith('debug GET') && line.includes('req-77')));
  });

  it('keeps the raw text of an unexpected reply in the log and in the fault, as protocol', async () => {
    const base = await serve((_, response) => response.writeHead(200).end('{"pong":"one"}'));
    const fault = await faultOf(client(base).send(get, never));
    assert.equal(fault.kind, 'protocol');
    assert.equal(fault.facts.raw, '{"pong":"one"}');
    assert.ok(lines.some((line) => line.startsWith('warn') && line.includes('\\"one\\"')));
  });

  it('sends a repeatable call again, as often as it may, and no other', async () => {
    const base = await serve((_, response, nth) => (nth < 3 ? response.writeHead(503).end() : ok(response)));
    assert.deepEqual(await client(base, { retries: 2 }).send(get, never), { pong: 1 });
    assert.equal(requests.length, 3);
    requests.length = 0;
    assert.equal((await faultOf(client(base, { retries: 2 }).send(post, never))).facts.delivered, 'maybe');
    assert.equal(requests.length, 1);
  });

  it('sends a call that is not repeatable again only where no byte of it was sent', async () => {
    const base = await serve((_, response) => ok(response));
    const { port } = new URL(base);
    await new Promise<void>((resolve) => servers.pop()!.close(() => resolve()));
    const call = client(base, { retries: 5 }).send(post, never);
    await systemClock.sleep(100, never);
    const server = createServer((request, response) => {
      requests.push(request);
      ok(response);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(Number(port), '127.0.0.1', resolve));
    assert.deepEqual(await call, { pong: 1 });
    assert.equal(requests.length, 1);
  });

  it('a connection that breaks after the request may have taken effect', async () => {
    const base = await serve((request) => request.socket.destroy());
    const fault = await faultOf(client(base, { retries: 3 }).send(post, never));
    assert.deepEqual([fault.kind, fault.facts.delivered, requests.length], ['unreachable', 'maybe', 1]);
  });

  for (const [how, header] of [
    ['Retry-After in seconds', { 'retry-after': '1' }],
    ['Retry-After as a date', undefined],
    ['RateLimit', { ratelimit: '"minute";r=0;t=1, "hour";r=50;t=900' }],
  ] as const) {
    it(`waits as long as ${how} says`, async () => {
      const base = await serve((_, response, nth) => {
        // A date has whole seconds only: this one is 1 to 2 s away.
        const date = { 'retry-after': new Date(Date.now() + 2_000).toUTCString() };
        if (nth === 1) response.writeHead(429, header ?? date).end();
        else ok(response);
      });
      const startedAt = performance.now();
      await client(base, { retries: 1 }).send(get, never);
      const ms = performance.now() - startedAt;
      assert.ok(ms >= 950 && ms < 3_500, `${ms} ms`);
    });
  }

  it('waits as long as a 503 says, and not less than usual', async () => {
    for (const [stated, leastMs] of [
      ['1', 950],
      ['0', 200],
    ] as const) {
      const base = await serve((_, response, nth) =>
        nth === 1 ? response.writeHead(503, { 'retry-after': stated }).end() : ok(response),
      );
      requests.length = 0;
      const startedAt = performance.now();
      await client(base, { retries: 1 }).send(get, never);
      const ms = performance.now() - startedAt;
      assert.ok(ms >= leastMs && ms < 3_500, `${stated}: ${ms} ms`);
    }
    const busy = await serve((_, response) => response.writeHead(503, { 'retry-after': '3600' }).end());
    requests.length = 0;
    const fault = await faultOf(client(busy, { retries: 3 }).send(get, never));
    assert.deepEqual([fault.kind, fault.facts.retryAfterMs, requests.length], ['unavailable', 3_600_000, 1]);
  });

  it('does not sleep through a long wait: it says how long', async () => {
    const base = await serve((_, response) => response.writeHead(429, { 'retry-after': '3600' }).end());
    const fault = await faultOf(client(base, { retries: 3 }).send(get, never));
    assert.deepEqual([fault.kind, fault.facts.retryAfterMs, requests.length], ['rateLimited', 3_600_000, 1]);
  });

  it('waits for the longest of several exhausted windows, not for the first, and not for one with something left (S14)', async () => {
    const ratelimit = '"minute";r=0;t=2, "hour";r=0;t=900, "day";r=40;t=54000';
    for (const more of [{}, { 'retry-after': '2' }]) {
      requests.length = 0;
      const base = await serve((_, response) => response.writeHead(429, { ratelimit, ...more }).end());
      const fault = await faultOf(client(base, { retries: 3 }).send(get, never));
      assert.deepEqual([fault.kind, fault.facts.retryAfterMs, requests.length], ['rateLimited', 900_000, 1]);
    }
  });

  it('ends at its time-out, in the head of a reply and in its body, also where that trickles', async () => {
    for (const handler of [
      () => undefined,
      (_: IncomingMessage, to: ServerResponse) => void to.writeHead(200).write('{'),
      (_: IncomingMessage, to: ServerResponse) => {
        const drops = setInterval(() => to.write(' '), 20);
        to.writeHead(200).on('close', () => clearInterval(drops));
      },
    ]) {
      const base = await serve(handler);
      const startedAt = performance.now();
      const fault = await faultOf(client(base, { timeoutMs: 200 }).send(get, never));
      assert.equal(fault.kind, 'timeout');
      assert.ok(performance.now() - startedAt < 1_500);
    }
  });

  it('ends when it is cancelled, with the reason of the cancellation, also while it waits to try again', async () => {
    const base = await serve((_, response, nth) => void (nth === 1 ? response.writeHead(503).end() : undefined));
    for (const afterMs of [20, 700]) {
      const stop = new AbortController();
      setTimeout(() => stop.abort(new Fault('cancelled', 'By hand')), afterMs);
      const fault = await faultOf(client(base, { retries: 3 }).send(get, stop.signal));
      assert.deepEqual([fault.kind, fault.message], ['cancelled', 'By hand']);
    }
  });

  it('follows no redirection, so that credentials stay with their service', async () => {
    const thief = await serve((_, response) => ok(response));
    const base = await serve((_, response) => response.writeHead(307, { location: `${thief}/ping` }).end());
    const credentials = (): Promise<Record<string, string>> => Promise.resolve({ authorization: 'Bearer secret' });
    const fault = await faultOf(client(base, { credentials }).send(get, never));
    assert.equal(fault.kind, 'protocol');
    assert.equal(requests.length, 1);
    assert.equal(requests[0]?.headers.authorization, 'Bearer secret');
  });

  it('never leaves its own origin, whatever a path says', async () => {
    const thief = await serve((_, response) => ok(response));
    const one = client(await serve((_, response) => ok(response)));
    const fault = await faultOf(one.send({ ...get, path: `${thief}/ping` }, never));
    assert.deepEqual([fault.kind, requests.length], ['bug', 0]);
  });

  it('makes a fault of every reply, however malformed, and hangs on none', async function () {
    this.timeout(60_000);
    let reply = Buffer.alloc(0);
    const server = createNetServer((socket) => {
      socket.once('data', () => socket.end(reply));
    });
    const base = `http://127.0.0.1:${await listen(server)}`;
    const one = client(base, { timeoutMs: 3_000 });
    const head = fc.constantFrom(
      'HTTP/1.1 200 OK\r\n',
      'HTTP/1.1 503 No\r\n',
      'HTTP/1.1 99999 X\r\n',
      'HTTP/9\r\n',
      '',
    );
    const field = fc.constantFrom(
      'content-length: 5\r\n',
      'content-length: -1\r\n',
      'transfer-encoding: chunked\r\n',
      'content-type: application/json\r\n',
      'retry-after: soon\r\n',
      'ratelimit: ;;;=\r\n',
      'x: \u0000\r\n',
      ': empty\r\n',
    );
    const body = fc.oneof(
      fc.constantFrom('{"pong":1', '{"pong":null}', '[]', 'null', '<html>', '5\r\n{"po\r\n', 'zz\r\n', '\ufeff{}'),
      fc.json(),
      fc.string({ unit: 'binary', maxLength: 60 }),
    );
    await fc.assert(
      fc.asyncProperty(head, fc.array(field, { maxLength: 3 }), body, async (start, fields, rest) => {
        reply = Buffer.from(`${start}${fields.join('')}\r\n${rest}`);
        const result = await one.send(get, never).catch((error: unknown) => error);
        if (!(result instanceof Fault)) assert.deepEqual(Object.keys(result as object), ['pong']);
        else assert.notEqual(result.kind, 'bug', result.message);
      }),
      { numRuns: 400 },
    );
  });

  describe('behind a proxy, as VS Code is set', () => {
    let tunnels: string[];
    /** A proxy that brings every tunnel to `target`, wherever it was to go. */
    const openProxy = async (target: string): Promise<string> => {
      tunnels = [];
      const open = new Set<Socket>();
      const proxy = createServer();
      proxy.on('connect', (request: IncomingMessage, socket: Socket) => {
        tunnels.push(request.url ?? '');
        const to = connect(Number(new URL(target).port), '127.0.0.1', () => {
          socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
          to.pipe(socket).pipe(to);
        });
        for (const side of [to, socket]) {
          open.add(side);
          side.on('error', () => undefined);
        }
      });
      proxy.on('close', () => open.forEach((side) => side.destroy()));
      return `http://127.0.0.1:${await listen(proxy)}`;
    };
    const network = (proxyUrl: string, noProxy: readonly string[] = []): NetworkSettings => ({
      proxyUrl,
      noProxy,
      strictTls: true,
    });

    it('goes through it to the outside', async () => {
      const base = await serve((_, response) => ok(response));
      const proxyUrl = await openProxy(base);
      const outside = client('http://api.runpod.invalid', {}, network(proxyUrl));
      assert.deepEqual(await outside.send(get, never), { pong: 1 });
      assert.deepEqual(tunnels, ['api.runpod.invalid:80']);
    });

    it('goes past it to this machine, and to what http.noProxy names', async () => {
      const base = await serve((_, response) => ok(response));
      const proxyUrl = await openProxy(base);
      await client(base, {}, network(proxyUrl)).send(get, never);
      const excepted = client('http://mine.invalid', {}, network(proxyUrl, ['mine.invalid']));
      assert.equal((await faultOf(excepted.send(get, never))).kind, 'unreachable');
      assert.deepEqual(tunnels, []);
    });

    it('says that the proxy refuses', async () => {
      const proxy = createServer();
      proxy.on('connect', (_: IncomingMessage, socket: Socket) =>
        socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'),
      );
      const proxyUrl = `http://127.0.0.1:${await listen(proxy)}`;
      const fault = await faultOf(client('http://api.runpod.invalid', {}, network(proxyUrl)).send(get, never));
      assert.equal(fault.kind, 'unreachable');
      assert.match(fault.message, /407/);
    });
  });

  describe('certificates', () => {
    const serveTls = async (): Promise<string> => {
      const server = createTlsServer(selfSigned, (_, response) => ok(response));
      return `https://127.0.0.1:${await listen(server)}`;
    };

    it('refuses one that nobody has signed, unless http.proxyStrictSSL is off', async () => {
      const base = await serveTls();
      const fault = await faultOf(client(base).send(get, never));
      assert.equal(fault.kind, 'unreachable');
      assert.match(fault.message, /certificate/i);
      const trusting = client(base, {}, { ...plainNetwork, strictTls: false });
      assert.deepEqual(await trusting.send(get, never), { pong: 1 });
    });

    it("trusts what the system trusts, such as a company's own", async function () {
      if (process.platform === 'win32' || process.platform === 'darwin') {
        console.log('      skipped: this system keeps its certificates where a test cannot add one');
        this.skip();
      }
      const base = await serveTls();
      const folder = await mkdtemp(path.join(os.tmpdir(), 'podrelay-ca-'));
      try {
        const file = path.join(folder, 'ca.pem');
        await writeFile(file, selfSigned.cert);
        const dispatcher = path.resolve('src/core/http/dispatcher.ts');
        const script = `
          const { createDispatcher } = await import(${JSON.stringify(dispatcher)});
          const transport = createDispatcher({ proxyUrl: undefined, noProxy: [], strictTls: true });
          const call = { method: 'GET', url: new URL(${JSON.stringify(base)}), headers: {}, headersTimeoutMs: 3000, bodyTimeoutMs: 3000 };
          const reply = await transport.request(call, new AbortController().signal);
          console.log(await reply.text());
          await transport.close();`;
        const args = ['--input-type=module', '--eval', script];
        // On Linux the system's store is a file, which this variable names (OpenSSL).
        const env = { ...process.env, SSL_CERT_FILE: file, SSL_CERT_DIR: folder };
        const { stdout } = await promisify(execFile)(process.execPath, args, { env });
        assert.equal(stdout.trim(), '{"pong":1}');
      } finally {
        await rm(folder, { recursive: true });
      }
    });
  });
});
