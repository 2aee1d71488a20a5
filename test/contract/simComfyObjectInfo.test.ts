import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import type { ComfyProfile } from '../../src/sim/comfy/profile.ts';
import { fetchView, getJson, Listener, runPrompt, startSim } from './simComfyHarness.ts';
import type { Graph, Loose } from './simComfyHarness.ts';

const contracts = new URL('../../../shared/contracts/comfyui/', import.meta.url);
const subsets: Readonly<Record<ComfyProfile, string>> = {
  '0.3.64': 'object_info.subset.0.3.64.json',
  '0.8.0': 'object_info.subset.0.8.0.json',
  '0.33.0': 'object_info.subset.json',
};
const profiles = Object.keys(subsets) as ComfyProfile[];

describe('node definitions of the simulated ComfyUI against recorded ones', function () {
  before(function () {
    if (existsSync(contracts)) return;
    console.log('      skipped: the recordings of real servers (../shared/contracts) are not here');
    this.skip();
  });

  for (const profile of profiles) {
    it(`are those of ${profile}, class by class`, async () => {
      const recorded = JSON.parse(readFileSync(new URL(subsets[profile], contracts), 'utf8')) as Record<string, Loose>;
      const sample = JSON.parse(readFileSync(new URL('models.sample.json', contracts), 'utf8'));
      const run = await startSim({ profile, models: sample.folders, inputs: { 'face.png': new Uint8Array(8) } });
      try {
        const info = (await getJson(run.base, '/object_info')) as Record<string, Loose>;
        const differences = Object.keys(info).flatMap((name) => {
          if (recorded[name] === undefined) return [`${name} is not recorded`];
          try {
            assert.deepEqual(withoutFiles(info[name]), withoutFiles(recorded[name]));
            return [];
          } catch (error) {
            return [`${name}: ${(error as Error).message}`];
          }
        });
        assert.deepEqual(differences, []);
        assert.ok(Object.keys(info).length >= 20);
      } finally {
        await run.stop();
      }
    });
  }
});

/** Lists of samplers and files depend on what is installed: that they are lists is compared, not what they hold. */
function withoutFiles(info: Loose): Loose {
  const copy = structuredClone(info);
  for (const section of [copy.input.required, copy.input.optional]) {
    for (const [name, spec] of Object.entries<Loose>(section ?? {})) {
      if (!/^(image|.*_name|sampler_name|scheduler)$/.test(name)) continue;
      if (Array.isArray(spec[0])) spec[0] = 'a list';
      else if (Array.isArray(spec[1]?.options)) spec[1].options = 'a list';
    }
  }
  return copy;
}

describe('moving pictures of the simulated ComfyUI', () => {
  const graph = (save: string, inputs: Record<string, unknown>, amount: number): Graph => ({
    '1': { class_type: 'EmptyImage', inputs: { width: 8, height: 6, batch_size: 1, color: 0x102030 } },
    '2': { class_type: 'RepeatImageBatch', inputs: { image: ['1', 0], amount } },
    '3': { class_type: save, inputs: { images: ['2', 0], filename_prefix: 'moving', fps: 6, ...inputs } },
  });

  for (const profile of profiles) {
    it(`are valid files with their graph inside, as ${profile} writes them`, async () => {
      const run = await startSim({ profile });
      const listener = await Listener.open(run.base, 'client-a');
      try {
        const webp = graph('SaveAnimatedWEBP', { lossless: true, quality: 80, method: 'default' }, 3);
        const first = await runPrompt(run.base, listener, webp, 'client-a');
        assert.deepEqual(first.outputs['3'].animated, [true]);
        const bytes = await fetchView(run.base, first.outputs['3'].images[0]);
        assert.equal(bytes.toString('latin1', 8, 16), 'WEBPVP8X');
        assert.equal(bytes.toString('latin1').split('ANMF').length - 1, 3);
        assert.equal(bytes.readUInt32LE(4) + 8, bytes.length);
        assert.ok(bytes.includes('prompt:{"1": {'));

        const apng = graph('SaveAnimatedPNG', { compress_level: 4 }, 2);
        const second = await runPrompt(run.base, listener, apng, 'client-a');
        const png = await fetchView(run.base, second.outputs['3'].images[0]);
        assert.deepEqual(
          pngChunks(png).map(({ type }) => type),
          ['IHDR', 'acTL', 'fcTL', 'IDAT', 'fcTL', 'fdAT', 'comf', 'IEND'],
        );
        const row = inflateSync(pngChunks(png).find(({ type }) => type === 'IDAT')!.data);
        assert.equal(row.length, 6 * (1 + 8 * 3));
      } finally {
        await listener.close();
        await run.stop();
      }
    });
  }
});

function pngChunks(png: Buffer): readonly { readonly type: string; readonly data: Buffer }[] {
  const chunks: { type: string; data: Buffer }[] = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    chunks.push({
      type: png.toString('latin1', at + 4, at + 8),
      data: png.subarray(at + 8, at + 8 + png.readUInt32BE(at)),
    });
  }
  return chunks;
}
