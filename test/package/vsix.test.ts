import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureServerHost } from '../host/runner/installServerHost.ts';
import { startServerHost } from '../host/runner/serverHost.ts';
import type { ServerHost } from '../host/runner/serverHost.ts';
import { visitWorkbench } from '../journeys/workbench.ts';
import type { Workbench } from '../journeys/workbench.ts';

const root = path.resolve(import.meta.dirname, '..', '..');
const mostBytes = 2_000_000;

/** All that may be in the package. vsce lowers the names of two files. */
const allowed = [
  /^(package(\.nls(\.[a-z-]+)?)?\.json|readme\.md|changelog\.md|SECURITY\.md|LICENSE\.txt|\.vsixmanifest)$/,
  /^dist\/((extension|chunks\/[\w-]+)\.cjs|(sim\/cli|webview\/\w+)\.js)$/,
  /^media\/[\w/.-]+\.(svg|png|css|json|md|ttf)$/,
];

describe('the package', () => {
  const temporary = mkdtempSync(path.join(tmpdir(), 'podrelay-package-'));
  const vsix = path.join(temporary, 'podrelay.vsix');
  let host: ServerHost | undefined;
  let workbench: Workbench | undefined;
  let installed: string;
  let files: readonly string[];

  before('is made and installed', async function () {
    this.timeout(120_000);
    const args = ['scripts/package.mjs', '--out', vsix];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
    assert.equal(status, 0, stdout + stderr);
    const entry = ensureServerHost(path.join(root, '.vscode-test'));
    const dataFolder = path.join(temporary, 'server');
    host = await startServerHost({
      entry,
      env: process.env,
      settings: { 'git.enabled': false },
      workspaceTrust: false,
      install: vsix,
      dataFolder,
    });
    const { publisher, name, version } = readJson(path.join(root, 'package.json'));
    installed = path.join(dataFolder, 'extensions', `${publisher}.${name}-${version}`);
    files = readdirSync(installed, { recursive: true, withFileTypes: true })
      .filter((one) => one.isFile())
      .map((one) => path.relative(installed, path.join(one.parentPath, one.name)).split(path.sep).join('/'));
  });

  after(async () => {
    await workbench?.close();
    await host?.close();
    rmSync(temporary, { recursive: true, force: true, maxRetries: 5 });
  });

  it('is under 2 MB', () => {
    const { size } = statSync(vsix);
    assert.ok(size > 100_000 && size < mostBytes, `${String(size)} bytes`);
  });

  it('holds what the extension needs, and no source, test, map or dependency', () => {
    assert.deepEqual(
      files.filter((file) => !allowed.some((pattern) => pattern.test(file))),
      [],
    );
    for (const file of ['package.json', 'package.nls.json', 'readme.md', 'LICENSE.txt', 'dist/sim/cli.js']) {
      assert.ok(files.includes(file), file);
    }
    for (const folder of ['dist', 'media']) {
      const present = readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
        .filter((one) => one.isFile() && !one.name.endsWith('.map'))
        .map((one) => path.relative(root, path.join(one.parentPath, one.name)).split(path.sep).join('/'));
      assert.deepEqual(
        present.filter((file) => !files.includes(file)),
        [],
      );
    }
  });

  it('has every file that its manifest names', () => {
    const named = new Set<string>();
    const visit = (value: unknown): void => {
      if (typeof value === 'string' && /^(\.\/)?(dist|media)\//.test(value)) named.add(value);
      else if (typeof value === 'object' && value !== null) Object.values(value).forEach(visit);
    };
    visit(readJson(path.join(installed, 'package.json')));
    assert.ok(named.size >= 2);
    for (const file of named) assert.ok(existsSync(path.join(installed, file)), file);
  });

  it('names no place of the machine that built it', () => {
    const found = files.filter((file) => readFileSync(path.join(installed, file)).includes(root));
    assert.deepEqual(found, []);
  });

  it('works: installed in VS Code it starts, answers a command and runs the demo', async function () {
    this.timeout(120_000);
    assert.ok(host);
    workbench = await visitWorkbench(host.address({ folder: temporary }), temporary);
    await workbench.statusItem().first().waitFor();
    await workbench.command('PodRelay: Show Log');
    await workbench.page.locator('.part.panel .output-view-container, .part.panel .output-view').first().waitFor();
    await workbench.openContainer('PodRelay');
    // The demo is a program of its own in the package.
    await workbench.view('Backends').getByRole('button', { name: 'Try the Demo' }).click();
    await workbench.treeRow('Backends', /^Local ComfyUI.*ms/).waitFor();
    await workbench.statusItem(/demo/i).first().waitFor();
  });
});

function readJson(file: string) {
  return JSON.parse(readFileSync(file, 'utf8'));
}
