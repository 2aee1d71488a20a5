import assert from 'node:assert/strict';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Frame as Page } from 'playwright-core';
import { sidecarPath } from '../../src/core/outputs/sidecar.ts';
import type { Sidecar } from '../../src/core/outputs/sidecar.ts';
import { Painting } from '../../src/sim/comfy/media/paint.ts';
import { encodePng } from '../../src/sim/comfy/media/png.ts';
import { openWorkbench } from './workbench.ts';
import type { Workbench, WorkbenchOptions } from './workbench.ts';

const sample = readFileSync(path.resolve(import.meta.dirname, '../../media/samples/text-to-image.json'), 'utf8');
const evil = '<img src=x onerror="document.title=1"><b>bold</b>';

function story(file: string, more: Partial<Sidecar> = {}): string {
  const record: Sidecar = {
    version: 1,
    jobId: file,
    output: { file, bytes: 400_000, kind: 'image' },
    workflow: JSON.parse(sample),
    inputs: {},
    seed: 42,
    backend: { id: 'local', label: 'Local ComfyUI', tier: 'local' },
    gpu: 'RTX 3060',
    attempts: [{ backend: 'local', outcome: 'done' }],
    cost: { micros: 0, basis: 'measured' },
    times: {
      requestedAt: '2026-01-31T12:00:00.000Z',
      startedAt: '2026-01-31T12:00:01.000Z',
      finishedAt: '2026-01-31T12:00:05.200Z',
    },
    dropped: [],
    ...more,
  };
  return `${JSON.stringify(record, undefined, 2)}\n`;
}

function picture(prompt: string, seed: number): Buffer {
  const brief = { prompt, negative: '', seed: BigInt(seed), flavour: '', width: 384, height: 384 };
  return encodePng(new Painting(brief).render(384, 384));
}

const cloud = { id: 'cloud', label: 'RunPod pods', tier: 'cloud' } as const;
const gemini = { id: 'gemini', label: 'Gemini', tier: 'gemini' } as const;

function filled(): Record<string, string | Uint8Array> {
  const files: Record<string, string | Uint8Array> = { 'text-to-image.json': sample };
  const add = (name: string, content: string | Uint8Array, more: Partial<Sidecar> = {}): void => {
    files[`generated/${name}`] = content;
    files[sidecarPath(`generated/${name}`)] = story(name, more);
  };
  add('broken.png', 'no picture at all');
  add('film.mp4', 'no film either', { output: { file: 'film.mp4', bytes: 9, kind: 'video' }, backend: cloud });
  add('model.safetensors', 'x', { output: { file: 'model.safetensors', bytes: 1, kind: 'other' } });
  add('lighthouse.png', picture('a lighthouse on a cliff at dawn', 1));
  add('forest.png', picture('a forest in the fog', 2), {
    backend: cloud,
    gpu: 'RTX 4090',
    cost: { micros: 2_000, basis: 'measured' },
  });
  add('evil.png', picture('a harbour at night', 3), {
    backend: { ...gemini, label: evil },
    cost: { micros: 67_000, basis: 'estimated' },
    dropped: [evil, 'The exact seed'],
    attempts: [
      { backend: 'local', outcome: 'failed', reason: evil },
      { backend: 'gemini', outcome: 'done' },
    ],
  });
  return files;
}

