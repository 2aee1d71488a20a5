import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { openWorkbench, type Workbench } from './workbench.ts';

const sample = readFileSync(path.resolve(import.meta.dirname, '../../media/samples/text-to-image.json'), 'utf8');

const theme = 'dark';

describe(`a budget that holds, in a ${theme} theme`, function () {
  this.timeout(240_000);
  let workbench: Workbench;

  before(async () => {
    workbench = await openWorkbench({
      workspaceFiles: { 'text-to-image.json': sample },
      openFile: 'text-to-image.json',
      theme,
      size: { width: 1280, height: 1000 },
    });
    await workbench.openContainer('PodRelay');
    await workbench.command('PodRelay: Try the Demo (No Account)');
    await workbench.until('the demo', async () => (await workbench.statusTexts()).some((text) => /Demo/.test(text)));
    await workbench.command('PodRelay: Demo: Switch Local ComfyUI Off');
  });
  after(async () => workbench?.close());

  const pictures = (): string[] => {
    const folder = path.join(workbench.workspace, 'generated');
    return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.png')) : [];
  };
  const run = async (): Promise<void> => {
    await workbench.page.locator('.tab', { hasText: 'text-to-image.json' }).first().click();
    await workbench.command('PodRelay: Run Workflow');
  };
  async function setBudget(which: string, usd: string): Promise<void> {
    await workbench.command('PodRelay: Set Budget…');
    await workbench.choose(which);
    // The box of the question before has the same place.
    const question = workbench.page.locator('.quick-input-title', { hasText: `Budget for ${which}` });
    await question.waitFor();
    await workbench.answer(usd);
    await question.waitFor({ state: 'hidden' });
  }
  const costs = () => workbench.webview('main h1');

  it('of 0 starts no pod, and says what to do; the status bar is red', async () => {
    await setBudget('Today', '0');
    await workbench.until('the status bar', async () =>
      (await workbench.statusTexts()).some((text) => text.includes('budget spent')),
    );
    await run();
    const toast = await workbench.notification(/today's budget of \$0\.00 has \$0\.00 left/);
    assert.match(await toast.innerText(), /Set Budget…/);
    await workbench.screenshot(`budget-${theme}-refused`);
    assert.equal(pictures().length, 0);
  });

  it('of a dollar lets the pod work, warns, and is shown on the page of costs', async () => {
    await setBudget('Today', '1');
    await setBudget('This month', '20');
    await run();
    await workbench.until('a picture', () => pictures().length > 0, 120_000);
    await workbench.command('PodRelay: Show Costs');
    // Each drawing of the page is a frame of its own, and it is drawn anew whenever something costs.
    const isDrawn = async (): Promise<boolean> => {
      const page = await costs();
      const budgets = await page.locator('.budgets').innerText({ timeout: 5_000 });
      return /of \$1\.00/.test(budgets) && (await page.locator('.chart .bar').count()) > 0;
    };
    await workbench.until('its budget and a bar in the chart', () => isDrawn().catch(() => false), 60_000);
    await workbench.page.waitForTimeout(1_500);
    await workbench.screenshot(`budget-${theme}-costs`);
  });

  it('puts RunPod’s bill beside the ledger', async () => {
    await workbench.command("PodRelay: Compare with RunPod's Bill");
    // Each drawing of the page is a frame of its own.
    const page = await workbench.webview('a:has-text("Compare Again")');
    assert.match(await page.locator('main').innerText(), /Counted here|Neither RunPod nor PodRelay/);
    await page.locator('a:has-text("Compare Again")').scrollIntoViewIfNeeded();
    await workbench.page.waitForTimeout(1_000);
    await workbench.screenshot(`budget-${theme}-bill`);
  });

  it('gives the ledger as CSV', async () => {
    await workbench.command('PodRelay: Export Costs as CSV');
    const editor = workbench.page.locator('.monaco-editor', { hasText: 'from,to,what' }).first();
    await editor.waitFor();
    assert.match(await editor.innerText(), /from,to,what,id,name,seconds,usd,basis,counted,note/);
  });
});
