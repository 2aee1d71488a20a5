import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { JobProgress, RunContext, Tier } from '../../src/core/backends/backend.ts';
import { AllBackendsFailed } from '../../src/core/backends/backendManager.ts';
import { formatUsd } from '../../src/core/cost/price.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { RemoteRun } from '../../src/core/store/jobStore.ts';
import { encodePng } from '../../src/sim/comfy/media/png.ts';
import { newFrame } from '../../src/sim/comfy/media/frame.ts';
import type { GeminiRoute } from '../../src/sim/gemini/geminiFaults.ts';
import { job, openWorld, samplerWorkflow, smallWorkflow } from './world.ts';
import type { World } from './world.ts';

type Graph = ReturnType<typeof smallWorkflow>;

const nobody = 'http://127.0.0.1:9';
const quiet = (): void => undefined;
const yes = () => Promise.resolve(true);

/** Of three seconds in 720p. */
function videoWorkflow(): Graph {
  const graph = samplerWorkflow();
  return {
    ...graph,
    '4': { class_type: 'EmptyHunyuanLatentVideo', inputs: { width: 1280, height: 720, length: 73, batch_size: 1 } },
    '7': { class_type: 'CreateVideo', inputs: { images: ['6', 0], fps: 24 } },
    '8': { class_type: 'SaveVideo', inputs: { video: ['7', 0], filename_prefix: 'video/clip' } },
  };
}

