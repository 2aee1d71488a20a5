// Pods that a budget allows in part: what is too dear is left out of the list, said so, and nothing is held for it.
import assert from 'node:assert/strict';
import type { DeployRequest } from '../../src/core/fleet/deployPod.ts';
import { insteadText } from '../../src/core/fleet/withinBudget.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import { openWorld } from './world.ts';
import type { World } from './world.ts';

const candidate = (gpuId: string, name: string, usdPerHourMicros: number) =>
  ({ gpuId, name, usdPerHourMicros, count: 1, cloud: 'SECURE' }) as DeployRequest['candidates'][number];
const dear = candidate('NVIDIA GeForce RTX 4090', 'RTX 4090', 690_000);
const cheap = candidate('NVIDIA RTX A5000', 'RTX A5000', 290_000);

describe('a budget and the list of GPUs to ask for', () => {
  let world: World;

  beforeEach(async () => {
    world = await openWorld();
    // A pod holds its boot of 5 min and its idle time of 15 min: $0.23 for the dear one, $0.097 for the cheap one.
    world.settings = { ...world.settings, 'cloud.idleMinutes': 15 };
    await world.core.keys.load();
  });
  afterEach(() => world.close());

  const budget = (usd: number): void => void (world.settings = { ...world.settings, 'budget.dayUsd': usd });
  const launch = (...candidates: DeployRequest['candidates']) =>
    world.core.pods.launch(
      {
        candidates,
        image: 'runpod/comfyui:latest',
        containerDiskGb: 10,
        storage: { kind: 'none' },
        watchdog: { idleSeconds: 60, bootSeconds: 60, checkSeconds: 10 },
      } as unknown as DeployRequest,
      world.signal,
    );
  const held = async (): Promise<number | undefined> => {
    await world.core.budgets.refresh();
    const { uses } = world.core.budgets;
    return uses.known ? uses.value[0]?.heldMicros : undefined;
  };
  const asked = () => world.sim.runpod.requests.filter(({ operation }) => operation === 'createPod').length;

  it('asks for the first of the list when all are allowed', async () => {
    budget(0.3);
    const deployed = await launch(dear, cheap);
    assert.equal(deployed.candidate.name, 'RTX 4090');
    assert.deepEqual(deployed.refused, []);
    assert.equal(insteadText(deployed), undefined);
  });

  it('asks for the dearest that it allows, and says why it is not a better one', async () => {
    budget(0.15);
    const deployed = await launch(dear, cheap);
    assert.equal(deployed.candidate.name, 'RTX A5000');
    assert.deepEqual(
      deployed.refused.map((one) => [one.candidate.name, one.why.kind]),
      [['RTX 4090', 'overBudget']],
    );
    assert.match(
      insteadText(deployed) ?? '',
      /^the budget has too little left for 1 that would be better, so it is an RTX A5000 at \$0\.29\/h$/,
    );
    assert.equal(asked(), 1, 'RunPod was not asked for the dear one');
    const micros = (await held()) ?? 0;
    assert.ok(micros > 0 && micros < 100_000, `${String(micros)} are held for what was made`);
  });

  it('refuses before anything is sent when even the cheapest is too dear, and holds nothing', async () => {
    budget(0.05);
    await assert.rejects(
      launch(dear, cheap),
      (error: unknown) => error instanceof Fault && error.kind === 'overBudget' && error.facts.delivered === 'no',
    );
    assert.deepEqual([asked(), await held()], [0, 0]);
  });

  it('tells the plan how much a launch will hold, so that it does not ask in vain', () => {
    assert.equal(world.core.budgets.podBudget().holdSeconds, 20 * 60);
  });
});
