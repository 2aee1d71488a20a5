import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { readSidecar } from '../../src/core/outputs/sidecar.ts';
import type { Sidecar } from '../../src/core/outputs/sidecar.ts';
import { openWorkbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

const sample = readFileSync(path.resolve(import.meta.dirname, '../../media/samples/text-to-image.json'), 'utf8');

describe('a workflow in the editor', function () {
  this.timeout(120_000);
  let workbench: Workbench;

  before(async () => {
    workbench = await openWorkbench({
      workspaceFiles: { 'text-to-image.json': sample },
      openFile: 'text-to-image.json',
    });
    await workbench.command('PodRelay: Try the Demo (No Account)');
    await workbench.notification(/The demo runs/);
  });
  after(async () => workbench?.close());
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await workbench?.screenshot('failed-inputs');
  });

  const pictures = (): string[] => {
    const folder = path.join(workbench.workspace, 'generated');
    return existsSync(folder) ? readdirSync(folder).filter((name) => /\.png$/.test(name)) : [];
  };
  /** The list, once it begins so. */
  const listThat = (first: RegExp): Promise<readonly string[]> =>
    workbench.until(`a list that begins with ${String(first)}`, async () => {
      const items = await workbench.quickItems();
      return first.test(items[0] ?? '') && items;
    });
  const story = (name: string): Promise<Sidecar> => readSidecar(path.join(workbench.workspace, 'generated', name));

  it('runs with other values, which are refused where they are none, and stays as it is', async () => {
    const { page } = workbench;
    await workbench.command('PodRelay: Run Workflow with Inputs…');
    const values = await listThat(/^Run ?as the file says/);
    assert.ok(
      values.some((item) => /^Width ?768$/.test(item)),
      values.join(' | '),
    );
    await workbench.choose('Width');
    await workbench.answer('770');
    await page.locator('.quick-input-widget', { hasText: 'Width must be a multiple of 8, not 770' }).waitFor();
    await workbench.screenshot('inputs-dark-refused');
    await workbench.answer('512');
    await workbench.choose('Seed');
    await workbench.answer('random');
    await workbench.choose('Prompt');
    await page.keyboard.press('Escape');
    const changed = await listThat(/^Run ?changed: Seed, Width$/);
    assert.ok(
      changed.some((item) => /^Width ?512 · in the file: 768$/.test(item)),
      changed.join(' | '),
    );
    await workbench.screenshot('inputs-dark');
    // A list that was closed runs nothing and forgets nothing.
    await page.keyboard.press('Escape');
    await workbench.command('PodRelay: Run Workflow with Inputs…');
    await listThat(/^Run ?changed: Seed, Width$/);
    await page.keyboard.press('Enter');
    const [name = ''] = await workbench.until('the picture', () => pictures().length > 0 && pictures());
    const graph = (await story(name)).workflow as Record<string, { inputs: Record<string, unknown> }>;
    assert.equal(graph['4']?.inputs.width, 512);
    assert.equal(graph['4']?.inputs.height, 512);
    assert.notEqual(graph['5']?.inputs.seed, 20_261);
    assert.equal(pictures().length, 1);
    assert.equal(readFileSync(path.join(workbench.workspace, 'text-to-image.json'), 'utf8'), sample);
  });
});
