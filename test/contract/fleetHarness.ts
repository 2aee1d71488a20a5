import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { FleetDecision } from '../../src/core/fleet/fleetDecision.ts';
import type { QueueView } from '../../src/core/queue/queueView.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { SeedPod } from '../../src/sim/runpod/runpodSim.ts';
import { openWorld, samplerWorkflow } from './world.ts';
import type { World } from './world.ts';

/** Automation over the whole simulator: cards of up to $0.30, two pods at most, nothing local. */
export class FleetHarness {
  readonly world: World;
  readonly decisions: FleetDecision[] = [];

  private constructor(world: World) {
    this.world = world;
  }

  static async open(change: Partial<Settings> = {}): Promise<FleetHarness> {
    const fleet = new FleetHarness(await openWorld({ podWatchEveryMs: 100 }));
    const { world } = fleet;
    await world.sim.setLocalOpen(false);
    fleet.set({ 'gemini.enabled': false, 'fleet.maxPods': 2, 'cloud.idleMinutes': 1, 'cloud.maxUsdPerHour': 0.3 });
    fleet.set(change);
    await world.core.keys.load();
    world.core.fleet.onDidDecide((decision) => void fleet.decisions.push(decision));
    return fleet;
  }

  set(change: Partial<Settings>): void {
    this.world.settings = { ...this.world.settings, ...change };
  }

  /** A pod in the account, with its id. */
  seed(name: string, change: Partial<SeedPod> = {}): string {
    return this.world.sim.runpod.seedPod({ name, gpu: { id: 'NVIDIA RTX A5000', count: 1 }, ...change }).id;
  }

  get account() {
    return this.world.sim.runpod.state().pods;
  }

  statusOf(id: string): string | undefined {
    return this.account.find((pod) => pod.id === id)?.status;
  }

  get running() {
    return this.account.filter(({ status }) => status !== 'EXITED' && status !== 'TERMINATED');
  }

  get told(): readonly string[] {
    return this.decisions.map(({ what, failure }) => (failure === undefined ? what : `${what} failed`));
  }

  sent(operation: string) {
    return this.world.sim.runpod.requests.filter((one) => one.operation === operation);
  }

  prompts(podId: string): number {
    const requests = this.world.sim.podComfy(podId)?.requests ?? [];
    return requests.filter(({ method, path }) => method === 'POST' && path === '/prompt').length;
  }

  async enqueue(count: number, steps = 20): Promise<void> {
    const requests = Array.from({ length: count }, (_, n) => ({
      ...({ id: randomUUID(), label: `job ${n}`, media: 'image', localOnly: false } as const),
      workflow: samplerWorkflow(n, steps),
    }));
    await this.world.core.queue.enqueue(requests, this.world.signal);
  }

  async view(): Promise<QueueView> {
    await this.world.core.queue.refresh();
    const { view } = this.world.core.queue;
    assert.ok(view.known);
    return view.value;
  }

  async untilDone(count: number): Promise<void> {
    await this.until(`${count} are done`, async () => (await this.view()).counts.done >= count, 60_000);
  }

  async until(what: string, isTrue: () => boolean | Promise<boolean>, withinMs = 45_000): Promise<void> {
    for (const end = Date.now() + withinMs; !(await isTrue());) {
      const { next } = this.world.core.fleet;
      const pods = this.account.map(({ id, name, status }) => [id, name, status]);
      assert.ok(
        Date.now() < end,
        `Not within ${withinMs} ms: ${what}\n${JSON.stringify([pods, next, this.decisions])}`,
      );
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  close(): Promise<void> {
    return this.world.close();
  }
}
