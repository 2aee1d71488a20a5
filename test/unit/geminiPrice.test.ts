import assert from 'node:assert/strict';
import fc from 'fast-check';
import { forbidding, nothing, usesOf } from '../../src/core/cost/budget.ts';
import { meteredCost, quoteRequest } from '../../src/core/gemini/geminiQuote.ts';
import { readImageUsage } from '../../src/core/gemini/imageReply.ts';
import type { GeminiUsage } from '../../src/core/gemini/price.ts';
import { actualCost, estimateImage, estimateVideo, geminiPrices } from '../../src/core/gemini/price.ts';
import { readVideoUsage } from '../../src/core/gemini/videoReply.ts';
import type { WireInteraction } from '../../src/core/gemini/wire.ts';

const image = { model: 'gemini-nano-banana-2.1', imageSize: '1K', inputImages: 0, promptLength: 68 } as const;
const video = { model: 'gemini-omni-1.1-flash', resolution: '720p', seconds: 3, inputImages: 0 } as const;

describe("Gemini's prices", () => {
  it('estimates a 1K image at about $0.040, thinking included', () => {
    const priced = estimateImage(image, geminiPrices);
    assert.equal(priced?.micros, Math.round(1120 * 30 + 900 * 7.5 + 17 * 1.5));
    assert.equal(priced?.basis, 'recorded');
  });

  it('estimates larger images and input images higher', () => {
    const micros = (change: object) => estimateImage({ ...image, ...change }, geminiPrices)?.micros ?? 0;
    assert.ok(micros({ imageSize: '4K' }) > micros({ imageSize: '2K' }));
    assert.ok(micros({ inputImages: 1 }) > micros({}));
  });

  it('estimates video by the second: 3 s at 720p are $0.304', () => {
    const { micros, basis } = estimateVideo(video, geminiPrices) ?? {};
    assert.deepEqual([micros, basis], [304_080, 'documented']);
    assert.equal(estimateVideo({ ...video, resolution: '360p' }, geminiPrices)?.basis, 'recorded');
  });

  it('prices what was metered', () => {
    const usage = { inputTokens: 20, textTokens: 0, mediaTokens: 17_376 };
    assert.equal(actualCost(video.model, usage, geminiPrices)?.micros, 304_110);
  });

  it('reads no usage out of an answer that does not tell the tokens of its clip or picture', () => {
    const clip = { id: 'v1', status: 'completed' };
    assert.equal(readVideoUsage(clip), undefined);
    assert.equal(readVideoUsage({ ...clip, usage: { total_tokens: 34_772 } }), undefined);
    assert.equal(readImageUsage({ usageMetadata: { totalTokenCount: 2_037 } }), undefined);
    const unnamed = { total_input_tokens: 12, output_tokens_by_modality: [{ modality: 'video' }] };
    assert.equal(readVideoUsage({ ...clip, usage: unnamed }), undefined);
  });

  it('takes for the clip or picture what is not named as something else', () => {
    const usage = (told: WireInteraction['usage']) =>
      readVideoUsage({ id: 'v1', status: 'completed', usage: told })?.mediaTokens;
    assert.equal(usage({ total_output_tokens: 17_376 }), 17_376, 'no list');
    assert.equal(usage({ total_output_tokens: 17_376, output_tokens_by_modality: [] }), 17_376, 'an empty list');
    const words = [{ modality: 'text', tokens: 76 }];
    assert.equal(usage({ total_output_tokens: 17_376, output_tokens_by_modality: words }), 17_300, 'words alone named');
    assert.equal(usage({ total_input_tokens: 4, total_tokens: 17_380 }), 17_376, 'what is left of a total');
    const refused = readImageUsage({ usageMetadata: { promptTokenCount: 9, totalTokenCount: 9 } });
    assert.deepEqual(refused, { inputTokens: 9, textTokens: 0, mediaTokens: 0 }, 'nothing was put out');
  });

  it('knows no price for a model that is not listed, nor for usage that was not told', () => {
    assert.equal(estimateImage({ ...image, model: 'gemini-next' }, geminiPrices), undefined);
    assert.equal(estimateVideo({ ...video, model: 'veo-9' }, geminiPrices), undefined);
    assert.equal(actualCost('gemini-next', { inputTokens: 1, textTokens: 1, mediaTokens: 1 }, geminiPrices), undefined);
    assert.equal(actualCost(image.model, undefined, geminiPrices), undefined);
  });

  it('can be overridden as data', () => {
    const own = { ...geminiPrices.images['gemini-nano-banana-2.1']!, media: 60 };
    const prices = { ...geminiPrices, images: { 'gemini-nano-banana-2.1': own } };
    const dearer = estimateImage(image, prices)?.micros ?? 0;
    assert.ok(dearer > (estimateImage(image, geminiPrices)?.micros ?? 0));
  });
});

