import assert from 'node:assert/strict';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import type { FaultKind } from '../../src/core/kernel/fault.ts';
import type { CreatePodRequest } from '../../src/core/runpod/runpodClient.ts';
import type { PodLogLine } from '../../src/core/runpod/podLogs.ts';
import { startPlainServer } from './plainServer.ts';
import { openRunpodWorld, readOnlyKey, testApiKey } from './runpodWorld.ts';
import type { RunpodWorld } from './runpodWorld.ts';

const wish: CreatePodRequest = {
  name: 'podrelay-contract',
  image: 'runpod/comfyui:latest',
  gpu: { id: 'NVIDIA GeForce RTX 3090', count: 1 },
  cloud: 'COMMUNITY',
  disk: 30,
  mounts: { persistent: { size: 60, path: '/workspace' } },
  ports: ['8188/http'],
  env: { PODRELAY_POD: 'podrelay-contract' },
};

async function faultOf(work: Promise<unknown>, kind: FaultKind): Promise<Fault> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof Fault, String(error));
    assert.equal(error.kind, kind, error.message);
    return error;
  }
  return assert.fail(`expected a '${kind}' fault`);
}

function postsOf(world: RunpodWorld): number {
  return world.sim.requests.filter((request) => request.operation === 'createPod').length;
}

