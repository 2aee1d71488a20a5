import assert from 'node:assert/strict';
import { checkKey } from '../../src/core/checkKey.ts';
import { createDispatcher } from '../../src/core/http/dispatcher.ts';
import type { Transport } from '../../src/core/http/transport.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import type { Log } from '../../src/core/kernel/ports.ts';
import { openRunpodWorld, readOnlyKey, testApiKey } from './runpodWorld.ts';
import type { RunpodWorld } from './runpodWorld.ts';
import { openWorld } from './world.ts';
import type { World } from './world.ts';

describe('checking a key before it is stored', () => {
  let world: World;
  beforeEach(async () => (world = await openWorld()));
  afterEach(() => world.close());
  const check = (...args: ['runpodApiKey' | 'geminiApiKey', string]) => world.core.checkKey(...args, world.signal);

  it('takes keys that work, and changes nothing', async () => {
    world.sim.runpod.seedPod({ name: 'podrelay-mine', status: 'RUNNING' });
    assert.deepEqual(await check('runpodApiKey', world.sim.runpodApiKey), { is: 'good' });
    assert.deepEqual(await check('geminiApiKey', world.sim.geminiApiKey), { is: 'good' });
    assert.deepEqual(
      world.sim.runpod.state().pods.map(({ status }) => status),
      ['RUNNING'],
    );
    assert.equal(world.sim.gemini.bill().totalMicros, 0);
  });

  it('uses the key in question, not the stored one', async () => {
    for (const id of ['runpodApiKey', 'geminiApiKey'] as const) {
      const verdict = await check(id, id === 'runpodApiKey' ? 'rpa_WRONG' : 'AIzaWRONG');
      assert.equal(verdict.is, 'refused', id);
      assert.equal(verdict.is === 'refused' && verdict.why.kind, 'unauthorized');
    }
  });

  it('takes a key whose model is gone', async () => {
    world.settings = { ...world.settings, 'gemini.imageModel': 'gemini-of-the-past' };
    assert.deepEqual(await check('geminiApiKey', world.sim.geminiApiKey), { is: 'good' });
  });

  it('does not call a key wrong when the service cannot be asked', async () => {
    world.sim.runpod.faults.set({ failure: { kind: 'status', status: 503, effect: 'before' } });
    assert.equal((await check('runpodApiKey', world.sim.runpodApiKey)).is, 'unknown');
    world.sim.runpod.faults.clear();
    world.sim.runpod.faults.set({ failure: { kind: 'cloudflare1010' } });
    assert.equal((await check('runpodApiKey', world.sim.runpodApiKey)).is, 'unknown');
  });

  it('ends when cancelled', async () => {
    world.sim.runpod.faults.set({ failure: { kind: 'hang', effect: 'before' } });
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 50);
    await assert.rejects(world.core.checkKey('runpodApiKey', 'rpa_x', stop.signal), { kind: 'cancelled' });
  });
});

describe('a RunPod key that may only read', () => {
  let world: RunpodWorld;
  let transport: Transport;
  before(async () => {
    world = await openRunpodWorld();
    transport = createDispatcher({ proxyUrl: undefined, noProxy: [], strictTls: true });
  });
  after(async () => {
    await transport.close();
    await world.close();
  });

  it('is told apart from one that may write', async () => {
    const silent = (): void => undefined;
    const log: Log = { debug: silent, info: silent, warn: silent, error: silent };
    const options = {
      transport: () => Promise.resolve(transport),
      clock: systemClock,
      log,
      random: () => 0,
      userAgent: 'PodRelay-test',
      runpodApiUrl: `${world.origin}/v2`,
      geminiUrl: world.origin,
      geminiModel: 'none',
    };
    assert.equal((await checkKey(options, 'runpodApiKey', readOnlyKey, world.signal)).is, 'readOnly');
    assert.equal((await checkKey(options, 'runpodApiKey', testApiKey, world.signal)).is, 'good');
  });
});
