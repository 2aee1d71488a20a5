import assert from 'node:assert/strict';
import { ask, openGeminiWorld } from './geminiWorld.ts';
import type { GeminiWorld } from './geminiWorld.ts';
import { retiredModelIds } from '../../src/sim/gemini/geminiModels.ts';

const onePixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

describe('Gemini simulator: video', () => {
  let world: GeminiWorld;
  beforeEach(async () => {
    world = await openGeminiWorld();
  });
  afterEach(() => world.close());

  const create = (format: object = {}, rest: object = {}) =>
    ask(`${world.origin}/v1beta/interactions`, {
      body: {
        model: 'gemini-omni-1.1-flash',
        input: [{ type: 'text', text: 'a fox runs' }],
        background: true,
        response_format: { type: 'video', delivery: 'uri', ...format },
        ...rest,
      },
    });
  const get = (id: string) => ask(`${world.origin}/v1beta/interactions/${id}`);
  const finish = () => world.time.jump(world.sim.faults.jobMs);
  interface Shown {
    readonly steps: { type: string; content?: { type: string; uri?: string; data?: string }[] }[];
  }
  const videoOf = ({ steps }: Shown) =>
    steps.flatMap((step) => step.content ?? []).find((part) => part.type === 'video');

  it('answers a background create at once, then says queued, in progress and completed', async () => {
    world.sim.faults.jobMs = 1_000_000;
    world.sim.faults.video.queuedPolls = 1;
    const made = await create();
    assert.equal(made.json.status, 'in_progress');
    assert.equal((await get(made.json.id)).json.status, 'queued');
    assert.equal((await get(made.json.id)).json.status, 'in_progress');
    finish();
    const done = (await get(made.json.id)).json;
    assert.equal(done.status, 'completed');
    assert.match(
      videoOf(done)?.uri ?? '',
      new RegExp(`^${world.origin}/v1beta/files/[a-z0-9]+-[a-z0-9]+:download\\?alt=media$`),
    );
  });

  it('holds a create without background until the clip is there', async () => {
    const made = await create({ delivery: 'inline' }, { background: false });
    assert.equal(made.json.status, 'completed');
    const clip = Buffer.from(videoOf(made.json)?.data ?? '', 'base64');
    assert.equal(clip.toString('latin1', 4, 8), 'ftyp');
    assert.ok(clip.includes('moov') && clip.includes('vide') && clip.includes('soun'));
  });

  it('reads the duration as Google does', async () => {
    const seconds = async (duration: unknown, model = 'gemini-omni-1.1-flash') =>
      (await create(duration === undefined ? {} : { duration }, { model })).status;
    assert.equal(await seconds(undefined), 200);
    assert.equal(await seconds('3.5s'), 200);
    for (const wrong of [6, '2s', '11s', '6', 'six']) assert.equal(await seconds(wrong), 400);
    assert.equal(await seconds('11s', 'gemini-omni-1.2-flash'), 200);
    assert.match((await create({ duration: '2s' })).json.error.message, /minimum allowed 3s/);
    assert.match((await create({ duration: '11s' })).json.error.message, /maximum allowed 10s/);
  });

  it('refuses what Omni does not know', async () => {
    const image = { type: 'image', data: onePixel, mime_type: 'image/png' };
    const withImages = (count: number) =>
      create(
        {},
        {
          input: [...Array.from({ length: count }, () => image), { type: 'text', text: 'go' }],
          generation_config: { video_config: { task: 'image_to_video' } },
        },
      );
    const replies = [
      await create({ aspect_ratio: '1:1' }),
      await create({ resolution: '480p' }),
      await create({}, { store: false }),
      await create({}, { negative_prompt: 'rain' }),
      await create({}, { generation_config: { temperature: 1 } }),
      await withImages(0),
      await withImages(3),
    ];
    assert.deepEqual(
      replies.map((reply) => reply.status),
      replies.map(() => 400),
    );
    assert.equal(replies[0]?.json.error.code, 'invalid_request');
    assert.equal((await withImages(1)).status, 200);
    assert.equal(world.sim.bill().generations, 1);
  });

  it('meters 5,792 tokens a second at 720p: three seconds cost $0.304', async () => {
    const made = await create({ duration: '3s' });
    finish();
    const { usage } = (await get(made.json.id)).json;
    assert.deepEqual(usage.output_tokens_by_modality, [{ modality: 'video', tokens: 17_376 }]);
    assert.equal(world.sim.bill().totalMicros, Math.round(17_376 * 17.5 + 3 * 1.5));
  });

  it('may give bytes on a GET in spite of delivery "uri"', async () => {
    world.sim.faults.video.getReturnsInline = true;
    const made = await create();
    finish();
    assert.equal(typeof videoOf((await get(made.json.id)).json)?.data, 'string');
  });

  it('shows a refusal as completed words without video tokens', async () => {
    world.sim.faults.video.outcome = { is: 'refusal', text: 'I cannot make that.' };
    const made = await create();
    finish();
    const { json } = await get(made.json.id);
    assert.equal(json.status, 'completed');
    assert.equal(videoOf(json), undefined);
    assert.deepEqual(json.usage.output_tokens_by_modality, [{ modality: 'text', tokens: 5 }]);
    assert.equal(world.sim.bill().generations, 0);
  });

  it('cancels a running background job once; later and elsewhere it refuses', async () => {
    world.sim.faults.jobMs = 1_000_000;
    const cancel = (id: string) => ask(`${world.origin}/v1beta/interactions/${id}/cancel`, { method: 'POST' });
    const made = await create();
    assert.equal((await cancel(made.json.id)).status, 200);
    assert.equal((await get(made.json.id)).json.status, 'cancelled');
    assert.equal((await cancel(made.json.id)).status, 400);
    const other = await create();
    finish();
    assert.equal((await cancel(other.json.id)).status, 400);
  });

  it('forgets a deleted interaction: 400, not 404', async () => {
    const made = await create();
    const url = `${world.origin}/v1beta/interactions/${made.json.id}`;
    assert.equal((await ask(url, { method: 'DELETE' })).status, 200);
    const gone = await ask(url);
    assert.equal(gone.status, 400);
    assert.deepEqual(gone.json.error, {
      code: 'invalid_request',
      message: `Invalid interaction name: ${made.json.id}`,
    });
  });

  it('processes a file, serves it, redirects it and lets it expire', async () => {
    world.sim.faults.fileProcessingMs = 1_000_000;
    const made = await create();
    finish();
    const uri = videoOf((await get(made.json.id)).json)?.uri ?? '';
    const meta = uri.replace(':download?alt=media', '');
    assert.equal((await ask(meta)).json.state, 'PROCESSING');
    world.time.jump(world.sim.faults.fileProcessingMs);
    assert.equal((await ask(meta)).json.state, 'ACTIVE');
    const clip = await ask(uri);
    assert.equal(clip.headers.get('content-type'), 'video/mp4');
    assert.equal(clip.bytes.toString('latin1', 4, 8), 'ftyp');
    assert.equal((await ask(uri.replace('?alt=media', ''))).json.state, 'ACTIVE');
    world.sim.faults.file.redirectTo = world.otherOrigin;
    const moved = await ask(uri);
    assert.equal(moved.status, 302);
    const stored = await ask(moved.headers.get('location') ?? '', { headers: {} });
    assert.deepEqual(stored.bytes, clip.bytes);
    world.time.jump(world.sim.faults.fileLifeMs + 1);
    assert.equal((await ask(uri)).status, 404);
  });

  it('knows no retired model', async () => {
    for (const id of retiredModelIds) {
      const reply = await ask(`${world.origin}/v1beta/models/${id}`);
      assert.equal(reply.status, 404, id);
      assert.equal(reply.json.error.status, 'NOT_FOUND');
    }
    assert.equal((await ask(`${world.origin}/v1beta/models/gemini-omni-1.1-flash`)).status, 200);
    assert.equal(world.sim.bill().lines.length, 0);
  });
});
