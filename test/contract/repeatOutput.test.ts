import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readSidecar } from '../../src/core/outputs/sidecar.ts';
import { encodePng } from '../../src/sim/comfy/media/png.ts';
import { newFrame } from '../../src/sim/comfy/media/frame.ts';
import { repeatOf } from '../../src/ui/outputs/repeatOf.ts';
import { job, openWorld, samplerWorkflow } from './world.ts';
import type { World } from './world.ts';

const quiet = (): void => undefined;

/** With an input file beside it, and the checkpoint of whoever runs it. */
const imageToImage = {
  ...samplerWorkflow(),
  '4': { class_type: 'VAEEncode', inputs: { pixels: ['9', 0], vae: ['1', 2] } },
  '9': { class_type: 'LoadImage', inputs: { image: 'source.png' } },
};

describe('an output that is repeated', () => {
  let world: World;
  beforeEach(async () => {
    world = await openWorld();
    await writeFile(path.join(world.folder, 'source.png'), encodePng(newFrame(64, 64)));
  });
  afterEach(() => world.close());

  async function make(): Promise<string> {
    const wanted = job(imageToImage, { inputFolder: world.folder });
    const { outputs } = await world.core.jobs.run(wanted, quiet, world.signal);
    return outputs[0]!.path;
  }

  async function repeat(made: string): Promise<string> {
    const wanted = repeatOf({ path: made, sidecar: await readSidecar(made) }, (folder) => folder === world.folder);
    const outcome = await world.core.jobs.run({ ...job(), ...wanted }, quiet, world.signal);
    return outcome.backend;
  }

  it('runs on a backend that has neither its input file nor its checkpoint by that name', async () => {
    const made = await make();
    world.podId = world.sim.runpod.seedPod({ name: 'p' }).id;
    world.settings = { ...world.settings, 'local.enabled': false, 'gemini.enabled': false };
    assert.equal(await repeat(made), 'cloud');
  });

  it('can have been made by Gemini, which ran no graph', async () => {
    world.consent = () => Promise.resolve(true);
    world.settings = { ...world.settings, 'routing.forced': 'gemini' };
    const made = await make();
    const { workflow, request, inputs, times } = await readSidecar(made);
    assert.deepEqual([inputs.prompt, inputs.negative, inputs.steps], ['a lighthouse at dawn', 'blurry', 12]);
    assert.equal(workflow, null);
    assert.deepEqual(request, { workflow: imageToImage, inputFolder: '..' });
    assert.ok(times.startedAt !== null && times.startedAt >= times.requestedAt && times.startedAt <= times.finishedAt);
    world.settings = { ...world.settings, 'routing.forced': 'none' };
    assert.equal(await repeat(made), 'local');
  });

  it('sends no file from outside of the workspace, whatever its record says', async () => {
    const made = await make();
    const sidecar = await readSidecar(made);
    for (const inputFolder of ['../../elsewhere', '/etc']) {
      const story = { ...sidecar, request: { workflow: imageToImage, inputFolder } };
      assert.throws(
        () => repeatOf({ path: made, sidecar: story }, (folder) => folder === world.folder),
        /not in this workspace/,
      );
    }
  });

  it('of an older version is run as it ran', async () => {
    const made = await make();
    const { request: _, ...sidecar } = await readSidecar(made);
    assert.deepEqual(
      repeatOf({ path: made, sidecar }, () => false),
      { label: path.basename(made), workflow: sidecar.workflow },
    );
  });
});
