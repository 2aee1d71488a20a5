// What old, broken and false servers answer in ComfyUI's place: nothing is lost, and nothing is paid for that need not be.
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { Fault } from '../../src/core/kernel/fault.ts';
import { job, openWorld, smallWorkflow } from './world.ts';
import type { World, WorldOptions } from './world.ts';

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  const error = await work.then(
    () => assert.fail('It succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Fault, String(error));
  return error;
}

describe('a job on an odd local ComfyUI', () => {
  let world: World;
  const open = async (options: WorldOptions = {}): Promise<void> => {
    world = await openWorld(options);
    world.settings = { ...world.settings, 'gemini.enabled': false };
  };
  const run = (workflow = smallWorkflow()) => world.core.jobs.run(job(workflow), () => undefined, world.signal);
  const outputs = (): Promise<string[]> => readdir(path.join(world.folder, 'generated')).catch(() => []);
  afterEach(() => world.close());

  it('a web page in place of the file: the file is asked for again, and no page is ever saved as a picture', async () => {
    await open();
    world.sim.local.control.faults = { html200: { path: '/view', times: 2 } };
    const outcome = await run();
    const bytes = await readFile(outcome.outputs[0]!.path);
    assert.deepEqual(bytes, Buffer.from(world.sim.local.file('output', '', 'test_00001_.png')!));
    world.sim.local.control.faults = { html200: { path: '/view' } };
    const fault = await faultOf(run());
    assert.match(fault.message, /A web page came instead of 'test_0000\d_\.png'/);
    assert.equal((await outputs()).filter((name) => name.endsWith('.png')).length, 1);
  });
});
