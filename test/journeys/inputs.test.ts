import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { readSidecar, sidecarPath } from '../../src/core/outputs/sidecar.ts';
import type { Sidecar } from '../../src/core/outputs/sidecar.ts';
import { openWorkbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

const sample = readFileSync(path.resolve(import.meta.dirname, '../../media/samples/text-to-image.json'), 'utf8');

describe('a workflow in the editor', function () {
  this.timeout(120_000);
  let workbench: Workbench;

  before(async () => {
    workbench = await openWorkbench({
      workspaceFiles: {
        'text-to-image.json': sample,
        'notes.md': '# Notes\n\na lighthouse in the rain\n\nThe end.\n',
        'package.json': '{ "name": "none", "nodes": [] }\n',
        'editor.json': JSON.stringify({
          last_node_id: 1,
          nodes: [{ id: 1, type: 'SaveImage', pos: [0, 0] }],
          links: [],
        }),
      },
      openFile: 'text-to-image.json',
    });
  });
  after(async () => workbench?.close());
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await workbench?.screenshot('failed-inputs');
  });

  /** Those with their records, which are written last. */
  const pictures = (): string[] => {
    const folder = path.join(workbench.workspace, 'generated');
    const files = existsSync(folder) ? readdirSync(folder) : [];
    return files.filter((name) => files.includes(sidecarPath(name)));
  };
  /** A key that is pressed before the editor has the focus again is lost, and what is typed then replaces the selection. */
  const goHome = (): Promise<unknown> =>
    workbench.until('the beginning of the file', async () => {
      await workbench.page.keyboard.press('Control+Home');
      return (await workbench.page.locator('.part.statusbar').innerText()).includes('Ln 1, Col 1');
    });

  async function openFile(name: string): Promise<void> {
    const { page } = workbench;
    await page.keyboard.press('Control+P');
    await page.locator('.quick-input-widget .quick-input-box input').fill(name);
    await page.locator('.quick-input-list .monaco-list-row', { hasText: name }).first().click();
    await page.locator('.tab.active', { hasText: name }).waitFor();
  }
  /** The list, once it begins so. */
  const listThat = (first: RegExp): Promise<readonly string[]> =>
    workbench.until(`a list that begins with ${String(first)}`, async () => {
      const items = await workbench.quickItems();
      return first.test(items[0] ?? '') && items;
    });
  const story = (name: string): Promise<Sidecar> => readSidecar(path.join(workbench.workspace, 'generated', name));

  it('is offered to run, with what it would take on each backend, and no other file is', async () => {
    const { page } = workbench;
    const lenses = page.locator('.monaco-editor .codelens-decoration');
    const lensText = async (): Promise<string> => (await lenses.allInnerTexts()).join(' ').replaceAll(/\s+/g, ' ');
    // Opening a file asks nobody.
    await workbench.until('a way to ask', async () =>
      (await lensText()).includes('▷ Run | Run with Inputs… | Check Backends'),
    );
    await workbench.command('PodRelay: Try the Demo (No Account)');
    await workbench.notification(/The demo runs/);
    const line = await workbench.until('the backends above the workflow', async () => {
      const text = await lensText();
      return /Run with Inputs….*local about \d+ s free/.test(text) && text;
    });
    assert.match(line, /pod about \d+ min, price not known/);
    assert.match(line, /Gemini about [\d.]+ s \$0\.0\d/);
    const run = page.locator('.editor-actions .action-label[aria-label="Run Workflow"]');
    assert.equal(await run.count(), 1);
    await workbench.screenshot('lenses-dark');
    await lenses.locator('a', { hasText: 'free' }).click();
    const box = page.locator('.quick-input-widget .quick-input-box input');
    await workbench.until('figures for this workflow', async () =>
      (await box.getAttribute('placeholder'))?.includes('a job like ‘text-to-image.json’'),
    );
    await page.keyboard.press('Escape');
    await openFile('package.json');
    await workbench.until('no run button', async () => (await run.count()) === 0);
    assert.equal(await lenses.count(), 0);
    await openFile('editor.json');
    await workbench.until('the lens of the other format', async () =>
      (await lensText()).includes('ComfyUI editor format: how to run it'),
    );
    await lenses.locator('a').first().click();
    const refused = await workbench.notification(/Workflow → Export \(API\)/);
    await refused.hover();
    await refused.locator('.codicon-notifications-clear').click();
    await openFile('text-to-image.json');
    await run.waitFor();
  });

  it('runs with other values, which are refused where they are none, and stays as it is', async () => {
    const { page } = workbench;
    await page.locator('.codelens-decoration a', { hasText: 'Run with Inputs…' }).click();
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
    await page.locator('.quick-input-widget', { hasText: 'A text' }).waitFor();
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

  it('puts what a selection has made behind it, wherever that is by then, and the newest output at the cursor', async () => {
    const { page } = workbench;
    await openFile('notes.md');
    await goHome();
    for (const key of ['ArrowDown', 'ArrowDown', 'Shift+End']) await page.keyboard.press(key);
    await workbench.command('PodRelay: Generate from Selection');
    await page.locator('.quick-input-widget', { hasText: 'Which size?' }).waitFor();
    await workbench.choose('Small and quick');
    await page.locator('.quick-input-widget').waitFor({ state: 'hidden' });
    await goHome();
    await page.keyboard.type('Written meanwhile. ');
    const done = /a lighthouse in the rain: 1 file/;
    await workbench.notification(done);
    await workbench.screenshot('insert-dark-offered');
    await workbench.answerNotification(done, 'Insert Image');
    const notes = async (pattern: RegExp): Promise<string> =>
      workbench.until(`notes like ${String(pattern)}`, async () => {
        await page.keyboard.press('Control+S');
        const text = readFileSync(path.join(workbench.workspace, 'notes.md'), 'utf8');
        return pattern.test(text) && text;
      });
    const image = /!\[a lighthouse in the rain\]\(generated\/[\w.%-]+\.png\)/.source;
    const text = await notes(/!\[/);
    assert.match(text, new RegExp(`^Written meanwhile\\. # Notes\n\na lighthouse in the rain\n\n${image}\n\nThe end`));
    const [, name = ''] = /\(generated\/(.+)\)/.exec(text) ?? [];
    assert.ok(pictures().includes(decodeURIComponent(name)));
    await workbench.screenshot('insert-dark');
    await page.keyboard.press('Control+End');
    await workbench.command('PodRelay: Insert Newest Output as Image');
    await notes(new RegExp(`The end\\.\n${image}$`));
  });
});
