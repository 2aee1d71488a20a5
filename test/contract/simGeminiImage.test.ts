import assert from 'node:assert/strict';
import { decode } from 'fast-png';
import { apiKey, ask, openGeminiWorld } from './geminiWorld.ts';
import type { GeminiWorld } from './geminiWorld.ts';

const model = 'gemini-nano-banana-2.1';

describe('Gemini simulator: images', () => {
  let world: GeminiWorld;
  beforeEach(async () => {
    world = await openGeminiWorld();
  });
  afterEach(() => world.close());

  const generate = (config: object, id = model, version = 'v1beta') =>
    ask(`${world.origin}/${version}/models/${id}:generateContent`, {
      body: { contents: [{ role: 'user', parts: [{ text: 'a red fox in snow' }] }], generationConfig: config },
    });

  it('makes a real PNG of the size that the ratio and tier name', async () => {
    const reply = await generate({ responseModalities: ['IMAGE'], imageConfig: { aspectRatio: '16:9' } });
    assert.equal(reply.status, 200);
    const [part] = reply.json.candidates[0].content.parts;
    assert.equal(part.inlineData.mimeType, 'image/png');
    const png = decode(Buffer.from(part.inlineData.data, 'base64'), { checkCrc: true });
    assert.deepEqual([png.width, png.height, png.channels], [1376, 768, 3]);
    assert.deepEqual(reply.json.usageMetadata.candidatesTokensDetails, [{ modality: 'IMAGE', tokenCount: 1120 }]);
  });

  it('bills each picture in micro-dollars', async () => {
    await generate({});
    const bill = world.sim.bill();
    // 5 prompt tokens at $1.50, 900 thought tokens at $7.50 and 1120 image tokens at $30 per million
    assert.equal(bill.totalMicros, Math.round(5 * 1.5 + 900 * 7.5 + 1120 * 30));
    assert.equal(bill.generations, 1);
  });
});

describe('Gemini simulator: a request that is too large', () => {
  it('is refused with 413 once it was sent, and costs nothing', async () => {
    const world = await openGeminiWorld();
    try {
      const url = `${world.origin}/v1beta/models/${model}:generateContent`;
      const headers = { 'x-goog-api-key': apiKey };
      const reply = await fetch(url, { method: 'POST', headers, body: Buffer.alloc(100 * 1024 * 1024 + 1, 32) });
      assert.equal(reply.status, 413);
      assert.match(await reply.text(), /payload size exceeds the limit/);
      assert.deepEqual([world.sim.requests[0]?.bodyBytes, world.sim.bill().totalMicros], [100 * 1024 * 1024 + 1, 0]);
      assert.equal((await ask(`${world.origin}/v1beta/models`)).status, 200);
    } finally {
      await world.close();
    }
  });
});

describe('Gemini simulator: keys and models', () => {
  let world: GeminiWorld;
  beforeEach(async () => {
    world = await openGeminiWorld();
  });
  afterEach(() => world.close());

  it('refuses no key, a wrong key and two keys as the front end does', async () => {
    const url = `${world.origin}/v1beta/models`;
    const none = await ask(url, { headers: {} });
    assert.equal(none.status, 403);
    assert.match(none.json.error.message, /unregistered callers/);
    const wrong = await ask(url, { headers: { 'x-goog-api-key': 'other' } });
    assert.equal(wrong.status, 400);
    assert.equal(wrong.json.error.details[0].reason, 'API_KEY_INVALID');
    const two = await ask(`${url}?key=${apiKey}`);
    assert.equal(two.status, 400);
    assert.match(two.json[0].error.message, /Multiple authentication credentials/);
  });
});
