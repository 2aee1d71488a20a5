import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createLocalBackend } from '../../src/core/backends/comfyBackend.ts';
import type { JobRequest } from '../../src/core/backends/backend.ts';
import { formatUsd, formatUsdPerHour, machineQuote, podTimeMicros } from '../../src/core/cost/price.ts';
import { roughQuote } from '../../src/core/gemini/geminiQuote.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';

const video: JobRequest = { id: '1', label: 'clip', workflow: {}, media: 'video', localOnly: false };

describe('prices', () => {
  it('should calculate video generation cost', () => {
    const one = machineQuote('video');
    assert.equal(one.micros, 20_000, 'of an RTX 3090 at $0.24 an hour that makes 12 an hour');
    assert.equal(formatUsd(100 * one.micros), '$2.00');
  });

  it('should calculate hourly cost', () => {
    assert.equal(podTimeMicros(340_000, 3_600_000), 340_000);
    assert.equal(podTimeMicros(240_000, 1_000), 67);
    assert.equal(podTimeMicros(0, 3_600_000), 0);
  });

  it('should estimate cost for local, cloud and gemini', () => {
    const quiet = (): void => undefined;
    const local = createLocalBackend({
      clock: systemClock,
      log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
      newId: () => '',
      client: () => undefined,
      comfyAt: () => assert.fail('Nothing is asked'),
      enabled: () => true,
      checkpoint: () => undefined,
    });
    assert.deepEqual(local.quote(video), { micros: 0, basis: 'your own machine' });
    assert.deepEqual(machineQuote('video'), { micros: 20_000, basis: '300 s at $0.24/h, time and price assumed' });
    assert.equal(machineQuote('image').micros, 2_000);
    const gemini = roughQuote('video', { image: 'gemini-nano-banana-2.1', video: 'gemini-omni-1.1-flash' });
    assert.equal(gemini.micros, 506_800);
    assert.match(gemini.basis, /1 × clip of 5 s, by Google's price list/);
  });

  it('replaces the assumed rate by the price of the pod, and by what was measured', () => {
    assert.deepEqual(machineQuote('video', 480_000), { micros: 40_000, basis: '300 s at $0.48/h, time assumed' });
    assert.deepEqual(machineQuote('video', 480_000, 75), { micros: 10_000, basis: '75 s at $0.48/h, as measured' });
    assert.deepEqual(machineQuote('image', undefined, 7.5), { micros: 500, basis: '7.5 s at $0.24/h, price assumed' });
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
