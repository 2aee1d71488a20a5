import assert from 'node:assert/strict';
import { classifyRunpod, tellingErrors } from '../../src/core/runpod/classify.ts';
import { isNotFound } from '../../src/core/runpod/isNotFound.ts';

function reply(status: number, body: object | string, headers: Record<string, string> = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const json = typeof body === 'string' ? undefined : (body as unknown);
  return { status, headers, text, json, repeatable: false };
}

function problem(status: number, detail: string, errors?: string[]) {
  return reply(
    status,
    { title: 'Problem', status, detail, ...(errors ? { errors } : {}) },
    { 'x-request-id': 'req-1' },
  );
}

const nowMs = Date.parse('2026-01-02T03:04:05Z');
const classified = (error: ReturnType<typeof reply>) => classifyRunpod(error, nowMs);

describe("RunPod's refusals", () => {
  const table: [string, ReturnType<typeof reply>, string, RegExp][] = [
    ['missing key', problem(401, 'missing bearer token'), 'unauthorized', /does not accept the API key/],
    ['read-only key', problem(403, 'access denied'), 'unauthorized', /may not do this: access denied/],
    ['no credit', problem(402, 'insufficient balance'), 'noCredit', /balance/],
    [
      'no stock',
      problem(
        400,
        'There are no longer any instances available with the requested specifications. Please refresh and try again.',
      ),
      'noCapacity',
      /no longer any instances/,
    ],
    [
      'no disk',
      problem(400, 'There are no longer any instances available with enough disk space.'),
      'noCapacity',
      /disk/,
    ],
    [
      'host GPU taken',
      problem(400, 'There are not enough free GPUs on the host machine to start this pod.'),
      'noCapacity',
      /free GPUs/,
    ],
    ['a rule broken', problem(400, '`gpu` and `cpu` are mutually exclusive'), 'rejected', /mutually exclusive/],
    ['locked', problem(400, 'Pod is locked'), 'rejected', /locked/],
    ['unknown id', problem(404, 'pod not found'), 'rejected', /pod not found/],
    ['wrong state', problem(409, 'cannot stop'), 'rejected', /not in a state for this: cannot stop/],
    ['retired', problem(410, 'gone'), 'protocol', /update PodRelay/],
    ['retired without a body', reply(410, ''), 'protocol', /update PodRelay/],
    ['server error', problem(500, 'oops'), 'unavailable', /oops/],
  ];
  for (const [what, error, kind, message] of table) {
    it(`${what} is '${kind}'`, () => {
      const fault = classified(error);
      assert.equal(fault?.kind, kind);
      assert.match(fault.message, message);
      assert.equal(fault.facts.status, error.status);
      assert.equal(fault.facts.delivered, error.status >= 500 ? 'maybe' : 'no');
    });
  }

  it('a 403 of the network guard does not blame the key', () => {
    const fault = classified(reply(403, 'error code: 1010'));
    assert.equal(fault?.kind, 'unavailable');
    assert.match(fault.message, /1010.*key is not at fault/);
    assert.equal(classified(reply(403, '<html>Forbidden</html>'))?.kind, 'unavailable');
  });

  it('a 422 tells what is wrong, and of many only what is missing', () => {
    const fault = classified(
      problem(422, 'Request validation failed.', [
        "$: missing property 'name'",
        "$: additional properties 'gpu' not allowed",
      ]),
    );
    assert.equal(fault?.message, "RunPod: Request validation failed. $: missing property 'name'");
    assert.equal(fault.facts.requestId, 'req-1');
    assert.deepEqual(tellingErrors(['a', 'b']), ['a', 'b']);
  });

  it('leaves rate limits and bodies it cannot read to the common reading', () => {
    assert.equal(classified(problem(429, 'rate limit exceeded for the minute window')), undefined);
    assert.equal(classified(reply(502, '<html>')), undefined);
  });

  it('tells how long a 503 asks to wait', () => {
    for (const stated of ['7', 'Fri, 02 Jan 2026 03:04:12 GMT']) {
      const busy = reply(503, { title: 'Busy', status: 503, detail: 'deploying' }, { 'retry-after': stated });
      assert.equal(classified(busy)?.facts.retryAfterMs, 7_000);
    }
  });

  it('an unknown id is told apart from other refusals', () => {
    assert.equal(isNotFound(classified(problem(404, 'pod not found'))), true);
    assert.equal(isNotFound(classified(problem(409, 'x'))), false);
    assert.equal(isNotFound(new Error('404')), false);
  });
});
