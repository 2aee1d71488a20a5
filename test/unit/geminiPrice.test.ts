import assert from 'node:assert/strict';
import { actualCost, estimateImage, estimateVideo, geminiPrices } from '../../src/core/gemini/price.ts';

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
    assert.deepEqual(estimateVideo(video, geminiPrices), { micros: 304_080, basis: 'documented' });
    assert.equal(estimateVideo({ ...video, resolution: '360p' }, geminiPrices)?.basis, 'recorded');
  });

  it('prices what was metered', () => {
    const usage = { inputTokens: 20, textTokens: 0, mediaTokens: 17_376 };
    assert.equal(actualCost(video.model, usage, geminiPrices)?.micros, 304_110);
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
