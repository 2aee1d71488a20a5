// Pods that come and go by themselves for queued work, over the whole simulator and the real queue.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { FleetDecision } from '../../src/core/fleet/fleetDecision.ts';
import type { QueueView } from '../../src/core/queue/queueView.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { SeedPod } from '../../src/sim/runpod/runpodSim.ts';
import { job, openWorld, samplerWorkflow } from './world.ts';
import type { World } from './world.ts';

const usdPerHour = 1_000_000;

describe('pods for queued work', function () {
  this.timeout(90_000);
  let world: World;
  let decisions: FleetDecision[];
  /** What pods of ours that ran together cost at most, and how many those were, at any moment. */
  let most: { pods: number; micros: number };

  beforeEach(async () => {
    world = await openWorld({ podWatchEveryMs: 100 });
    decisions = [];
    most = { pods: 0, micros: 0 };
    await world.sim.setLocalOpen(false);
    // The cards of up to $0.30: an A4000 and an A5000.
    set({ 'gemini.enabled': false, 'fleet.maxPods': 2, 'cloud.idleMinutes': 1, 'cloud.maxUsdPerHour': 0.3 });
    await world.core.keys.load();
    world.core.fleet.onDidDecide((decision) => void decisions.push(decision));
    world.core.pods.onDidChange(() => {
      const billed = (world.core.pods.lastSeen?.pods ?? []).filter(
        ({ name, status }) => name.startsWith('podrelay-') && status !== 'EXITED' && status !== 'TERMINATED',
      );
      const micros = billed.reduce((sum, pod) => sum + pod.usdPerHourMicros, 0);
      most = { pods: Math.max(most.pods, billed.length), micros: Math.max(most.micros, micros) };
    });
  });
  afterEach(() => world.close());

  const set = (change: Partial<Settings>): void => void (world.settings = { ...world.settings, ...change });
  const seed = (name: string, change: Partial<SeedPod> = {}): string =>
    world.sim.runpod.seedPod({ name, gpu: { id: 'NVIDIA RTX A5000', count: 1 }, ...change }).id;
  const account = () => world.sim.runpod.state().pods;
  const statusOf = (id: string) => account().find((pod) => pod.id === id)?.status;
  const running = () => account().filter(({ status }) => status !== 'EXITED' && status !== 'TERMINATED');
  const answering = () => account().filter(({ status }) => status === 'RUNNING');
  const sent = (operation: string) => world.sim.runpod.requests.filter((one) => one.operation === operation);
  const told = () => decisions.map(({ what, failure }) => (failure === undefined ? what : `${what} failed`));
  const prompts = (podId: string): number =>
    (world.sim.podComfy(podId)?.requests ?? []).filter(({ method, path }) => method === 'POST' && path === '/prompt')
      .length;

  async function enqueue(count: number, steps = 20): Promise<void> {
    const requests = Array.from({ length: count }, (_, n) => ({
      ...({ id: randomUUID(), label: `job ${n}`, media: 'image', localOnly: false } as const),
      workflow: samplerWorkflow(n, steps),
    }));
    await world.core.queue.enqueue(requests, world.signal);
  }

  async function view(): Promise<QueueView> {
    await world.core.queue.refresh();
    const { view: seen } = world.core.queue;
    assert.ok(seen.known);
    return seen.value;
  }

  async function until(what: string, isTrue: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
    for (const end = Date.now() + withinMs; !(await isTrue());) {
      const state = [account().map(({ name, status }) => [name, status]), world.core.fleet.next, told()];
      assert.ok(Date.now() < end, `Not within ${withinMs} ms: ${what}\n${JSON.stringify(state)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  const settle = (ms = 2_500): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  const cancelAll = async (): Promise<void> =>
    world.core.queue.cancel((await view()).jobs.filter(({ state }) => state === 'queued').map(({ id }) => id));

  it('are started up to the limit, share the work, and stop when it is done: each with its reason, kept', async () => {
    const a = seed('podrelay-aaaa', { status: 'EXITED' });
    set({ 'fleet.rule': 'queueLength' });
    await enqueue(30, 30);
    await until('both answer', () => answering().length === 2);
    assert.deepEqual(told(), ['start', 'create'], 'the stopped one first');
    const [started, created] = decisions;
    assert.equal(started?.podId, a);
    assert.match(started?.because ?? '', /^\d+ jobs and \d+ that run ask for \d+ pods; .* as pod 1 at \$/);
    assert.match(created?.because ?? '', / ask for \d+ pods; .* as pod 2 at \$/);
    assert.ok((created?.expected.micros ?? 0) > 0);
    await until('all is done', async () => (await view()).counts.done === 30, 60_000);
    assert.deepEqual(told(), ['start', 'create'], 'none is stopped while there is work');
    assert.ok(prompts(a) > 0 && prompts(created!.podId!) > 0, `${prompts(a)} and ${prompts(created!.podId!)}`);
    set({ 'cloud.idleMinutes': 0.02 });
    await until('all are stopped', () => running().length === 0 && decisions.length === 4);
    assert.match(decisions[3]?.because ?? '', /had no work for .* is saved$/);
    assert.equal(world.core.fleet.lastOf(a)?.what, 'stop');
    const kept = await world.core.fleet.decisions();
    assert.deepEqual(
      kept.map(({ what }) => what),
      ['stop', 'stop', 'create', 'start'],
    );
    assert.equal(most.pods, 2);
  });

  it('stay within the dollars per hour, however much waits', async () => {
    set({ 'fleet.maxPods': 10, 'fleet.maxUsdPerHour': 0.6 });
    await enqueue(300, 400);
    await until('two answer', () => answering().length === 2);
    await settle();
    assert.ok(most.pods === 2 && most.micros <= 0.6 * usdPerHour, JSON.stringify(most));
    assert.match(decisions[0]?.because ?? '', /^Nothing that runs can do 300 jobs; .* as pod 1 at \$/);
    assert.match(decisions[1]?.because ?? '', /^\d+ jobs would take .* as pod 2 at \$.* saves /);
    assert.ok((decisions[1]?.expected.savedSeconds ?? 0) > 0);
  });

  it('are not those of others, whatever those do', async () => {
    const stopped = seed('training', { status: 'EXITED' });
    const works = seed('inference');
    set({ 'fleet.maxPods': 1 });
    await enqueue(12, 10);
    await until('all is done', async () => (await view()).counts.done === 12, 60_000);
    set({ 'cloud.idleMinutes': 0.02 });
    await until('ours is stopped', () => running().length === 1);
    assert.deepEqual([statusOf(stopped), statusOf(works)], ['EXITED', 'RUNNING']);
    const touched = world.sim.runpod.requests.filter(
      ({ method, surface, podId }) => method !== 'GET' && surface === 'api' && (podId === stopped || podId === works),
    );
    assert.deepEqual(touched, []);
  });

  it('none is started by default, nor for work that may not leave this machine', async () => {
    set({ 'fleet.maxPods': 0 });
    await enqueue(50);
    await settle();
    set({ 'fleet.maxPods': 2, 'privacy.localOnly': true });
    world.core.fleet.reconsider();
    await settle();
    assert.deepEqual([told(), running()], [[], []]);
    set({ 'privacy.localOnly': false });
    world.core.fleet.reconsider();
    await until('one is started', () => running().length > 0);
  });

  it("none is started while RunPod's API is down, and one is when it is back", async () => {
    const down = world.sim.runpod.faults.set({ failure: { kind: 'apiDown' } });
    await enqueue(50);
    await until('it looked', () => world.core.fleet.next !== undefined);
    await settle();
    assert.deepEqual([told(), sent('createPod')], [[], []]);
    assert.match(world.core.fleet.next?.because ?? '', /nothing is changed/);
    world.sim.runpod.faults.clear(down);
    world.core.fleet.wake();
    await until('one is started', () => running().length > 0);
  });

  it('are asked for down the list where RunPod has none, and not at once again', async () => {
    world.sim.runpod.faults.set({ failure: { kind: 'noCapacity', inCatalogue: false } });
    await enqueue(50);
    await until('it failed', () => told().includes('create failed'));
    const asked = sent('createPod').length;
    assert.ok(asked >= 2, `${asked} types were asked for`);
    world.core.fleet.wake();
    await settle();
    assert.deepEqual([told(), sent('createPod').length], [['create failed'], asked]);
    assert.match(decisions[0]?.failure ?? '', /no free GPU/);
    assert.match(world.core.fleet.next?.because ?? '', /failed/);
  });

  it('none is started when the budget is spent', async () => {
    seed('podrelay-aaaa', { status: 'EXITED' });
    set({ 'budget.dayUsd': 0 });
    await enqueue(50);
    await until('it looked', () => world.core.fleet.next !== undefined);
    await settle();
    assert.deepEqual([running(), sent('createPod'), told().filter((what) => !what.endsWith('failed'))], [[], [], []]);
  });

  it('are never stopped while a job runs there', async () => {
    set({ 'fleet.maxPods': 1 });
    await enqueue(12, 10);
    await until('one works', async () => (await view()).counts.done > 0, 60_000);
    await cancelAll();
    const podId = answering()[0]!.id;
    await until('it has nothing to do', async () => (await view()).counts.running === 0, 60_000);
    // Asked for by hand: nothing of it is in the queue.
    let isOn = false;
    const ended = world.core.jobs.run(
      job(samplerWorkflow(7, 300)),
      () => (isOn ||= world.core.jobsOn(podId) > 0),
      world.signal,
    );
    await until('it works', () => isOn);
    set({ 'cloud.idleMinutes': 0.01 });
    world.core.fleet.reconsider();
    await settle(2_000);
    assert.equal(statusOf(podId), 'RUNNING');
    assert.ok(!told().includes('stop'), told().join());
    await ended;
    await until('it is stopped', () => statusOf(podId) === 'EXITED');
  });
});
