import assert from 'node:assert/strict';
import { awaitVideo } from '../../src/core/gemini/awaitVideo.ts';
import { fileIdOf } from '../../src/core/gemini/downloadFile.ts';
import type { GeminiImageOrder, GeminiVideoOrder } from '../../src/core/gemini/geminiClient.ts';
import { actualCost, geminiPrices } from '../../src/core/gemini/price.ts';
import { Fault, isPassing } from '../../src/core/kernel/fault.ts';
import type { FaultKind } from '../../src/core/kernel/fault.ts';
import { geminiReplies } from '../../src/sim/gemini/geminiErrors.ts';
import type { GeminiEffect, GeminiFaults, GeminiRoute } from '../../src/sim/gemini/geminiFaults.ts';
import { openClientWorld } from './geminiClientWorld.ts';
import type { ClientWorld } from './geminiClientWorld.ts';

const order: GeminiVideoOrder = {
  model: 'gemini-omni-1.1-flash',
  prompt: 'a fox runs, one continuous shot',
  aspectRatio: '16:9',
  resolution: '720p',
  seconds: 3,
  task: 'text_to_video',
  images: [],
};

const still: GeminiImageOrder = {
  model: 'gemini-nano-banana-2.1',
  prompt: 'a fox',
  aspectRatio: '16:9',
  imageSize: '1K',
  seed: undefined,
  images: [],
};

