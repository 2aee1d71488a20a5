import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { openWorkbench, type Workbench } from './workbench.ts';

const sample = readFileSync(path.resolve(import.meta.dirname, '../../media/samples/text-to-image.json'), 'utf8');

/** The whole story in one window, as a newcomer lives it: without an account, on the simulator. */
describe('the story', function () {
  this.timeout(240_000);
  let workbench: Workbench;

  before(async () => {
    workbench = await openWorkbench({
      workspaceFiles: { 'text-to-image.json': sample },
      openFile: 'text-to-image.json',
    });
  });
  after(async () => workbench?.close());

  const generated = (): string[] => {
    try {
      return readdirSync(path.join(workbench.workspace, 'generated'));
    } catch {
      return [];
    }
  };
  const pictures = (): string[] => generated().filter((name) => /\.(png|webp|jpe?g)$/.test(name));

  async function run(expected: number, timeoutMs = 60_000): Promise<void> {
    await workbench.page.locator('.tab', { hasText: 'text-to-image.json' }).first().click();
    await workbench.command('PodRelay: Run Workflow');
    await workbench.until(`${expected} pictures`, () => pictures().length >= expected, timeoutMs);
  }

  it('begins with the demo: backends and pods fill in, and nothing costs anything', async () => {
    await workbench.openContainer('PodRelay');
    await workbench.screenshot('story-01-welcome');
    await workbench.command('PodRelay: Try the Demo (No Account)');
    await workbench.until('the status bar', async () =>
      (await workbench.statusTexts()).some((t) => /Demo · local · \$0\.00\/h/.test(t)),
    );
    await workbench.until(
      'three backends',
      async () => (await workbench.treeRows('Backends')).filter((row) => row.level === 1).length >= 2,
    );
    await workbench.page.waitForTimeout(1_500);
    await workbench.screenshot('story-02-demo');
  });

  it('makes a picture on the local ComfyUI and opens it', async () => {
    await run(1);
    await workbench.until('the picture', async () => (await workbench.tabs()).some((tab) => /\.png$/.test(tab)));
    await workbench.page.waitForTimeout(1_000);
    await workbench.screenshot('story-03-local');
  });

  it('goes on with the stopped pod when local is off, shows how far it is, and says what it cost and why', async () => {
    await workbench.command('PodRelay: Demo: Switch Local ComfyUI Off');
    await workbench.page.waitForTimeout(500);
    await workbench.page.locator('.tab', { hasText: 'text-to-image.json' }).first().click();
    await workbench.command('PodRelay: Run Workflow');
    await workbench.page.waitForTimeout(2_500);
    await workbench.screenshot('story-04-pod-starts');
    await workbench.until('a second picture', () => pictures().length >= 2, 90_000);
    const toast = await workbench.notification(/RunPod|cloud/);
    await workbench.screenshot('story-05-pod');
    assert.match(await toast.innerText(), /\$0\.0/);
  });
});
