import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import * as vscode from 'vscode';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';

const { executeCommand } = vscode.commands;
const configuration = (): vscode.WorkspaceConfiguration => vscode.workspace.getConfiguration('podrelay');

/** Addresses to which a key or a workflow goes: a new one is guarded from the day it is there. */
function addresses(): readonly string[] {
  const extension = vscode.extensions.getExtension('podrelay.podrelay');
  const { contributes } = extension?.packageJSON as { contributes: { configuration: { properties: object } } };
  return Object.keys(contributes.configuration.properties)
    .filter((key) => /url$/i.test(key))
    .map((key) => key.replace('podrelay.', ''));
}

/** What a job may cost, and where it runs. */
const caps = ['cloud.podId', 'cloud.maxUsdPerHour', 'serverless.endpointIds'] as const;

describe('a workspace setting that tries to send a key elsewhere', function () {
  this.timeout(60_000);
  let sim: Simulator;
  let thief: ReturnType<typeof createServer>;
  let thiefUrl: string;
  const stolen: IncomingMessage[] = [];
  const globalBefore = new Map<string, unknown>();
  const keysBefore = { ...process.env };
  const workspaceFile = (): string =>
    path.join(vscode.workspace.workspaceFolders![0]!.uri.fsPath, '.vscode', 'settings.json');

  const setGlobal = async (key: string, value: unknown): Promise<void> =>
    configuration().update(key, value, vscode.ConfigurationTarget.Global);
  async function until(what: string, holds: () => boolean): Promise<void> {
    for (let tries = 0; !holds(); tries++) {
      assert.ok(tries < 200, `waited for ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  before(async () => {
    await vscode.extensions.getExtension('podrelay.podrelay')?.activate();
    sim = await startSimulator({ timeScale: 60, seed: 5 });
    thief = createServer((request, response) => {
      stolen.push(request);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"pods":[],"data":[]}');
    });
    await new Promise<void>((resolve) => thief.listen(0, '127.0.0.1', resolve));
    thiefUrl = `http://127.0.0.1:${(thief.address() as AddressInfo).port}`;
    process.env.RUNPOD_API_KEY = sim.runpodApiKey;
    process.env.GEMINI_API_KEY = sim.geminiApiKey;
    for (const [key, value] of [
      ['runpod.apiUrl', sim.addresses.runpodApiUrl],
      ['runpod.proxyUrl', sim.addresses.podProxyUrl],
      ['gemini.apiUrl', sim.addresses.geminiUrl],
      ['local.url', sim.addresses.localComfyUrl],
    ] as const) {
      globalBefore.set(key, configuration().inspect(key)?.globalValue);
      await setGlobal(key, value);
    }
  });

  after(async () => {
    for (const name of ['RUNPOD_API_KEY', 'GEMINI_API_KEY']) {
      if (keysBefore[name] === undefined) delete process.env[name];
      else process.env[name] = keysBefore[name];
    }
    rmSync(path.dirname(workspaceFile()), { recursive: true, force: true });
    for (const [key, value] of globalBefore) await setGlobal(key, value);
    thief.closeAllConnections();
    await new Promise<void>((resolve) => thief.close(() => resolve()));
    await sim.dispose();
  });

  it('is refused by the editor itself', async () => {
    assert.ok(addresses().includes('runpod.serverlessUrl'));
    for (const key of [...addresses(), ...caps]) {
      await assert.rejects(
        async () => configuration().update(key, thiefUrl, vscode.ConfigurationTarget.Workspace),
        /podrelay/,
        key,
      );
    }
  });

  it('is ignored when it stands in the settings file of the workspace: the keys go where the person said', async () => {
    const stealing = {
      'podrelay.local.url': thiefUrl,
      'podrelay.runpod.apiUrl': `${thiefUrl}/v2`,
      'podrelay.runpod.proxyUrl': `${thiefUrl}/{podId}-{port}`,
      'podrelay.runpod.serverlessUrl': `${thiefUrl}/v2`,
      'podrelay.gemini.apiUrl': thiefUrl,
      'podrelay.cloud.maxUsdPerHour': 99,
      // Of those that a workspace may set: it shows when the file has been read.
      'podrelay.outputFolder': 'read-by-now',
    };
    mkdirSync(path.dirname(workspaceFile()), { recursive: true });
    writeFileSync(workspaceFile(), JSON.stringify(stealing));
    await until('the workspace settings', () => configuration().get('outputFolder') === 'read-by-now');
    assert.equal(configuration().get('runpod.apiUrl'), sim.addresses.runpodApiUrl);
    assert.equal(configuration().get('cloud.maxUsdPerHour'), 1);
    for (const key of addresses()) assert.ok(!String(configuration().get(key)).includes(thiefUrl), key);
    const before = { runpod: sim.runpod.requests.length, local: sim.local.requests.length };
    await executeCommand('podrelay.backends.check');
    await executeCommand('podrelay.pods.refresh');
    await until('RunPod to be asked', () => sim.runpod.requests.length > before.runpod);
    await until('the local ComfyUI to be asked', () => sim.local.requests.length > before.local);
    assert.deepEqual(
      stolen.map(({ url }) => url),
      [],
    );
  });

  it('is another thing than the setting of the person, which the key does follow', async () => {
    await setGlobal('runpod.apiUrl', `${thiefUrl}/v2`);
    await executeCommand('podrelay.pods.refresh').then(undefined, () => undefined);
    await until('the address that the person chose', () => stolen.length > 0);
    assert.equal(stolen[0]?.headers.authorization, `Bearer ${sim.runpodApiKey}`);
    await setGlobal('runpod.apiUrl', sim.addresses.runpodApiUrl);
  });
});
