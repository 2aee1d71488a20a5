// The pod agent before a real ComfyUI, where there is one: PODRELAY_REAL_COMFY=http://127.0.0.1:8188 npm run contract
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { get } from 'node:http';
import { performance } from 'node:perf_hooks';
import { encode } from 'fast-png';
import { openClient } from './comfyClientWorld.ts';
import type { ClientWorld } from './comfyClientWorld.ts';
import { hasPython, startAgent } from './podAgentWorld.ts';
import type { Agent } from './podAgentWorld.ts';

const address = process.env.PODRELAY_REAL_COMFY ?? '';

describe('the pod agent before a real ComfyUI', function () {
  this.timeout(120_000);
  let agent: Agent;
  let through: ClientWorld;

  before(async function () {
    if (address === '' || !hasPython()) {
      console.log('      skipped: PODRELAY_REAL_COMFY names no server, or there is no python3');
      this.skip();
    }
    agent = await startAgent(Number(new URL(address).port));
    through = openClient(agent.base, agent.token);
  });
  after(async () => {
    await through?.close();
    await agent?.end();
  });

  const status = (path: string, headers: Record<string, string> = {}): Promise<number> =>
    new Promise((resolve, reject) => {
      get(`${agent.base}${path}`, { headers }, (reply) => resolve(reply.resume().statusCode ?? 0)).on('error', reject);
    });

  it('runs a job with an uploaded picture, with progress, to its file', async () => {
    const size = 600;
    const data = randomBytes(size * size * 3);
    const bytes = new Uint8Array(encode({ width: size, height: size, channels: 3, depth: 8, data }));
    const file = { name: 'agent.png', mimeType: 'image/png', bytes };
    const name = await through.client.upload(file, through.signal);
    const { files, seen } = await through.run({
      '1': { class_type: 'LoadImage', inputs: { image: name } },
      '2': { class_type: 'ImageInvert', inputs: { image: ['1', 0] } },
      '3': { class_type: 'SaveImage', inputs: { images: ['2', 0], filename_prefix: 'podrelay/agent' } },
    });
    assert.equal(files.length, 1);
    assert.ok(seen.length > 0);
    const direct = openClient(address);
    try {
      const sums = await Promise.all(
        [through, direct].map(async ({ client, signal }) => {
          const hash = createHash('sha256');
          for await (const chunk of (await client.download(files[0]!, signal)).body) hash.update(chunk);
          return hash.digest('hex');
        }),
      );
      assert.equal(sums[0], sums[1]);
    } finally {
      await direct.close();
    }
  });

  it('shows its page to a browser with the cookie, and nothing to one without', async () => {
    assert.equal(await status('/'), 401);
    const browser = { cookie: `__Host-podrelay=${agent.token}`, 'sec-fetch-site': 'same-origin', origin: agent.base };
    for (const path of ['/', '/api/system_stats', '/api/object_info/KSampler']) {
      assert.equal(await status(path, browser), 200, path);
    }
    assert.equal(await status('/', { ...browser, 'sec-fetch-site': 'same-site' }), 401);
  });

  it('adds less than 2 ms to a request', async () => {
    const direct = openClient(address);
    const times = { direct: [] as number[], through: [] as number[] };
    for (let n = 0; n < 200; n++) {
      for (const [name, { client, signal }] of Object.entries({ direct, through })) {
        const at = performance.now();
        await client.queueRemaining(signal);
        times[name as keyof typeof times].push(performance.now() - at);
      }
    }
    await direct.close();
    const median = (of: number[]): number => of.sort((a, b) => a - b)[of.length >> 1] ?? Infinity;
    const added = median(times.through) - median(times.direct);
    console.log(
      `        median: ${median(times.direct).toFixed(2)} ms direct, +${added.toFixed(2)} ms through the agent`,
    );
    assert.ok(added < 2, `${added} ms`);
  });
});
