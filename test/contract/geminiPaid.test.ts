// What Gemini was paid for, or may have been, is neither ordered again nor lost.
import assert from 'node:assert/strict';
import type { JobProgress } from '../../src/core/backends/backend.ts';
import { AllBackendsFailed } from '../../src/core/backends/backendManager.ts';
import type { RecoveredJob } from '../../src/core/jobs/jobOutcome.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import type { Settings } from '../../src/core/settings.ts';
import { createJobStore } from '../../src/core/store/jobStore.ts';
import type { JobRecord } from '../../src/core/store/jobStore.ts';
import { newFrame } from '../../src/sim/comfy/media/frame.ts';
import { encodePng } from '../../src/sim/comfy/media/png.ts';
import { geminiReplies } from '../../src/sim/gemini/geminiErrors.ts';
import type { GeminiEffect, GeminiRoute } from '../../src/sim/gemini/geminiFaults.ts';
import { job, openWorld, samplerWorkflow } from './world.ts';
import type { World } from './world.ts';

const quiet = (): void => undefined;
const empty: GeminiEffect = { do: 'reply', status: 200, text: '', contentType: 'video/mp4' };

/** Of three seconds in 720p. */
function videoWorkflow(clips = 1): ReturnType<typeof samplerWorkflow> {
  const size = { width: 1280, height: 720, length: 73, batch_size: clips };
  return {
    ...samplerWorkflow(),
    '4': { class_type: 'EmptyHunyuanLatentVideo', inputs: size },
    '7': { class_type: 'CreateVideo', inputs: { images: ['6', 0], fps: 24 } },
    '8': { class_type: 'SaveVideo', inputs: { video: ['7', 0], filename_prefix: 'video/clip' } },
  };
}

