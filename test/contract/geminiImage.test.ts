import assert from 'node:assert/strict';
import { decode } from 'fast-png';
import type { GeminiImageOrder } from '../../src/core/gemini/geminiClient.ts';
import { actualCost, geminiPrices } from '../../src/core/gemini/price.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import type { FaultKind } from '../../src/core/kernel/fault.ts';
import { newFrame } from '../../src/sim/comfy/media/frame.ts';
import { encodePng } from '../../src/sim/comfy/media/png.ts';
import { geminiReplies } from '../../src/sim/gemini/geminiErrors.ts';
import type { GeminiEffect, GeminiFaults } from '../../src/sim/gemini/geminiFaults.ts';
import { openClientWorld } from './geminiClientWorld.ts';
import type { ClientWorld } from './geminiClientWorld.ts';
import { apiKey } from './geminiWorld.ts';

const order: GeminiImageOrder = {
  model: 'gemini-nano-banana-2.1',
  prompt: 'a red fox in snow',
  aspectRatio: '16:9',
  imageSize: '1K',
  seed: 42,
  images: [],
};

describe('Gemini client: images', () => {
  let world: ClientWorld;
  const never = new AbortController().signal;
  const paid = () => world.sim.requests.filter((request) => request.route === 'image');
  const script = (effect: GeminiEffect, times = 100) => {
    world.sim.faults.script = [{ on: 'image', effect, times }];
  };
  const faultOf = async (work: Promise<unknown>): Promise<Fault> => {
    const error = await work.then(
      () => assert.fail('no fault'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof Fault, String(error));
    return error;
  };

  beforeEach(async () => {
    world = await openClientWorld();
  });
  afterEach(() => world.close());

  it('makes a picture, with its size measured and its cost as Google bills it', async () => {
    const image = await world.client.generateImage(order, never);
    assert.equal(image.mimeType, 'image/png');
    assert.deepEqual(image.size, { width: 1376, height: 768 });
    assert.equal(decode(image.bytes, { checkCrc: true }).width, 1376);
    assert.equal(actualCost(order.model, image.usage, geminiPrices)?.micros, world.sim.bill().totalMicros);
    const [request] = paid();
    assert.equal(request?.path, '/v1beta/models/gemini-nano-banana-2.1:generateContent');
    assert.equal(request?.headers['x-goog-api-key'], apiKey);
    assert.equal(request?.headers.authorization, undefined);
    assert.deepEqual(request?.query, {});
  });

  it('sends input images inline', async () => {
    const first = await world.client.generateImage(order, never);
    const images = [{ bytes: first.bytes, mimeType: first.mimeType }];
    const edited = await world.client.generateImage({ ...order, aspectRatio: undefined, images }, never);
    assert.deepEqual(edited.size, first.size, 'without a ratio the input image decides');
    const body = paid()[1]?.body as { contents: { parts: { inlineData?: { data: string } }[] }[] };
    assert.equal(body.contents[0]?.parts[1]?.inlineData?.data, Buffer.from(first.bytes).toString('base64'));
  });

  it('takes the last picture that is no draft, and knows a JPEG by its bytes', async () => {
    Object.assign(world.sim.faults.image, { draft: true, pictures: 2, textFirst: true, repeatable: false });
    const image = await world.client.generateImage(order, never);
    assert.equal(image.text, 'Here is your picture.');
    assert.deepEqual(image.size, { width: 1376, height: 768 });
    Object.assign(world.sim.faults.image, { draft: false, pictures: 1, format: 'image/jpeg' });
    const jpeg = await world.client.generateImage(order, never);
    assert.deepEqual([jpeg.mimeType, jpeg.size], ['image/jpeg', { width: 1376, height: 768 }]);
  });

  it('takes the last picture that is no draft, wherever the drafts stand', async () => {
    const picture = (color: number) => encodePng(newFrame(8, 8, color)).toString('base64');
    const part = (color: number) => ({ inlineData: { mimeType: 'image/png', data: picture(color) } });
    const parts = [
      { thought: true, text: 'I begin with the snow.' },
      { thought: true, ...part(0x111111) },
      part(0x222222),
      { text: 'A fox.' },
      part(0x333333),
      { thought: true, ...part(0x444444) },
    ];
    script({ do: 'reply', status: 200, body: { candidates: [{ content: { parts } }] } });
    const image = await world.client.generateImage(order, never);
    assert.equal(Buffer.from(image.bytes).toString('base64'), picture(0x333333));
    assert.equal(image.text, 'A fox.');
  });

  it('takes an answer of more than 20 MB', async () => {
    world.sim.faults.image.paddingBytes = 20_000_000;
    const image = await world.client.generateImage(order, never);
    assert.ok(image.bytes.length > 20_000_000);
  });

  const blocks: [GeminiFaults['image']['outcome'], FaultKind][] = [
    [{ is: 'promptBlocked', reason: 'PROHIBITED_CONTENT' }, 'blocked'],
    [{ is: 'textOnly', text: 'I cannot make that.' }, 'blocked'],
    [{ is: 'noCandidates' }, 'protocol'],
    ...['SAFETY', 'RECITATION', 'BLOCKLIST', 'PROHIBITED_CONTENT', 'SPII', 'IMAGE_SAFETY', 'IMAGE_RECITATION'].map(
      (reason): [GeminiFaults['image']['outcome'], FaultKind] => [{ is: 'finish', reason }, 'blocked'],
    ),
    ...['NO_IMAGE', 'IMAGE_OTHER', 'OTHER', 'MAX_TOKENS', 'MALFORMED_RESPONSE', 'A_NEW_WORD'].map(
      (reason): [GeminiFaults['image']['outcome'], FaultKind] => [{ is: 'finish', reason }, 'jobFailed'],
    ),
  ];
  for (const [outcome, kind] of blocks) {
    it(`calls ${JSON.stringify(outcome)} '${kind}', asks once and reports what it cost`, async () => {
      world.sim.faults.image.outcome = outcome;
      const fault = await faultOf(world.client.generateImage(order, never));
      assert.equal(fault.kind, kind);
      assert.equal(paid().length, 1);
      assert.equal(actualCost(order.model, world.usages[0], geminiPrices)?.micros, world.sim.bill().totalMicros);
      if ('reason' in outcome) assert.match(`${fault.message} ${fault.facts.raw}`, new RegExp(outcome.reason));
    });
  }

  it('waits as long as a 429 says, wherever it says it, then asks once more', async () => {
    for (const where of ['details', 'message', 'header'] as const) {
      world.sim.clearRequests();
      script(geminiReplies.rateLimit(2, where), 1);
      await world.client.generateImage(order, never);
      assert.equal(paid().length, 2, where);
      assert.ok((paid()[1]?.at ?? 0) - (paid()[0]?.at ?? 0) >= 2_000, where);
    }
    script(geminiReplies.rateLimit(2, 'nowhere'), 1);
    world.sim.clearRequests();
    await world.client.generateImage(order, never);
    assert.equal(paid().length, 2);
  });

  it('gives up on a lasting 429 after two more tries', async () => {
    script(geminiReplies.rateLimit(2, 'details'));
    const fault = await faultOf(world.client.generateImage(order, never));
    assert.equal(fault.kind, 'rateLimited');
    assert.equal(fault.facts.retryAfterMs, 2_000);
    assert.equal(paid().length, 3);
    assert.equal(world.sim.bill().lines.length, 0);
  });

  it('asks once when no wait of ours can help: day quota, no paid plan, spend cap', async () => {
    const kinds: ['perDay' | 'limitZero' | 'spendCap', FaultKind][] = [
      ['perDay', 'rateLimited'],
      ['limitZero', 'noCredit'],
      ['spendCap', 'noCredit'],
    ];
    for (const [quota, kind] of kinds) {
      world.sim.clearRequests();
      script(geminiReplies.quota(quota));
      const fault = await faultOf(world.client.generateImage(order, never));
      assert.equal(fault.kind, kind, quota);
      assert.equal(paid().length, 1, quota);
    }
  });

  const doubtful: [string, GeminiEffect, FaultKind][] = [
    ['500', geminiReplies.error(500, 'Internal error'), 'unavailable'],
    ['502 as a web page', geminiReplies.html(502), 'unavailable'],
    ['503', geminiReplies.error(503, 'Overloaded'), 'unavailable'],
    ['504 in a list', geminiReplies.error(504, 'Deadline expired', 'array'), 'unavailable'],
    ['500 with no text at all', geminiReplies.notUtf8(500), 'unavailable'],
    ['a socket cut before the headers', { do: 'cut', at: 'beforeHeaders' }, 'unreachable'],
    ['a socket cut before the work', { do: 'cut', at: 'beforeWork' }, 'unreachable'],
    ['a socket cut after the headers', { do: 'cut', at: 'afterHeaders' }, 'unreachable'],
    ['a socket cut in half a body', { do: 'cut', at: 'halfBody' }, 'unreachable'],
    ['JSON cut short', { do: 'truncate' }, 'protocol'],
    ['a web page with status 200', { do: 'reply', status: 200, text: '<html>Sign in</html>' }, 'protocol'],
    ['an empty body', { do: 'reply', status: 200, text: '' }, 'protocol'],
    ['another shape', { do: 'reply', status: 200, body: { candidates: 'none' } }, 'protocol'],
  ];
  for (const [name, effect, kind] of doubtful) {
    it(`sends a paid request once after ${name}`, async () => {
      script(effect);
      const fault = await faultOf(world.client.generateImage(order, never));
      assert.equal(fault.kind, kind);
      assert.notEqual(fault.facts.delivered, 'no');
      assert.equal(paid().length, 1);
      if (kind === 'protocol') assert.equal(typeof fault.facts.raw, 'string');
    });
  }

  it('does not mind another content type, nor a slow trickle', async () => {
    script({ do: 'contentType', value: 'text/plain' }, 1);
    await world.client.generateImage(order, never);
    script({ do: 'trickle', pieces: 20, everyMs: 2_000 }, 1);
    const image = await world.client.generateImage(order, never);
    assert.equal(decode(image.bytes, { checkCrc: true }).height, 768);
  });

  it('knows a dead key by its reason, a retired model by 404, a refused request by its message', async () => {
    world.sim.faults.revoked = 'paid';
    await world.client.model(order.model, never);
    assert.equal((await faultOf(world.client.generateImage(order, never))).kind, 'unauthorized');
    world.sim.faults.revoked = 'nothing';
    const retired = { ...order, model: 'gemini-2.5-flash-image' };
    assert.equal((await faultOf(world.client.generateImage(retired, never))).kind, 'mismatch');
    assert.equal((await faultOf(world.client.model('veo-3.1-generate-preview', never))).kind, 'mismatch');
    const wrong = await faultOf(world.client.generateImage({ ...order, aspectRatio: '9:21' }, never));
    assert.equal(wrong.kind, 'rejected');
    assert.match(wrong.message, /aspect ratio/);
    world.sim.faults.v1Strict = true;
    await world.client.generateImage(order, never);
  });

  it('sends nothing without a key', async () => {
    world.key = ' ';
    const fault = await faultOf(world.client.generateImage(order, never));
    assert.equal(fault.kind, 'unauthorized');
    assert.equal(world.sim.requests.length, 0);
  });

  it('sends nothing when cancelled before, and closes the socket when cancelled during', async () => {
    const before = AbortSignal.abort(new Fault('cancelled', 'by the user'));
    assert.equal((await faultOf(world.client.generateImage(order, before))).message, 'by the user');
    assert.equal(world.sim.requests.length, 0);
    script({ do: 'hang' });
    const stop = new AbortController();
    const running = faultOf(world.client.generateImage(order, stop.signal));
    while (world.sim.bill().lines.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    stop.abort(new Fault('cancelled', 'by the user'));
    assert.equal((await running).kind, 'cancelled');
    while (paid()[0]?.closedEarly !== true) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(paid().length, 1);
    assert.equal(world.sim.bill().generations, 1, 'what was begun is billed');
  });

  it('gives a hanging request up after its time, closes the socket and does not send it again', async () => {
    const impatient = await openClientWorld({ imageMs: 300, createVideoMs: 300, readMs: 300 });
    try {
      impatient.sim.faults.script = [{ on: 'image', effect: { do: 'hang' } }];
      const fault = await faultOf(impatient.client.generateImage(order, never));
      assert.equal(fault.kind, 'timeout');
      assert.equal(fault.facts.delivered, 'maybe');
      while (impatient.sim.requests[0]?.closedEarly !== true) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(impatient.sim.requests.length, 1);
    } finally {
      await impatient.close();
    }
  });

  it('asks no more when cancelled during a back-off', async () => {
    script(geminiReplies.rateLimit(2, 'details'));
    const stop = new AbortController();
    const sleep = world.clock.sleep.bind(world.clock);
    Object.assign(world.clock, {
      sleep: (ms: number, signal: AbortSignal) => {
        stop.abort(new Fault('cancelled', 'by the user'));
        return sleep(ms, signal);
      },
    });
    assert.equal((await faultOf(world.client.generateImage(order, stop.signal))).kind, 'cancelled');
    assert.equal(paid().length, 1);
  });

  it('keeps the key out of the log and out of faults', async () => {
    const said = `API key ${apiKey} is not allowed, see https://example.com/?key=${apiKey}`;
    script(geminiReplies.error(403, said), 1);
    const fault = await faultOf(world.client.generateImage(order, never));
    await world.client.generateImage(order, never);
    const all = JSON.stringify([fault.message, fault.facts, world.logged]);
    assert.ok(world.logged.length > 0);
    assert.ok(!all.includes(apiKey), all);
  });
});