describe('Gemini client: video', () => {
  let world: ClientWorld;
  const never = new AbortController().signal;
  const sent = (route: GeminiRoute) => world.sim.requests.filter((request) => request.route === route);
  const script = (on: GeminiRoute, effect: GeminiEffect, times = 100) => {
    world.sim.faults.script = [{ on, effect, times }];
  };
  const faultOf = async (work: Promise<unknown>): Promise<Fault> => {
    const error = await work.then(
      () => assert.fail('no fault'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof Fault, String(error));
    return error;
  };
  const statuses: string[] = [];
  const wait = (id: string, signal = never) =>
    awaitVideo(
      world.client,
      id,
      { clock: world.clock, pollMs: 250_000, deadlineMs: 3_000_000, onPoll: (status) => statuses.push(status) },
      signal,
    );
  const finish = () => world.time.jump(world.sim.faults.jobMs + world.sim.faults.fileProcessingMs);
  const readAll = async (body: AsyncIterable<Uint8Array>): Promise<Buffer> => {
    const parts: Uint8Array[] = [];
    for await (const part of body) parts.push(part);
    return Buffer.concat(parts);
  };
  const makeUri = async (): Promise<string> => {
    const { id } = await world.client.createVideo(order, never);
    const { source } = await wait(id);
    assert.ok(source.in === 'file');
    return source.uri;
  };

  beforeEach(async () => {
    world = await openClientWorld();
    // Only the clock's jumps make jobs progress, so every state is seen.
    world.sim.faults.jobMs = 1_000_000;
    world.sim.faults.fileProcessingMs = 400_000;
    statuses.length = 0;
  });
  afterEach(() => world.close());

  it('creates in the background, polls, waits for the file, downloads it as a stream and deletes the job', async () => {
    world.sim.faults.video.queuedPolls = 1;
    const { id, state } = await world.client.createVideo(order, never);
    assert.deepEqual(state, { is: 'running', status: 'in_progress' });
    const { source, usage } = await wait(id);
    assert.equal(statuses[0], 'queued');
    assert.ok(statuses.includes('in_progress') && statuses.includes('saving'), String(statuses));
    assert.ok(source.in === 'file');
    assert.match(fileIdOf(source.uri), /^[a-z0-9]+-[a-z0-9]+$/);
    const download = await world.client.download(source.uri, 10_000_000, never);
    const clip = await readAll(download.body);
    assert.equal(download.mimeType, 'video/mp4');
    assert.equal(clip.length, download.sizeBytes);
    assert.equal(clip.toString('latin1', 4, 8), 'ftyp');
    const cost = actualCost(order.model, usage, geminiPrices);
    assert.equal(cost?.micros, world.sim.bill().totalMicros);
    await world.client.deleteVideo(id, never);
    await world.client.deleteVideo(id, never);
    assert.equal((await faultOf(world.client.video(id, never))).kind, 'jobFailed');
    assert.equal(sent('video.create').length, 1);
    const body = sent('video.create')[0]?.body as Record<string, unknown>;
    assert.equal(body.background, true);
    assert.deepEqual(body.response_format, {
      type: 'video',
      delivery: 'uri',
      aspect_ratio: '16:9',
      resolution: '720p',
      duration: '3s',
    });
  });

  it('takes bytes in the reply where Google sends them in spite of what was asked', async () => {
    world.sim.faults.video.getReturnsInline = true;
    const { id } = await world.client.createVideo(order, never);
    const { source } = await wait(id);
    assert.ok(source.in === 'reply');
    assert.equal(Buffer.from(source.bytes).toString('latin1', 4, 8), 'ftyp');
    assert.equal(sent('files.get').length, 0);
  });

  for (const steps of ['plain', 'thoughtFirst', 'outputNotLast', 'twoOutputs'] as const) {
    it(`finds the clip among the steps: ${steps}`, async () => {
      world.sim.faults.video.steps = steps;
      assert.match(await makeUri(), /:download\?alt=media$/);
    });
  }

  const endings: [GeminiFaults['video']['outcome'], FaultKind][] = [
    [{ is: 'refusal', text: 'I cannot make that.' }, 'blocked'],
    [{ is: 'unparsed' }, 'jobFailed'],
    [{ is: 'status', status: 'failed' }, 'jobFailed'],
    [{ is: 'status', status: 'failed', code: 'safety' }, 'blocked'],
    [{ is: 'status', status: 'cancelled' }, 'cancelled'],
    [{ is: 'status', status: 'incomplete' }, 'jobFailed'],
    [{ is: 'status', status: 'budget_exceeded' }, 'noCredit'],
    [{ is: 'status', status: 'requires_action' }, 'jobFailed'],
    [{ is: 'status', status: 'rejected_by_policy' }, 'jobFailed'],
  ];
  for (const [outcome, kind] of endings) {
    it(`ends ${JSON.stringify(outcome)} as '${kind}' and never asks for another`, async () => {
      world.sim.faults.video.outcome = outcome;
      const { id } = await world.client.createVideo(order, never);
      const fault = await faultOf(wait(id));
      assert.equal(fault.kind, kind);
      assert.ok((fault.facts.raw ?? '').includes(id), 'the raw answer is kept');
      assert.equal(sent('video.create').length, 1);
    });
  }

  it('takes an unknown status for running, and ends at the deadline with a time-out', async () => {
    world.sim.faults.video.outcome = { is: 'status', status: 'paused' };
    const { id } = await world.client.createVideo(order, never);
    const fault = await faultOf(wait(id));
    assert.equal(fault.kind, 'timeout');
    assert.ok(statuses.includes('paused'));
    assert.equal(sent('video.create').length, 1);
  });

  const doubtful: [string, GeminiEffect][] = [
    ['500', geminiReplies.error(500, 'Internal error')],
    ['502 as a web page', geminiReplies.html(502)],
    ['503 although it was made', { do: 'reply', status: 503, effected: true, text: '' }],
    ['504', geminiReplies.error(504, 'Deadline expired')],
    ['a socket cut before the headers', { do: 'cut', at: 'beforeHeaders' }],
    ['a socket cut before the work', { do: 'cut', at: 'beforeWork' }],
    ['a socket cut after the headers', { do: 'cut', at: 'afterHeaders' }],
    ['a socket cut in half a body', { do: 'cut', at: 'halfBody' }],
    ['JSON cut short', { do: 'truncate' }],
    ['a reply without an id', { do: 'reply', status: 200, body: { status: 'in_progress' } }],
  ];
  for (const [name, effect] of doubtful) {
    it(`sends a create once after ${name}, and says that the outcome is unknown`, async () => {
      script('video.create', effect);
      const fault = await faultOf(world.client.createVideo(order, never));
      assert.ok(['unavailable', 'unreachable', 'protocol'].includes(fault.kind), fault.kind);
      assert.notEqual(fault.facts.delivered, 'no');
      assert.equal(sent('video.create').length, 1);
    });
  }

  it('sends a create again only when a 429 proves that nothing began', async () => {
    script('video.create', geminiReplies.rateLimit(2, 'details'), 1);
    await world.client.createVideo(order, never);
    const [first, second, ...more] = sent('video.create');
    assert.equal(more.length, 0);
    assert.ok((second?.at ?? 0) - (first?.at ?? 0) >= 2_000);
    assert.equal(world.sim.bill().lines.length, 1);
  });

  it('lives through passing faults of polls, and sends each of those again', async () => {
    const { id } = await world.client.createVideo(order, never);
    world.sim.faults.script = [
      {
        on: 'video.get',
        times: 1,
        effect: geminiReplies.error(400, 'Multiple authentication credentials received.', 'array'),
      },
      { on: 'video.get', times: 1, effect: geminiReplies.html(502) },
      { on: 'video.get', times: 1, effect: { do: 'cut', at: 'beforeHeaders' } },
      { on: 'video.get', times: 1, effect: geminiReplies.rateLimit(2, 'header') },
      { on: 'video.get', times: 5, effect: geminiReplies.error(503, 'Busy') },
    ];
    const { source } = await wait(id);
    assert.equal(source.in, 'file');
    assert.equal(sent('video.create').length, 1);
  });

  const html = (status: number): GeminiEffect => geminiReplies.html(status);
  const unreadable: [string, GeminiRoute, GeminiEffect][] = [
    ['a web page with status 200', 'video.get', html(200)],
    ['JSON cut short', 'video.get', { do: 'truncate' }],
    ['401', 'video.get', geminiReplies.error(401, 'Request had invalid authentication credentials.')],
    ['a 403 that is a web page', 'video.get', html(403)],
    ['a 404 that is a web page', 'video.get', html(404)],
    ['JSON cut short of its file', 'files.get', { do: 'truncate' }],
    ['a web page with status 404 for its file', 'files.get', html(404)],
  ];
  for (const [name, on, effect] of unreadable) {
    it(`lives through one bad answer to a poll: ${name}`, async () => {
      const { id } = await world.client.createVideo(order, never);
      script(on, effect, 1);
      assert.equal((await wait(id)).source.in, 'file');
    });

    it(`says at the deadline that the clip may be there, not that it failed: ${name}`, async () => {
      const { id } = await world.client.createVideo(order, never);
      script(on, effect);
      const fault = await faultOf(wait(id));
      assert.equal(fault.facts.delivered, 'maybe');
      assert.ok(isPassing(fault), fault.kind);
      world.sim.faults.script = [];
      assert.equal((await wait(id)).source.in, 'file');
    });
  }

  it('ends at once when Google no longer knows the job', async () => {
    assert.equal((await faultOf(wait('v1_unknown'))).kind, 'jobFailed');
    assert.equal(sent('video.get').length, 1);
  });

  it('ends after several refusals of the key in a row, but not of the job', async () => {
    const { id } = await world.client.createVideo(order, never);
    world.sim.faults.revoked = 'everything';
    const fault = await faultOf(wait(id));
    assert.equal(fault.kind, 'unauthorized');
    assert.equal(fault.facts.delivered, 'maybe');
    assert.equal(sent('video.get').length, 3);
  });

  it('cancels as well as it can and never throws out of it', async () => {
    const { id } = await world.client.createVideo(order, never);
    assert.equal(await world.client.cancelVideo(id, never), true);
    assert.equal((await faultOf(wait(id))).kind, 'cancelled');
    assert.equal(await world.client.cancelVideo(id, never), false);
    script('video.cancel', { do: 'cut', at: 'beforeHeaders' });
    assert.equal(await world.client.cancelVideo(id, never), false);
    assert.equal(await world.client.cancelVideo(id, AbortSignal.abort()), false);
  });

  it('stops polling when told to; the job goes on and can be asked for later', async () => {
    const { id } = await world.client.createVideo(order, never);
    const stop = new AbortController();
    const waiting = awaitVideo(
      world.client,
      id,
      { clock: world.clock, pollMs: 5_000, deadlineMs: 600_000, onPoll: () => stop.abort() },
      stop.signal,
    );
    assert.equal((await faultOf(waiting)).kind, 'cancelled');
    assert.equal(sent('video.cancel').length, 0);
    finish();
    assert.equal((await world.client.video(id, never)).is, 'done');
  });

  it('reports a file that Google could not process', async () => {
    world.sim.faults.file.outcome = 'FAILED';
    const { id } = await world.client.createVideo(order, never);
    assert.equal((await faultOf(wait(id))).kind, 'jobFailed');
  });

  it('sends a first and a last frame', async () => {
    const png = (await world.client.generateImage(still, never)).bytes;
    const images = [1, 2].map(() => ({ bytes: png, mimeType: 'image/png' }));
    await world.client.createVideo({ ...order, task: 'image_to_video', images }, never);
    const body = sent('video.create')[0]?.body as { input: { type: string }[] };
    assert.deepEqual(
      body.input.map((part) => part.type),
      ['image', 'image', 'text'],
    );
  });

  describe('download', () => {
    it('follows one redirect, without the key', async () => {
      const uri = await makeUri();
      world.sim.faults.file.redirectTo = world.otherOrigin;
      const { body } = await world.client.download(uri, 10_000_000, never);
      assert.equal((await readAll(body)).toString('latin1', 4, 8), 'ftyp');
      assert.ok(sent('files.download')[0]?.headers['x-goog-api-key'] !== undefined);
      const [stored] = sent('storage');
      assert.equal(stored?.headers.host, new URL(world.otherOrigin).host);
      assert.equal(stored?.headers['x-goog-api-key'], undefined);
      assert.equal(stored?.headers.authorization, undefined);
    });

    it('refuses a redirect to an unknown or unencrypted host, and a second redirect', async () => {
      const uri = await makeUri();
      for (const target of [
        'http://storage.googleapis.com',
        'https://evil.example',
        'https://googleapis.com.evil.example',
      ]) {
        world.sim.faults.file.redirectTo = target;
        const fault = await faultOf(world.client.download(uri, 10_000_000, never));
        assert.equal(fault.kind, 'protocol', target);
      }
      world.sim.faults.file.redirectTo = world.otherOrigin;
      script('storage', { do: 'reply', status: 302, headers: { location: `${world.otherOrigin}/storage/x` } });
      assert.equal((await faultOf(world.client.download(uri, 10_000_000, never))).kind, 'protocol');
      assert.equal(sent('storage').length, 1);
    });

    it('sends the key nowhere but to its own origin', async () => {
      const uri = (await makeUri()).replace(world.origin, world.otherOrigin);
      world.sim.clearRequests();
      assert.equal((await faultOf(world.client.download(uri, 10_000_000, never))).kind, 'protocol');
      assert.equal(world.sim.requests.length, 0);
    });

    it('adds what an address lacks: alt=media', async () => {
      const uri = (await makeUri()).replace('?alt=media', '');
      const { mimeType, body } = await world.client.download(uri, 10_000_000, never);
      assert.equal(mimeType, 'video/mp4');
      await readAll(body);
    });

    it('says so when a file has expired', async () => {
      const uri = await makeUri();
      world.time.jump(world.sim.faults.fileLifeMs);
      assert.equal((await faultOf(world.client.download(uri, 10_000_000, never))).kind, 'jobFailed');
    });

    it('asks again when no answer came, and breaks off loudly when a body is cut', async () => {
      const uri = await makeUri();
      script('files.download', { do: 'cut', at: 'beforeHeaders' }, 2);
      await readAll((await world.client.download(uri, 10_000_000, never)).body);
      assert.equal(sent('files.download').length, 3);
      world.sim.faults.video.paddingBytes = 2_000_000;
      script('files.download', { do: 'cut', at: 'halfBody' }, 1);
      const { body } = await world.client.download(uri, 10_000_000, never);
      assert.equal((await faultOf(readAll(body))).kind, 'unreachable');
    });

    it('refuses more bytes than allowed', async () => {
      const uri = await makeUri();
      assert.equal((await faultOf(world.client.download(uri, 100, never))).kind, 'protocol');
    });

    it('stops when cancelled in the middle', async () => {
      const uri = await makeUri();
      world.sim.faults.video.paddingBytes = 2_000_000;
      script('files.download', { do: 'trickle', pieces: 50, everyMs: 20_000 });
      const stop = new AbortController();
      const { body } = await world.client.download(uri, 10_000_000, stop.signal);
      const reading = async (): Promise<void> => {
        for await (const _piece of body) stop.abort(new Fault('cancelled', 'by the user'));
      };
      assert.equal((await faultOf(reading())).message, 'by the user');
    });
  });
});
