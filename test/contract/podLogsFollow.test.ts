import assert from 'node:assert/strict';
import { redact } from '../../src/host/redact.ts';
import { followPodLog } from '../../src/ui/commands/podLogsFollow.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { openWorld } from './world.ts';
import type { World } from './world.ts';

describe("following a pod's log", () => {
  let world: World;
  let text = '';
  let appends = 0;
  let stop: AbortController;
  beforeEach(async () => {
    world = await openWorld();
    text = '';
    appends = 0;
    stop = new AbortController();
  });
  afterEach(() => world.close());

  const follow = (id: string): Promise<void> =>
    followPodLog(
      { pods: world.core.pods, clock: systemClock, redact },
      { id, name: 'podrelay-one' },
      (more) => {
        text += more;
        appends += 1;
      },
      stop.signal,
    );

  async function until(what: RegExp): Promise<void> {
    for (const end = Date.now() + 8_000; !what.test(text);) {
      assert.ok(Date.now() < end, `${String(what)} is not in:\n${text}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  it('shows lines as they come, without keys and terminal codes, and says that it has ended', async () => {
    const { id } = world.sim.runpod.seedPod({ name: 'podrelay-one', status: 'RUNNING' });
    world.sim.runpod.writeLog(id, 'container', ['first line', 'key rpa_ABCDEFGHIJ0123']);
    const following = follow(id);
    await until(/first line/);
    world.sim.runpod.writeLog(id, 'system', ['\u001b[32mgreen\u001b[0m line']);
    await until(/green line/);
    assert.match(text, /^── Log of podrelay-one \(\w+\) ──\n/);
    assert.match(text, /\d\d:\d\d:\d\d container first line\n/);
    assert.match(text, /\d\d:\d\d:\d\d system +green line\n/);
    assert.doesNotMatch(text, /ABCDEFGHIJ0123|\u001b/);
    stop.abort();
    await following;
    assert.match(text, /── No longer followed ──\n$/);
  });

  it('shows a burst of lines in few steps', async () => {
    const { id } = world.sim.runpod.seedPod({ name: 'podrelay-one', status: 'RUNNING' });
    const following = follow(id);
    await until(/Log of/);
    world.sim.runpod.writeLog(
      id,
      'container',
      Array.from({ length: 3_000 }, (_, at) => `line ${at}`),
    );
    await until(/line 2999\n/);
    stop.abort();
    await following;
    assert.ok(appends < 100, `${appends} steps`);
  });

  it('says why a log broke off', async () => {
    const { id } = world.sim.runpod.seedPod({ name: 'podrelay-one', status: 'RUNNING' });
    world.sim.runpod.faults.set({ failure: { kind: 'revokedKey' } });
    await follow(id);
    assert.match(text, /── The log broke off: RunPod does not accept the API key.* ──\n$/);
  });
});
