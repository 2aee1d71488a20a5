// Requests that two readers may read differently are refused: nobody slips a second one past the door.
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { eventually, hasPython, raw, serve, startAgent } from './podAgentWorld.ts';
import type { Agent, Served } from './podAgentWorld.ts';

/** A small generator with a seed, so that a failure can be repeated. */
function chance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Where the one request in these bytes ends; undefined when it is not whole. */
function endOf(text: string): number | undefined {
  const headEnd = text.indexOf('\r\n\r\n') + 4;
  if (headEnd === 3) return undefined;
  const head = text.slice(0, headEnd);
  const lengths = [...head.matchAll(/^content-length: (\d+)\r$/gim)].map(([, length]) => Number(length));
  const isChunked = /^transfer-encoding: chunked\r$/im.test(head);
  assert.ok(lengths.length + (isChunked ? 1 : 0) <= 1, head);
  if (!isChunked) return text.length < headEnd + (lengths[0] ?? 0) ? undefined : headEnd + (lengths[0] ?? 0);
  for (let at = headEnd; ;) {
    const size = /^([0-9a-f]+)\r\n/.exec(text.slice(at, at + 20));
    if (size === null) return undefined;
    const next = at + size[0].length + Number.parseInt(size[1]!, 16) + 2;
    if (next > text.length) return undefined;
    if (size[1] === '0') return next;
    at = next;
  }
}

