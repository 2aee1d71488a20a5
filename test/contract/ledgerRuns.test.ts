import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { LedgerEntry } from '../../src/core/store/ledgerStore.ts';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { openWindow, placeOf, removeFolder } from './jobWindow.ts';
import type { JobWindow, WindowPlace } from './jobWindow.ts';
import { request, untilState } from './queueWorld.ts';
import { samplerWorkflow } from './world.ts';

describe('the ledger of a job that is run again', function () {
  this.timeout(30_000);
  let sim: Simulator;
  let folder: string;
  const windows: JobWindow[] = [];

  beforeEach(async () => {
    sim = await startSimulator({ timeScale: 500, seed: 3, runpodPresets: { change: { rateLimit: 'exempt' } } });
    await sim.setLocalOpen(false);
    folder = await mkdtemp(path.join(tmpdir(), 'podrelay-runs-'));
  });
  afterEach(async () => {
    for (const window of windows.splice(0)) window.close();
    await sim.dispose();
    await removeFolder(folder);
  });

  async function open(change: Partial<WindowPlace> = {}): Promise<JobWindow> {
    const window = openWindow(placeOf(sim, folder, change));
    windows.push(window);
    await window.core.keys.load();
    return window;
  }
  const onGemini = { settings: { 'cloud.enabled': false, 'gemini.fallback': 'always', 'budget.monthUsd': 9 } };
  const paid = async ({ core }: JobWindow): Promise<readonly LedgerEntry[]> =>
    (await core.ledger.statement()).entries.filter(({ micros }) => micros > 0);
  const micros = (entries: readonly LedgerEntry[]): number => entries.reduce((sum, entry) => sum + entry.micros, 0);

  it('has both runs on Gemini: words that are charged, and after Retry the picture', async () => {
    const window = await open(onGemini);
    sim.gemini.faults.image.outcome = { is: 'textOnly', text: 'I cannot make this picture for you.' };
    const one = request({ workflow: samplerWorkflow() });
    await window.core.queue.enqueue([one], window.signal);
    await untilState(window, one.id, 'failed');
    const first = sim.gemini.bill().totalMicros;
    assert.ok(first > 0);
    assert.equal(micros(await paid(window)), first);
    sim.gemini.faults.image.outcome = { is: 'picture' };
    await window.core.queue.retry([one.id]);
    await untilState(window, one.id, 'done');
    assert.ok(sim.gemini.bill().totalMicros > first);
    assert.equal(micros(await paid(window)), sim.gemini.bill().totalMicros);
  });

  it('has both runs on an endpoint, the second once although its window dies after it was paid', async () => {
    const { id } = sim.runpod.serverless.seedEndpoint({ name: 'comfy', workers: { min: 1, max: 1, idleTimeout: 30 } });
    sim.runpod.serverless.configure({ firstPullMs: 1_000, coldStartMs: 1_000 });
    const failing = sim.runpod.faults.set({ failure: { kind: 'handlerRaises', message: 'boom' }, on: ['workJob'] });
    const place = { endpointIds: [id], settings: { 'gemini.enabled': false } };
    const window = await open(place);
    const one = request();
    await window.core.queue.enqueue([one], window.signal);
    await untilState(window, one.id, 'failed');
    sim.runpod.faults.clear(failing);
    await window.core.queue.retry([one.id]);
    await untilState(window, one.id, 'done');
    const before = await paid(window);
    assert.deepEqual(
      before.map(({ subject, label }) => [subject, label]),
      Array(2).fill([one.id, `endpoint:${id}`]),
    );
    // As a crash leaves it: the ledger has the run, and its record does not say that it has ended.
    const undo = `UPDATE job SET state = 'running', owner = 'crashed', lease_until = 0, outputs = '[]'`;
    await window.core.database.write((rows) => rows.run(undo));
    window.close();
    const next = await open(place);
    const recovered = await next.core.recovery.recover(next.signal);
    assert.deepEqual(
      recovered.map(({ state }) => state),
      ['done'],
    );
    assert.deepEqual(await paid(next), before);
  });
});