describe('the RunPod client against the simulator', () => {
  let world: RunpodWorld;
  beforeEach(async () => {
    world = await openRunpodWorld();
  });
  afterEach(() => world.close());

  it('creates, reads, stops, starts, restarts and deletes a pod', async () => {
    const { client, signal } = world;
    const pod = await client.createPod(wish, signal);
    assert.equal(pod.status, 'PROVISIONING');
    assert.equal(pod.mark, 'podrelay-contract');
    assert.equal(pod.volumeGb, 60);
    assert.ok(pod.usdPerHourMicros > 0);
    assert.equal((await client.getPod(pod.id, signal)).name, wish.name);
    assert.equal((await client.podAction(pod.id, 'stop', signal))?.status, 'EXITED');
    assert.equal((await client.getPod(pod.id, signal)).usdPerHourMicros, 0);
    assert.equal((await client.podAction(pod.id, 'start', signal))?.status, 'PROVISIONING');
    await client.deletePod(pod.id, signal);
    assert.equal((await faultOf(client.getPod(pod.id, signal), 'rejected')).facts.status, 404);
  });

  it('reads the empty answer to terminate', async () => {
    const { id } = world.sim.seedPod({ name: 'x' });
    assert.equal(await world.client.podAction(id, 'terminate', world.signal), undefined);
  });

  it('sends the key and its own name to RunPod, with every field that RunPod knows and no other', async () => {
    await world.client.createPod(wish, world.signal);
    const sent = world.sim.requests.find((request) => request.operation === 'createPod');
    assert.equal(sent?.headers.authorization, `Bearer ${testApiKey}`);
    assert.equal(sent.headers['user-agent'], 'PodRelay-test');
    assert.equal(sent.status, 201);
  });

  it('lists every page, each pod once', async () => {
    for (let i = 0; i < 5; i++) world.sim.seedPod({ name: `pod ${i}` });
    world.sim.configure({ pagination: 'shortPages' });
    const pods = await world.newClient({ pageSize: 2 }).listPods(world.signal);
    assert.deepEqual(pods.map((pod) => pod.name).sort(), ['pod 0', 'pod 1', 'pod 2', 'pod 3', 'pod 4']);
    assert.ok(world.sim.requests.filter((request) => request.operation === 'listPods').length >= 3);
  });

  it('lists where RunPod sends no pagination', async () => {
    world.sim.seedPod({ name: 'one' });
    world.sim.configure({ pagination: 'absent' });
    assert.equal((await world.client.listPods(world.signal)).length, 1);
  });

  it('gives up a list whose cursor never advances', async () => {
    world.sim.seedPod({ name: 'one' });
    world.sim.configure({ pagination: 'stuckCursor' });
    await faultOf(world.client.listPods(world.signal), 'protocol');
  });

  it('a wrong, read-only or missing key: told apart', async () => {
    const { signal } = world;
    const missing = world.newClient({ apiKey: async () => undefined });
    await faultOf(missing.listPods(signal), 'unauthorized');
    assert.equal(world.sim.requests.length, 0, 'nothing is sent without a key');
    const wrong = world.newClient({ apiKey: async () => 'rpa_wrong' });
    assert.equal((await faultOf(wrong.listPods(signal), 'unauthorized')).facts.status, 401);
    assert.equal(world.sim.requests.length, 1, 'a refused key is not tried again');
    const { id } = world.sim.seedPod({ name: 'x' });
    const reader = world.newClient({ apiKey: async () => readOnlyKey });
    assert.equal((await reader.listPods(signal)).length, 1);
    assert.equal((await faultOf(reader.podAction(id, 'stop', signal), 'unauthorized')).facts.status, 403);
  });

  it('does not blame the key when the network guard refuses', async () => {
    world.sim.faults.set({ failure: { kind: 'cloudflare1010' } });
    const fault = await faultOf(world.newClient({ retries: 0 }).listPods(world.signal), 'unavailable');
    assert.match(fault.message, /1010/);
  });

  it('tells no stock, no credit, a broken rule and a locked pod apart', async () => {
    const { client, signal, sim } = world;
    sim.faults.set({ failure: { kind: 'noCapacity' }, times: 1 });
    await faultOf(client.createPod(wish, signal), 'noCapacity');
    sim.faults.set({ failure: { kind: 'noCredit' }, times: 1 });
    await faultOf(client.createPod(wish, signal), 'noCredit');
    const unknownGpu = await faultOf(
      client.createPod({ ...wish, gpu: { id: 'NVIDIA Abacus', count: 1 } }, signal),
      'rejected',
    );
    assert.match(unknownGpu.message, /Abacus/);
    assert.equal(unknownGpu.facts.status, 422);
    const odd = { ...wish, gpuTypeIds: ['x'] };
    assert.match((await faultOf(client.createPod(odd, signal), 'rejected')).message, /gpuTypeIds/);
    assert.equal(sim.state().pods.length, 0);
  });

  it('tells an action that the state forbids', async () => {
    const { id } = world.sim.seedPod({ name: 'x', status: 'EXITED' });
    assert.equal((await faultOf(world.client.podAction(id, 'stop', world.signal), 'rejected')).facts.status, 409);
  });

  it('repeats reading after a failure, and never a create whose answer was lost', async () => {
    const { sim, client, signal } = world;
    sim.faults.set({ failure: { kind: 'status', status: 503, effect: 'before' }, on: ['listPods'], times: 2 });
    assert.deepEqual(await client.listPods(signal), []);
    sim.faults.set({ failure: { kind: 'reset', effect: 'after' }, on: ['createPod'], times: 1 });
    const lost = await faultOf(client.createPod(wish, signal), 'unreachable');
    assert.equal(lost.facts.delivered, 'maybe');
    sim.faults.set({ failure: { kind: 'status', status: 500, effect: 'after' }, on: ['createPod'], times: 1 });
    assert.equal((await faultOf(client.createPod(wish, signal), 'unavailable')).facts.delivered, 'maybe');
    assert.equal(postsOf(world), 2);
  });

  it('never sends an action again whose answer was lost', async () => {
    const { id } = world.sim.seedPod({ name: 'x' });
    world.sim.faults.set({ failure: { kind: 'reset', effect: 'after' }, on: ['podAction'] });
    const lost = await faultOf(world.client.podAction(id, 'restart', world.signal), 'unreachable');
    assert.equal(lost.facts.delivered, 'maybe');
    assert.equal(world.sim.requests.filter(({ operation }) => operation === 'podAction').length, 1);
  });

  it('waits as long as a 429 says, then goes on', async () => {
    world.sim.faults.set({ failure: { kind: 'rateLimited', retryAfterSeconds: 1 }, on: ['listPods'], times: 1 });
    const startedAt = Date.now();
    await world.client.listPods(world.signal);
    assert.ok(Date.now() - startedAt >= 1_000);
  });

  it('tells half a reply and a web page as protocol faults with the raw text', async () => {
    const { sim, client, signal } = world;
    sim.seedPod({ name: 'x' });
    sim.faults.set({ failure: { kind: 'truncatedJson' }, on: ['listPods'], times: 1 });
    assert.ok((await faultOf(client.listPods(signal), 'protocol')).facts.raw);
    sim.faults.set({ failure: { kind: 'html' }, on: ['listPods'], times: 1 });
    assert.match((await faultOf(client.listPods(signal), 'protocol')).message, /web page/);
  });

  it("keeps the beginning of an unexpected reply for the log, without anybody's environment", async () => {
    const pod = {
      id: 'odd',
      name: 'x',
      status: 'RUNNING',
      env: { HF_TOKEN: 'hf_mine', JUPYTER_PASSWORD: 'pa}ss' },
      cost: null,
    };
    const server = await startPlainServer((_, to) => to.writeHead(200).end(JSON.stringify({ pods: [pod] })));
    const logged: string[] = [];
    const note = (text: string, data?: unknown): void => void logged.push(`${text} ${JSON.stringify(data)}`);
    const log = { debug: note, info: note, warn: note, error: note };
    const fault = await faultOf(world.newClient({ baseUrl: server.base, log }).listPods(world.signal), 'protocol');
    await server.close();
    for (const kept of [fault.facts.raw ?? '', logged.join('\n')]) {
      assert.match(kept, /odd.*cost\\?":null/);
      assert.doesNotMatch(kept, /hf_mine|pa}ss|TOKEN/);
    }
  });

  it('ends at its deadline and when cancelled', async () => {
    world.sim.faults.set({ failure: { kind: 'hang', effect: 'before' }, on: ['listPods'] });
    const hasty = world.newClient({ timeoutMs: 80, retries: 0 });
    await faultOf(hasty.listPods(world.signal), 'timeout');
    const stop = new AbortController();
    const asked = world.client.listPods(stop.signal);
    setTimeout(() => stop.abort(new Fault('cancelled', 'by the test')), 30);
    assert.equal((await faultOf(asked, 'cancelled')).message, 'by the test');
  });

  it('reads the catalogue of both tiers with stock and prices', async () => {
    const { client, signal } = world;
    const secure = await client.listGpuTypes({ cloud: 'SECURE', count: 1 }, signal);
    const card = secure.find((gpu) => gpu.id === 'NVIDIA GeForce RTX 4090');
    assert.equal(card?.memoryGb, 24);
    assert.ok((card.secure.usdPerHourMicros ?? 0) > 0);
    assert.ok(card.stock);
    assert.ok((await client.listGpuTypes({ cloud: 'COMMUNITY', count: 2 }, signal)).length > 0);
  });

  it('reads the bill, in all and by pod', async () => {
    const { id } = world.sim.seedPod({ name: 'x' });
    const today = { bucketSize: 'day', lastN: 2 } as const;
    await new Promise((resolve) => setTimeout(resolve, 50));
    const bill = await world.client.billing(today, world.signal);
    const byPod = await world.client.podBilling({ ...today, podId: id }, world.signal);
    assert.ok(bill.length > 0 && bill.every((record) => record.startAtMs !== undefined));
    assert.ok(byPod.length > 0 && byPod.every((record) => record.podId === id));
    const sum = byPod.reduce((micros, record) => micros + record.totalMicros, 0);
    assert.ok(sum > 0);
  });
});

