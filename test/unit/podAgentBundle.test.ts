import assert from 'node:assert/strict';
import { build } from 'esbuild';
import { extensionBundle } from '../../scripts/bundles.ts';
import { agentFields } from '../../src/core/fleet/agentFields.ts';
import { agentProgram } from '../../src/core/fleet/agentProgram.ts';
import { newPodToken, tokenHash } from '../../src/core/fleet/agentToken.ts';
import { podAt } from '../../src/core/fleet/agentDoors.ts';
import { proxyAddress, runpodProxyTemplate } from '../../src/core/fleet/proxyAddress.ts';

describe("the pod agent's delivery", () => {
  it('has its texts in the bundle, and no file to look for', async () => {
    const options = extensionBundle({ production: false });
    const { outputFiles } = await build({ ...options, sourcemap: false, write: false, logLevel: 'silent' });
    const texts = outputFiles.map(({ text }) => text);
    assert.ok(!texts.some((text) => text.includes('agent/agent.py')));
    for (const text of Object.values(agentProgram)) {
      const line = text.split('\n')[0] ?? '';
      assert.equal(texts.filter((bundle) => bundle.includes(line)).length, 1, line);
    }
  });

  it("fits into what RunPod takes and a shell's argument may hold, and tells the hash only", () => {
    const token = newPodToken();
    const settings = { idleSeconds: 900, bootSeconds: 2_700, startCommand: '/start.sh' };
    const fields = agentFields(settings, tokenHash(token));
    assert.ok(JSON.stringify(fields).length < 40_000, 'of 102,400 bytes (RunPod API v2, create pod)');
    assert.ok(!JSON.stringify(fields).includes(token));
    assert.match(tokenHash(token), /^[0-9a-f]{64}$/);
    assert.ok(token.length >= 43 && /^[\w-]+$/.test(token));
  });

  it("knows a pod by its address, and takes no other server's for one", () => {
    const address = proxyAddress(runpodProxyTemplate, 'k3v9q0zt1mwx7a', 8188);
    assert.equal(podAt(runpodProxyTemplate, address), 'k3v9q0zt1mwx7a');
    assert.equal(podAt(runpodProxyTemplate, `${address}/`), 'k3v9q0zt1mwx7a');
    assert.equal(podAt('http://127.0.0.1:9/{podId}-{port}', 'http://127.0.0.1:9/abc-8188'), 'abc');
    for (const other of [
      proxyAddress(runpodProxyTemplate, 'k3v9q0zt1mwx7a', 8888),
      `${address}.evil.example`,
      address.replace('.runpod.net', 'xrunpod.net'),
      address.replace('https:', 'http:'),
      'http://127.0.0.1:8188',
    ]) {
      assert.equal(podAt(runpodProxyTemplate, other), undefined, other);
    }
  });
});
