import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  defaultCloudRate,
  estimateCost,
  formatUsd,
  formatUsdPerHour,
  podTimeMicros,
  videoCostMicros,
} from '../../src/core/cost/price.ts';

describe('prices', () => {
  it('should calculate video generation cost', () => {
    assert.equal(videoCostMicros(1, defaultCloudRate), 20_000);
    assert.equal(videoCostMicros(100, defaultCloudRate), 2_000_000);
    assert.equal(formatUsd(videoCostMicros(100, { usdPerHourMicros: 240_000, videosPerHour: 12 })), '$2.00');
  });

  it('should calculate hourly cost', () => {
    assert.equal(podTimeMicros(340_000, 3_600_000), 340_000);
    assert.equal(podTimeMicros(240_000, 1_000), 67);
    assert.equal(podTimeMicros(0, 3_600_000), 0);
  });

  it('should estimate cost for local, cloud and gemini', () => {
    assert.deepEqual(estimateCost('local', { videos: 1 }), { micros: 0, basis: 'free' });
    assert.deepEqual(estimateCost('cloud', { videos: 1 }), { micros: 20_000, basis: 'assumed' });
    assert.deepEqual(estimateCost('gemini', { videos: 2, listPriceMicros: 39_000 }), {
      micros: 78_000,
      basis: 'priceList',
    });
    assert.equal(estimateCost('gemini', { videos: 1 }), undefined);
  });

  it('replaces the assumed rate by the price of the pod, and by what was measured', () => {
    assert.deepEqual(estimateCost('cloud', { videos: 1, usdPerHourMicros: 480_000 }), {
      micros: 40_000,
      basis: 'assumed',
    });
    assert.deepEqual(estimateCost('cloud', { videos: 3, measuredMicros: [9_000, 1_000, 2_000] }), {
      micros: 6_000,
      basis: 'measured',
    });
    assert.equal(estimateCost('cloud', { videos: 1, measuredMicros: [1_000, 3_000] })?.micros, 2_000);
  });

  for (const [micros, text] of [
    [0, '$0.00'],
    [1, '<$0.001'],
    [499, '<$0.001'],
    [500, '$0.001'],
    [2_000, '$0.002'],
    [9_499, '$0.009'],
    [9_999, '$0.01'],
    [20_000, '$0.02'],
    [340_000, '$0.34'],
    [1_240_000, '$1.24'],
    [1_234_560_000, '$1234.56'],
    [-340_000, '-$0.34'],
    [-1, '-$0.001'],
    [Number.NaN, 'unknown'],
    [Number.POSITIVE_INFINITY, 'unknown'],
    [undefined, 'unknown'],
  ] as const) {
    it(`shows ${String(micros)} micro-dollars as ${text}`, () => assert.equal(formatUsd(micros), text));
  }

  it('never shows NaN, nor something as nothing', () => {
    assert.equal(formatUsdPerHour(340_000), '$0.34/h');
    assert.equal(formatUsdPerHour(undefined), 'unknown/h');
    fc.assert(
      fc.property(fc.double(), (micros) => {
        const text = formatUsd(micros);
        assert.match(text, /^(?:-?\$\d+\.\d{2,3}|<\$0\.001|unknown|-?\$\d.*e\+\d+)$/);
        if (micros !== 0) assert.notEqual(text, '$0.00');
      }),
    );
  });
});
