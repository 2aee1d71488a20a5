import assert from 'node:assert/strict';
import type { DeployRequest } from '../../src/core/fleet/deployPod.ts';
import type { PodService } from '../../src/core/fleet/podService.ts';
import { terminatePod } from '../../src/core/fleet/podActions.ts';
import type { GpuCandidate } from '../../src/core/fleet/rankGpus.ts';
import { defaultWatchdog } from '../../src/core/fleet/watchdog.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import type { FaultKind } from '../../src/core/kernel/fault.ts';
import type { Operation } from '../../src/sim/runpod/faults.ts';
import { openRunpodWorld, testApiKey } from './runpodWorld.ts';
import type { RunpodWorld } from './runpodWorld.ts';

const wait = { readyTimeoutMs: 5_000, onProgress: (): void => undefined };

function candidate(gpuId: string, cloud: 'SECURE' | 'COMMUNITY' = 'COMMUNITY'): GpuCandidate {
  // Quotes far over the price: these tests are not about it.
  return { gpuId, name: gpuId, memoryGb: 24, count: 1, cloud, usdPerHourMicros: 9_000_000, stock: 'HIGH' };
}

const cards = ['NVIDIA GeForce RTX 3090', 'NVIDIA RTX A5000', 'NVIDIA GeForce RTX 4090'] as const;

const request: DeployRequest = {
  candidates: cards.map((gpuId) => candidate(gpuId)),
  image: 'runpod/comfyui:latest',
  containerDiskGb: 30,
  storage: { kind: 'volume', sizeGb: 60, path: '/workspace' },
  watchdog: defaultWatchdog,
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

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !holds(); i++) await pause(10);
  assert.ok(holds(), holds.toString());
}

