import assert from 'node:assert/strict';
import { redact } from '../../src/host/redact.ts';

describe('what is written to the log', () => {
  const secret = 'Zx9-secret_0123456789';
  const shapes: Readonly<Record<string, string>> = {
    'a key of RunPod': `rpa_${secret.replaceAll(/\W|_/g, '')}`,
    'a key of Google': `AIza${secret}`,
    'a newer key of Google': `AQ.${secret}`,
    'a bearer token': `Bearer ${secret}`,
    'a bearer token in small letters': `bearer  ${secret}+/~.==`,
    'a key in an address': `https://host/v1/models?key=${secret}`,
    'a key further on in an address': `GET /v1/models?page=2&key=${secret} failed`,
    'a header of Google': `{"x-goog-api-key":"${secret}"}`,
    'a header that authorizes': `authorization: ${secret}`,
  };
  for (const [what, text] of Object.entries(shapes)) {
    it(`has no ${what.replace(/^an? /, '')} in it`, () => {
      assert.doesNotMatch(redact(`before ${text} after`), /secret/);
      assert.match(redact(`before ${text} after`), /^before .*….* after$/);
    });
  }

  it('keeps what stands around a key', () => {
    assert.equal(redact('GET https://h/v1?key=abc&page=2 failed'), 'GET https://h/v1?key=…&page=2 failed');
    assert.equal(redact('"Bearer abcdef12"'), '"Bearer …"');
    assert.equal(redact('a monkey=banana and the bearer of news'), 'a monkey=banana and the bearer of news');
  });
});
