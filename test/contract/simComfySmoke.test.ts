import assert from 'node:assert/strict';
import { decode } from 'fast-png';
import {
  fetchView,
  getJson,
  invertGraph,
  Listener,
  runPrompt,
  sd15Graph,
  startSim,
  type Loose,
  type Running,
} from './simComfyHarness.ts';

describe('simulated ComfyUI: a first picture', () => {
  let run: Running;
  let listener: Listener;

  beforeEach(async () => {
    run = await startSim();
    listener = await Listener.open(run.base, 'client-a');
  });

  afterEach(async () => {
    await listener.close();
    await run.stop();
  });

  it('says who it is and what it has', async () => {
    const stats = await getJson(run.base, '/system_stats');
    assert.equal(stats.system.comfyui_version, '0.33.0');
    assert.match(stats.devices[0].name, /^cuda:0 NVIDIA GeForce RTX 3090/);
    const info = await getJson(run.base, '/object_info/CheckpointLoaderSimple');
    assert.deepEqual(info.CheckpointLoaderSimple.input.required.ckpt_name[0], ['v1-5-pruned-emaonly-fp16.safetensors']);
    assert.equal((await fetch(`${run.base}/health`)).status, 404);
  });

  it('computes real pixels: an inverted colour is the opposite colour', async () => {
    const entry = await runPrompt(run.base, listener, invertGraph(0x102030), 'client-a');
    assert.equal(entry.status.status_str, 'success');
    const png = decode(await fetchView(run.base, entry.outputs['3'].images[0]));
    assert.deepEqual([png.width, png.height], [16, 16]);
    assert.deepEqual([...png.data.slice(0, 3)], [0xef, 0xdf, 0xcf]);
    const texts = (png as Loose).text as Record<string, string>;
    assert.deepEqual(JSON.parse(texts['prompt']!), invertGraph(0x102030));
  });

  it('sends the frames of a fresh run in the order of a real server', async () => {
    const { promptId } = await runPrompt(run.base, listener, invertGraph(), 'client-a');
    assert.deepEqual(listener.sequence, [
      'status 0',
      'status 1',
      'status 1',
      'execution_start',
      'execution_cached',
      ...['1', '2'].flatMap((id) => ['progress_state', `executing ${id}`, 'progress_state']),
      'progress_state',
      'executing 3',
      'executed 3',
      'progress_state',
      'execution_success',
      'status 0',
      'executing null',
    ]);
    assert.equal(listener.frames.at(-1)?.data.prompt_id, promptId);
  });

  it('paints a text-to-image graph, with progress and previews per step', async () => {
    const entry = await runPrompt(run.base, listener, sd15Graph({ steps: 4 }), 'client-a');
    const progress = listener.frames.filter((frame) => frame.type === 'progress');
    assert.deepEqual(
      progress.map((frame) => frame.data.value),
      [1, 2, 3, 4],
    );
    assert.equal(listener.frames.filter((frame) => frame.event === 1).length, 4);
    const first = await fetchView(run.base, entry.outputs['9'].images[0]);
    const again = await runPrompt(run.base, listener, sd15Graph({ steps: 4, seed: 2 }), 'client-a');
    assert.notDeepEqual(await fetchView(run.base, again.outputs['9'].images[0]), first);
  });
});