function imageToImage(file = 'source.png'): Graph {
  return {
    ...samplerWorkflow(),
    '4': { class_type: 'VAEEncode', inputs: { pixels: ['9', 0], vae: ['1', 2] } },
    '9': { class_type: 'LoadImage', inputs: { image: file } },
  };
}

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  const error = await work.then(
    () => assert.fail('It succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Fault, String(error));
  return error;
}

async function eventually(check: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (check()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(what);
}

describe('Gemini as a backend', () => {
  let world: World;
  beforeEach(async () => (world = await openWorld({ localComfyUrl: nobody })));
  afterEach(() => world.close());

  const set = (change: Partial<Settings>): void => void (world.settings = { ...world.settings, ...change });
  const force = (tier: Tier): void => set({ 'routing.forced': tier });
  const sent = (route: GeminiRoute) => world.sim.gemini.requests.filter((request) => request.route === route);
  const run = (graph: Graph = samplerWorkflow(), change: object = {}, onProgress: (at: JobProgress) => void = quiet) =>
    world.core.jobs.run(job(graph, change), onProgress, world.signal);
  const video = { media: 'video' };

  describe('consent', () => {
    it('falls back to gemini when all others fail, after asking with price and losses', async () => {
      world.consent = yes;
      const outcome = await run();
      assert.equal(outcome.backend, 'gemini');
      const [question, ...more] = world.questions;
      assert.deepEqual(more, []);
      assert.ok(question !== undefined);
      assert.equal(question.count, 1);
      assert.equal(question.model, 'gemini-nano-banana-2.1');
      assert.ok(question.micros > 30_000 && question.micros < 60_000, String(question.micros));
      assert.match(question.basis, /1 × picture at 1K.*recorded.*2026-11-22/);
      assert.ok(question.kept.includes('Prompt'));
      assert.match(question.lost.join(), /Sampling settings: steps 12, CFG 7/);
      assert.match(question.approximated.join(), /Negative prompt/);
      const local = outcome.attempts.find((attempt) => attempt.backend === 'local');
      assert.match(local?.why ?? '', /refused/i);
    });

    it('a refusal ends the job, spends nothing, and says what was tried before', async () => {
      const fault = await faultOf(run());
      assert.equal(fault.kind, 'rejected');
      assert.match(fault.message, /not sent to Gemini, because you did not agree.*before: .*local: Connection refused/);
      assert.equal(world.sim.gemini.requests.length, 0);
      assert.deepEqual(world.done, []);
    });

    it("is not asked for when the setting says 'always', and the price is told all the same", async () => {
      set({ 'gemini.fallback': 'always' });
      const phases: string[] = [];
      assert.equal((await run(undefined, {}, ({ phase }) => phases.push(phase))).backend, 'gemini');
      assert.deepEqual(world.questions, []);
      assert.ok(
        phases.some((phase) => /Gemini: about \$0\.04/.test(phase)),
        String(phases),
      );
    });

    it("with 'never' Gemini is not tried, and nothing reaches it", async () => {
      set({ 'gemini.fallback': 'never' });
      const fault = await faultOf(run());
      assert.ok(fault instanceof AllBackendsFailed);
      assert.match(fault.message, /gemini: Switched off: the fallback is set to 'never'/);
      assert.equal(world.sim.gemini.requests.length, 0);
      assert.deepEqual(world.questions, []);
    });

    it('is needed when Gemini is forced as well', async () => {
      force('gemini');
      assert.equal((await faultOf(run())).kind, 'rejected');
      assert.equal(world.questions.length, 1);
      assert.equal(world.sim.gemini.requests.length, 0);
    });

    it('a job that is cancelled while the question stands sends nothing, whatever is answered then', async () => {
      const stop = new AbortController();
      world.consent = () => {
        stop.abort(new Fault('cancelled', 'Cancelled'));
        return Promise.resolve(true);
      };
      const fault = await faultOf(world.core.jobs.run(job(samplerWorkflow()), quiet, stop.signal));
      assert.equal(fault.kind, 'cancelled');
      assert.equal(world.sim.gemini.requests.length, 0);
    });

    it('is not asked for when the graph cannot be put to Gemini', async () => {
      const fault = await faultOf(run(smallWorkflow()));
      assert.match(fault.message, /gemini: It has no sampler/);
      assert.deepEqual(world.questions, []);
    });
  });

  describe('images', () => {
    beforeEach(() => {
      force('gemini');
      world.consent = yes;
    });

    it('end as files with the metered cost, and with the losses stamped on the outcome', async () => {
      const outcome = await run();
      const bytes = await readFile(outcome.outputs[0]!.path);
      assert.equal(bytes.toString('latin1', 1, 4), 'PNG');
      assert.match(path.basename(outcome.outputs[0]!.path), /^sampled_gemini.*\.png$/);
      assert.equal(outcome.micros, world.sim.gemini.bill().totalMicros);
      assert.match(outcome.costBasis, /^metered by Google/);
      assert.match(outcome.dropped.join(), /Negative prompt.*Sampling settings/);
      const body = sent('image')[0]?.body as { contents: { parts: { text: string }[] }[] };
      assert.equal(body.contents[0]?.parts[0]?.text, 'a lighthouse at dawn. Avoid: blurry.');
    });

    it('a batch is so many requests, each paid once', async () => {
      const graph = samplerWorkflow();
      graph['4']!.inputs.batch_size = 3;
      const outcome = await run(graph);
      assert.equal(world.questions[0]?.count, 3);
      assert.equal(new Set(outcome.outputs.map((output) => output.path)).size, 3);
      assert.equal(sent('image').length, 3);
      const seeds = sent('image').map(
        ({ body }) => (body as { generationConfig: { seed: number } }).generationConfig.seed,
      );
      assert.equal(new Set(seeds).size, 3);
      assert.equal(outcome.micros, world.sim.gemini.bill().totalMicros);
    });

    for (const status of [400, 503] as const) {
      it(`what was made of a batch is kept when the rest fails with ${status}, and told`, async () => {
        const graph = samplerWorkflow();
        graph['4']!.inputs.batch_size = 3;
        const body = { error: { code: status, message: 'not this one', status: 'SOMETHING' } };
        const outcome = await run(graph, {}, ({ phase }) => {
          if (/Generating 2 of 3/.test(phase)) {
            world.sim.gemini.faults.script = [{ on: 'image', effect: { do: 'reply', status, body } }];
          }
        });
        assert.equal(outcome.outputs.length, 1);
        assert.match(outcome.dropped[0] ?? '', /^2 of 3 were not made: /);
        assert.equal(sent('image').length, 2);
        const billed = world.sim.gemini.bill().totalMicros;
        if (status === 400) assert.deepEqual([outcome.micros, outcome.basis], [billed, 'measured']);
        // After a 5xx nobody can know: the second one counts as if it had been made.
        else assert.ok(outcome.basis === 'estimated' && outcome.micros > 1.9 * billed, String(outcome.micros));
      });
    }

    it('a safety block is told with what it cost, and no other backend is tried', async () => {
      set({ 'routing.forced': 'none', 'routing.priority': ['gemini', 'local'] });
      world.sim.gemini.faults.image.outcome = { is: 'promptBlocked', reason: 'PROHIBITED_CONTENT' };
      const fault = await faultOf(run());
      assert.equal(fault.kind, 'blocked');
      assert.match(fault.message, /PROHIBITED_CONTENT/);
      const { totalMicros } = world.sim.gemini.bill();
      assert.ok(totalMicros > 0);
      assert.ok(fault.message.includes(`charges ${formatUsd(totalMicros)}`), fault.message);
      assert.equal(sent('image').length, 1);
    });

    it('an unknown outcome is never sent again, and the person is sent to look', async () => {
      world.sim.gemini.faults.script = [{ on: 'image', effect: { do: 'cut', at: 'beforeHeaders' } }];
      const fault = await faultOf(run());
      assert.equal(sent('image').length, 1);
      assert.match(fault.facts.nextStep ?? '', /usage in Google AI Studio/);
    });

    it('is refused what its purpose cannot bear, with the reason', async () => {
      const graph = samplerWorkflow();
      graph['5']!.inputs.positive = ['8', 0];
      graph['8'] = { class_type: 'ControlNetApply', inputs: { conditioning: ['2', 0], strength: 0.8 } };
      assert.match((await faultOf(run(graph))).message, /ControlNet \(node 8\): Gemini takes no pose/);
      assert.equal(sent('image').length, 0);
    });
  });

  describe('video', () => {
    beforeEach(() => {
      force('gemini');
      world.consent = yes;
    });

    it('is made in the background, fetched as a stream, and not left with Google', async () => {
      world.sim.gemini.faults.fileProcessingMs = 160_000;
      const phases: string[] = [];
      const outcome = await run(videoWorkflow(), video, ({ phase }) => phases.push(phase));
      const bytes = await readFile(outcome.outputs[0]!.path);
      assert.equal(bytes.toString('latin1', 4, 8), 'ftyp');
      assert.match(path.basename(outcome.outputs[0]!.path), /^clip_gemini.*\.mp4$/);
      assert.equal(outcome.outputs[0]!.kind, 'video');
      assert.equal(sent('video.create').length, 1);
      assert.equal(outcome.micros, world.sim.gemini.bill().totalMicros);
      assert.match(world.questions[0]?.basis ?? '', /clip of 3 s.*Google's price list/);
      assert.ok(Math.abs(world.questions[0]!.micros - outcome.micros) < 5_000);
      assert.ok(
        phases.some((phase) => /^Preparing the file \(\d s\)/.test(phase)),
        String(phases),
      );
      assert.match(outcome.dropped.join(), /Sound: .*Seed: /);
      assert.equal(sent('video.delete').length, 1);
    });

    it('a refusal is told as such', async () => {
      world.sim.gemini.faults.video.outcome = { is: 'refusal', text: 'I cannot show that person.' };
      const fault = await faultOf(run(videoWorkflow(), video));
      assert.equal(fault.kind, 'blocked');
      assert.match(fault.message, /cannot show that person.*Google charges/);
    });

    it('cancel stops it at Google', async () => {
      world.sim.gemini.faults.jobMs = 60_000_000;
      const stop = new AbortController();
      const running = world.core.jobs.run(
        job(videoWorkflow(), video),
        ({ phase }) => {
          if (/Generating \(/.test(phase)) stop.abort(new Fault('cancelled', 'Cancelled'));
        },
        stop.signal,
      );
      assert.equal((await faultOf(running)).kind, 'cancelled');
      assert.deepEqual(
        sent('video.cancel').map(({ status }) => status),
        [200],
      );
    });

    it('cancel before Google has named the job ends the wait at once, and stops the job once it has a name', async () => {
      world.sim.gemini.faults.latencyMs = 60_000;
      world.sim.gemini.faults.jobMs = 60_000_000;
      const stop = new AbortController();
      const running = world.core.jobs.run(job(videoWorkflow(), video), quiet, stop.signal);
      running.catch(() => undefined);
      await eventually(() => sent('video.create').length === 1, 'nothing was created');
      stop.abort(new Fault('cancelled', 'Cancelled'));
      assert.equal((await faultOf(running)).kind, 'cancelled');
      assert.equal(sent('video.cancel').length, 0);
      await eventually(() => sent('video.cancel').some(({ status }) => status === 200), 'it goes on at Google');
    });

    it('one that is not ready in time is given up and stopped', async () => {
      world.sim.gemini.faults.jobMs = 60_000_000;
      const fault = await faultOf(run(videoWorkflow(), video));
      assert.equal(fault.kind, 'timeout');
      assert.equal(sent('video.cancel').length, 1);
      assert.equal(sent('video.create').length, 1);
    });
  });

  describe('the ledger', () => {
    const spent = async (): Promise<number> => {
      await world.core.ledger.refresh();
      const { spending } = world.core.ledger;
      assert.ok(spending.known);
      return spending.value.session.micros;
    };
    beforeEach(() => {
      force('gemini');
      world.consent = yes;
    });

    it('counts a result once', async () => {
      const { micros } = await run();
      assert.ok(micros > 0);
      assert.equal(await spent(), micros);
      assert.equal(micros, world.sim.gemini.bill().totalMicros);
    });

    it('counts a refusal, which costs as well', async () => {
      world.sim.gemini.faults.image.outcome = { is: 'finish', reason: 'IMAGE_SAFETY' };
      await faultOf(run());
      assert.ok((await spent()) > 0);
      assert.equal(await spent(), world.sim.gemini.bill().totalMicros);
    });

    it('counts what was cancelled under way, and what nobody can know, as estimated', async () => {
      const stop = new AbortController();
      world.sim.gemini.faults.imageMs = 100_000;
      const running = world.core.jobs.run(job(samplerWorkflow()), quiet, stop.signal);
      running.catch(() => undefined);
      await eventually(() => sent('image').length === 1, 'nothing was sent');
      stop.abort(new Fault('cancelled', 'Cancelled'));
      assert.equal((await faultOf(running)).kind, 'cancelled');
      const cancelled = await spent();
      assert.ok(cancelled > 30_000, String(cancelled));
      world.sim.gemini.faults.script = [{ on: 'image', effect: { do: 'cut', at: 'beforeHeaders' } }];
      await faultOf(run());
      assert.ok((await spent()) > 1.9 * cancelled);
      world.sim.gemini.faults.imageMs = 1_000;
      world.sim.gemini.faults.script = [{ on: 'image', effect: { do: 'truncate' } }];
      assert.equal((await faultOf(run())).kind, 'protocol');
      assert.ok((await spent()) > 2.9 * cancelled);
    });

    it('counts nothing for what was never sent', async () => {
      world.consent = () => Promise.resolve(false);
      await faultOf(run());
      world.sim.gemini.faults.revoked = 'paid';
      world.consent = yes;
      assert.equal((await faultOf(run())).kind, 'unauthorized');
      assert.equal(await spent(), 0);
    });
  });

  describe('a video whose window has ended', () => {
    const gemini = () => world.core.backends.statuses().find((status) => status.backend.id === 'gemini')!.backend;
    const intents: RemoteRun[] = [];
    const context: RunContext = {
      onProgress: quiet,
      onIntent: (remote) => Promise.resolve(void intents.push(remote)),
    };
    const clip = job(videoWorkflow(), video);
    beforeEach(() => {
      world.consent = yes;
      intents.length = 0;
    });

    /** Orders a clip, and ends the window as soon as it is under way. */
    async function orderAndLeave(): Promise<RemoteRun> {
      world.sim.gemini.faults.jobMs = 60_000;
      const stop = new AbortController();
      const onProgress = ({ phase }: JobProgress): void => {
        if (/Generating \(/.test(phase)) stop.abort(new Fault('cancelled', 'Closed', { by: 'shutdown' }));
      };
      const running = gemini().run(clip, { ...context, onProgress }, stop.signal);
      assert.equal((await faultOf(running)).kind, 'cancelled');
      assert.deepEqual(intents[0], { address: world.sim.addresses.geminiUrl });
      assert.equal(sent('video.cancel').length, 0);
      return intents.at(-1)!;
    }

    it('is fetched by its id later, with cost and losses, and is not ordered again', async () => {
      const remote = await orderAndLeave();
      const resumed = await gemini().resume!(remote, clip, context, world.signal);
      assert.ok(resumed.is === 'result');
      const { files, micros, basis, dropped } = resumed.result;
      assert.equal(micros, world.sim.gemini.bill().totalMicros);
      assert.equal(basis, 'measured');
      assert.match(dropped.join(), /Sampling settings/);
      const parts: Uint8Array[] = [];
      for await (const part of await files[0]!.open(world.signal)) parts.push(part);
      assert.equal(Buffer.concat(parts).toString('latin1', 4, 8), 'ftyp');
      assert.equal(sent('video.create').length, 1);
      assert.equal(world.questions.length, 1);
    });

    it('is asked for again later when Google does not answer now', async () => {
      const remote = await orderAndLeave();
      world.sim.gemini.faults.script = [{ on: 'video.get', effect: { do: 'reply', status: 503, text: 'busy' } }];
      const resumed = await gemini().resume!(remote, clip, context, world.signal);
      assert.equal(resumed.is, 'later');
      assert.equal(sent('video.create').length, 1);
    });

    it('is told as failed when Google knows it no more, and a picture as lost', async () => {
      const remote = await orderAndLeave();
      const fault = await faultOf(gemini().resume!({ ...remote, promptId: 'v1_nobody' }, clip, context, world.signal));
      assert.match(fault.message, /no longer knows/);
      const { address } = remote;
      const picture = await gemini().resume!({ address }, job(samplerWorkflow()), context, world.signal);
      assert.equal(picture.is, 'lost');
      const elsewhere = { ...remote, address: 'https://elsewhere.example' };
      assert.equal((await gemini().resume!(elsewhere, clip, context, world.signal)).is, 'later');
    });

    it('that cannot be written down is not ordered', async () => {
      const onIntent = () => Promise.reject(new Fault('io', 'The disk is full', { delivered: 'no' }));
      const fault = await faultOf(gemini().run(clip, { ...context, onIntent }, world.signal));
      assert.equal(fault.kind, 'io');
      assert.equal(sent('video.create').length, 0);
    });
  });

  describe('input images', () => {
    const picture = encodePng(newFrame(40, 24, 0x33aa55));
    const put = async (name = 'source.png'): Promise<{ inputFolder: string }> => {
      await writeFile(path.join(world.folder, name), picture);
      return { inputFolder: world.folder };
    };
    beforeEach(() => {
      world.consent = yes;
      force('gemini');
    });

    it('are sent to Gemini, and named in the question', async () => {
      await run(imageToImage(), await put());
      assert.deepEqual(world.questions[0]?.images, ['source.png']);
      const body = sent('image')[0]?.body as { contents: { parts: { inlineData?: { data: string } }[] }[] };
      assert.equal(body.contents[0]?.parts[1]?.inlineData?.data, picture.toString('base64'));
    });

    it('a missing one is a refusal that names the file and where it was looked for', async () => {
      const fault = await faultOf(run(imageToImage('nowhere.png'), { inputFolder: world.folder }));
      assert.ok(fault.message.includes(`nowhere.png is needed and was not found in ${world.folder}`), fault.message);
      assert.match((await faultOf(run(imageToImage()))).message, /source\.png.*not saved in a file/);
      assert.deepEqual(world.questions, []);
      assert.equal(sent('image').length, 0);
    });

    it('what is no image is refused before anything is paid', async () => {
      await writeFile(path.join(world.folder, 'source.png'), 'not an image');
      const fault = await faultOf(run(imageToImage(), { inputFolder: world.folder }));
      assert.match(fault.message, /source\.png is neither PNG, JPEG nor WebP/);
    });
  });

  describe('privacy', () => {
    it('a job marked local only never reaches Gemini, not even when Gemini is forced and always allowed', async () => {
      world.consent = yes;
      set({ 'gemini.fallback': 'always' });
      for (const forced of ['none', 'gemini'] as const) {
        set({ 'routing.forced': forced });
        const titled = samplerWorkflow();
        Object.assign(titled['1']!, { _meta: { title: 'Checkpoint [local only]' } });
        for (const marked of [run(samplerWorkflow(), { localOnly: true }), run(titled)])
          assert.match((await faultOf(marked)).message, /gemini: Marked 'local only'/);
      }
      assert.equal(world.sim.gemini.requests.length, 0);
      assert.deepEqual(world.questions, []);
    });
  });

  describe('health', () => {
    it('is asked for without spending', async () => {
      const health = await world.core.backends.check('gemini', world.signal);
      assert.equal(health.state, 'healthy');
      assert.match(health.why, /Nano Banana 2\.1/);
      assert.deepEqual([...new Set(world.sim.gemini.requests.map(({ route }) => route))], ['models.get']);
      assert.equal(world.sim.gemini.bill().totalMicros, 0);
    });

    it('a wrong key is told apart and keeps the door shut until it changes', async () => {
      world.keys.set('geminiApiKey', 'AQ.wrong');
      const health = await world.core.backends.check('gemini', world.signal);
      assert.equal(health.fault?.kind, 'unauthorized');
      assert.match(health.why, /does not accept the Gemini API key/);
      world.consent = yes;
      assert.match((await faultOf(run())).message, /gemini: Google does not accept/);
      world.keys.set('geminiApiKey', world.sim.geminiApiKey);
      world.keysChanged('geminiApiKey');
      await eventually(() => world.core.backends.selected() !== undefined, 'still shut');
      assert.equal((await run()).backend, 'gemini');
    });

    it('without a key it is off', async () => {
      world.keys.delete('geminiApiKey');
      await world.core.keys.load();
      const health = await world.core.backends.check('gemini', world.signal);
      assert.deepEqual([health.state, health.why], ['off', 'No Gemini API key is set']);
    });

    it('a model that was shut down is named', async () => {
      set({ 'gemini.imageModel': 'imagen-4.0-generate-001' });
      const health = await world.core.backends.check('gemini', world.signal);
      assert.equal(health.state, 'degraded');
      assert.match(health.why, /One model is gone.*imagen-4\.0-generate-001/);
    });
  });

  it('a quote names its basis, and a model without a price is not free', async () => {
    const backend = world.core.backends.statuses().find((status) => status.backend.id === 'gemini')!.backend;
    const rough = backend.quote(job(samplerWorkflow()));
    assert.ok(rough.micros > 30_000);
    const graph = samplerWorkflow();
    graph['4']!.inputs.batch_size = 4;
    await backend.refusals(job(graph), world.signal);
    const exact = backend.quote(job(graph));
    assert.ok(exact.micros > rough.micros * 3.5);
    assert.match(exact.basis, /^4 × picture at 1K/);
    set({ 'gemini.imageModel': 'gemini-of-tomorrow' });
    const unknown = backend.quote(job(graph));
    assert.ok(unknown.micros > exact.micros);
    assert.match(unknown.basis, /no price is known for gemini-of-tomorrow/);
  });
});

describe('input images on a ComfyUI', () => {
  let world: World;
  beforeEach(async () => (world = await openWorld()));
  afterEach(() => world.close());
  const picture = encodePng(newFrame(40, 24, 0x33aa55));
  const inverted: Graph = {
    '1': { class_type: 'LoadImage', inputs: { image: 'source.png' } },
    '2': { class_type: 'ImageInvert', inputs: { image: ['1', 0] } },
    '3': { class_type: 'SaveImage', inputs: { images: ['2', 0], filename_prefix: 'inverted' } },
  };
  const uploads = () => world.sim.local.requests.filter(({ path: at }) => at.endsWith('/upload/image')).length;

  it('are uploaded to local under a name of their content, and the graph names that', async () => {
    await writeFile(path.join(world.folder, 'source.png'), picture);
    const outcome = await world.core.jobs.run(job(inverted, { inputFolder: world.folder }), quiet, world.signal);
    assert.equal(outcome.backend, 'local');
    const bytes = await readFile(outcome.outputs[0]!.path);
    assert.match(bytes.toString('latin1'), /"image": "podrelay-[0-9a-f]{24}\.png"/);
    assert.equal(uploads(), 1);
    // Another file of the same name does not take its place.
    await writeFile(path.join(world.folder, 'source.png'), encodePng(newFrame(40, 24, 0)));
    const other = await world.core.jobs.run(job(inverted, { inputFolder: world.folder }), quiet, world.signal);
    assert.notDeepEqual(await readFile(other.outputs[0]!.path), bytes);
  });

  it('are uploaded to a pod as well', async () => {
    await writeFile(path.join(world.folder, 'source.png'), picture);
    const podId = world.sim.runpod.seedPod({ name: 'p' }).id;
    world.podId = podId;
    world.settings = { ...world.settings, 'routing.forced': 'cloud' };
    const outcome = await world.core.jobs.run(job(inverted, { inputFolder: world.folder }), quiet, world.signal);
    assert.equal(outcome.backend, 'cloud');
    const there = world.sim.podComfy(podId)?.requests ?? [];
    assert.equal(there.filter(({ path: at }) => at.endsWith('/upload/image')).length, 1);
    assert.equal(uploads(), 0);
  });

  it('one that is not here is left for the server to judge', async () => {
    const form = new FormData();
    form.append('image', new File([new Uint8Array(picture)], 'source.png'));
    const reply = await fetch(`${world.sim.addresses.localComfyUrl}/upload/image`, { method: 'POST', body: form });
    assert.equal(reply.status, 200);
    const outcome = await world.core.jobs.run(job(inverted, { inputFolder: world.folder }), quiet, world.signal);
    assert.equal(outcome.outputs.length, 1);
    assert.equal(uploads(), 1);
    const missing = { ...inverted, '1': { class_type: 'LoadImage', inputs: { image: 'nowhere.png' } } };
    const fault = await faultOf(world.core.jobs.run(job(missing), quiet, world.signal));
    assert.match(fault.message, /nowhere\.png/);
  });
});