describe('the fleet against the simulated RunPod', () => {
  let world: RunpodWorld;
  let service: PodService;
  let signal: AbortSignal;

  beforeEach(async () => {
    world = await openRunpodWorld();
    service = world.newService();
    signal = world.signal;
  });
  afterEach(() => world.close());

  const count = (operation: Operation): number =>
    world.sim.requests.filter((one) => one.operation === operation).length;
  const bodies = (): { gpu: { id: string }; name: string }[] =>
    world.sim.requests
      .filter((one) => one.operation === 'createPod')
      .map((one) => JSON.parse(one.body ?? '{}') as { gpu: { id: string }; name: string });
  const states = (): string[] => world.sim.state().pods.map(({ status }) => status);

  describe('deploying', () => {
    it('records the unique name before the request is sent, and sends it as name and mark', async () => {
      const intend = world.records.intend.bind(world.records);
      let sentBefore = -1;
      world.records.intend = (pod) => {
        sentBefore = count('createPod');
        return intend(pod);
      };
      const { pod } = await service.deploy(request, wait, signal);
      assert.equal(sentBefore, 0);
      assert.deepEqual(world.records.story, ['intend', 'own']);
      assert.match(pod.name, /^podrelay-/);
      assert.equal(pod.mark, pod.name);
    });

    it('goes down the list while there is no capacity, under one name', async () => {
      world.sim.faults.set({ failure: { kind: 'noCapacity', gpuIds: [cards[0], cards[1]] } });
      const { pod, refused } = await service.deploy(request, wait, signal);
      assert.equal(pod.gpu?.id, cards[2]);
      assert.deepEqual(
        refused.map(({ candidate: { gpuId }, why }) => `${gpuId} ${why.kind}`),
        [`${cards[0]} noCapacity`, `${cards[1]} noCapacity`],
      );
      assert.deepEqual(
        bodies().map(({ gpu }) => gpu.id),
        [...cards],
      );
      assert.equal(new Set(bodies().map(({ name }) => name)).size, 1);
    });

    it('no capacity on every GPU: said, with what was tried', async () => {
      world.sim.faults.set({ failure: { kind: 'noCapacity' } });
      const fault = await faultOf(service.deploy(request, wait, signal), 'noCapacity');
      for (const card of cards) assert.ok(fault.message.includes(card));
      assert.equal(count('createPod'), 3);
      assert.deepEqual(await world.records.open(), []);
      const none = await faultOf(service.deploy({ ...request, candidates: [] }, wait, signal), 'noCapacity');
      assert.match(none.message, /No GPU type fits/);
    });

    it('tells a broken rule as such, not as lack of stock', async () => {
      const strange: DeployRequest = {
        ...request,
        storage: { kind: 'network', volumeId: 'nosuchvolume', path: '/workspace' },
        candidates: [candidate(cards[0], 'SECURE')],
      };
      const fault = await faultOf(service.deploy(strange, wait, signal), 'rejected');
      assert.match(fault.message, /volume/);
    });

    for (const [what, failure] of [
      ['a reset connection', { kind: 'reset', effect: 'after' }],
      ['a 500', { kind: 'status', status: 500, effect: 'after' }],
      ['half an answer', { kind: 'truncatedJson' }],
      ['a time-out', { kind: 'hang', effect: 'after' }],
    ] as const) {
      it(`adopts the pod whose answer was lost in ${what}, without a second create`, async () => {
        world.sim.configure({ createLagMs: 150 });
        world.sim.faults.set({ failure, on: ['createPod'], times: 1 });
        const hasty = world.newService({}, world.newClient({ createTimeoutMs: 200 }));
        const { pod } = await hasty.deploy(request, wait, signal);
        assert.equal(count('createPod'), 1);
        assert.deepEqual(states(), ['RUNNING']);
        assert.equal(world.records.owned.get(pod.name), pod.id);
      });
    }

    it('creates again only after the name has not shown up', async () => {
      world.sim.faults.set({
        failure: { kind: 'status', status: 503, effect: 'before' },
        on: ['createPod'],
        times: 1,
      });
      const patient = world.newService({ adoptWithinMs: 200 });
      await patient.deploy(request, wait, signal);
      assert.equal(count('createPod'), 2);
      const order = world.sim.requests.map(({ operation }) => operation);
      const first = order.indexOf('createPod');
      assert.ok(order.slice(first + 1, order.lastIndexOf('createPod')).includes('listPods'));
      assert.deepEqual(states(), ['RUNNING']);
    });

    it('ends with one pod when the first one shows up only after the second create', async () => {
      world.sim.configure({ createLagMs: 400 });
      world.sim.faults.set({ failure: { kind: 'reset', effect: 'after' }, on: ['createPod'], times: 1 });
      const hasty = world.newService({ adoptWithinMs: 350 });
      await hasty.deploy(request, wait, signal);
      assert.equal(count('createPod'), 2);
      await until(() => states().includes('TERMINATED'));
      assert.deepEqual(states().sort(), ['RUNNING', 'TERMINATED']);
    });

    it('keeps the name on record when it cannot tell whether there is a pod, and adopts it later', async () => {
      world.sim.faults.set({ failure: { kind: 'reset', effect: 'after' }, on: ['createPod'] });
      const down = world.sim.faults.set({
        failure: { kind: 'status', status: 503, effect: 'before' },
        on: ['listPods'],
      });
      const blind = world.newService({ adoptWithinMs: 100 }, world.newClient({ retries: 0 }));
      const fault = await faultOf(blind.deploy(request, wait, signal), 'unavailable');
      assert.equal(fault.facts.delivered, 'maybe');
      assert.equal(count('createPod'), 1);
      const [intended] = await world.records.open();
      world.sim.faults.clear(down);
      const { adopted, running } = await service.reconcile(signal);
      assert.deepEqual(
        adopted.map(({ name }) => name),
        [intended?.name],
      );
      assert.equal(running.length, 1);
      assert.deepEqual(await world.records.open(), []);
    });

    it('keeps the name on record when the lost create may still show up and nobody else has capacity', async () => {
      world.sim.configure({ createLagMs: 600 });
      world.sim.faults.set({ failure: { kind: 'reset', effect: 'after' }, on: ['createPod'], times: 1 });
      const create = world.client.createPod.bind(world.client);
      const client = {
        ...world.client,
        createPod: (...args: Parameters<typeof create>) => {
          if (count('createPod') > 0) world.sim.faults.set({ failure: { kind: 'noCapacity' } });
          return create(...args);
        },
      };
      await faultOf(world.newService({ adoptWithinMs: 100 }, client).deploy(request, wait, signal), 'noCapacity');
      assert.equal((await world.records.open()).length, 1);
      await pause(600);
      assert.equal((await service.reconcile(signal)).adopted.length, 1);
    });

    it('stops a pod that costs over 10 % more than quoted, and says both prices', async () => {
      const honest = await world.client.listGpuTypes({ cloud: 'COMMUNITY', count: 1 }, signal);
      const price = honest.find(({ id }) => id === cards[0])?.community.usdPerHourMicros ?? 0;
      const quoted = { ...request, candidates: [{ ...candidate(cards[0]), usdPerHourMicros: price }] };
      world.sim.faults.set({ failure: { kind: 'dearer', microsPerHour: Math.round(price * 0.2) }, times: 1 });
      const fault = await faultOf(service.deploy(quoted, wait, signal), 'overBudget');
      assert.match(fault.message, /instead of the quoted .*it was stopped/);
      assert.deepEqual(states(), ['EXITED']);
      world.sim.faults.set({ failure: { kind: 'dearer', microsPerHour: Math.round(price * 0.05) }, times: 1 });
      await service.deploy(quoted, wait, signal);
      assert.deepEqual(states(), ['EXITED', 'RUNNING']);
    });

    for (const [when, delayMs] of [
      ['while the create is under way', 20],
      ['while the pod boots', 300],
    ] as const) {
      it(`cancelled ${when} leaves no pod`, async () => {
        world.sim.configure({ createLagMs: 100 });
        if (delayMs === 20) {
          world.sim.faults.set({ failure: { kind: 'delay', ms: 150 }, on: ['createPod'], times: 1 });
        }
        const stop = new AbortController();
        setTimeout(() => stop.abort(new Fault('cancelled', 'by the person')), delayMs);
        world.sim.configure({ firstAppBootMs: [3_000, 3_000] });
        await faultOf(service.deploy(request, wait, stop.signal), 'cancelled');
        assert.equal(count('createPod'), 1);
        assert.deepEqual(states(), ['TERMINATED']);
        assert.deepEqual([...world.records.owned], []);
      });
    }
  });

  describe('waiting until a pod is ready', () => {
    it('the pod that never becomes ready: a bounded wait, then it is stopped, and that is said', async () => {
      world.sim.faults.set({ failure: { kind: 'neverReady' } });
      const fault = await faultOf(service.deploy(request, { ...wait, readyTimeoutMs: 900 }, signal), 'timeout');
      assert.match(fault.message, /not ready within 1 s \(Waiting for ComfyUI; last: HTTP 502\); it was stopped/);
      assert.deepEqual(states(), ['EXITED']);
    });

    it('is bounded while the image is pulled for ever', async () => {
      world.sim.faults.set({ failure: { kind: 'stuckPulling' } });
      const fault = await faultOf(service.deploy(request, { ...wait, readyTimeoutMs: 500 }, signal), 'timeout');
      assert.match(fault.message, /Starting the container.*it was stopped/);
      assert.deepEqual(states(), ['EXITED']);
    });

    it('is not fooled by a web page with status 200', async () => {
      world.sim.configure({ proxyWhileBooting: 'html200', firstAppBootMs: [400, 400] });
      await service.deploy(request, wait, signal);
      const pages = world.sim.requests.filter((one) => one.surface === 'proxy');
      assert.ok(pages.length > 2);
    });

    it('ends when the container fails', async () => {
      world.sim.faults.set({ failure: { kind: 'crashLoop' } });
      const fault = await faultOf(service.deploy(request, wait, signal), 'unavailable');
      assert.match(fault.message, /failed to start; it could not be stopped and was terminated: nothing was on it/);
      assert.deepEqual(states(), ['TERMINATED']);
      assert.deepEqual([...world.records.owned, ...service.lastSeen!.pods], []);
    });

    it('says so when what has failed cannot be ended', async () => {
      world.sim.faults.set({ failure: { kind: 'crashLoop' } });
      world.sim.faults.set({ failure: { kind: 'status', status: 403, effect: 'before' }, on: ['deletePod'] });
      const fault = await faultOf(service.deploy(request, wait, signal), 'unavailable');
      assert.match(fault.message, /terminating it failed .*it still costs money/);
    });

    it('ends when the pod is stopped or terminated by someone else', async () => {
      world.sim.configure({ firstAppBootMs: [3_000, 3_000], nextAppBootMs: 3_000 });
      for (const action of ['stop', 'terminate'] as const) {
        const quick = world.newService({ visibleWithinMs: 100 });
        const { id } = world.sim.seedPod({ name: action, status: 'PROVISIONING' });
        const waiting = quick.ensureReady(id, wait, signal);
        setTimeout(() => void world.client.podAction(id, action, signal), 300);
        await faultOf(waiting, 'unavailable');
      }
    });

    it('outlasts the time in which a new pod is not visible', async () => {
      world.sim.configure({ createLagMs: 500 });
      await service.deploy(request, wait, signal);
      assert.ok(world.sim.requests.some(({ operation, status }) => operation === 'getPod' && status === 404));
    });

    it('outlasts passing failures of RunPod', async () => {
      world.sim.faults.set({ failure: { kind: 'status', status: 503, effect: 'before' }, on: ['getPod'], times: 2 });
      const frail = world.newService({}, world.newClient({ retries: 0 }));
      await frail.deploy(request, wait, signal);
    });

    it('recognises a pod that came back without a GPU, and stops what it started', async () => {
      const { id } = world.sim.seedPod({ name: 'podrelay-old', status: 'EXITED' });
      world.sim.faults.set({ failure: { kind: 'zeroGpuRestart' }, times: 1 });
      const fault = await faultOf(service.ensureReady(id, wait, signal), 'noCapacity');
      assert.match(fault.message, /without a GPU/);
      assert.deepEqual(states(), ['EXITED']);
    });
  });

  describe('cloud auto-start', () => {
    it('is true at once when the pod runs and its ComfyUI answers', async () => {
      const { id } = world.sim.seedPod({ name: 'a' });
      assert.equal(await service.ensureReady(id, wait, signal), true);
      assert.equal(count('podAction'), 0);
    });

    it('is false when no pod is configured', async () => {
      assert.equal(await service.ensureReady(undefined, wait, signal), false);
      assert.equal(await service.ensureReady('', wait, signal), false);
      assert.equal(world.sim.requests.length, 0);
    });

    it('tells a host without a free GPU', async () => {
      const { id } = world.sim.seedPod({ name: 'a', status: 'EXITED' });
      world.sim.faults.set({ failure: { kind: 'hostFull' } });
      await faultOf(service.ensureReady(id, wait, signal), 'noCapacity');
    });

    it('starts the pod once for many callers, and all see how far it is', async () => {
      const { id } = world.sim.seedPod({ name: 'a', status: 'EXITED' });
      const phases = [new Set<string>(), new Set<string>()];
      const answers = await Promise.all(
        phases.map((seen) =>
          service.ensureReady(id, { ...wait, onProgress: ({ phase }) => void seen.add(phase) }, signal),
        ),
      );
      assert.deepEqual(answers, [true, true]);
      assert.equal(starts(world), 1);
      for (const seen of phases) assert.ok(seen.has('container') && seen.has('ready'));
    });

    it('goes on for the others when one caller cancels, and stops the pod when the last one does', async () => {
      world.sim.configure({ nextAppBootMs: 1_000, firstAppBootMs: [1_000, 1_000] });
      const { id } = world.sim.seedPod({ name: 'a', status: 'EXITED' });
      const stops = [new AbortController(), new AbortController()] as const;
      const asked = stops.map((stop) => service.ensureReady(id, wait, stop.signal));
      await until(() => states()[0] !== 'EXITED');
      stops[0].abort(new Fault('cancelled', 'first'));
      await faultOf(asked[0]!, 'cancelled');
      await pause(150);
      assert.notEqual(states()[0], 'EXITED');
      stops[1].abort(new Fault('cancelled', 'second'));
      await faultOf(asked[1]!, 'cancelled');
      await until(() => states()[0] === 'EXITED');
      assert.equal(await service.ensureReady(id, wait, signal), true, 'and it can be asked for again');
    });

    it('leaves a pod alone that it did not start', async () => {
      world.sim.configure({ firstAppBootMs: [60_000, 60_000] });
      const { id } = world.sim.seedPod({ name: 'a', status: 'PROVISIONING' });
      const fault = await faultOf(service.ensureReady(id, { ...wait, readyTimeoutMs: 600 }, signal), 'timeout');
      assert.doesNotMatch(fault.message, /stopped/);
      assert.deepEqual(states(), ['RUNNING']);
    });
  });

  describe('acting on pods', () => {
    for (const failure of [
      { kind: 'reset', effect: 'after' },
      { kind: 'reset', effect: 'before' },
      { kind: 'status', status: 502, effect: 'after' },
    ] as const) {
      it(`stops and starts although the answer is lost (${failure.kind} ${failure.effect} the effect)`, async () => {
        const { id } = world.sim.seedPod({ name: 'a' });
        world.sim.faults.set({ failure, on: ['podAction'], times: 1 });
        assert.equal((await service.stop(id, signal))?.status, 'EXITED');
        world.sim.faults.set({ failure, on: ['podAction'], times: 1 });
        assert.notEqual((await service.start(id, signal)).status, 'EXITED');
      });
    }

    it('is content when the pod is already as wanted', async () => {
      const stopped = world.sim.seedPod({ name: 'a', status: 'EXITED' });
      assert.equal((await service.stop(stopped.id, signal))?.status, 'EXITED');
      const running = world.sim.seedPod({ name: 'b' });
      assert.equal((await service.start(running.id, signal)).status, 'RUNNING');
      assert.equal(await service.stop('nosuchpod', signal), undefined);
    });

    it('restarts, and waits for a new run of the container', async () => {
      const { id } = world.sim.seedPod({ name: 'a' });
      const before = await world.client.getPod(id, signal);
      await pause(20);
      const after = await service.restart(id, signal);
      assert.ok(after.status === 'STARTING' || after.startedAtMs !== before.startedAtMs);
    });

    it('refuses a locked pod with a sentence', async () => {
      const { id } = world.sim.seedPod({ name: 'a' });
      const answer = await fetch(`${world.origin}/v2/pods/${id}`, {
        method: 'PATCH',
        headers: { authorization: `Bearer ${testApiKey}`, 'content-type': 'application/json' },
        body: '{"locked":true}',
      });
      assert.equal(answer.status, 200);
      assert.equal((await faultOf(service.stop(id, signal), 'rejected')).message, 'The pod is locked');
      assert.equal((await faultOf(service.terminate(id, signal), 'rejected')).message, 'The pod is locked');
      assert.deepEqual(states(), ['RUNNING']);
    });

    it('does not take a 404 for gone while the pod is young', async () => {
      world.sim.configure({ createLagMs: 400 });
      const pod = await world.client.createPod(
        {
          name: 'podrelay-young',
          image: 'runpod/comfyui:latest',
          gpu: { id: cards[0], count: 1 },
          cloud: 'COMMUNITY',
          disk: 30,
          ports: [],
          env: {},
        },
        signal,
      );
      const deps = { client: world.client, clock: systemClock, pollMs: 50, confirmMs: 1_000, visibleWithinMs: 2_000 };
      await terminatePod(deps, pod.id, { young: true }, signal);
      assert.deepEqual(states(), ['TERMINATED']);
    });

    it('stops all, or only ours, and goes on past one that fails', async () => {
      const foreign = world.sim.seedPod({ name: 'not ours' });
      const ours = [1, 2].map((n) => world.sim.seedPod({ name: `podrelay-${n}` }).id);
      const first = await service.stopAll('ours', signal);
      assert.deepEqual([...first.stopped].sort(), [...ours].sort());
      assert.equal(world.sim.state().pods.find(({ id }) => id === foreign.id)?.status, 'RUNNING');
      const stuck = world.sim.seedPod({ name: 'podrelay-3' });
      world.sim.faults.set({
        failure: { kind: 'status', status: 403, effect: 'before' },
        on: ['podAction'],
        podId: stuck.id,
      });
      const second = await service.stopAll('all', signal);
      assert.deepEqual(second.stopped, [foreign.id]);
      assert.deepEqual(
        second.failed.map(({ pod }) => pod.id),
        [stuck.id],
      );
    });
  });

  describe('the snapshot of pods', () => {
    it('is unknown, then known with its age, then unknown again with the reason; what was seen stays', async () => {
      const shown = (): string => {
        const { pods } = service;
        return pods.known ? `${pods.value.length} pods` : `unknown: ${pods.why?.kind ?? 'never asked'}`;
      };
      assert.equal(shown(), 'unknown: never asked');
      world.sim.seedPod({ name: 'a' });
      await service.refresh(signal);
      assert.equal(shown(), '1 pods');
      world.sim.faults.set({ failure: { kind: 'revokedKey' } });
      await faultOf(service.refresh(signal), 'unauthorized');
      assert.equal(shown(), 'unknown: unauthorized');
      assert.equal(service.lastSeen?.pods.length, 1);
    });

    it('is asked for once by callers at the same time', async () => {
      await Promise.all([service.refresh(signal), service.refresh(signal), service.refresh(signal)]);
      assert.equal(count('listPods'), 1);
    });

    it('goes on for the others when one of them cancels', async () => {
      world.sim.faults.set({ failure: { kind: 'delay', ms: 100 }, on: ['listPods'], times: 1 });
      const stop = new AbortController();
      const [gone, stays] = [service.refresh(stop.signal), service.refresh(signal)];
      stop.abort(new Fault('cancelled', 'x'));
      await faultOf(gone, 'cancelled');
      assert.deepEqual(await stays, []);
    });

    it('changes with every action, before its event fires', async () => {
      const { id } = world.sim.seedPod({ name: 'a' });
      await service.refresh(signal);
      const seen: (string | undefined)[] = [];
      service.onDidChange(() => seen.push(service.pods.known ? service.pods.value[0]?.status : 'unknown'));
      await service.stop(id, signal);
      await service.start(id, signal);
      await service.terminate(id, signal);
      assert.deepEqual([seen[0], seen.at(-1)], ['EXITED', undefined]);
      assert.ok(seen.length >= 3);
    });

    it('is not set back by a list that was asked for before an action', async () => {
      const { id } = world.sim.seedPod({ name: 'a' });
      await service.refresh(signal);
      world.sim.faults.set({ failure: { kind: 'delay', ms: 200 }, on: ['listPods'], times: 1 });
      const listing = service.refresh(signal);
      await service.stop(id, signal);
      await listing;
      assert.ok(service.pods.known && service.pods.value[0]?.status === 'EXITED');
    });
  });
});

function starts(world: RunpodWorld): number {
  return world.sim.requests.filter(({ method, body }) => method === 'POST' && body?.includes('"start"')).length;
}
