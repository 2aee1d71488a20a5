import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
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

  const focusWorkflow = async (): Promise<void> =>
    workbench.page.locator('.tab', { hasText: 'text-to-image.json' }).first().click();

  function newestRecord(): { readonly backend: { readonly id: string }; readonly dropped: readonly string[] } {
    const folder = path.join(workbench.workspace, 'generated');
    const records = readdirSync(folder).filter((name) => name.endsWith('.podrelay.json'));
    const newest = records.sort(
      (a, b) => statSync(path.join(folder, b)).mtimeMs - statSync(path.join(folder, a)).mtimeMs,
    )[0];
    assert.ok(newest);
    return JSON.parse(readFileSync(path.join(folder, newest), 'utf8')) as ReturnType<typeof newestRecord>;
  }

  async function run(expected: number, timeoutMs = 60_000): Promise<void> {
    await workbench.page.locator('.tab', { hasText: 'text-to-image.json' }).first().click();
    await workbench.command('PodRelay: Run Workflow');
    await workbench.until(`${expected} pictures`, () => pictures().length >= expected, timeoutMs);
  }

  it('begins with the demo: backends and pods fill in, and nothing costs anything', async () => {
    await workbench.openContainer('PodRelay');
    await workbench.until('the ways in', async () => {
      const [backends, pods] = [await workbench.welcome('Backends'), await workbench.welcome('Pods')];
      return /No ComfyUI answers.*Try the Demo/.test(backends) && !/Restricted/.test(backends + pods);
    });
    assert.match((await workbench.statusTexts()).join(), /not set up · \$0\.00\/h/);
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
    await workbench.page.waitForTimeout(2_500);
    await workbench.screenshot('story-03-local');
  });

  it('goes on with the stopped pod when local is off, shows how far it is, and says what it cost and why', async () => {
    await workbench.command('PodRelay: Demo: Switch Local ComfyUI Off');
    await workbench.until('local to be out', async () =>
      (await workbench.treeRows('Backends'))[0]?.text.includes('refused'),
    );
    await focusWorkflow();
    await workbench.command('PodRelay: Run Workflow');
    await workbench.until('progress', async () => (await workbench.statusTexts()).length > 1);
    await workbench.page.waitForTimeout(1_500);
    await workbench.screenshot('story-04-pod-starts');
    await workbench.until('a second picture', () => pictures().length >= 2, 90_000);
    const toast = await workbench.notification(/made on RunPod pod/);
    assert.match(await toast.innerText(), /local (failed|was skipped): Connection refused/);
    assert.match(await toast.innerText(), /\$/);
    await workbench.until('a running cost', async () =>
      (await workbench.statusTexts()).some((text) => /\$0\.\d\d\/h/.test(text) && !text.includes('$0.00/h')),
    );
    await workbench.page.waitForTimeout(2_500);
    await workbench.screenshot('story-05-pod');
    await workbench.answerNotification(/made on RunPod pod/, 'Show Costs');
    await workbench.page.waitForTimeout(2_000);
    await workbench.screenshot('story-06-costs');
  });

  it('asks before Gemini takes over, with the price and what is lost, and stamps the result', async () => {
    await workbench.command('PodRelay: Demo: Break RunPod');
    await focusWorkflow();
    await workbench.command('PodRelay: Run Workflow');
    const dialog = workbench.page.locator('.monaco-dialog-box');
    await dialog.waitFor({ timeout: 60_000 });
    await workbench.screenshot('story-07-gemini-asks');
    const text = await workbench.answerDialog('Use Gemini');
    assert.match(text, /Google Gemini for about \$0\.\d+/);
    assert.match(text, /Seed/);
    await workbench.until('a third picture', () => pictures().length >= 3, 90_000);
    await workbench.notification(/made on gemini/);
    await workbench.page.waitForTimeout(1_500);
    await workbench.screenshot('story-08-gemini');
    const record = newestRecord();
    assert.equal(record.backend.id, 'gemini');
    assert.ok(record.dropped.length > 0);
  });

  it('costs nothing any more once the pod is stopped', async () => {
    await workbench.rowAction('Pods', 'podrelay-demo', 'Stop Pod');
    await workbench.until('no running cost', async () =>
      (await workbench.statusTexts()).some((text) => text.includes('$0.00/h')),
    );
    await workbench.until('the pod to be shown as stopped', async () =>
      (await workbench.treeRows('Pods')).some((row) => /podrelay-demo.*stopped/.test(row.text)),
    );
    await workbench.screenshot('story-09-stopped');
  });
});
