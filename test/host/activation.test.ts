import assert from 'node:assert/strict';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import { likeThis, timerScripts } from './heap.ts';

/** The first tests of all, by their name: nothing has opened a view or run a command before them. */
describe('activation', function () {
  this.timeout(60_000);
  let extension: vscode.Extension<unknown>;

  before(() => {
    const found = vscode.extensions.getExtension('podrelay.podrelay');
    assert.ok(found, 'the extension under development is known');
    extension = found;
  });

  it('activates in a real VS Code', async () => {
    await extension.activate();
    assert.equal(extension.isActive, true);
  });

  it('connects to nobody, though there are keys and addresses', async () => {
    const outside = process.env.PODRELAY_TEST_OUTSIDE ?? '';
    const configuration = vscode.workspace.getConfiguration('podrelay');
    for (const key of ['local.url', 'runpod.apiUrl', 'runpod.proxyUrl', 'runpod.serverlessUrl', 'gemini.apiUrl'])
      assert.ok(configuration.get<string>(key)?.startsWith(outside), key);
    assert.ok(process.env.RUNPOD_API_KEY && process.env.GEMINI_API_KEY);
    await sleep(3_000);
    const reply = await fetch(outside);
    assert.deepEqual(await reply.json(), { connections: 1, requests: 1 }, 'this is the first');
  });

  it('has set no timer', async () => {
    const mine = setTimeout(() => undefined, 60_000);
    const scripts = await timerScripts();
    clearTimeout(mine);
    assert.ok(scripts.some((script) => path.dirname(script) === import.meta.dirname));
    const dist = path.join(extension.extensionPath, 'dist') + path.sep;
    assert.deepEqual(
      scripts.filter((script) => script.startsWith(dist)),
      [],
    );
  });

  it('shows its item in the status bar nonetheless', async () => {
    const example = vscode.window.createStatusBarItem();
    const items = await likeThis(example);
    example.dispose();
    const item = items.find(({ name }) => name === 'PodRelay: backend and running cost');
    assert.match(item?.text ?? '', /^\$\(vm-running\) local · \$–\/h$/);
  });
});
