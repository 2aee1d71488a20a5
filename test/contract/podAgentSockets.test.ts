// WebSockets through the pod agent: bytes both ways, and both kinds of end.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import type { Socket } from 'node:net';
import { eventually, hasPython, pause, serve, startAgent } from './podAgentWorld.ts';
import type { Agent, Served } from './podAgentWorld.ts';

describe('a WebSocket through the pod agent', function () {
  this.timeout(30_000);
  let agent: Agent;
  let behind: Served;
  let inner: Socket[];
  let onInner: (socket: Socket) => void;

  before(async function () {
    if (!hasPython()) {
      console.log('      skipped: no python3 from 3.8 on, so the agent cannot run here');
      this.skip();
    }
    const server = http.createServer((_, res) => res.end('{"exec_info":{"queue_remaining":0}}'));
    server.on('upgrade', (req, socket: Socket, head) => {
      inner.push(socket);
      socket.on('error', () => undefined);
      if (req.url === '/refused') {
        return void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno');
      }
      const names = ['connection', 'upgrade', 'sec-websocket-version', 'authorization'] as const;
      const told = names.map((name) => `${name}=${req.headers[name] ?? ''}`).join(' ');
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Told: ${told}\r\n\r\n`,
      );
      if (head.length > 0) socket.unshift(head);
      onInner(socket);
    });
    behind = await serve(server);
    agent = await startAgent(behind.port);
  });
  beforeEach(() => {
    inner = [];
    onInner = (socket) => socket.pipe(socket);
  });
  after(async () => {
    await agent?.end();
    await behind?.close();
  });

  function upgrade(path = '/ws?clientId=1', early = ''): Socket {
    const socket = net.connect({ port: agent.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => undefined);
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer ${agent.token}\r\n\r\n${early}`,
    );
    return socket;
  }
  async function headOf(socket: Socket): Promise<string> {
    let text = '';
    while (!text.includes('\r\n\r\n')) text += String((await once(socket, 'data'))[0]);
    return text;
  }
  const sockets = async (): Promise<number> => {
    const reply = await fetch(`${agent.base}/podrelay/state`, { headers: agent.bearer });
    return ((await reply.json()) as { sockets: number }).sockets;
  };

  it('is opened with the token, of which ComfyUI hears nothing', async () => {
    const socket = upgrade('/ws?clientId=1', 'said at once');
    const head = await headOf(socket);
    assert.match(head, /^HTTP\/1\.1 101 /);
    assert.match(head, /X-Told: connection=Upgrade upgrade=websocket sec-websocket-version=13 authorization=\r\n/);
    const rest = head.split('\r\n\r\n')[1] ?? '';
    assert.equal(rest === '' ? String((await once(socket, 'data'))[0]) : rest, 'said at once');
    assert.equal(await sockets(), 1);
    socket.destroy();
    for (let n = 0; n < 50 && (await sockets()) > 0; n++) await pause(20);
    assert.equal(await sockets(), 0);
  });

  it('carries 20 MB there and back, whole', async () => {
    const socket = upgrade();
    await headOf(socket);
    const sent = randomBytes(20 << 20);
    const got: Buffer[] = [];
    let size = 0;
    socket.on('data', (data: Buffer) => {
      got.push(data);
      size += data.length;
    });
    socket.write(sent);
    await eventually(
      () => size >= sent.length,
      () => `${size} bytes came back`,
    );
    assert.ok(Buffer.concat(got).equals(sent));
    socket.destroy();
  });

  it('ends on both sides when one ends, and lets the other finish', async () => {
    onInner = (socket) => {
      socket.on('data', () => undefined).on('end', () => socket.end('farewell'));
    };
    const socket = upgrade();
    await headOf(socket);
    socket.end();
    let text = '';
    socket.on('data', (data: Buffer) => (text += data.toString()));
    await once(socket, 'end');
    assert.equal(text, 'farewell');

    onInner = (one) => setTimeout(() => one.resetAndDestroy(), 100);
    const other = upgrade();
    other.resume();
    const at = Date.now();
    await once(other, 'end').catch(() => undefined);
    assert.ok(Date.now() - at < 2_000, 'a break is passed on at once');
    for (let n = 0; n < 50 && (await sockets()) > 0; n++) await pause(20);
    assert.equal(await sockets(), 0);
  });

  it('shows why ComfyUI refuses it', async () => {
    const socket = upgrade('/refused');
    const head = await headOf(socket);
    assert.match(head, /^HTTP\/1\.1 403 Forbidden\r\n/);
    socket.destroy();
  });
});