describe("a pod's log against the simulator", () => {
  let world: RunpodWorld;
  let podId: string;
  beforeEach(async () => {
    world = await openRunpodWorld();
    ({ id: podId } = world.sim.seedPod({ name: 'talker' }));
  });
  afterEach(() => world.close());

  /** Reads until that many lines are there, or the stream is silent. */
  async function read(count: number, tail = 100): Promise<PodLogLine[]> {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(new Fault('cancelled', 'silent')), 3_000);
    const lines: PodLogLine[] = [];
    try {
      for await (const line of world.client.streamLogs(podId, { tail }, stop.signal)) {
        lines.push(line);
        if (lines.length >= count) break;
      }
    } catch (error) {
      assert.equal((error as Fault).kind, 'cancelled', String(error));
    } finally {
      clearTimeout(timer);
    }
    return lines;
  }

  it('comes line by line with its source and time, past lines and then new ones', async () => {
    setTimeout(() => void world.client.podAction(podId, 'restart', world.signal), 100);
    const lines = await read(10);
    assert.equal(lines.length, 10);
    assert.ok(lines.every((line) => line.text !== '' && line.atMs !== undefined));
    assert.ok(lines.some((line) => line.source === 'container'));
    assert.ok(lines.some((line) => line.source === 'system' && line.text === 'start container'));
  });

  for (const how of ['event', 'midFrame', 'midCharacter'] as const) {
    it(`goes on after a cut (${how}) without losing or repeating a line`, async () => {
      const whole = (await read(5)).map((line) => line.text);
      assert.equal(whole.length, 5);
      world.sim.faults.set({ failure: { kind: 'cutLog', afterLines: 2, how }, times: 1 });
      assert.deepEqual(
        (await read(5)).map((line) => line.text),
        whole,
      );
      assert.ok(world.sim.requests.some((request) => request.headers['last-event-id'] !== undefined));
    });
  }

  it('survives other line ends and data that is no JSON', async () => {
    const whole = (await read(3)).map((line) => line.text);
    for (const strange of ['crlf', 'notJson'] as const) {
      world.sim.faults.clear();
      world.sim.faults.set({ failure: { kind: 'strangeLog', with: strange } });
      const lines = (await read(3)).map((line) => line.text);
      assert.equal(lines.length, 3, strange);
      if (strange === 'crlf') assert.deepEqual(lines, whole);
    }
  });

  it('shows the beginning of a line that is over the limit, and goes on', async () => {
    const [, second] = await read(2);
    world.sim.faults.set({ failure: { kind: 'strangeLog', with: 'hugeEvent' } });
    const [long, next] = await read(2);
    assert.equal(long?.text.length, 2_002);
    assert.match(long.text, /^\{"ts":.*# …$/);
    assert.deepEqual(next, second);
  });

  it('shows a line once when a resume begins with it again', async () => {
    const whole = (await read(5)).map((line) => line.text);
    world.sim.faults.set({ failure: { kind: 'strangeLog', with: 'repeatOnResume' } });
    world.sim.faults.set({ failure: { kind: 'cutLog', afterLines: 2, how: 'event' }, times: 1 });
    assert.deepEqual(
      (await read(5)).map((line) => line.text),
      whole,
    );
  });

  it('shows each line once after a cut where lines have no ids, by the time of the last one', async () => {
    // All at one time: a resume by that time begins with the first of them.
    world.sim.writeLog(podId, 'container', ['one', 'two', 'three', 'four']);
    const whole = (await read(10)).map((line) => line.text);
    world.sim.faults.set({ failure: { kind: 'strangeLog', with: 'noIds' } });
    world.sim.faults.set({ failure: { kind: 'cutLog', afterLines: 2, how: 'event' }, times: 1 });
    const reading = read(4, 3);
    await new Promise((resolve) => setTimeout(resolve, 200));
    world.sim.writeLog(podId, 'container', ['new']);
    assert.deepEqual(
      (await reading).map((line) => line.text),
      [...whole.slice(-3), 'new'],
    );
    const queries = world.sim.requests.map(({ url }) => new URL(url, world.origin).searchParams);
    assert.ok(queries.some((query) => query.has('since') && !query.has('tail')));
  });

  it('begins with the next line after a cut where lines have neither ids nor times', async () => {
    world.sim.faults.set({ failure: { kind: 'strangeLog', with: 'bare' } });
    world.sim.faults.set({ failure: { kind: 'cutLog', afterLines: 2, how: 'event' }, times: 1 });
    const reading = read(3);
    await new Promise((resolve) => setTimeout(resolve, 600));
    world.sim.writeLog(podId, 'container', ['new']);
    const texts = (await reading).map((line) => line.text);
    assert.equal(texts.at(-1), 'new', String(texts));
  });

  it('waits for a pod that was just created and that RunPod does not know yet', async () => {
    world.sim.configure({ createLagMs: 300 });
    const { id } = await world.client.createPod(
      {
        name: 'new',
        image: 'i',
        gpu: { id: 'NVIDIA GeForce RTX 4090', count: 1 },
        cloud: 'SECURE',
        disk: 5,
        ports: [],
        env: {},
      },
      world.signal,
    );
    podId = id;
    assert.equal((await read(1)).length, 1);
    assert.ok(world.sim.requests.some(({ operation, status }) => operation === 'getPodLogs' && status === 404));
    const hasty = world.newClient({ visibleWithinMs: 0 });
    const late = await hasty.createPod(
      {
        name: 'late',
        image: 'i',
        gpu: { id: 'NVIDIA GeForce RTX 4090', count: 1 },
        cloud: 'SECURE',
        disk: 5,
        ports: [],
        env: {},
      },
      world.signal,
    );
    const work = (async () => {
      for await (const _ of hasty.streamLogs(late.id, {}, world.signal)) assert.fail('it is not there yet');
    })();
    assert.equal((await faultOf(work, 'rejected')).facts.status, 404);
  });

  it('takes a long silence for a dead connection and resumes; a quiet pod is no failure', async () => {
    world.sim.faults.set({ failure: { kind: 'strangeLog', with: 'silent' } });
    const patient = world.newClient({ logSilenceMs: 100 });
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Fault('cancelled', 'enough')), 2_500);
    const work = (async () => {
      for await (const _ of patient.streamLogs(podId, {}, stop.signal)) assert.fail('it is silent');
    })();
    await faultOf(work, 'cancelled');
    assert.ok(world.sim.requests.filter(({ operation }) => operation === 'getPodLogs').length >= 2);
  });

  it('waits as it is told to, yet not for weeks', async () => {
    world.sim.faults.set({ failure: { kind: 'rateLimited', retryAfterSeconds: 2_200_000 } });
    const slept: number[] = [];
    const sleep = (ms: number): Promise<void> => Promise.resolve(void slept.push(ms));
    const lines = world.newClient({ clock: { ...systemClock, sleep } }).streamLogs(podId, {}, world.signal);
    await faultOf(lines[Symbol.asyncIterator]().next(), 'rateLimited');
    assert.deepEqual(slept, Array<number>(6).fill(300_000));
  });

  it('ends when the pod is gone, and not before', async () => {
    const texts: string[] = [];
    setTimeout(() => void world.client.deletePod(podId, world.signal), 200);
    for await (const line of world.client.streamLogs(podId, {}, world.signal)) texts.push(line.text);
    assert.equal(texts.at(-1), 'remove container');
  });

  it('ends with a Fault for an unknown pod', async () => {
    const work = (async () => {
      for await (const _ of world.client.streamLogs('nosuchpod', {}, world.signal)) assert.fail('a line from nowhere');
    })();
    assert.equal((await faultOf(work, 'rejected')).facts.status, 404);
  });
});