describe('the Outputs view', function () {
  this.timeout(180_000);
  let workbench: Workbench;
  let page: Page;

  async function open(options: WorkbenchOptions): Promise<void> {
    workbench = await openWorkbench(options);
    await workbench.openContainer('PodRelay');
    const pane = workbench.view('Outputs');
    await pane.waitFor();
    const header = pane.locator('.pane-header');
    if ((await header.getAttribute('aria-expanded')) !== 'true') await header.click();
    page = await workbench.webview('#cards');
  }
  const names = (): Promise<string[]> => page.locator('.card .name').allInnerTexts();
  const card = (name: string) => page.locator('.card', { has: page.getByText(name, { exact: true }) });

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await workbench?.screenshot('outputs-failed');
  });

  describe('with results in the folder', () => {
    before(() => open({ workspaceFiles: filled(), theme: 'dark', size: { width: 1280, height: 1100 } }));
    after(() => workbench?.close());

    it('shows every result as a picture, or as the sign of what it is', async () => {
      await workbench.until('six cards', async () => (await names()).length === 6);
      // A picture is loaded when it comes near the screen, so each is looked at.
      for (const name of await names()) await card(name).scrollIntoViewIfNeeded();
      await workbench.until('the pictures', () =>
        page.locator('.card img').evaluateAll((images) => {
          const drawn = images as unknown as { complete: boolean; naturalWidth: number }[];
          return drawn.length === 3 && drawn.every((image) => image.complete && image.naturalWidth > 0);
        }),
      );
      assert.equal(await card('broken.png').locator('.stand-in').innerText(), 'PNG');
      assert.equal(await card('film.mp4').locator('.stand-in').innerText(), 'MP4');
      await card('evil.png').scrollIntoViewIfNeeded();
      await card('forest.png').hover();
      await workbench.screenshot('outputs-dark');
    });

    it('says of each where it was made and what it cost, and shows text from outside as text', async () => {
      assert.equal(await card('forest.png').locator('.origin').innerText(), 'RunPod pods · $0.002');
      assert.equal(await card('evil.png').locator('.warning').innerText(), '2 not honoured');
      assert.match(await card('evil.png').locator('.origin').innerText(), /^<img src=x/);
      assert.equal(await page.locator('b').count(), 0);
      const tooltip = await card('evil.png').locator('.thumb').getAttribute('title');
      assert.match(
        tooltip ?? '',
        /about \$0\.07[\s\S]*Tried before: local failed: <img[\s\S]*Not honoured: The exact seed/,
      );
    });

    it('is used by the keyboard: one stop for Tab, arrows from card to card', async () => {
      const thumbs = page.locator('.thumb');
      await thumbs.first().focus();
      await workbench.page.keyboard.press('ArrowRight');
      assert.equal(await thumbs.nth(1).evaluate((element) => element === element.ownerDocument.activeElement), true);
      assert.equal(await page.locator('.thumb[tabindex="0"]').count(), 1);
      await workbench.page.keyboard.press('End');
      await workbench.page.keyboard.press('Tab');
      const focused = page.locator('.action:focus');
      assert.match((await focused.getAttribute('aria-label')) ?? '', /^Repeat with New Seeds/);
    });

    it('opens a result, and copies its path', async () => {
      await card('forest.png').locator('.thumb').click();
      await workbench.until('its tab', async () => (await workbench.tabs()).includes('forest.png'));
      await card('forest.png').hover();
      await card('forest.png').getByRole('button', { name: 'Copy Path' }).click();
      await workbench.page.locator('.part.statusbar', { hasText: 'Path copied' }).waitFor();
    });

    it('follows the folder: what another window makes appears, what is deleted goes', async () => {
      const folder = path.join(workbench.workspace, 'generated');
      const made = path.join(folder, 'new.png');
      writeFileSync(`${made}.part`, picture('a new picture', 9));
      renameSync(`${made}.part`, made);
      writeFileSync(sidecarPath(made), story('new.png'));
      await workbench.until('the new one first', async () => (await names())[0] === 'new.png');
      rmSync(made);
      await workbench.until('the deleted one to go', async () => !(await names()).includes('new.png'));
      assert.equal((await names()).length, 6);
    });
  });

  describe('in a light window with nothing yet', () => {
    before(() =>
      open({
        workspaceFiles: { 'text-to-image.json': sample },
        openFile: 'text-to-image.json',
        theme: 'light',
        size: { width: 1600, height: 900 },
      }),
    );
    after(() => workbench?.close());

    it('says what to do next, and does it', async () => {
      const buttons = page.locator('#notice button');
      await buttons.first().waitFor();
      assert.deepEqual(await buttons.allInnerTexts(), [
        'Generate from Prompt…',
        'Run Workflow',
        'Try the Demo (no account)',
      ]);
      await workbench.screenshot('outputs-empty-light');
      await buttons.first().click();
      await workbench.page.locator('.quick-input-widget', { hasText: 'What shall be in the picture?' }).waitFor();
      await workbench.page.keyboard.press('Escape');
    });

    it('explains the first steps in a walkthrough', async () => {
      await workbench.command('PodRelay: Open Walkthrough');
      await workbench.page.locator('.getting-started-step', { hasText: 'Try the demo' }).first().waitFor();
      await workbench.page.waitForTimeout(1_500);
      await workbench.screenshot('walkthrough-light');
    });

    it('shows a problem report before anything leaves', async () => {
      await workbench.command('PodRelay: Report Problem');
      await workbench.notification('Nothing is sent');
      await workbench.page.locator('.monaco-editor', { hasText: 'What happened' }).first().waitFor();
      await workbench.screenshot('problem-report-light');
      await workbench.answerNotification('Nothing is sent', 'Copy to Clipboard');
    });

    it('says what was spent', async () => {
      await workbench.command('PodRelay: Show Costs');
      const costs = await workbench.webview('.tiles');
      assert.match(await costs.locator('main').innerText(), /This month\s+\$0\.00/);
      await workbench.screenshot('costs-light');
    });

    it('shows what the demo makes, and makes it again with other seeds', async () => {
      await page.locator('#notice button', { hasText: 'Try the Demo' }).click();
      await workbench.until('the demo', async () => (await workbench.statusTexts()).some((text) => /Demo/.test(text)));
      await workbench.page.locator('.tab', { hasText: 'text-to-image.json' }).first().click();
      await workbench.command('PodRelay: Run Workflow');
      await workbench.until('a result', async () => (await names()).length === 1, 60_000);
      const [first = ''] = await names();
      assert.match(await card(first).locator('.origin').innerText(), /· free$/);

      await card(first).hover();
      await card(first).getByRole('button', { name: 'Repeat with New Seeds' }).click();
      await workbench.until('a second result', async () => (await names()).length === 2, 60_000);
      const seeds = (await names()).map((name) => {
        const file = sidecarPath(path.join(workbench.workspace, 'generated', name));
        return (JSON.parse(readFileSync(file, 'utf8')) as Sidecar).seed;
      });
      assert.equal(
        seeds.every((seed) => seed !== null),
        true,
      );
      assert.notEqual(seeds[0], seeds[1]);
      await workbench.screenshot('outputs-light');

      await workbench.command('PodRelay: End the Demo');
      await workbench.until('its end', async () => !(await workbench.statusTexts()).some((text) => /Demo/.test(text)));
      await workbench.page.waitForTimeout(500);
      assert.equal((await workbench.statusTexts()).length, 1, 'no job of the demo is left in the status bar');
      assert.equal((await names()).length, 2, 'results stay');
    });
  });
});
