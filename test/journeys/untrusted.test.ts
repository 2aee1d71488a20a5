import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { openWorkbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

const sample = readFileSync(path.resolve(import.meta.dirname, '../../media/samples/text-to-image.json'), 'utf8');

describe('an untrusted workspace', function () {
  this.timeout(180_000);
  let sim: Simulator;
  let workbench: Workbench;

  before(async () => {
    sim = await startSimulator({ timeScale: 60, seed: 7 });
    workbench = await openWorkbench({
      trust: 'ask',
      workspaceFiles: { 'text-to-image.json': sample },
      openFile: 'text-to-image.json',
      machineSettings: { 'podrelay.local.url': sim.addresses.localComfyUrl },
      settings: { 'security.workspace.trust.startupPrompt': 'never', 'security.workspace.trust.banner': 'never' },
    });
  });

  after(async () => {
    await workbench.close();
    await sim.dispose();
  });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await workbench.screenshot('failed-untrusted');
  });
  const submitted = (): number =>
    sim.local.requests.filter(({ method, path: at }) => method === 'POST' && at === '/prompt').length;

  it('is offered nothing that runs a workflow', async () => {
    const { page } = workbench;
    await workbench.openContainer('PodRelay');
    const box = page.locator('.quick-input-widget .quick-input-box input');
    const offered = async (title: string): Promise<boolean> => {
      await box.fill(`>${title}`);
      await page.waitForTimeout(300);
      return (await workbench.quickItems()).some((item) => item.startsWith(title));
    };
    await page.keyboard.press('F1');
    await workbench.until('the commands of the extension', () => offered('PodRelay: Show Log'));
    for (const title of ['Run Workflow', 'Generate from Prompt', 'Generate from Selection', 'Repeat']) {
      assert.equal(await offered(`PodRelay: ${title}`), false, title);
    }
    await page.keyboard.press('Escape');
    await workbench.statusItem().first().click();
    const menu = await workbench.quickItems();
    assert.ok(menu.includes('Show Log'), menu.join(', '));
    assert.deepEqual(
      menu.filter((item) => /Generate|Start/.test(item)),
      [],
    );
    await page.keyboard.press('Escape');
    assert.equal(submitted(), 0);
    assert.deepEqual(readdirSync(workbench.workspace), ['text-to-image.json']);
  });

  it('runs nothing when the walkthrough has offered it, and says why', async () => {
    const { page } = workbench;
    await workbench.command('PodRelay: Open Walkthrough');
    await page.getByText('Generate your first picture').click();
    await page.locator('.gettingStartedContainer .monaco-button', { hasText: 'Generate from Prompt…' }).click();
    await workbench.answer('a lighthouse at dawn');
    await workbench.choose('Small and quick');
    await workbench.notification(/This workspace is not trusted.*Trust the workspace/);
    await workbench.command('Notifications: Clear All Notifications');
    await workbench.command('View: Close Editor');
    assert.equal(submitted(), 0);
    assert.deepEqual(readdirSync(workbench.workspace), ['text-to-image.json']);
  });

  it('says so in its views, instead of looking empty', async () => {
    await workbench.openContainer('PodRelay');
    assert.match(await workbench.welcome('Pods'), /trust/i);
  });

  it('runs once the person trusts it', async () => {
    await workbench.command('Workspaces: Manage Workspace Trust');
    await workbench.page.getByRole('button', { name: 'Trust', exact: true }).first().click();
    await workbench.page.getByText('You trust this folder').waitFor();
    await workbench.page.locator('.monaco-modal-editor-block .codicon-close').last().click();
    await workbench.command('PodRelay: Run Workflow');
    await workbench.until(
      'the picture',
      () => existsSync(path.join(workbench.workspace, 'generated')) && submitted() > 0,
    );
  });
});
