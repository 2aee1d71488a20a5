import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { openWorkbench, type Workbench } from './workbench.ts';

const sample = readFileSync(path.resolve(import.meta.dirname, '../../media/samples/text-to-image.json'), 'utf8');

describe('in a light theme', function () {
  this.timeout(240_000);
  let workbench: Workbench;

  before(async () => {
    workbench = await openWorkbench({
      workspaceFiles: { 'text-to-image.json': sample },
      openFile: 'text-to-image.json',
      theme: 'light',
      size: { width: 1280, height: 900 },
    });
    await workbench.openContainer('PodRelay');
    await workbench.command('PodRelay: Try the Demo (No Account)');
    await workbench.answerNotification(/The demo runs/, 'Run Workflow');
    await workbench.until('a picture', () => pictures() > 0, 120_000);
  });
  after(async () => workbench?.close());

  const pictures = (): number => {
    const folder = path.join(workbench.workspace, 'generated');
    return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.png')).length : 0;
  };
  /** The list, once it says what all of these tell. */
  async function listWith(...patterns: readonly RegExp[]): Promise<readonly string[]> {
    let items: readonly string[] = [];
    const says = (pattern: RegExp): boolean => items.some((item) => pattern.test(item));
    await workbench.until(`a list with ${String(patterns)}`, async () => {
      items = await workbench.quickItems();
      return patterns.every(says);
    });
    return items;
  }

  it('everything is as readable', async () => {
    for (const [view, row] of [
      ['Backends', 'Local ComfyUI'],
      ['Pods', 'podrelay-demo'],
    ] as const) {
      await workbench.treeRow(view, row).click();
      await workbench.page.keyboard.press('ArrowRight');
    }
    await workbench.page.waitForTimeout(3_000);
    await workbench.screenshot('light');
    await workbench.screenshot('views', '.part.sidebar');
  });

  it('a choice of a GPU shows what a job costs on each, how far that is measured, and which is best', async () => {
    await workbench.command('PodRelay: Deploy Pod…');
    const items = await listWith(/The best price of a job/, /jobs? · .+ each · not measured here: scaled from 1 run/);
    const [first = ''] = items;
    assert.match(first, /The best price of a job.+from about \$\d+\.\d+ .+ (% less than|as cheap as)/);
    await workbench.screenshot('choice-light-gpu');
    await workbench.page.keyboard.press('Escape');
  });

  it('a choice of a strategy shows where the next job would go, how long it would take and what it would cost', async () => {
    await workbench.command('PodRelay: Choose Strategy…');
    const items = await listWith(/Fastest.+Next job: .+ s/, /Cheapest.+Next job: .+ free/);
    for (const name of ['In order of priority', 'Cheapest', 'Fastest', 'Balanced']) {
      assert.ok(
        items.some((item) => item.includes(name)),
        `${name}: ${items.join(' | ')}`,
      );
    }
    assert.ok(
      items.some((item) => /ComfyUI.+(s|min), free/.test(item)),
      items.join(' | '),
    );
    await workbench.screenshot('choice-light-strategy');
    await workbench.choose('Balanced');
    await listWith(/An hour of waiting is worth \$3\.60.*now.+Next job/, /fastest/, /cheapest/);
    await workbench.screenshot('choice-light-balance');
    await workbench.choose('is worth $20.00');
    // The setting is written behind the list that has closed.
    await workbench.until('the strategy to be kept', async () => {
      await workbench.command('PodRelay: Choose Strategy…');
      const kept = await workbench.quickItems();
      await workbench.page.keyboard.press('Escape');
      return kept.some((item) => /Balanced.*is worth \$20\.00.*now/.test(item));
    });
  });
});
