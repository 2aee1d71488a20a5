import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';

const { executeCommand } = vscode.commands;

describe('pod commands in VS Code', function () {
  this.timeout(60_000);
  let sim: Simulator;
  let id: string;
  const settingsBefore = new Map<string, unknown>();
  const keyBefore = process.env.RUNPOD_API_KEY;

  const set = async (key: string, value: unknown): Promise<void> =>
    vscode.workspace.getConfiguration('podrelay').update(key, value, vscode.ConfigurationTarget.Global);
  const statusOf = (podId: string): string | undefined =>
    sim.runpod.state().pods.find((pod) => pod.id === podId)?.status;

  before(async () => {
    await vscode.extensions.getExtension('podrelay.podrelay')?.activate();
    sim = await startSimulator({ timeScale: 60, seed: 3 });
    id = sim.runpod.seedPod({ name: 'podrelay-host', status: 'EXITED', env: { PODRELAY_POD: 'podrelay-host' } }).id;
    // The variable that RunPod's own tools read: what the secret store would hold otherwise.
    process.env.RUNPOD_API_KEY = sim.runpodApiKey;
    for (const [key, value] of [
      ['runpod.apiUrl', sim.addresses.runpodApiUrl],
      ['runpod.proxyUrl', sim.addresses.podProxyUrl],
      ['cloud.podId', undefined],
    ] as const) {
      settingsBefore.set(key, vscode.workspace.getConfiguration('podrelay').inspect(key)?.globalValue);
      await set(key, value);
    }
  });

  after(async () => {
    if (keyBefore === undefined) delete process.env.RUNPOD_API_KEY;
    else process.env.RUNPOD_API_KEY = keyBefore;
    for (const [key, value] of settingsBefore) await set(key, value);
    await sim.dispose();
  });

  it('starts a pod and waits until its ComfyUI answers', async () => {
    await executeCommand('podrelay.pod.start', id);
    assert.equal(statusOf(id), 'RUNNING');
    const reply = await fetch(
      `${sim.addresses.podProxyUrl.replace('{podId}', id).replace('{port}', '8188')}/system_stats`,
    );
    assert.equal(reply.status, 200);
  });

  it('takes a row as well as an id, and copies the address', async () => {
    await executeCommand('podrelay.pod.copyAddress', { id: `pod:${id}` });
    const address = sim.addresses.podProxyUrl.replace('{podId}', id).replace('{port}', '8188');
    assert.equal(await vscode.env.clipboard.readText(), address);
  });

  it('remembers the pod that runs jobs in the settings of the person', async () => {
    await executeCommand('podrelay.pod.useForJobs', id);
    const setting = vscode.workspace.getConfiguration('podrelay').inspect('cloud.podId');
    assert.equal(setting?.globalValue, id);
    assert.equal(setting.workspaceValue, undefined);
  });

  it('stops a pod', async () => {
    await executeCommand('podrelay.pod.stop', id);
    assert.equal(statusOf(id), 'EXITED');
  });

  it('stops all pods at one word when all are ours', async () => {
    const ours = ['one', 'two'].map((name) =>
      sim.runpod.seedPod({ name: `podrelay-${name}`, status: 'RUNNING', env: { PODRELAY_POD: `podrelay-${name}` } }),
    );
    await executeCommand('podrelay.pods.stopAll');
    for (const pod of ours) assert.equal(statusOf(pod.id), 'EXITED');
  });
});
