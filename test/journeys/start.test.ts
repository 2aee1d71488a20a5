import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { visitWorkbench, type Workbench } from './workbench.ts';

const root = path.resolve(import.meta.dirname, '..', '..');

describe('npm start', () => {
  let home = '';
  let starting: ChildProcess | undefined;
  let workbench: Workbench | undefined;

  // A test run that is cut short must not leave a server behind.
  const endNow = () => {
    starting?.kill('SIGTERM');
    if (home !== '') rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  };
  before(() => process.once('exit', endNow));
  after(() => process.removeListener('exit', endNow));

  beforeEach(() => {
    home = mkdtempSync(path.join(tmpdir(), 'podrelay-start-'));
  });

  afterEach(async () => {
    await workbench?.close();
    starting?.kill('SIGKILL');
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  });

  function start(env: Record<string, string>): { child: ChildProcess; output: () => string } {
    let output = '';
    const child = spawn(process.execPath, [path.join(root, 'scripts', 'start.mjs')], {
      env: { ...process.env, PODRELAY_HOST: 'server', PODRELAY_START_HOME: home, DISPLAY: '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
    starting = child;
    return { child, output: () => output };
  }

  async function printedAddress(child: ChildProcess, output: () => string): Promise<string> {
    for (;;) {
      const address = /http:\/\/127\.0\.0\.1:\d+\/\S+/.exec(output())?.[0];
      if (address !== undefined) return address;
      assert.equal(child.exitCode, null, `ended early:\n${output()}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  it('opens a sample workflow beside PodRelay, and Ctrl-C ends the server', async () => {
    const { child, output } = start({});
    const address = await printedAddress(child, output);
    workbench = await visitWorkbench(address, path.join(home, 'demo-workspace'));
    await workbench.until('the sample in the editor', async () =>
      (await workbench?.tabs())?.includes('text-to-image.json'),
    );
    await workbench.command('PodRelay: Show Log');
    await workbench.page.locator('.part.panel option[value="PodRelay"]').first().waitFor({ state: 'attached' });

    await workbench.close();
    child.kill('SIGINT');
    const [code] = (await once(child, 'exit')) as [number | null];
    assert.equal(code, 0, output());
    await assert.rejects(fetch(address), 'the port is closed');
  });

  it('checks itself and ends', async () => {
    const { child, output } = start({ PODRELAY_START_CHECK: '1' });
    const [code] = (await once(child, 'exit')) as [number | null];
    assert.equal(code, 0, output());
    await assert.rejects(fetch(await printedAddress(child, output)), 'the server is gone');
  });
});
