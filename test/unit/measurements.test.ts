import assert from 'node:assert/strict';
import { parseWorkflow } from '../../src/core/comfy/workflow.ts';
import { fingerprintOf } from '../../src/core/queue/fingerprint.ts';
import { assumedSpeed, gpuKey } from '../../src/core/queue/gpuSpeed.ts';
import {
  newestQuantile,
  predict,
  readRuns,
  remainingSeconds,
  weightedMedian,
} from '../../src/core/queue/measurements.ts';

const dayMs = 24 * 3_600_000;
const nowMs = 100 * dayMs;

function run(fingerprint: string, gpu: string, seconds: number, ageDays = 0) {
  return { fingerprint, gpu, seconds, atMs: nowMs - ageDays * dayMs };
}

describe('measured run times', () => {
  it('are medians of the newest twenty', () => {
    const old = Array.from({ length: 30 }, () => run('image', 'RTX 4090', 100, 2));
    const fresh = Array.from({ length: 20 }, (_, index) => run('image', 'RTX 4090', 10 + index, 1));
    const book = readRuns([...fresh, ...old], nowMs);
    assert.deepEqual(predict(book, 'image', 'RTX 4090'), { seconds: 19.5, basis: 'measured', samples: 20 });
  });

  it('let an old run count for less: half after seven days', () => {
    const runs = [run('image', 'RTX 4090', 40, 15), run('image', 'RTX 4090', 40, 15), run('image', 'RTX 4090', 10)];
    assert.equal(predict(readRuns(runs, nowMs), 'image', 'RTX 4090').seconds, 10);
  });

  it('are scaled from another GPU, by its measured speed where there is one', () => {
    const assumed = readRuns([run('image', 'RTX 3090', 40)], nowMs);
    assert.deepEqual(predict(assumed, 'image', 'RTX 4090'), { seconds: 20, basis: 'scaled', samples: 1 });
    // Another workflow has shown this 4090 to be four times as fast as the 3090, not twice.
    const measured = readRuns(
      [run('image', 'RTX 3090', 40), run('video', 'RTX 3090', 400), run('video', 'RTX 4090', 100)],
      nowMs,
    );
    const ratio = predict(measured, 'image', 'RTX 3090').seconds / predict(measured, 'image', 'RTX 4090').seconds;
    assert.ok(Math.abs(ratio - 4) < 0.01, `ratio ${ratio}`);
  });

  it('are said to be assumed while nothing has run', () => {
    const guess = predict(readRuns([], nowMs), 'image', 'RTX 4090');
    assert.deepEqual(guess, { seconds: 10, basis: 'assumed', samples: 0 });
  });

  it('ignore what is no time', () => {
    const runs = [run('image', 'RTX 3090', Number.NaN), run('image', 'RTX 3090', 0), run('image', 'RTX 3090', 30)];
    assert.equal(predict(readRuns(runs, nowMs), 'image', 'RTX 3090').seconds, 30);
  });

  it('leave a run that is late some time still', () => {
    assert.equal(remainingSeconds(60, 20), 40);
    assert.equal(remainingSeconds(60, 80), 20);
    assert.equal(remainingSeconds(0, 0), 1);
  });

  it('give quantiles of the newest, and the fall-back for none', () => {
    assert.equal(newestQuantile([], 0.75, 240), 240);
    assert.equal(newestQuantile([100, 200, 300, 400], 0.75, 240), 400);
    assert.equal(weightedMedian([]), 0);
  });
});

describe('a workflow fingerprint', () => {
  const graph = (change: (text: string) => string = (text) => text): string =>
    change(
      JSON.stringify({
        '1': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'sdxl/base.safetensors' } },
        '2': { class_type: 'EmptyLatentImage', inputs: { width: 1024, height: 1024, batch_size: 1 } },
        '3': { class_type: 'CLIPTextEncode', inputs: { text: 'a lighthouse', clip: ['1', 1] } },
        '4': { class_type: 'KSampler', inputs: { seed: 18446744073709550000, steps: 30, model: ['1', 0] } },
      }),
    );
  const keyOf = (text: string): string => fingerprintOf(parseWorkflow(text)).key;

  it('leaves out seeds, texts and node ids', () => {
    const same = [
      graph((text) => text.replace('lighthouse', 'castle')),
      graph((text) => text.replace(/"seed":\d+/, '"seed":7')),
      graph((text) => text.replace('"2":', '"22":')),
      graph((text) => text.replace('"steps":30', '"steps":32')),
      graph((text) => text.replace('sdxl/base', 'sdxl\\\\base')),
    ];
    for (const text of same) assert.equal(keyOf(text), keyOf(graph()), text);
  });

  it('tells apart models, sizes, steps and nodes', () => {
    const others = [
      graph((text) => text.replace('sdxl/base', 'sd15/base')),
      graph((text) => text.replace('"width":1024', '"width":512')),
      graph((text) => text.replace('"steps":30', '"steps":8')),
      graph((text) => text.replace('"batch_size":1', '"batch_size":4')),
      graph((text) => text.replace('EmptyLatentImage', 'EmptySD3LatentImage')),
    ];
    assert.equal(new Set([graph(), ...others].map(keyOf)).size, 6);
  });

  it('names the models', () => {
    assert.deepEqual(fingerprintOf(parseWorkflow(graph())).models, ['sdxl/base.safetensors']);
  });
});

describe('GPU names', () => {
  it('are one for one card, whoever writes them', () => {
    const names = ['NVIDIA GeForce RTX 4090', 'cuda:0 NVIDIA GeForce RTX 4090 : cudaMallocAsync', 'RTX 4090'];
    assert.deepEqual(names.map(gpuKey), ['RTX 4090', 'RTX 4090', 'RTX 4090']);
    assert.equal(gpuKey(undefined), 'unknown GPU');
  });

  it('have an assumed speed each, a modest one when unlisted', () => {
    assert.equal(assumedSpeed('NVIDIA GeForce RTX 3090'), 1);
    assert.equal(assumedSpeed('NVIDIA RTX 6000 Ada Generation'), 1.8);
    assert.ok(assumedSpeed('NVIDIA H100 80GB HBM3') > assumedSpeed('NVIDIA L4'));
    assert.equal(assumedSpeed('Voodoo 2'), 0.7);
  });
});
