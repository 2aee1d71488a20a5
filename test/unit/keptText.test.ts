import assert from 'node:assert/strict';
import { keptText } from '../../src/core/http/keptText.ts';

const secrets = ['hf_SECRET1}', 'two"SECRET2\\', '[SECRET3],{', 'C:\\SECRET4'];
const environments: Readonly<Record<string, unknown>> = {
  'an object': Object.fromEntries(secrets.map((secret, n) => [`KEY_${n}`, secret])),
  'a list of lines': secrets.map((secret, n) => `KEY_${n}=${secret}`),
  'a list of pairs': secrets.map((value, n) => ({ key: `KEY_${n}`, value })),
};

describe('what is kept of a reply', () => {
  for (const [what, env] of Object.entries(environments)) {
    const pods = JSON.stringify({ pods: [1, 2].map((n) => ({ id: `pod${n}`, env, cost: n })) });
    it(`has nothing of an environment that is ${what}, and all the rest`, () => {
      for (const text of [pods, JSON.stringify({ pods: [{ id: 'pod1', env, cost: 2 }] }, undefined, 2)]) {
        const kept = keptText(text);
        assert.doesNotMatch(kept, /SECRET|KEY_/);
        assert.match(kept, /pod1/);
        assert.match(kept, /"cost": ?2/);
      }
      const escaped = keptText(JSON.stringify({ detail: pods }));
      assert.doesNotMatch(escaped, /SECRET|KEY_/);
      assert.match(escaped, /pod1.*pod2.*cost\\":2/);
    });

    it(`has nothing of an environment that is ${what} and was cut off anywhere`, () => {
      for (const text of [pods, JSON.stringify({ detail: pods })])
        for (let length = 0; length < text.length; length++)
          assert.doesNotMatch(keptText(text.slice(0, length)), /SECRET|KEY_/, String(length));
    });
  }

  it('is the text itself where there is none, up to a limit', () => {
    for (const text of ['', '<html>"env"</html>', '{"env":{}}', '{"env":null,"a":"{}"}'])
      assert.equal(keptText(text), text);
    assert.equal(keptText('x'.repeat(10_000)).length, 4_000);
  });
});
