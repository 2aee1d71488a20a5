import assert from 'node:assert/strict';
import { request, type IncomingMessage } from 'node:http';
import type { Failure } from '../../src/sim/runpod/faults.ts';
import { apiKey, bench, podBody, type Bench } from './simRunpodHarness.ts';

interface Listening {
  readonly res: IncomingMessage;
  text(): string;
  /** Resolves when the text matches, or when the stream has ended. */
  until(pattern: RegExp): Promise<string>;
  readonly ended: Promise<string>;
  close(): void;
}

const idsOf = (text: string): string[] => [...text.matchAll(/^id: (.*?)\r?$/gm)].map(([, id]) => id!);
const linesOf = (text: string): { ts: string; source: string; line: string }[] =>
  [...text.matchAll(/^data: (\{.*\})\r?$/gm)].map(([, data]) => JSON.parse(data!));

describe('RunPod simulator: log streams (S37 to S40)', () => {
  let world: Bench;
  const streams: Listening[] = [];
  beforeEach(async () => {
    world = await bench({ base: 'realistic', change: { createLagMs: 0, rateLimit: 'on' } });
  });
  afterEach(async () => {
    for (const stream of streams.splice(0)) stream.close();
    await world.close();
  });

  const listen = (id: string, query = '', headers: Record<string, string> = {}): Promise<Listening> =>
    new Promise((resolve, reject) => {
      const auth = { authorization: `Bearer ${apiKey}`, accept: 'text/event-stream', ...headers };
      const req = request(`${world.apiUrl}/v2/pods/${id}/logs${query}`, { headers: auth, agent: false }, (res) => {
        const chunks: Buffer[] = [];
        const watchers = new Set<() => void>();
        let over = false;
        const text = (): string => Buffer.concat(chunks).toString();
        const tell = (): void => watchers.forEach((watch) => watch());
        let telling: NodeJS.Immediate | undefined;
        res.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          clearImmediate(telling);
          telling = setImmediate(tell);
        });
        res.on('error', () => undefined);
        const ended = new Promise<string>((done) => {
          res.on('close', () => {
            over = true;
            tell();
            done(text());
          });
        });
        const until = (pattern: RegExp): Promise<string> =>
          new Promise((done) => {
            const watch = (): void => {
              if (!over && !pattern.test(text())) return;
              watchers.delete(watch);
              done(text());
            };
            watchers.add(watch);
            watch();
          });
        const stream = { res, text, until, ended, close: () => req.destroy() };
        streams.push(stream);
        resolve(stream);
      });
      req.on('error', reject);
      req.end();
    });
  const booted = async (): Promise<string> => {
    const { json } = await world.send('POST', '/v2/pods', { body: podBody('l') });
    world.time.advance(600_000);
    return json.id;
  };
  const fail = (failure: Failure): void => void world.sim.faults.set({ failure, times: 1 });

  it('S37: the headers of Server-Sent Events, quota and request id included', async () => {
    const { res } = await listen(await booted());
    assert.equal(res.headers['content-type'], 'text/event-stream');
    assert.equal(res.headers['cache-control'], 'no-cache');
    assert.equal(res.headers['x-accel-buffering'], 'no');
    assert.match(String(res.headers['ratelimit']), /^"minute";r=/);
    assert.match(String(res.headers['x-request-id']), /./);
  });

  it('S37: backfill by tail, by time, by source; both sources in the order of time', async () => {
    const id = await booted();
    const all = linesOf(await (await listen(id)).until(/All startup tasks/));
    assert.deepEqual(new Set(all.map(({ source }) => source)), new Set(['system', 'container']));
    assert.deepEqual(
      all.map(({ ts }) => Date.parse(ts)),
      all.map(({ ts }) => Date.parse(ts)).sort((a, b) => a - b),
    );
    const two = linesOf(await (await listen(id, '?tail=2')).until(/All startup tasks/));
    assert.deepEqual(two, all.slice(-2));
    const container = linesOf(await (await listen(id, '?source=container')).until(/All startup tasks/));
    assert.deepEqual(
      container,
      all.filter(({ source }) => source === 'container'),
    );
    const ready = all.at(-2)!;
    const since = linesOf(await (await listen(id, `?tail=50&since=${ready.ts}`)).until(/All startup tasks/));
    assert.deepEqual(since, all.slice(-2), 'since wins over tail');
    const live = await listen(id, '?tail=0');
    world.sim.writeLog(id, 'container', ['now']);
    assert.deepEqual(
      linesOf(await live.until(/now/)).map(({ line }) => line),
      ['now'],
    );
    for (const query of ['?tail=5001', '?tail=-1', '?source=kernel', '?since=yesterday']) {
      assert.equal((await world.send('GET', `/v2/pods/${id}/logs${query}`)).status, 422, query);
    }
    assert.equal((await listen(id, '?tail=5000')).res.statusCode, 200);
  });

  it('S37: live lines come as simulated time passes, up to the end of the pod', async () => {
    const { json } = await world.send('POST', '/v2/pods', { body: podBody('l') });
    world.time.advance(6_000);
    const stream = await listen(json.id);
    assert.doesNotMatch(await stream.until(/pulling image/), /start container/);
    world.time.advance(600_000);
    await stream.until(/All startup tasks/);
    await world.send('DELETE', `/v2/pods/${json.id}`);
    assert.match(await stream.ended, /remove container/);
  });

  it('S38: a resume goes on after the id, which wins over tail and since', async () => {
    const id = await booted();
    const whole = await (await listen(id)).until(/All startup tasks/);
    const ids = idsOf(whole);
    assert.equal(new Set(ids).size, ids.length);
    const headers = { 'last-event-id': ids.at(-4)! };
    const rest = await (await listen(id, '?tail=100&since=2020-01-01T00:00:00Z', headers)).until(/All startup tasks/);
    assert.deepEqual(idsOf(rest), ids.slice(-3));
    fail({ kind: 'strangeLog', with: 'repeatOnResume' });
    assert.deepEqual(idsOf(await (await listen(id, '', headers)).until(/All startup tasks/)), ids.slice(-4));
    const byTime = { 'last-event-id': ids.at(-2)!.split('/')[0]! };
    assert.deepEqual(idsOf(await (await listen(id, '', byTime)).until(/All startup tasks/)), ids.slice(-1));
    const bad = await world.send('GET', `/v2/pods/${id}/logs`, { headers: { 'last-event-id': 'xyz' } });
    assert.equal(bad.status, 422);
  });

  it('S39: cuts between events, inside a frame and inside a character', async () => {
    const id = await booted();
    fail({ kind: 'cutLog', afterLines: 2, how: 'event' });
    assert.match(await (await listen(id)).ended, /^(id: .*\ndata: \{.*\}\n\n){2}$/);
    fail({ kind: 'cutLog', afterLines: 2, how: 'midFrame' });
    assert.match(await (await listen(id)).ended, /^(id: .*\ndata: \{.*\}\n\n){2}id: (?!.*\n\n)/s);
    fail({ kind: 'cutLog', afterLines: 0, how: 'midCharacter' });
    assert.match(await (await listen(id)).ended, /caf\uFFFD$/);
  });

  it('S39: CRLF, data that is no JSON, an event over 1 MiB, a burst, silence, keep-alive comments', async () => {
    const id = await booted();
    fail({ kind: 'strangeLog', with: 'crlf' });
    assert.match(await (await listen(id, '?tail=1')).until(/\n\r?\n/), /^id: .*\r\ndata: .*\r\n\r\n$/);
    fail({ kind: 'strangeLog', with: 'notJson' });
    assert.match(await (await listen(id, '?tail=1')).until(/\n\n/), /^data: \[ComfyUI-Manager\] All/m);
    fail({ kind: 'strangeLog', with: 'hugeEvent' });
    assert.ok((await (await listen(id, '?tail=1')).until(/\n\n/)).length > 2 ** 20);
    fail({ kind: 'strangeLog', with: 'burst' });
    assert.equal(linesOf(await (await listen(id, '?tail=0')).until(/burst line 5000/)).length, 5000);
    fail({ kind: 'strangeLog', with: 'silent' });
    const silent = await listen(id);
    const awake = await listen(id, '?tail=0');
    world.time.advance(15_000);
    assert.equal(await awake.until(/: keep-alive/), ': keep-alive\n\n');
    assert.equal(silent.text(), '');
  });

  it('S39: unknown and deleted pods are 404', async () => {
    const id = await booted();
    await world.send('DELETE', `/v2/pods/${id}`);
    for (const pod of [id, 'nosuchpod']) assert.equal((await world.send('GET', `/v2/pods/${pod}/logs`)).status, 404);
  });

  it('S40: scripts of a first pull, of a cached start, of a stuck pull, of a crash loop', async () => {
    const script = async (query = '?tail=5000'): Promise<string> => {
      const { json } = await world.send('POST', '/v2/pods', { body: podBody('s') });
      world.time.advance(600_000);
      const stream = await listen(json.id, query);
      world.sim.writeLog(json.id, 'system', ['END']);
      return linesOf(await stream.until(/END/))
        .map(({ line }) => line)
        .join('\n');
    };
    assert.match(await script(), /pulling image[^]*Downloaded newer image[^]*start container[^]*To see the GUI go to/);
    assert.match(await script(), /Image is up to date[^]*start container[^]*To see the GUI go to/);
    fail({ kind: 'stuckPulling' });
    assert.doesNotMatch(await script(), /start container/);
    fail({ kind: 'crashLoop' });
    assert.match(await script(), /(start container[^]*CUDA out of memory[^]*exited with code 1[^]*){3}/);
  });
});
