import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { Fault } from '../../src/core/kernel/fault.ts';
import { job, openWorld, samplerWorkflow, smallWorkflow } from './world.ts';
import type { World } from './world.ts';
import type { JobProgress } from '../../src/core/backends/backend.ts';

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  const error = await work.then(
    () => assert.fail('It succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Fault, String(error));
  return error;
}

describe('a job on the local ComfyUI', () => {
  let world: World;
  beforeEach(async () => (world = await openWorld()));
  afterEach(() => world.close());
  const quiet = (): void => undefined;

  it('ends as a PNG in the output folder', async () => {
    const outcome = await world.core.jobs.run(job(), quiet, world.signal);
    assert.equal(outcome.backend, 'local');
    assert.equal(outcome.micros, 0);
    const bytes = await readFile(outcome.outputs[0]!.path);
    assert.deepEqual([...bytes.subarray(1, 4)], [...Buffer.from('PNG')]);
    assert.equal(path.dirname(outcome.outputs[0]!.path), path.join(world.folder, 'generated'));
    assert.equal(world.done.length, 1);
  });

  it('reports percent, node and preview while a sampler works, and fills in the first checkpoint', async () => {
    const seen: JobProgress[] = [];
    await world.core.jobs.run(job(samplerWorkflow()), (progress) => seen.push(progress), world.signal);
    assert.ok(seen.some(({ node, fraction }) => node === 'KSampler' && fraction !== undefined && fraction > 0));
    assert.ok(seen.some(({ preview }) => preview !== undefined && preview.bytes.length > 100));
    const submitted = world.sim.local.requests.filter(
      ({ method, path: at }) => method === 'POST' && at.endsWith('/prompt'),
    );
    assert.equal(submitted.length, 1);
  });

  it('two runs at the same time each get their own files', async () => {
    const runs = [0xff0000, 0x00ff00, 0x0000ff].map((color) =>
      world.core.jobs.run(job(smallWorkflow(color, 'same')), quiet, world.signal),
    );
    const paths = (await Promise.all(runs)).map(({ outputs }) => outputs[0]!.path);
    assert.equal(new Set(paths).size, 3);
    const contents = await Promise.all(paths.map(async (file) => (await readFile(file)).toString('base64')));
    assert.equal(new Set(contents).size, 3);
  });

  it('a cached prompt, whose events precede the reply, ends too', async () => {
    await world.core.jobs.run(job(), quiet, world.signal);
    const outcome = await world.core.jobs.run(job(), quiet, world.signal);
    assert.equal(outcome.outputs.length, 1);
  });

  it('a WebSocket that goes mute does not hold up the result', async () => {
    world.sim.local.control.faults = { wsMute: true };
    assert.equal((await world.core.jobs.run(job(), quiet, world.signal)).outputs.length, 1);
  });

  it('a WebSocket that sends garbage does no harm', async () => {
    world.sim.local.control.faults = { wsGarbage: true };
    assert.equal((await world.core.jobs.run(job(samplerWorkflow()), quiet, world.signal)).outputs.length, 1);
  });

  it('a refused WebSocket does not hold up the result', async () => {
    world.sim.local.control.faults = { wsReject: true };
    assert.equal((await world.core.jobs.run(job(), quiet, world.signal)).outputs.length, 1);
  });

  it('a lost reply to the submission is answered by asking, not by sending again', async () => {
    world.sim.local.control.faults = { lostReply: { times: 1 } };
    const outcome = await world.core.jobs.run(job(), quiet, world.signal);
    assert.equal(outcome.outputs.length, 1);
    const submitted = world.sim.local.requests.filter(
      ({ method, path: at }) => method === 'POST' && at.endsWith('/prompt'),
    );
    assert.equal(submitted.length, 1);
  });

  it('waits for a history entry that comes late', async () => {
    world.sim.local.control.faults = { historyDelayMs: 60_000 };
    assert.equal((await world.core.jobs.run(job(), quiet, world.signal)).outputs.length, 1);
  });

  it('names node and reason when a node fails, and tries no other backend', async () => {
    world.sim.local.control.faults = { failNode: { classType: 'SaveImage', message: 'disk is made of cheese' } };
    const startedAt = Date.now();
    const fault = await faultOf(world.core.jobs.run(job(), quiet, world.signal));
    assert.equal(fault.kind, 'jobFailed');
    assert.match(fault.message, /^local: Failed in SaveImage \(node 2\).*made of cheese/);
    assert.ok(Date.now() - startedAt < 2_000, 'a failure is known at once');
  });

  it('names the missing node, and the file name of a wrong value', async () => {
    const unknown = { ...smallWorkflow(), '3': { class_type: 'NoSuchNode', inputs: {} } };
    const missing = await faultOf(world.core.jobs.run(job(unknown), quiet, world.signal));
    assert.match(missing.message, /NoSuchNode is not installed/);
    const workflow = samplerWorkflow();
    workflow['1']!.inputs.ckpt_name = 'nowhere.safetensors';
    const wrong = await faultOf(world.core.jobs.run(job(workflow), quiet, world.signal));
    assert.match(wrong.message, /CheckpointLoaderSimple \(node 1\).*nowhere\.safetensors/);
  });

  it('a hostile output name stays in the folder', async () => {
    world.sim.local.control.faults = { filename: '../../evil.png' };
    const fault = await world.core.jobs.run(job(), quiet, world.signal).catch((error: unknown) => error);
    const left = await readdir(path.dirname(world.folder));
    assert.ok(!left.includes('evil.png'), String(fault));
  });

  it('cancel stops our prompt on the server, and only ours', async () => {
    const other = await fetch(`${world.sim.addresses.localComfyUrl}/prompt`, {
      method: 'POST',
      body: JSON.stringify({ prompt: samplerWorkflow(99, 2_000) }),
    }).catch((error: unknown) => assert.fail(String(error)));
    assert.equal(other.status, 400, 'an empty checkpoint is refused');
    const stop = new AbortController();
    const running = world.core.jobs.run(
      job(samplerWorkflow(1, 5_000)),
      ({ fraction }) => {
        if (fraction !== undefined && fraction > 0) stop.abort(new Fault('cancelled', 'Cancelled'));
      },
      stop.signal,
    );
    assert.equal((await faultOf(running)).kind, 'cancelled');
    assert.equal(world.core.jobs.running().length, 0);
    // The server looks for an interruption between two steps.
    for (const end = Date.now() + 3_000; world.sim.local.state().running !== undefined;) {
      assert.ok(Date.now() < end, 'the prompt still runs');
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });

  it('a server process that is gone is told within a second or two', async () => {
    const running = world.core.jobs.run(
      job(samplerWorkflow(3, 500)),
      ({ phase }) => {
        if (phase === 'Generating') void world.sim.setLocalOpen(false);
      },
      world.signal,
    );
    const startedAt = Date.now();
    const fault = await faultOf(running);
    assert.match(fault.message, /went away.*refused/);
    assert.ok(Date.now() - startedAt < 3_000, `${Date.now() - startedAt} ms`);
  });

  it('a server that dies while it runs the job is told as such', async () => {
    world.sim.local.control.faults = { acceptThenDie: { afterMs: 500, downMs: 400_000 } };
    const fault = await faultOf(world.core.jobs.run(job(samplerWorkflow(3, 500)), quiet, world.signal));
    assert.match(fault.message, /went away|no longer knows/);
  });
});