describe('what Gemini is paid for', () => {
  let world: World;
  beforeEach(async () => {
    world = await openWorld();
    set({ 'gemini.fallback': 'always', 'routing.forced': 'gemini' });
  });
  afterEach(() => world.close());

  const set = (change: Partial<Settings>): void => void (world.settings = { ...world.settings, ...change });
  const sent = (route: GeminiRoute) => world.sim.gemini.requests.filter((request) => request.route === route);
  const script = (...entries: [GeminiRoute, GeminiEffect][]): void =>
    void (world.sim.gemini.faults.script = entries.map(([on, effect]) => ({ on, effect, times: 1 })));
  const run = (graph = videoWorkflow(), onProgress: (at: JobProgress) => void = quiet) =>
    world.core.jobs.run(job(graph, { media: graph['8'] === undefined ? 'image' : 'video' }), onProgress, world.signal);
  const faultOf = async (work: Promise<unknown>): Promise<Fault> => {
    const error = await work.then(
      () => assert.fail('It succeeded'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof Fault, String(error));
    return error;
  };
  const record = async (): Promise<JobRecord> => {
    const [newest] = await createJobStore(world.core.database, { owner: 'test' }).recent(1);
    return newest!;
  };
  const spent = async (): Promise<number> => {
    await world.core.ledger.refresh();
    const { spending } = world.core.ledger;
    assert.ok(spending.known);
    return spending.value.session.micros;
  };
  const held = async (): Promise<number> => {
    await world.core.budgets.refresh();
    assert.ok(world.core.budgets.uses.known);
    return world.core.budgets.uses.value.reduce((sum, { heldMicros }) => sum + heldMicros, 0);
  };
  /** What becomes of jobs that are put aside: how each ended, with its number of files; and when all of them have. */
  const recover = (): [() => unknown[], Promise<void>] => {
    const seen: RecoveredJob[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    world.core.recovery.onDidPark(() => resolve(world.core.recovery.watch((ended) => seen.push(ended), world.signal)));
    const told = () =>
      seen.map((ended) => [ended.state, ended.state === 'done' ? ended.outcome.outputs.length : ended.why]);
    return [told, promise];
  };

  it('a clip is had in spite of bad answers to its polls', async () => {
    script(
      ['video.get', geminiReplies.html(200)],
      ['video.get', { do: 'truncate' }],
      ['video.get', geminiReplies.error(401, 'Request had invalid authentication credentials.')],
      ['files.get', { do: 'truncate' }],
    );
    const { outputs, micros, basis } = await run();
    assert.equal(outputs.length, 1);
    assert.equal(sent('video.create').length, 1);
    assert.deepEqual([micros, basis], [world.sim.gemini.bill().totalMicros, 'measured']);
  });

  it('a clip stays with Google until it is here whole: an empty download deletes nothing', async () => {
    script(['files.download', empty]);
    const { outputs } = await run();
    assert.ok(outputs[0]!.bytes > 0);
    const routes = world.sim.gemini.requests.map(({ route }) => route);
    assert.deepEqual(
      routes.filter((route) => route === 'files.download' || route === 'video.delete'),
      ['files.download', 'files.download', 'video.delete'],
    );
  });

  it('no clip of a job is deleted before all of them are here: what is missing is fetched later', async () => {
    const plain: GeminiEffect = { do: 'contentType', value: 'video/mp4' };
    const [seen, recovered] = recover();
    script(
      ['files.download', plain],
      ...Array.from({ length: 3 }, (): [GeminiRoute, GeminiEffect] => ['files.download', empty]),
    );
    await faultOf(run(videoWorkflow(2)));
    assert.equal((await record()).outputs.length, 1);
    assert.equal(sent('video.delete').length, 0);
    await world.core.backends.check('gemini', world.signal);
    await recovered;
    assert.deepEqual(seen(), [['done', 2]]);
    assert.equal(sent('video.delete').length, 2);
    assert.equal(sent('video.create').length, 2);
    assert.equal(await spent(), world.sim.gemini.bill().totalMicros);
  });

  it('a clip that cannot be asked for is put aside, fetched once it can be, and counted once', async () => {
    set({ 'budget.sessionUsd': 5 });
    const [seen, recovered] = recover();
    // The first of the two is ready; it goes nowhere without the second.
    const fault = await faultOf(
      run(videoWorkflow(2), ({ phase }) => {
        if (/Generating \(.*2 of 2/.test(phase)) world.sim.gemini.faults.revoked = 'everything';
      }),
    );
    assert.equal(fault.kind, 'unauthorized');
    assert.match(fault.facts.nextStep ?? '', /PodRelay fetches it when it can/);
    assert.equal((await record()).state, 'running');
    assert.equal(sent('video.cancel').length, 0);
    assert.equal(await spent(), 0);
    assert.ok((await held()) > 300_000);
    world.sim.gemini.faults.revoked = 'nothing';
    world.core.backends.reset('gemini');
    await world.core.backends.check('gemini', world.signal);
    await recovered;
    assert.deepEqual(seen(), [['done', 2]]);
    assert.equal(sent('video.create').length, 2);
    assert.equal(await spent(), world.sim.gemini.bill().totalMicros);
    assert.equal(await held(), 0);
  });

  it('a clip or picture whose tokens are not told counts as estimated, not as $0.00', async () => {
    const clip = { type: 'video', mime_type: 'video/mp4', data: Buffer.from('....ftypisom').toString('base64') };
    const steps = [{ type: 'model_output', content: [clip] }];
    const done = { id: 'v1_x', status: 'completed', steps, usage: { total_tokens: 34_772 } };
    script(['video.get', { do: 'reply', status: 200, body: done }]);
    const made = await run();
    assert.equal(made.basis, 'estimated');
    assert.ok(made.micros > 290_000 && made.micros < 320_000, String(made.micros));
    const data = encodePng(newFrame(8, 8, 0)).toString('base64');
    const candidates = [{ content: { parts: [{ inlineData: { mimeType: 'image/png', data } }] } }];
    const picture = { candidates, usageMetadata: { totalTokenCount: 2_037 } };
    script(['image', { do: 'reply', status: 200, body: picture }]);
    const { micros, basis } = await run(samplerWorkflow());
    assert.equal(basis, 'estimated');
    assert.ok(micros > 30_000 && micros < 60_000, String(micros));
  });

  const unclear: [string, GeminiEffect][] = [
    ['a cut socket', { do: 'cut', at: 'beforeHeaders' }],
    ['JSON cut short', { do: 'truncate' }],
    ['a web page', { ...geminiReplies.html(200), effected: true } as GeminiEffect],
  ];
  for (const [name, effect] of unclear) {
    for (const media of ['image', 'video'] as const) {
      it(`an answer that is lost or cannot be read is paid for once: ${name} for a${media === 'image' ? 'n image' : ' video'}`, async () => {
        world.podId = world.sim.runpod.seedPod({ name: 'p' }).id;
        set({ 'routing.forced': 'none', 'routing.priority': ['gemini', 'cloud'], 'budget.sessionUsd': 5 });
        script([media === 'image' ? 'image' : 'video.create', effect]);
        const fault = await faultOf(run(media === 'image' ? samplerWorkflow() : videoWorkflow()));
        assert.ok(fault instanceof AllBackendsFailed);
        assert.equal(fault.kind, name === 'a cut socket' ? 'unreachable' : 'protocol');
        assert.match(fault.message, /cloud: not asked, since it might be paid for twice/);
        assert.match(fault.facts.nextStep ?? '', /look at your usage in Google AI Studio/i);
        assert.equal((await record()).state, 'lost');
        assert.ok((await spent()) >= world.sim.gemini.bill().totalMicros * 0.95);
        assert.equal(await held(), 0);
      });
    }
  }
});
