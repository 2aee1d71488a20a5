import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { samplerWorkflow } from '../contract/world.ts';
import { openWorkbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

/** At this pace 600 steps take some 30 s: a reload of the window and the end of its lease come before the end. */
const timeScale = 10;
const workflow = (seed: number): string => JSON.stringify(samplerWorkflow(seed, 600));

describe('a window that is reloaded in the middle of a job', function () {
  this.timeout(240_000);
  let sim: Simulator;
  let workbench: Workbench;
  before(async () => {
    sim = await startSimulator({ timeScale, seed: 8 });
    workbench = await openWorkbench({
      machineSettings: { 'podrelay.local.url': sim.addresses.localComfyUrl },
      workspaceFiles: { 'long.json': workflow(8), 'other.json': workflow(9) },
      openFile: 'long.json',
    });
  });
  after(async () => {
    await workbench?.close();
    await sim?.dispose();
  });

  const generated = (): string[] => {
    try {
      return readdirSync(path.join(workbench.workspace, 'generated')).sort();
    } catch {
      return [];
    }
  };
  const submissions = (): number =>
    sim.local.requests.filter(({ method, path: at }) => method === 'POST' && at.endsWith('/prompt')).length;

  async function runAndReload(file: string): Promise<void> {
    await workbench.page.locator('.explorer-folders-view .monaco-list-row', { hasText: file }).first().dblclick();
    await workbench.until('the workflow', async () => (await workbench.tabs()).includes(file));
    await workbench.command('PodRelay: Run Workflow');
    await workbench.until('the prompt runs', () => sim.local.state().running !== undefined);
    await workbench.reload();
  }

  it('follows it, collects its file with its story, and says so once', async () => {
    await runAndReload('long.json');
    const toast = await workbench.notification('From an earlier window: long.json is done', 90_000);
    await workbench.screenshot('reload-collected');
    assert.deepEqual(generated(), ['sampled_00001_.png', 'sampled_00001_.png.podrelay.json']);
    assert.equal(submissions(), 1);
    await toast.getByRole('button', { name: 'Open' }).click();
    await workbench.until('the picture', async () => (await workbench.tabs()).includes('sampled_00001_.png'));
  });

  it('tells that it is lost when its server was restarted, and runs it again when told to', async () => {
    await workbench.command('View: Show Explorer');
    await runAndReload('other.json');
    sim.local.restart();
    await workbench.notification(/From an earlier window: other\.json was lost/, 60_000);
    assert.equal(submissions(), 2, 'nothing is sent again by itself');
    await workbench.screenshot('reload-lost');
    await workbench.answerNotification(/was lost/, 'Run Again');
    await workbench.until(
      'the second picture',
      () => generated().filter((name) => name.endsWith('.png')).length === 2,
      90_000,
    );
    assert.equal(submissions(), 3);
  });
});