describe('the most that Gemini may charge', () => {
  const models = fc.record({
    image: fc.constantFrom(...Object.keys(geminiPrices.images), 'a model of tomorrow'),
    video: fc.constantFrom(...Object.keys(geminiPrices.videos), 'a model of tomorrow'),
  });
  const prompt = fc.string({ unit: 'grapheme', maxLength: 400 });
  const count = fc.integer({ min: 1, max: 4 });
  const images = fc.array(fc.constant({} as never), { maxLength: 6 });
  const request = fc.oneof(
    fc.record({
      kind: fc.constant('image' as const),
      imageSize: fc.constantFrom('1K' as const, '2K' as const, '4K' as const),
      ...{ prompt, count, images },
    }),
    fc.record({
      kind: fc.constant('video' as const),
      resolution: fc.constantFrom('360p' as const, '720p' as const, '1080p' as const, '4k' as const),
      seconds: fc.integer({ min: 30, max: 100 }).map((tenths) => tenths / 10),
      ...{ prompt, count, images },
    }),
  );
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  type Job = typeof job extends fc.Arbitrary<infer T> ? T : never;
  const job = fc.record({ request, models, shares: fc.tuple(share, share, share), settles: fc.nat({ max: 3 }) });

  /** What Google may meter for one picture or clip: every token that the documents and records allow. */
  function usageOf({ request: asked, models: { image: model, video } }: Job): GeminiUsage {
    const inputTokens = new TextEncoder().encode(asked.prompt).length + 1_120 * asked.images.length;
    if (asked.kind === 'image') {
      const dearest = { tokens: { '1K': 1_120, '2K': 1_120, '4K': 2_000 } };
      return {
        inputTokens,
        textTokens: 4_096,
        mediaTokens: (geminiPrices.images[model] ?? dearest).tokens[asked.imageSize],
      };
    }
    const price = geminiPrices.videos[video] ?? geminiPrices.videos['gemini-omni-1.1-flash'];
    const perSecond = (price?.microsPerSecond[asked.resolution].micros ?? 0) / (price?.media ?? 1);
    return { inputTokens, textTokens: 4_096, mediaTokens: Math.round(Math.ceil(asked.seconds) * perSecond) };
  }

  it('is never below what is likely, nor below what can be metered', () => {
    fc.assert(
      fc.property(job, (one) => {
        const { micros, mostMicros = 0 } = quoteRequest(one.request, one.models);
        const metered = meteredCost(one.request.kind, one.models[one.request.kind], usageOf(one)).micros;
        assert.ok(micros <= mostMicros && metered * one.request.count <= mostMicros, `${metered} of ${mostMicros}`);
      }),
    );
  });

  it('is held, so that no order of jobs, however metered, passes a budget', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3_000_000 }), fc.array(job, { maxLength: 40 }), (limitMicros, jobs) => {
        const limits = new Map([['gemini' as const, limitMicros]]);
        const open: { readonly held: number; readonly actual: number }[] = [];
        let spent = 0;
        const uses = () => {
          const gemini = { ...nothing, gemini: spent };
          const held = { ...nothing, gemini: open.reduce((sum, one) => sum + one.held, 0) };
          return usesOf(limits, { spent: { session: gemini, day: gemini, month: gemini }, held });
        };
        for (const one of jobs) {
          const held = quoteRequest(one.request, one.models).mostMicros ?? 0;
          const [input, text, media] = one.shares;
          const most = usageOf(one);
          const usage = {
            inputTokens: Math.floor(most.inputTokens * input),
            textTokens: Math.floor(most.textTokens * text),
            mediaTokens: Math.floor(most.mediaTokens * media),
          };
          const actual = meteredCost(one.request.kind, one.models[one.request.kind], usage).micros * one.request.count;
          if (forbidding(uses(), 'gemini', held) === undefined) open.push({ held, actual });
          for (const done of open.splice(0, one.settles)) spent += done.actual;
          assert.ok(spent <= limitMicros, `${spent} of ${limitMicros}`);
        }
        for (const done of open) spent += done.actual;
        assert.ok(spent <= limitMicros, `${spent} of ${limitMicros}`);
      }),
    );
  });
});
