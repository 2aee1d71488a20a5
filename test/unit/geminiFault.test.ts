import assert from 'node:assert/strict';
import { classifyGeminiError, hideKeys, untilPacificMidnightMs } from '../../src/core/gemini/geminiFault.ts';
import type { GeminiPurpose } from '../../src/core/gemini/geminiFault.ts';
import { sniffImage } from '../../src/core/gemini/sniffImage.ts';

const reply = (status: number, json: unknown) => ({
  status,
  headers: {},
  text: JSON.stringify(json),
  json,
  repeatable: false,
});
const kindOf = (status: number, error: object, purpose: GeminiPurpose = 'image') =>
  classifyGeminiError(reply(status, { error }), purpose, 0)?.kind;

describe("Gemini's errors", () => {
  it('reads each by its own sign, not by its status alone', () => {
    const reason = (word: string) => ({ code: 400, status: 'INVALID_ARGUMENT', details: [{ reason: word }] });
    assert.equal(kindOf(400, reason('API_KEY_INVALID')), 'unauthorized');
    assert.equal(kindOf(400, reason('API_KEY_SERVICE_BLOCKED')), 'unauthorized', 'blocked key, not blocked content');
    assert.equal(kindOf(401, { message: 'ACCESS_TOKEN_TYPE_UNSUPPORTED' }), 'unauthorized');
    assert.equal(kindOf(403, { status: 'PERMISSION_DENIED', message: 'leaked' }), 'unauthorized');
    assert.equal(kindOf(400, { status: 'FAILED_PRECONDITION', message: 'location' }), 'noCredit');
    assert.equal(kindOf(400, { status: 'INVALID_ARGUMENT', message: 'wrong ratio' }), 'rejected');
    assert.equal(kindOf(400, { code: 'prohibited_content', message: 'no' }, 'createVideo'), 'blocked');
    assert.equal(kindOf(400, { code: 'invalid_request', message: 'Blocked by our safety policy' }), 'blocked');
    assert.equal(kindOf(404, { status: 'NOT_FOUND', message: 'gone' }, 'model'), 'mismatch');
    assert.equal(kindOf(404, { status: 'NOT_FOUND', message: 'gone' }, 'file'), 'jobFailed');
    assert.equal(kindOf(404, { code: 'not_found', message: 'gone' }, 'pollVideo'), 'jobFailed');
    assert.equal(
      kindOf(400, { code: 'invalid_request', message: 'Invalid interaction name: x' }, 'pollVideo'),
      'jobFailed',
    );
    assert.equal(
      kindOf(400, { code: 400, message: 'Multiple authentication credentials' }, 'pollVideo'),
      'unavailable',
    );
    assert.equal(kindOf(503, { status: 'UNAVAILABLE', message: 'busy' }, 'pollVideo'), 'unavailable');
  });

  it('tells of a 5xx on a paid call that its outcome is unknown', () => {
    const fault = classifyGeminiError(reply(500, { error: { code: 500, message: 'Internal' } }), 'createVideo', 0);
    assert.equal(fault?.facts.delivered, 'maybe');
    assert.match(fault?.message ?? '', /not known/);
  });

  it('leaves to the common reading what is not from Google', () => {
    assert.equal(classifyGeminiError({ ...reply(404, undefined), text: '<html>' }, 'model', 0), undefined);
  });

  it('counts the time until midnight Pacific, in summer and in winter', () => {
    assert.equal(untilPacificMidnightMs(Date.UTC(2026, 10, 22, 7, 59, 0)), 60_000);
    assert.equal(untilPacificMidnightMs(Date.UTC(2026, 6, 1, 6, 0, 0)), 3_600_000);
  });

  it('cuts keys out of what Google says', () => {
    const text = hideKeys('AIzaSyA-1234567890 and AQ.Ab8RN6Jxyz at https://x/?key=secret&alt=media');
    assert.doesNotMatch(text, /SyA|Ab8|secret/);
    assert.match(text, /alt=media/);
  });
});

describe('sniffing an image', () => {
  it('knows nothing of what is no image', () => {
    for (const text of ['', 'GIF89a', '<html>', '\x89PNG']) {
      assert.equal(sniffImage(Buffer.from(text, 'latin1')), undefined);
    }
  });
  it('survives a JPEG that ends early', () => {
    assert.deepEqual(sniffImage(Buffer.from([0xff, 0xd8, 0xff, 0xe0])), { mimeType: 'image/jpeg', size: undefined });
  });
});
