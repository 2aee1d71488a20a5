import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { openWorkbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

/** For every RunPod tool of the machine; the simulator does not know it. */
const environmentKey = 'rpa_ofTheEnvironment';

describe('a key that a person types', function () {
  this.timeout(120_000);
  let sim: Simulator;
  let workbench: Workbench;

  before(async () => {
    sim = await startSimulator({ timeScale: 60, seed: 5 });
    workbench = await openWorkbench({
      machineSettings: { 'podrelay.runpod.apiUrl': sim.addresses.runpodApiUrl },
      env: { RUNPOD_API_KEY: environmentKey },
    });
    // The bare server lacks what a front end gives: the key with which the editor in a browser seals its secret store.
    await workbench.page.route('**/mint-key', (route) => route.fulfill({ body: Buffer.alloc(32, 7) }));
  });

  after(async () => {
    await workbench?.close();
    await sim?.dispose();
  });

  /** What the next request to RunPod carries. */
  async function used(): Promise<string | undefined> {
    const before = sim.runpod.requests.length;
    await workbench.command('PodRelay: Refresh Pods');
    await workbench.until('RunPod to be asked', () => sim.runpod.requests.length > before);
    return sim.runpod.requests.at(-1)?.headers.authorization;
  }

  /** Files of the workspace and of all that the server keeps, its logs too, in which this stands. */
  function filesWith(text: string): readonly string[] {
    return [workbench.workspace, workbench.storage]
      .flatMap((folder) => readdirSync(folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile() && readFileSync(path.join(entry.parentPath, entry.name)).includes(text))
      .map(({ name }) => name);
  }

  it('goes before that of the environment', async () => {
    assert.equal(await used(), `Bearer ${environmentKey}`);
    await workbench.command('PodRelay: Set RunPod API Key…');
    await workbench.answer(sim.runpodApiKey);
    await workbench.page.locator('.part.statusbar', { hasText: 'RunPod API Key stored' }).waitFor();
    assert.equal(await used(), `Bearer ${sim.runpodApiKey}`);
  });

  it('is kept by the editor in its secret store, and nowhere else', async () => {
    await workbench.reload();
    assert.equal(await used(), `Bearer ${sim.runpodApiKey}`);
    assert.deepEqual(filesWith(sim.runpodApiKey), []);
    assert.ok(filesWith(sim.addresses.runpodApiUrl).includes('settings.json'), 'it was looked for where settings are');
    const inBrowser = JSON.stringify(await workbench.page.context().storageState({ indexedDB: true }));
    assert.ok(!inBrowser.includes(sim.runpodApiKey), 'nor in what extensions may remember there');
    assert.match(inBrowser, /"secrets\.provider"/);
  });

  it('is used no more when it was removed', async () => {
    await workbench.command('PodRelay: Remove Keys…');
    assert.equal((await workbench.quickItems()).length, 1);
    await workbench.page.keyboard.press('Enter');
    await workbench.notification(/the environment variable RUNPOD_API_KEY still gives a key/);
    assert.equal(await used(), `Bearer ${environmentKey}`);
  });
});
