import assert from 'node:assert/strict';
import { GoogleGenAI } from '@google/genai';
import { decode } from 'fast-png';
import { apiKey, openGeminiWorld } from './geminiWorld.ts';
import type { GeminiWorld } from './geminiWorld.ts';
import { geminiReplies } from '../../src/sim/gemini/geminiErrors.ts';

const hijack = {
  GOOGLE_GENAI_USE_VERTEXAI: 'true',
  GOOGLE_GENAI_USE_ENTERPRISE: 'true',
  GOOGLE_GENAI_API_VERSION: 'v1',
  GOOGLE_API_KEY: 'another key',
};

describe("Google's own client against the Gemini simulator", () => {
  let world: GeminiWorld;
  let elsewhere: GeminiWorld;
  let ai: GoogleGenAI;
  const before: Record<string, string | undefined> = {};

  beforeEach(async () => {
    world = await openGeminiWorld();
    elsewhere = await openGeminiWorld();
    const env: Record<string, string> = { ...hijack, GOOGLE_GEMINI_BASE_URL: elsewhere.origin };
    for (const [name, value] of Object.entries(env)) {
      before[name] = process.env[name];
      process.env[name] = value;
    }
    ai = new GoogleGenAI({
      apiKey,
      enterprise: false,
      apiVersion: 'v1beta',
      httpOptions: { baseUrl: world.origin },
    });
  });
  afterEach(async () => {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    await world.close();
    await elsewhere.close();
  });

  const job = {
    model: 'gemini-omni-1.1-flash',
    input: 'a fox runs',
    background: true,
    response_format: { type: 'video' as const, delivery: 'uri' as const, duration: '3s' },
  };

  it('lists and gets models', async () => {
    const pager = await ai.models.list({ config: { pageSize: 3 } });
    const names: (string | undefined)[] = [];
    for await (const model of pager) names.push(model.name);
    assert.ok(names.includes('models/gemini-nano-banana-2.1') && names.length > 6);
    const one = await ai.models.get({ model: 'gemini-omni-1.1-flash' });
    assert.equal(one.name, 'models/gemini-omni-1.1-flash');
    assert.equal(world.sim.bill().lines.length, 0);
  });

  it('generates an image', async () => {
    const reply = await ai.models.generateContent({
      model: 'gemini-nano-banana-2.1',
      contents: 'a red fox',
      config: { responseModalities: ['IMAGE'], imageConfig: { aspectRatio: '9:16', imageSize: '1K' }, seed: 4 },
    });
    const part = reply.candidates?.[0]?.content?.parts?.[0];
    const png = decode(Buffer.from(part?.inlineData?.data ?? '', 'base64'));
    assert.deepEqual([png.width, png.height], [768, 1376]);
    assert.equal(reply.usageMetadata?.candidatesTokenCount, 1120);
  });

  it('creates, polls, cancels and deletes an interaction, and gets its file', async () => {
    const made = await ai.interactions.create(job, { maxRetries: 0 });
    assert.equal(made.status, 'in_progress');
    world.time.jump(world.sim.faults.jobMs + world.sim.faults.fileProcessingMs);
    const done = await ai.interactions.get(made.id, {}, { maxRetries: 0 });
    assert.equal(done.status, 'completed');
    const id = /files\/([^:]+):download/.exec(JSON.stringify(done))?.[1];
    const file = await ai.files.get({ name: `files/${id}` });
    assert.equal(file.state, 'ACTIVE');
    const other = await ai.interactions.create(job, { maxRetries: 0 });
    world.sim.faults.jobMs = 1_000_000;
    const third = await ai.interactions.create(job, { maxRetries: 0 });
    await ai.interactions.cancel(third.id);
    await ai.interactions.delete(other.id);
    await assert.rejects(async () => ai.interactions.get(other.id, {}, { maxRetries: 0 }), { status: 400 });
  });

  it('reaches the simulator alone, whatever the environment says', async () => {
    await ai.models.get({ model: 'gemini-nano-banana-2.1' });
    await ai.interactions.create(job, { maxRetries: 0 });
    assert.equal(elsewhere.sim.requests.length, 0);
    for (const request of world.sim.requests) {
      assert.match(request.path, /^\/v1beta\//);
      assert.equal(request.headers['x-goog-api-key'], apiKey);
    }
  });

  it('refuses generateVideos and generateImages before any request', async () => {
    await assert.rejects(ai.models.generateVideos({ model: 'veo-3.1-generate-preview', source: { prompt: 'x' } }));
    await assert.rejects(ai.models.generateImages({ model: 'imagen-4.0-generate-001', prompt: 'x' }));
    assert.equal(world.sim.requests.length, 0);
  });

  it('sends a paid create five times by itself: why the extension does not use it', async function () {
    this.timeout(60_000);
    const entry = { on: 'video.create' as const, effect: geminiReplies.error(503, 'Busy'), times: 5 };
    world.sim.faults.script = [entry];
    await assert.rejects(async () => ai.interactions.create(job));
    assert.equal(world.sim.requests.length, 5);
    world.sim.clearRequests();
    entry.times = 5;
    await assert.rejects(async () => ai.interactions.create(job, { maxRetries: 0 }));
    assert.equal(world.sim.requests.length, 1);
  });
});