describe("the pod agent's reading of requests", function () {
  this.timeout(120_000);
  let agent: Agent;
  let behind: Served;
  /** What arrived behind the door, as bytes: the server there understands nothing and answers everything. */
  let arrived: string[];

  before(async function () {
    if (!hasPython()) {
      console.log('      skipped: no python3 from 3.8 on, so the agent cannot run here');
      this.skip();
    }
    arrived = [];
    const server = net.createServer((socket) => {
      let text = '';
      socket.on('data', (data) => {
        text += data.toString('latin1');
        if (text.startsWith('GET /prompt '))
          return void socket.end('HTTP/1.1 503 Not Now\r\nContent-Length: 0\r\n\r\n');
        if (endOf(text) !== undefined) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      });
      socket.on('close', () => {
        if (text !== '' && !text.startsWith('GET /prompt ')) arrived.push(text);
      });
    });
    behind = await serve(server);
    agent = await startAgent(behind.port);
  });
  beforeEach(() => void (arrived = []));
  after(async () => {
    await agent?.end();
    await behind?.close();
  });

  const statuses = (text: string): number[] =>
    [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, code]) => Number(code));
  const post = (head: string, body = ''): string =>
    `POST /prompt HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${agent.token}\r\n${head}\r\n${body}`;
  const smuggled = 'GET /secret HTTP/1.1\r\nHost: x\r\n\r\n';

  const refused: Record<string, () => string> = {
    'both lengths': () => post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${smuggled}`),
    'both, the other way round': () =>
      post('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', `0\r\n\r\n${smuggled}`),
    'two lengths': () => post('Content-Length: 5\r\nContent-Length: 6\r\n', 'abcdef'),
    'two equal lengths': () => post('Content-Length: 5\r\nContent-Length: 5\r\n', 'abcde'),
    'a list of lengths': () => post('Content-Length: 5, 5\r\n', 'abcde'),
    'a signed length': () => post('Content-Length: +5\r\n', 'abcde'),
    'a negative length': () => post('Content-Length: -1\r\n', 'abcde'),
    'a hexadecimal length': () => post('Content-Length: 0x5\r\n', 'abcde'),
    'a length with an underscore': () => post('Content-Length: 1_0\r\n', 'abcdefghij'),
    'a length that no number holds': () => post(`Content-Length: ${'9'.repeat(30)}\r\n`, 'abcde'),
    'an empty length': () => post('Content-Length:\r\n', 'abcde'),
    'an unknown coding': () => post('Transfer-Encoding: gzip\r\n', 'abcde'),
    'a coding before chunked': () => post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'),
    'chunked twice': () => post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    'a coding with a control character': () => post('Transfer-Encoding: \x0bchunked\r\n', '0\r\n\r\n'),
    'a coding in quotes': () => post('Transfer-Encoding: "chunked"\r\n', '0\r\n\r\n'),
    'a blank before the colon': () => post('Transfer-Encoding : chunked\r\n', '0\r\n\r\n'),
    'a folded line': () => post('X-One: 1\r\n Transfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    'a bare line feed in a head': () => post('X-One: 1\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    'a bare carriage return in a head': () => post('X-One: 1\rTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    'a NUL in a head': () => post('X-One: 1\0\r\n'),
    'a field without a colon': () => post('Content-Length 5\r\n', 'abcde'),
    'a field without a name': () => post(': 5\r\n'),
    'two hosts': () => post('Host: y\r\n'),
    'no host': () => `GET / HTTP/1.1\r\nAuthorization: Bearer ${agent.token}\r\n\r\n`,
    'chunks in HTTP/1.0': () => post('Transfer-Encoding: chunked\r\n', '0\r\n\r\n').replace('HTTP/1.1', 'HTTP/1.0'),
    'an unknown version': () => post('').replace('HTTP/1.1', 'HTTP/2.0'),
    'a blank in the target': () => post('').replace('/prompt', '/prompt HTTP/1.1 /x'),
    'a target with a host': () => post('').replace('/prompt', 'http://127.0.0.1/prompt'),
    'a tunnel': () => post('').replace('POST /prompt', 'CONNECT 127.0.0.1:22'),
    'a bad chunk size': () => post('Transfer-Encoding: chunked\r\n', 'xyz\r\nabc\r\n0\r\n\r\n'),
    'a signed chunk size': () => post('Transfer-Encoding: chunked\r\n', '+3\r\nabc\r\n0\r\n\r\n'),
    'a chunk size that no number holds': () => post('Transfer-Encoding: chunked\r\n', `${'f'.repeat(17)}\r\nabc`),
    'a chunk that is longer than it says': () => post('Transfer-Encoding: chunked\r\n', '3\r\nabcd\r\n0\r\n\r\n'),
    'a chunk that ends in a line feed': () => post('Transfer-Encoding: chunked\r\n', '3\r\nabc\n0\r\n\r\n'),
    'a chunk size that ends in a line feed': () => post('Transfer-Encoding: chunked\r\n', '3\nabc\r\n0\r\n\r\n'),
    'a head without an end': () => `GET /${'a'.repeat(70_000)}`,
  };

  for (const [what, request] of Object.entries(refused)) {
    it(`refuses ${what}`, async () => {
      const text = await raw(agent.port, request() + smuggled);
      const codes = statuses(text);
      assert.ok(codes.length <= 1 && codes.every((code) => code === 400 || code === 431), `${codes.join()} ${text}`);
      assert.ok(!arrived.join().includes('/secret'), arrived.join());
      assert.ok(!arrived.some((seen) => endOf(seen) !== undefined), `not one looks whole: ${JSON.stringify(arrived)}`);
    });
  }

  it('writes what it passes anew: one length, chunks of its own, no extensions and no trailers', async () => {
    await raw(
      agent.port,
      post(
        'Transfer-Encoding: Chunked\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nUpgrade: h2c\r\n',
        '3;name="a b"\r\nabc\r\n02\r\nde\r\n0\r\nContent-Length: 9\r\nX-Late: 1\r\n\r\n',
      ),
    );
    await eventually(
      () => arrived.length === 1,
      () => JSON.stringify(arrived),
    );
    const [head, body] = [arrived[0]!.split('\r\n\r\n')[0]!, arrived[0]!.split('\r\n\r\n').slice(1).join('\r\n\r\n')];
    assert.deepEqual(head.split('\r\n').slice(1).sort(), [
      'Connection: close',
      'Host: x',
      'Transfer-Encoding: chunked',
    ]);
    assert.equal(body, '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n');
  });

  it('asks for the token before it waits for a body, and tells nobody else what it thinks of one', async () => {
    const text = await raw(agent.port, 'POST /prompt HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\n', {
      ms: 7_000,
    });
    assert.deepEqual(statuses(text), [401]);
  });

  it('outlives 3,000 spoilt requests, and none of them brings a second one through', async function () {
    const random = chance(20_261_122);
    const bits = [
      '\r\n',
      '\n',
      '\r',
      '\0',
      ' ',
      '\t',
      ':',
      '0',
      '5',
      'chunked',
      'Content-Length: 3\r\n',
      '\r\n\r\n',
      '\xff',
      ',',
    ];
    const parts = [...bits, 'Transfer-Encoding: chunked\r\n', smuggled, 'HTTP/1.1', '0\r\n\r\n', 'ffffffff\r\n'];
    const spoilt = (): string => {
      const whole =
        random(2) === 0
          ? post('Content-Length: 5\r\n', 'abcde')
          : post('Transfer-Encoding: chunked\r\n', '3\r\nabc\r\n0\r\n\r\n');
      let text = whole;
      for (let n = random(3) + 1; n > 0; n--) {
        const at = random(text.length);
        const part = parts[random(parts.length)]!;
        text =
          random(3) === 0
            ? text.slice(0, at) + text.slice(at + random(4) + 1)
            : text.slice(0, at) + part + text.slice(at);
      }
      return text;
    };
    const tally = new Map<number, number>();
    for (let round = 0; round < 60; round++) {
      const texts = await Promise.all(
        Array.from({ length: 50 }, () => raw(agent.port, Buffer.from(spoilt(), 'latin1'), { end: true, ms: 4_000 })),
      );
      for (const code of texts.flatMap(statuses)) tally.set(code, (tally.get(code) ?? 0) + 1);
    }
    console.log(`        answers: ${[...tally].map(([code, count]) => `${count} × ${code}`).join(', ')}`);
    assert.ok(![...tally.keys()].some((code) => ![200, 400, 401, 431].includes(code)), [...tally.keys()].join());
    // Each arrival is one request: a head, then no more than the body that it announces.
    for (const text of arrived) {
      assert.equal(endOf(text) ?? text.length, text.length, JSON.stringify(text));
      assert.ok(!text.includes(agent.token));
    }
    assert.ok(!agent.log().includes('a bug'), agent.log());
    const reply = await new Promise<number | undefined>((resolve, reject) =>
      http
        .get(`${agent.base}/`, { headers: agent.bearer }, (one) => resolve(one.resume().statusCode))
        .on('error', reject),
    );
    assert.equal(reply, 200, 'it still works');
  });

  it('refuses an answer of ComfyUI that it cannot read', async () => {
    let answer = '';
    const odd = await serve(
      net.createServer((socket) => {
        socket.once('data', () => socket.end(answer));
      }),
    );
    const other = await startAgent(odd.port);
    try {
      for (answer of [
        'not HTTP\r\n\r\n',
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok',
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok',
        'HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n',
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n',
        '',
      ]) {
        const text = await raw(other.port, `GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${other.token}\r\n\r\n`);
        assert.deepEqual(statuses(text), [502], JSON.stringify(answer));
      }
    } finally {
      await other.end();
      await odd.close();
    }
  });
});
