// Against a real ComfyUI, where there is one: PODRELAY_REAL_COMFY=http://127.0.0.1:8188 npm run contract
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { encode } from 'fast-png';
import type { Workflow } from '../../src/core/comfy/workflow.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import { openClient } from './comfyClientWorld.ts';
import type { ClientWorld } from './comfyClientWorld.ts';
import { job, openWorld } from './world.ts';
import type { World } from './world.ts';

const address = process.env.PODRELAY_REAL_COMFY ?? '';

/** A colour that no run had before: the server answers an identical graph from its cache. */
const newColor = (): number => Math.floor(Math.random() * 0xffffff);
const emptyImage = (size = 64) => ({
  class_type: 'EmptyImage',
  inputs: { width: size, height: size, batch_size: 1, color: newColor() },
});
const save = (from: string) => ({
  class_type: 'SaveImage',
  inputs: { images: [from, 0], filename_prefix: 'podrelay/real' },
});
const scale = (from: string, size: number) => ({
  class_type: 'ImageScale',
  inputs: { image: [from, 0], upscale_method: 'lanczos', width: size, height: size, crop: 'disabled' },
});

/** Some seconds of work in steps of a fraction of a second: a run is interrupted between nodes. */
function longGraph(steps = 40): Workflow {
  const nodes: Record<string, Workflow[string]> = { '0': emptyImage(1024) };
  for (let n = 1; n <= steps; n++) nodes[String(n)] = scale(String(n - 1), 1500 + n);
  return { ...nodes, end: save(String(steps)) };
}

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  const error = await work.then(
    () => assert.fail('It succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Fault, String(error));
  return error;
}

describe('a real ComfyUI', function () {
  this.timeout(120_000);
  let real: ClientWorld;
  let world: World;

  before(async function () {
    if (address === '') {
      console.log('      skipped: PODRELAY_REAL_COMFY names no server');
      this.skip();
    }
    real = openClient(address);
    world = await openWorld({ localComfyUrl: address });
    world.settings = { ...world.settings, 'routing.forced': 'local' };
  });
  after(async () => {
    if (address === '') return;
    await real.close();
    await world.close();
  });
  const fetched = async (file: Parameters<ClientWorld['client']['download']>[0]): Promise<Buffer> => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of (await real.client.download(file, real.signal)).body) chunks.push(chunk);
    return Buffer.concat(chunks);
  };

  it('is healthy, and says its version and its machine', async () => {
    const health = await world.core.backends.check('local', world.signal);
    assert.equal(health.state, 'healthy', health.why);
    assert.match(health.version ?? '', /^\d+\.\d+\.\d+/);
    assert.notEqual(health.gpu, undefined);
    assert.equal(typeof health.queueLength, 'number');
  });

  it('generates through the whole core, to a file', async () => {
    const graph = {
      '1': emptyImage(),
      '2': { class_type: 'ImageInvert', inputs: { image: ['1', 0] } },
      '3': save('2'),
    };
    const outcome = await world.core.jobs.run(job(graph), () => undefined, world.signal);
    assert.equal(outcome.backend, 'local');
    assert.deepEqual([...(await readFile(outcome.outputs[0]!.path)).subarray(0, 4)], [0x89, 0x50, 0x4e, 0x47]);
    assert.equal(outcome.micros, 0);
  });

  it('makes an animated WebP', async () => {
    const { files } = await real.run({
      '1': emptyImage(),
      '2': { class_type: 'RepeatImageBatch', inputs: { image: ['1', 0], amount: 3 } },
      '3': {
        class_type: 'SaveAnimatedWEBP',
        inputs: {
          images: ['2', 0],
          filename_prefix: 'podrelay/real',
          fps: 6,
          lossless: true,
          quality: 80,
          method: 'default',
        },
      },
    });
    assert.equal(files.length, 1);
    assert.equal((await fetched(files[0]!)).subarray(8, 12).toString(), 'WEBP');
  });

  it('takes an upload, renames it where it must, and loads it', async () => {
    const picture = (tint: number): Uint8Array<ArrayBuffer> =>
      Uint8Array.from(encode({ width: 8, height: 8, channels: 3, data: new Uint8Array(192).fill(tint) }));
    const name = `podrelay-${randomUUID()}.png`;
    const first = await real.client.upload({ name, bytes: picture(10), mimeType: 'image/png' }, real.signal);
    const second = await real.client.upload({ name, bytes: picture(200), mimeType: 'image/png' }, real.signal);
    assert.equal(first, name);
    assert.notEqual(second, first);
    const { files } = await real.run({
      '1': { class_type: 'LoadImage', inputs: { image: second } },
      '2': scale('1', 16),
      '3': save('2'),
    });
    assert.equal(files.length, 1);
  });

  it('reports progress node by node', async () => {
    const { seen } = await real.run(longGraph(8));
    assert.ok(new Set(seen.map(({ node }) => node)).has('ImageScale'));
    const fractions = seen.flatMap(({ fraction }) => (fraction === undefined ? [] : [fraction]));
    assert.deepEqual(fractions, [...fractions].sort(), 'and never goes back');
    assert.ok(Math.max(...fractions) > 0.5);
  });

  it('answers an identical prompt from its cache, with the same file', async () => {
    const graph: Workflow = { '1': emptyImage(), '2': save('1') };
    const first = await real.run(graph);
    const second = await real.run(graph);
    assert.deepEqual(second.files, first.files);
  });

  it('runs two at once, each to its own files', async () => {
    const graphs = [1, 2].map((): Workflow => ({ '1': emptyImage(), '2': scale('1', 700), '3': save('2') }));
    const [a, b] = await Promise.all(graphs.map((graph) => real.run(graph)));
    assert.notEqual(a!.files[0]!.filename, b!.files[0]!.filename);
  });

  it('names node and reason when a node fails', async () => {
    const bytes = Uint8Array.from(Buffer.from('this is no picture'));
    const name = await real.client.upload(
      { name: `podrelay-${randomUUID()}.png`, bytes, mimeType: 'image/png' },
      real.signal,
    );
    const fault = await faultOf(
      real.run({ '1': { class_type: 'LoadImage', inputs: { image: name } }, '2': save('1') }),
    );
    assert.equal(fault.kind, 'jobFailed');
    assert.match(fault.message, /LoadImage \(node 1\): cannot identify image file/);
  });

  it('refuses a wrong input with its node and field, before anything runs', async () => {
    const wrong = await faultOf(real.run({ '1': { ...emptyImage(-5) }, '2': save('1') }));
    assert.equal(wrong.kind, 'rejected');
    assert.match(wrong.message, /EmptyImage \(node 1\)/);
    assert.ok(['width', 'height'].includes(wrong.facts.input ?? ''));
    const value = await faultOf(
      real.run({ '1': { class_type: 'LoadImage', inputs: { image: 'not-there.png' } }, '2': save('1') }),
    );
    assert.match(value.message, /LoadImage \(node 1\).*not-there\.png/);
    const list = await faultOf(
      real.run({
        '1': emptyImage(),
        '2': { class_type: 'ImageScale', inputs: { ...scale('1', 9).inputs, upscale_method: 'magic' } },
        '3': save('2'),
      }),
    );
    assert.equal(list.kind, 'mismatch');
    assert.match(list.message, /ImageScale \(node 2\).*magic/);
  });

  it('names a node that it lacks', async () => {
    const graph: Workflow = { '1': emptyImage(), '2': save('1'), '3': { class_type: 'NoSuchNode', inputs: {} } };
    const fault = await faultOf(real.run(graph));
    assert.equal(fault.kind, 'mismatch');
    assert.match(fault.message, /NoSuchNode/);
    const told = await faultOf(world.core.jobs.run(job(graph), () => undefined, world.signal));
    assert.match(told.message, /NoSuchNode is not installed/);
  });

  it('tells a broken branch of an accepted prompt, and runs nothing of it', async () => {
    const graph: Workflow = {
      '1': emptyImage(),
      '2': save('1'),
      '3': { class_type: 'SaveImage', inputs: { images: ['1', 0] } },
    };
    const fault = await faultOf(real.run(graph));
    assert.equal(fault.kind, 'rejected');
    assert.match(fault.message, /SaveImage \(node 3\).*filename_prefix/);
  });

  it('cancels a running prompt, and it only', async () => {
    const stop = new AbortController();
    const promptId = randomUUID();
    const cancelled = real.run(
      longGraph(),
      {
        promptId,
        onProgress: ({ fraction }) => {
          if ((fraction ?? 0) > 0.1) stop.abort(new Fault('cancelled', 'Cancelled'));
        },
      },
      stop.signal,
    );
    const other = real.run({ '1': emptyImage(), '2': save('1') });
    assert.equal((await faultOf(cancelled)).kind, 'cancelled');
    assert.equal((await other).files.length, 1);
    const where = await real.client.find(promptId, real.signal);
    assert.equal(where.at, 'finished', 'as an interrupted one');
  });

  it('cancels a waiting prompt, which leaves nothing behind', async () => {
    const first = real.run(longGraph(12));
    const stop = new AbortController();
    const promptId = randomUUID();
    const second = real.run(
      { '1': emptyImage(), '2': save('1') },
      {
        promptId,
        onProgress: ({ phase }) => {
          if (phase === 'queued') stop.abort(new Fault('cancelled', 'Cancelled'));
        },
      },
      stop.signal,
    );
    assert.equal((await faultOf(second)).kind, 'cancelled');
    assert.deepEqual(await real.client.find(promptId, real.signal), { at: 'unknown' });
    assert.equal((await first).files.length, 1);
  });
});
