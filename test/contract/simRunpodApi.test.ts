import assert from 'node:assert/strict';
import type { RunpodBehaviour } from '../../src/sim/runpod/behaviour.ts';
import { apiKey, bench, exchange, podBody, readOnlyKey, type Answer, type Bench } from './simRunpodHarness.ts';

describe('RunPod simulator: protocol, errors, keys and quotas (S1 to S15)', () => {
  let world: Bench;
  const opened: Bench[] = [];
  const open = async (change: Partial<RunpodBehaviour> = {}): Promise<Bench> => {
    const made = await bench({ base: 'fast', change });
    opened.push(made);
    return made;
  };
  beforeEach(async () => {
    world = await open();
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((made) => made.close()));
  });
  const create = (body: unknown): Promise<Answer> => world.send('POST', '/v2/pods', { body });
  const limitHeaders = (answer: Answer): unknown[] => [answer.headers['ratelimit'], answer.headers['ratelimit-policy']];

  it('S1: no, blank and unknown keys are 401 with the exact body and without quota headers', async () => {
    world.sim.configure({ rateLimit: 'on' });
    const missing = await world.send('GET', '/v2/pods', { key: null });
    assert.deepEqual(missing.json, { title: 'Unauthorized', status: 401, detail: 'missing bearer token' });
    const blank = await world.send('GET', '/v2/pods', { key: null, headers: { authorization: 'Bearer ' } });
    const unknown = await world.send('GET', '/v2/pods', { key: 'rpa_other' });
    for (const answer of [missing, blank, unknown]) {
      assert.equal(answer.status, 401);
      assert.deepEqual(limitHeaders(answer), [undefined, undefined]);
    }
  });

  it('S2: a read-only key reads, and every write is 403', async () => {
    const { id } = world.sim.seedPod({ name: 'mine' });
    const key = readOnlyKey;
    assert.equal((await world.send('GET', '/v2/pods', { key })).status, 200);
    const writes = [
      world.send('POST', '/v2/pods', { key, body: podBody('x') }),
      world.send('PATCH', `/v2/pods/${id}`, { key, body: { name: 'y' } }),
      world.send('DELETE', `/v2/pods/${id}`, { key }),
      world.send('POST', `/v2/pods/${id}/action`, { key, body: { action: 'stop' } }),
    ];
    for (const answer of await Promise.all(writes)) {
      assert.deepEqual(answer.json, { title: 'Forbidden', status: 403, detail: 'access denied' });
    }
    assert.equal(world.sim.state().pods[0]?.status, 'RUNNING');
  });

  it('S3: without a User-Agent Cloudflare answers, in plain text', async () => {
    world.sim.configure({ requireUserAgent: true });
    const answer = await exchange(`${world.apiUrl}/v2/pods`, { headers: { authorization: `Bearer ${apiKey}` } });
    assert.equal(answer.status, 403);
    assert.match(String(answer.headers['content-type']), /^text\/plain/);
    assert.equal(answer.text, 'error code: 1010');
    assert.equal((await world.send('GET', '/v2/pods')).status, 200);
  });

  it('S4: unknown paths are 404, wrong methods 405 with Allow', async () => {
    const lost = await world.send('GET', '/v2/machines');
    assert.deepEqual([lost.status, lost.json.detail], [404, 'The requested path was not found.']);
    const wrong = await world.send('PUT', '/v2/pods');
    assert.deepEqual([wrong.status, wrong.headers['allow']], [405, 'GET, POST']);
  });

  it('S5: unknown and missing properties are 422, and a missing one makes others look wrong too', async () => {
    const unknown = await create(podBody('x', { gpuTypeIds: ['a'] }));
    assert.equal(unknown.status, 422);
    assert.deepEqual(unknown.json.errors, ["$: additional properties 'gpuTypeIds' not allowed"]);
    const missing = await create({ image: 'i', gpu: { id: 'NVIDIA L40S' } });
    assert.deepEqual(missing.json, {
      title: 'Unprocessable Entity',
      status: 422,
      detail: 'Request validation failed.',
      errors: ["$: missing property 'name'", "$: additional properties 'image', 'gpu' not allowed"],
    });
  });

  it('S6: a string instead of an object is 422, text that is no JSON 400', async () => {
    const twice = await create(JSON.stringify(podBody('x')));
    assert.deepEqual([twice.status, twice.json.errors], [422, ['$: got string, want object']]);
    assert.equal((await world.send('POST', '/v2/pods', { raw: '{"name":' })).status, 400);
  });

  it('S7: a repeated query key is 422, an unknown one is ignored', async () => {
    const repeated = '/v2/catalog/gpus?include=AVAILABILITY&product=POD&countryCodes=RO&countryCodes=US';
    assert.equal((await world.send('GET', repeated)).status, 422);
    world.sim.seedPod({ name: 'a', status: 'EXITED' });
    assert.equal((await world.send('GET', '/v2/pods?desiredStatus=RUNNING')).json.pods.length, 1);
  });

  it('S8: every reply has a request id of its own; 204 has neither body nor type', async () => {
    const { id } = world.sim.seedPod({ name: 'a' });
    const answers = [
      await world.send('GET', '/v2/pods'),
      await world.send('GET', '/v2/nothing'),
      await world.send('GET', '/v2/pods', { key: null }),
      await world.send('DELETE', `/v2/pods/${id}`),
    ];
    assert.equal(new Set(answers.map(({ headers }) => headers['x-request-id'])).size, 4);
    const gone = answers[3]!;
    assert.deepEqual([gone.status, gone.text, gone.headers['content-type']], [204, '', undefined]);
  });

  it('S9: a create body over the limit is 413 before the key is looked at, also with its template', async () => {
    const big = podBody('x', { args: 'a'.repeat(102_400) });
    assert.equal((await world.send('POST', '/v2/pods', { key: null, body: big })).status, 413);
    const args = 'a'.repeat(102_200);
    const withTemplate = { name: 'x', args, templateId: 'cw3nka7d08', gpu: { id: 'NVIDIA L40S' } };
    assert.equal((await create(withTemplate)).status, 413);
  });

  it('S10: v1 is 410', async () => {
    assert.equal((await world.send('GET', '/v1/pods')).status, 410);
  });

  describe('S11: faults of the wire', () => {
    const pods = (): number => world.sim.state().pods.length;

    it('reset before the effect leaves nothing, after it the pod exists', async () => {
      world.sim.faults.set({ failure: { kind: 'reset', effect: 'before' }, on: ['createPod'], times: 1 });
      await assert.rejects(create(podBody('x')), /ECONNRESET|socket hang up/);
      assert.equal(pods(), 0);
      world.sim.faults.set({ failure: { kind: 'reset', effect: 'after' }, on: ['createPod'], times: 1 });
      await assert.rejects(create(podBody('x')), /ECONNRESET|socket hang up/);
      assert.equal((await world.send('GET', '/v2/pods')).json.pods[0].name, 'x');
    });

    it('5xx before and after the effect', async () => {
      for (const status of [500, 502, 503, 504]) {
        world.sim.faults.set({ failure: { kind: 'status', status, effect: 'before' }, on: ['createPod'], times: 1 });
        assert.equal((await create(podBody('x'))).status, status);
      }
      assert.equal(pods(), 0);
      world.sim.faults.set({ failure: { kind: 'status', status: 502, effect: 'after' }, on: ['createPod'], times: 1 });
      assert.equal((await create(podBody('y'))).status, 502);
      assert.equal((await world.send('GET', '/v2/pods')).json.pods[0].name, 'y');
    });

    it('a hang never answers, a delay answers late', async () => {
      world.sim.faults.set({ failure: { kind: 'hang', effect: 'after' }, on: ['createPod'], times: 1 });
      const stop = AbortSignal.timeout(150);
      const headers = { authorization: `Bearer ${apiKey}` };
      const body = JSON.stringify(podBody('h'));
      await assert.rejects(
        fetch(`${world.apiUrl}/v2/pods`, { method: 'POST', headers, body, signal: stop }),
        /timeout/i,
      );
      assert.equal(pods(), 1);
      world.sim.faults.set({ failure: { kind: 'delay', ms: 31_000 }, on: ['listPods'], times: 1 });
      let done = false;
      const late = world.send('GET', '/v2/pods').then((answer) => ((done = true), answer));
      while (!world.sim.requests.some((request) => request.operation === 'listPods')) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      world.time.advance(30_000);
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.equal(done, false);
      world.time.advance(1_000);
      assert.equal((await late).status, 200);
    });

    it('truncated JSON, and HTML with 200', async () => {
      world.sim.faults.set({ failure: { kind: 'truncatedJson' }, on: ['listPods'], times: 1 });
      const cut = await world.send('GET', '/v2/pods');
      assert.deepEqual([cut.status, cut.json], [200, undefined]);
      assert.match(cut.text, /^\{"po/);
      world.sim.faults.set({ failure: { kind: 'html' }, on: ['listPods'], times: 1 });
      assert.match(String((await world.send('GET', '/v2/pods')).headers['content-type']), /^text\/html/);
    });

    it('a fault stays until cleared, strikes only its operations and pods, and is data', async () => {
      const { id } = world.sim.seedPod({ name: 'a' });
      const other = world.sim.seedPod({ name: 'b' });
      const failure = { kind: 'status', status: 503, effect: 'before' } as const;
      const rule = world.sim.faults.set({ failure, on: ['getPod'], podId: id });
      assert.equal((await world.send('GET', `/v2/pods/${id}`)).status, 503);
      assert.equal((await world.send('GET', `/v2/pods/${id}`)).status, 503);
      assert.equal((await world.send('GET', `/v2/pods/${other.id}`)).status, 200);
      assert.equal((await world.send('GET', '/v2/pods')).status, 200);
      const listed = world.sim.faults.list();
      assert.deepEqual(JSON.parse(JSON.stringify(listed)), listed);
      assert.equal(listed[0]?.struck, 2);
      world.sim.faults.clear(rule);
      assert.equal((await world.send('GET', `/v2/pods/${id}`)).status, 200);
    });

    it('a revoked key, Cloudflare, an API that is down, a clock that is wrong', async () => {
      const revoked = world.sim.faults.set({ failure: { kind: 'revokedKey' } });
      assert.equal((await world.send('GET', '/v2/pods')).status, 401);
      world.sim.faults.clear(revoked);
      world.sim.faults.set({ failure: { kind: 'cloudflare1010' }, times: 1 });
      assert.equal((await world.send('GET', '/v2/pods')).text, 'error code: 1010');
      const down = world.sim.faults.set({ failure: { kind: 'apiDown' } });
      await assert.rejects(world.send('GET', '/v2/pods'));
      world.sim.faults.clear(down);
      world.sim.faults.set({ failure: { kind: 'clockSkew', ms: 7_200_000 } });
      const { json, headers } = await create(podBody('x'));
      assert.equal(json.createdAt, '2026-11-22T11:00:00Z');
      assert.equal(headers['date'], 'Sun, 22 Nov 2026 11:00:00 GMT');
    });
  });

  it('S12: quotas per key in fixed windows, with both headers; exempt callers have none', async () => {
    world = await open({ rateLimit: 'on', quotas: { minute: 60, hour: 3000, day: 50000 } });
    const first = await world.send('GET', '/v2/pods');
    assert.deepEqual(limitHeaders(first), [
      '"minute";r=59;t=60, "hour";r=2999;t=3600, "day";r=49999;t=54000',
      '"minute";q=60;w=60, "hour";q=3000;w=3600, "day";q=50000;w=86400',
    ]);
    world.time.advance(61_000);
    const later = await world.send('GET', '/v2/nothing');
    assert.equal(limitHeaders(later)[0], '"minute";r=59;t=59, "hour";r=2998;t=3539, "day";r=49998;t=53939');
    const other = await world.send('GET', '/v2/pods', { key: readOnlyKey });
    assert.match(String(limitHeaders(other)[0]), /"hour";r=2999/);
    world.sim.configure({ rateLimit: 'exempt' });
    assert.deepEqual(limitHeaders(await world.send('GET', '/v2/pods')), [undefined, undefined]);
  });

  it('S13: over the quota is 429 with the seconds to the reset, then it works again', async () => {
    world = await open({ rateLimit: 'on', quotas: { minute: 2, hour: 3000, day: 50000 } });
    world.time.advance(48_000);
    for (let turn = 0; turn < 2; turn++) assert.equal((await world.send('GET', '/v2/pods')).status, 200);
    const refused = await world.send('GET', '/v2/pods');
    assert.equal(refused.status, 429);
    assert.equal(refused.headers['retry-after'], '12');
    assert.equal(refused.json.detail, 'rate limit exceeded for the minute window');
    assert.match(String(limitHeaders(refused)[0]), /^"minute";r=0;t=12, "hour";r=2998/);
    world.time.advance(12_000);
    assert.equal((await world.send('GET', '/v2/pods')).status, 200);
  });

  it('S13: a 429 on command carries both headers and the wait that was asked for', async () => {
    world.sim.faults.set({ failure: { kind: 'rateLimited', retryAfterSeconds: 3 }, on: ['createPod'], times: 1 });
    const refused = await create(podBody('x'));
    assert.deepEqual([refused.status, refused.headers['retry-after']], [429, '3']);
    assert.match(String(limitHeaders(refused)[0]), /"minute";r=0;t=3/);
    assert.equal((await create(podBody('x'))).status, 201);
  });

  it('S14: with two windows used up the longer wait is told', async () => {
    world = await open({ rateLimit: 'on', quotas: { minute: 1, hour: 1, day: 50000 } });
    await world.send('GET', '/v2/pods');
    const refused = await world.send('GET', '/v2/pods');
    assert.equal(refused.headers['retry-after'], '3600');
    assert.match(refused.json.detail, /hour window/);
  });

  it('S15: malformed quota headers on demand', async () => {
    world.sim.configure({ rateLimit: 'malformed' });
    assert.equal(limitHeaders(await world.send('GET', '/v2/pods'))[0], '"minute";r=;t=soon');
  });

  it('a pod key reads and stops its own pod, and nothing else', async () => {
    const mine = world.sim.seedPod({ name: 'mine' });
    const other = world.sim.seedPod({ name: 'other' });
    const key = world.sim.podKey(mine.id);
    const act = (id: string, action: string): Promise<Answer> =>
      world.send('POST', `/v2/pods/${id}/action`, { key, body: { action } });
    assert.equal((await world.send('GET', `/v2/pods/${mine.id}`, { key })).status, 200);
    assert.equal((await world.send('GET', '/v2/pods', { key })).status, 403);
    assert.equal((await world.send('GET', `/v2/pods/${other.id}`, { key })).status, 403);
    assert.equal((await act(other.id, 'stop')).status, 403);
    assert.equal((await act(mine.id, 'terminate')).status, 403);
    assert.equal((await world.send('DELETE', `/v2/pods/${mine.id}`, { key })).status, 403);
    assert.equal((await world.send('POST', '/v2/pods', { key, body: podBody('x') })).status, 403);
    assert.equal((await act(mine.id, 'stop')).json.status, 'EXITED');
    assert.equal((await act(mine.id, 'start')).status, 403);
    await world.send('DELETE', `/v2/pods/${mine.id}`);
    assert.equal((await act(mine.id, 'stop')).status, 401);
  });
});
