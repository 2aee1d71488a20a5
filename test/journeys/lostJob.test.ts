import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { samplerWorkflow } from '../contract/world.ts';
import { openWorkbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

/** At this pace 600 steps take some 30 s. */
const timeScale = 10;
const workflow = JSON.stringify(samplerWorkflow(8, 600));

describe('a job whose window and whose server have gone', function () {
  this.timeout(240_000);
  let sim: Simulator;
  let workbench: Workbench;
  before(async () => {
    sim = await startSimulator({ timeScale, seed: 8 });
    workbench = await openWorkbench({
      machineSettings: { 'podrelay.local.url': sim.addresses.localComfyUrl },
      workspaceFiles: { 'long.json': workflow },
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

  it('is told as lost, and is run again when the person says so', async () => {
    await workbench.command('PodRelay: Run Workflow');
    await workbench.until('the prompt runs', () => sim.local.state().running !== undefined);
    await workbench.reload();
    sim.local.restart();
    await workbench.notification(/From an earlier window: long\.json was lost/, 60_000);
    assert.equal(submissions(), 1, 'nothing is sent again by itself');
    await workbench.screenshot('job-lost');
    await workbench.answerNotification(/was lost/, 'Run Again');
    await workbench.until(
      'the picture',
      () => generated().filter((name) => name.endsWith('.png')).length === 1,
      90_000,
    );
    assert.equal(submissions(), 2);
  });
});
