import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { AllBackendsFailed } from '../../src/core/backends/backendManager.ts';
import type { BudgetNotice } from '../../src/core/cost/budgets.ts';
import { Fault, toFault } from '../../src/core/kernel/fault.ts';
import type { Settings } from '../../src/core/settings.ts';
import { startSimulator } from '../../src/sim/simulator.ts';
import { leaseMs, openWindow, placeOf, removeFolder, until as untilTrue } from './jobWindow.ts';
import { job, openWorld, samplerWorkflow, smallWorkflow } from './world.ts';
import type { World, WorldOptions } from './world.ts';

const ours = { name: 'podrelay-mine', env: { PODRELAY_POD: 'podrelay-mine' } } as const;

describe('budgets', () => {
  let world: World;
  afterEach(() => world.close());

  async function open(change: Partial<Settings>, options: WorldOptions = {}): Promise<void> {
    world = await openWorld({ podWatchEveryMs: 40, ...options });
    set({ 'gemini.fallback': 'always', ...change });
  }
  const set = (change: Partial<Settings>): void => void (world.settings = { ...world.settings, ...change });
  const run = (workflow = samplerWorkflow()) => world.core.jobs.run(job(workflow), () => undefined, world.signal);
  const spentMicros = async (): Promise<number> => {
    await world.core.ledger.refresh();
    const { spending } = world.core.ledger;
    assert.ok(spending.known);
    return spending.value.month.micros;
  };
  const heldMicros = async (): Promise<number> => {
    await world.core.budgets.refresh();
    const { uses } = world.core.budgets;
    assert.ok(uses.known);
    return Math.max(0, ...uses.value.map((use) => use.heldMicros));
  };
  const statusOf = (id: string): string | undefined =>
    world.sim.runpod.state().pods.find((pod) => pod.id === id)?.status;
  async function until(what: string, isTrue: () => boolean, withinMs = 5_000): Promise<void> {
    for (const end = Date.now() + withinMs; !isTrue();) {
      assert.ok(Date.now() < end, `Not within ${withinMs} ms: ${what}\n${world.log.join('\n')}`);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  }

  it('hold for 50 jobs at once: Gemini bills not a cent more, and who is refused reads why', async function () {
    this.timeout(60_000);
    await open({ 'routing.forced': 'gemini', 'budget.dayUsd': 0.5 });
    const notices: BudgetNotice[] = [];
    world.core.budgets.onDidNotice((notice) => notices.push(notice));
    const ended = await Promise.allSettled(Array.from({ length: 50 }, () => run()));
    const done = ended.filter(({ status }) => status === 'fulfilled').length;
    const refused = ended.flatMap((one) => (one.status === 'rejected' ? [toFault(one.reason)] : []));
    const { totalMicros, generations } = world.sim.gemini.bill();
    assert.ok(totalMicros <= 500_000, `${totalMicros} of 500,000 micro-dollars`);
    assert.equal(generations, done);
    assert.ok(done >= 5, `only ${done} jobs were run for half a dollar`);
    assert.equal(await spentMicros(), totalMicros);
    assert.equal(await heldMicros(), 0);
    // What each held beyond its cost is free again: one after the other, nearly all of it is used.
    const last = await (async () => {
      for (;;) {
        const failed = await run().then(() => undefined, toFault);
        if (failed !== undefined) return failed;
      }
    })();
    assert.equal(last.kind, 'overBudget', last.message);
    const end = world.sim.gemini.bill().totalMicros;
    assert.ok(end <= 500_000 && end > 400_000, `${end} of 500,000 micro-dollars`);
    for (const fault of refused) {
      assert.equal(fault.kind, 'overBudget', fault.message);
      assert.match(fault.message, /today's budget of \$0\.50 has \$0\.\d+ left/);
      assert.match(fault.facts.nextStep ?? '', /Set Budget…/);
    }
    assert.deepEqual(
      notices.map(({ mark }) => mark).filter((mark, at, all) => all.indexOf(mark) !== at),
      [],
    );
  });

  it('of 0 send nothing that costs money, and what is free goes on', async () => {
    await open({ 'budget.monthUsd': 0 });
    const { id } = world.sim.runpod.seedPod({ ...ours, status: 'EXITED' });
    world.podId = id;
    assert.equal((await run(smallWorkflow())).backend, 'local');
    await world.sim.setLocalOpen(false);
    const fault = await run().then(
      () => assert.fail('it ran'),
      (error: unknown) => error,
    );
    assert.ok(fault instanceof AllBackendsFailed);
    assert.equal(fault.kind, 'overBudget');
    assert.deepEqual(
      fault.attempts.map(({ backend, faultKind }) => [backend, faultKind]),
      [
        ['local', 'unreachable'],
        ['cloud', 'overBudget'],
        ['gemini', 'overBudget'],
      ],
    );
    assert.equal(statusOf(id), 'EXITED');
    assert.equal(world.sim.gemini.bill().lines.length, 0);
  });

  it('of one backend let the next one have the job', async () => {
    await open({ 'budget.perBackendUsd': { cloud: 0 } });
    world.podId = world.sim.runpod.seedPod({ ...ours, status: 'EXITED' }).id;
    await world.sim.setLocalOpen(false);
    const { backend, attempts } = await run();
    assert.equal(backend, 'gemini');
    assert.equal(attempts.find((one) => one.backend === 'cloud')?.faultKind, 'overBudget');
  });

  it('too small for boot and idle time start no pod and create none', async () => {
    await open({ 'budget.dayUsd': 0.01, 'gemini.enabled': false });
    const { id } = world.sim.runpod.seedPod({ ...ours, status: 'EXITED' });
    const overBudget = (error: unknown): boolean => error instanceof Fault && error.kind === 'overBudget';
    await assert.rejects(world.core.pods.start(id, world.signal), overBudget);
    const wait = { readyTimeoutMs: 5_000, onProgress: () => undefined };
    await assert.rejects(world.core.pods.ensureReady(id, wait, world.signal), overBudget);
    const candidate = {
      gpuId: 'NVIDIA GeForce RTX 4090',
      name: 'RTX 4090',
      count: 1,
      cloud: 'SECURE',
      usdPerHourMicros: 690_000,
    };
    const request = {
      candidates: [candidate],
      image: 'runpod/comfyui:latest',
      containerDiskGb: 10,
      storage: { kind: 'none' },
      watchdog: { idleSeconds: 60, bootSeconds: 60, checkSeconds: 10 },
    };
    await assert.rejects(world.core.pods.deploy(request as never, wait, world.signal), overBudget);
    assert.equal(statusOf(id), 'EXITED');
    assert.equal(world.sim.runpod.requests.filter(({ method }) => method === 'POST').length, 0);
  });

  it('hold money for a pod that is started, and let go of it when the pod has stopped', async () => {
    await open({ 'budget.dayUsd': 5 });
    const { id } = world.sim.runpod.seedPod({ ...ours, status: 'EXITED' });
    await world.core.pods.start(id, world.signal);
    assert.ok((await heldMicros()) > 0);
    await world.core.pods.stop(id, world.signal);
    assert.equal(await heldMicros(), 0);
  });

  it('once spent stop idle pods of ours, not a foreign one; work in flight is ended first', async function () {
    this.timeout(20_000);
    await open({ 'budget.dayUsd': 100, 'cloud.idleMinutes': 600 }, { timeScale: 3_600, overBudgetIdleMs: 300 });
    const { id } = world.sim.runpod.seedPod(ours);
    const foreign = world.sim.runpod.seedPod({ name: 'training' });
    world.podId = id;
    await world.sim.setLocalOpen(false);
    const working = run(samplerWorkflow(7, 400));
    await until('a job on the pod', () => world.core.jobs.running().some(({ backend }) => backend === 'cloud'));
    await until('some cost', () => {
      const { spending } = world.core.ledger;
      return spending.known && spending.value.day.micros > 0;
    });
    set({ 'budget.dayUsd': 0.000_001 });
    await world.core.budgets.refresh();
    assert.equal((await working).backend, 'cloud');
    await until('the idle pod is stopped', () => statusOf(id) === 'EXITED');
    assert.equal(statusOf(foreign.id), 'RUNNING');
    await assert.rejects(run(), /today's budget/);
  });
});

describe('the money of a window that was killed while Gemini worked for it', function () {
  this.timeout(30_000);

  it('is held until its job has ended, and then counts as spent, since it may have been', async () => {
    const sim = await startSimulator({ timeScale: 1, seed: 3 });
    sim.gemini.faults.imageMs = 60_000;
    const folder = await mkdtemp(path.join(tmpdir(), 'podrelay-money-'));
    const settings = { 'gemini.fallback': 'always', 'routing.forced': 'gemini', 'budget.monthUsd': 0.1 };
    const place = placeOf(sim, folder, { settings });
    const module = (name: string): string => JSON.stringify(path.join(import.meta.dirname, `${name}.ts`));
    const script = `
      import { openWindow } from ${module('jobWindow')};
      import { job, samplerWorkflow } from ${module('world')};
      const window = openWindow(JSON.parse(process.argv[1]));
      const request = { ...job(samplerWorkflow()), id: 'killed' };
      await window.core.jobs.run(request, ({ phase }) => console.log(phase), window.signal);`;
    const args = ['--input-type=module', '-e', script, JSON.stringify(place)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    for await (const line of createInterface({ input: child.stdout })) if (line.startsWith('Generating')) break;
    const asked = () => sim.gemini.requests.some(({ path: at }) => at.includes(':generateContent'));
    await untilTrue('Gemini is asked', asked);
    child.kill('SIGKILL');
    await ended;

    sim.gemini.faults.imageMs = 0;
    const window = openWindow(place);
    try {
      const { core, signal } = window;
      const use = async () => {
        await core.budgets.refresh();
        assert.ok(core.budgets.uses.known);
        const [{ spentMicros, heldMicros } = { spentMicros: Number.NaN, heldMicros: Number.NaN }] =
          core.budgets.uses.value;
        return { spentMicros, heldMicros };
      };
      const before = await use();
      assert.equal(before.spentMicros, 0);
      assert.ok(before.heldMicros > 30_000, `${before.heldMicros} is held`);
      await assert.rejects(
        core.jobs.run(job(samplerWorkflow()), () => undefined, signal),
        /is reserved for what runs/,
      );
      await new Promise((resolve) => setTimeout(resolve, leaseMs + 50));
      assert.deepEqual(
        (await core.recovery.recover(signal)).map(({ state }) => state),
        ['lost'],
      );
      assert.deepEqual(await use(), { spentMicros: before.heldMicros, heldMicros: 0 });
      const { entries } = await core.ledger.statement();
      assert.deepEqual(
        entries.map(({ subject, basis, note }) => [subject, basis, note]),
        [['killed', 'estimated', 'What was charged is not known: counted as the most that it may be']],
      );
    } finally {
      window.close();
      await sim.dispose();
      await removeFolder(folder);
    }
  });
});
