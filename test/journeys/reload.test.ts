import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { startSimulator, type Simulator } from '../../src/sim/simulator.ts';
import { openWorkbench, type Workbench } from './workbench.ts';

const sample = readFileSync(path.resolve(import.meta.dirname, '../../media/samples/text-to-image.json'), 'utf8');

describe('a window that is reloaded while a job runs', function () {
  this.timeout(120_000);
  let simulator: Simulator;
  let workbench: Workbench;

  before(async () => {
    simulator = await startSimulator({ timeScale: 4, seed: 5 });
    workbench = await openWorkbench({
      workspaceFiles: { 'slow.json': sample.replace('"steps": 20', '"steps": 80') },
      openFile: 'slow.json',
      machineSettings: { 'podrelay.local.url': simulator.addresses.localComfyUrl },
    });
  });
  after(async () => {
    await workbench?.close();
    await simulator?.dispose();
  });

  it('finds the prompt again, and saves what it made', async () => {
    await workbench.command('PodRelay: Run Workflow');
    await workbench.until('the job to run on the server', () => simulator.local.state().running !== undefined);
    const prompt = simulator.local.state().running;
    await workbench.reload();
    const folder = path.join(workbench.workspace, 'generated');
    const pictures = (): string[] =>
      existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.png')) : [];
    await workbench.until('the picture', () => pictures().length > 0, 60_000);
    await workbench.notification(/slow\.json/);
    await workbench.screenshot('reload-collected');
    assert.equal(pictures().length, 1);
    assert.ok(prompt);
    assert.equal(simulator.local.state().history.length, 1, 'it ran once');
  });
});
