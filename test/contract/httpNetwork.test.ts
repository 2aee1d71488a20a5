import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createDispatcher } from '../../src/core/http/dispatcher.ts';
import { chooseProxy } from '../../src/core/http/proxy.ts';
import type { NetworkSettings, Transport } from '../../src/core/http/transport.ts';
import { Fault } from '../../src/core/kernel/fault.ts';

const never = new AbortController().signal;
const straight: NetworkSettings = { proxyUrl: undefined, noProxy: [], strictTls: true };

describe('the way to the network', () => {
  const open: { readonly server: Server; readonly sockets: Set<Socket> }[] = [];
  const transports: Transport[] = [];
  const variables = /^(https?|no)_proxy$/i;
  let before: Readonly<Record<string, string | undefined>>;

  const listen = async (server: Server, host = '127.0.0.1'): Promise<number> => {
    const sockets = new Set<Socket>();
    server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => undefined)));
    open.push({ server, sockets });
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, resolve));
    return (server.address() as AddressInfo).port;
  };
  const serve = async (
    answer = (_: IncomingMessage, to: ServerResponse): unknown => to.end('ok'),
    host?: string,
  ): Promise<number> => listen(createServer(answer), host);
  /** A proxy that brings every tunnel to `port`, wherever it was to go. */
  const openProxy = async (port: number): Promise<{ readonly at: string; readonly asked: IncomingMessage[] }> => {
    const asked: IncomingMessage[] = [];
    const proxy = createServer().on('connect', (request: IncomingMessage, socket: Socket) => {
      asked.push(request);
      const to = connect(port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        to.pipe(socket).pipe(to);
      });
      to.on('error', () => undefined);
    });
    return { at: `127.0.0.1:${await listen(proxy)}`, asked };
  };
  const openTransport = (network: NetworkSettings | (() => NetworkSettings)): Transport => {
    const transport = createDispatcher(network);
    transports.push(transport);
    return transport;
  };
  const ask = async (transport: Transport, url: string): Promise<string> => {
    const limits = { headersTimeoutMs: 3_000, bodyTimeoutMs: 3_000 };
    return (await transport.request({ method: 'GET', url: new URL(url), headers: {}, ...limits }, never)).text();
  };
  const outside = 'http://api.runpod.invalid/';

  beforeEach(() => {
    before = Object.fromEntries(Object.entries(process.env).filter(([name]) => variables.test(name)));
    for (const name of Object.keys(before)) delete process.env[name];
  });
  afterEach(async () => {
    for (const name of Object.keys(process.env)) if (variables.test(name)) delete process.env[name];
    Object.assign(process.env, before);
    for (const transport of transports.splice(0)) await transport.close();
    for (const { server, sockets } of open.splice(0)) {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
  });

  for (const name of ['HTTPS_PROXY', 'http_proxy']) {
    it(`goes through the proxy in ${name}, also where that has no scheme, and past it to this machine`, async () => {
      const port = await serve();
      const { at, asked } = await openProxy(port);
      process.env[name] = at;
      assert.equal(await ask(openTransport(straight), outside), 'ok');
      assert.equal(await ask(openTransport(straight), `http://127.0.0.1:${port}/`), 'ok');
      assert.deepEqual(
        asked.map(({ url }) => url),
        ['api.runpod.invalid:80'],
      );
    });
  }

  it('says which setting is wrong where a proxy cannot be used, and reaches this machine all the same', async () => {
    const port = await serve();
    for (const proxyUrl of ['http://me:secret@[bad', 'ftp://me:secret@proxy.corp']) {
      const transport = openTransport({ ...straight, proxyUrl });
      assert.equal(await ask(transport, `http://127.0.0.1:${port}/`), 'ok');
      await assert.rejects(ask(transport, outside), (error) => {
        assert.ok(error instanceof Fault, String(error));
        assert.deepEqual([error.kind, error.facts.delivered], ['unreachable', 'no']);
        assert.match(error.message, /see http\.proxy$/);
        return true;
      });
    }
  });

  it("goes past the proxy to this machine's IPv6 address, and to what no_proxy names", async function () {
    const choice = chooseProxy({ ...straight, proxyUrl: 'p:1', noProxy: ['fe80::7'] }, { no_proxy: 'a.corp, b.corp' });
    assert.equal(choice?.noProxy, '127.0.0.1,localhost,[::1],[fe80::7],a.corp,b.corp');
    const port = await serve(undefined, '::1').catch(() => undefined);
    if (port === undefined) {
      console.log('      skipped: this machine has no IPv6');
      this.skip();
    }
    const { at, asked } = await openProxy(port);
    assert.equal(await ask(openTransport({ ...straight, proxyUrl: at }), `http://[::1]:${port}/`), 'ok');
    assert.deepEqual(asked, []);
  });

  it('uses no proxy where http.proxySupport is off', async () => {
    const { at, asked } = await openProxy(await serve());
    process.env.HTTP_PROXY = at;
    await assert.rejects(ask(openTransport({ ...straight, proxyUrl: at, useProxy: false }), outside), Fault);
    assert.deepEqual(asked, []);
  });

  it('shows http.proxyAuthorization to the proxy, and to nobody else', async () => {
    const seen: (string | undefined)[] = [];
    const port = await serve(({ headers }, to) => {
      seen.push(headers['proxy-authorization']);
      to.end('ok');
    });
    const { at, asked } = await openProxy(port);
    await ask(openTransport({ ...straight, proxyUrl: at, proxyAuthorization: 'Basic bWU6c2VjcmV0' }), outside);
    assert.equal(asked[0]?.headers['proxy-authorization'], 'Basic bWU6c2VjcmV0');
    assert.deepEqual(seen, [undefined]);
  });

  it('takes changed settings at the next request, and lets what is under way end', async () => {
    let finish: () => void = () => undefined;
    const port = await serve(({ url }, to) => {
      if (url !== '/slow') return to.end('ok');
      finish = () => to.end('end');
      return to.write('begin ');
    });
    const { at, asked } = await openProxy(port);
    let network = straight;
    const transport = openTransport(() => network);
    const limits = { headersTimeoutMs: 3_000, bodyTimeoutMs: 3_000 };
    const url = new URL(`http://127.0.0.1:${port}/slow`);
    const slow = await transport.request({ method: 'GET', url, headers: {}, ...limits }, never);
    network = { ...straight, proxyUrl: `http://${at}` };
    assert.equal(await ask(transport, outside), 'ok');
    assert.equal(asked.length, 1);
    finish();
    assert.equal(await slow.text(), 'begin end');
  });

  describe('a WebSocket to a server that is mute', () => {
    const ended = (socket: Socket): Promise<unknown> =>
      new Promise((resolve) => socket.once('end', resolve).once('close', resolve).resume());
    /** It upgrades, or does not even that, and never says a word again. */
    const openSocket = async (upgrades: boolean) => {
      const server = createServer().on('upgrade', (request: IncomingMessage, socket: Socket) => {
        const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
        const accept = createHash('sha1').update(key).digest('base64');
        const head = `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n`;
        if (upgrades) socket.write(`${head}sec-websocket-accept: ${accept}\r\n\r\n`);
      });
      const connected = new Promise<Socket>((resolve) =>
        server.once('upgrade', (_, socket: Socket) => resolve(socket)),
      );
      const url = new URL(`ws://127.0.0.1:${await listen(server)}/ws`);
      const transport = openTransport(straight);
      const opened = Promise.withResolvers<void>();
      const handlers = { onText: () => undefined, onBytes: () => undefined, onClose: () => undefined };
      const socket = transport.socket(url, { ...handlers, onOpen: opened.resolve });
      const end = ended(await connected);
      if (upgrades) await opened.promise;
      return { transport, socket, end };
    };

    it('is gone a second after it is closed, whatever the server does', async () => {
      const { socket, end } = await openSocket(true);
      socket.close();
      const startedAt = performance.now();
      await end;
      const ms = performance.now() - startedAt;
      assert.ok(ms > 500 && ms < 3_000, `${ms} ms`);
    });

    it('is gone at once when it is closed before it was opened', async () => {
      const { socket, end } = await openSocket(false);
      socket.close();
      await end;
    });

    it('is gone when the transport closes', async () => {
      const { transport, end } = await openSocket(true);
      await transport.close();
      await end;
    });
  });
});
