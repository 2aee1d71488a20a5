import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { openWorkbench, type Workbench } from './workbench.ts';

/** It names no checkpoint: on an endpoint it gets the one inside the image. */
const sample = readFileSync(path.resolve(import.meta.dirname, '../../media/samples/text-to-image.json'), 'utf8');

const total = 12;
const lines = Array.from({ length: total }, (_, at) => `"a lighthouse, study ${at + 1}",${at}`);

interface Story {
  readonly backend: { readonly id: string };
  readonly workflow: Readonly<Record<string, { readonly inputs: Readonly<Record<string, unknown>> }>>;
}

/** Serverless endpoints in the Pods view, as a person meets them in the demo. */
describe('endpoints in the Pods view', function () {
  this.timeout(180_000);
  let workbench: Workbench;

  before(async () => {
    workbench = await openWorkbench({
      size: { width: 1280, height: 1400 },
      workspaceFiles: { 'text-to-image.json': sample, 'prompts.csv': ['prompt,seed', ...lines].join('\n') },
      openFile: 'text-to-image.json',
    });
    await workbench.openContainer('PodRelay');
    await workbench.command('PodRelay: Try the Demo (No Account)');
  });
  after(async () => workbench?.close());

  const stories = (): readonly Story[] => {
    const folder = path.join(workbench.workspace, 'generated');
    const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.podrelay.json')) : [];
    return names.map((name) => JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as Story);
  };
  const row = async (text: string): Promise<string | undefined> =>
    (await workbench.treeRows('Pods')).find((one) => one.text.includes(text))?.text;
  /** The box on the screen asks this now: the answer to one question must not land in the next. */
  const asked = (title: string): Promise<void> =>
    workbench.page.locator('.quick-input-widget .quick-input-title', { hasText: title }).waitFor();
  const rowReads = async (text: string, pattern: RegExp): Promise<string> =>
    workbench.until(`${text} to read ${String(pattern)}`, async () => {
      const found = await row(text);
      return found !== undefined && pattern.test(found) ? found : undefined;
    });

  it('are there with workers, queue and price by the second, and get no jobs unasked', async () => {
    await rowReads('comfy-serverless', /0 running · 0 idle · 0 queued · .*\$0\.000\d+\/s/);
    assert.doesNotMatch((await row('Serverless')) ?? '', /for jobs/);
    await workbench.treeRow('Pods', 'comfy-serverless').click();
    await workbench.until('the details', async () => (await row('Idle timeout')) !== undefined);
    await workbench.screenshot('endpoints-01');
    await workbench.treeRow('Pods', 'comfy-serverless').click();
  });

  it('get jobs when the person says so', async () => {
    await workbench.command('PodRelay: Use This Endpoint for Jobs');
    await workbench.choose('comfy-serverless');
    await rowReads('Serverless', /1 for jobs/);
    await workbench.until('the backend', async () =>
      (await workbench.treeRows('Backends')).some(({ text }) => /endpoint|comfy-serverless/.test(text)),
    );
    await workbench.screenshot('endpoints-02-used');
  });

  it('make the picture when they are chosen', async () => {
    await workbench.command('PodRelay: Choose Backend…');
    await workbench.choose('Only RunPod endpoint comfy-serverless');
    await workbench.until('the choice to hold', async () =>
      (await workbench.treeRows('Backends')).some(({ text }) => /comfy-serverless.*only this/.test(text)),
    );
    await workbench.page.locator('.tab', { hasText: 'text-to-image.json' }).first().click();
    await workbench.command('PodRelay: Run Workflow');
    const [record] = await workbench.until('the picture', () => stories().length === 1 && stories(), 90_000);
    assert.match(record?.backend.id ?? '', /^endpoint:/);
    assert.equal(record?.workflow['1']?.inputs.ckpt_name, 'sd_xl_base_1.0.safetensors', 'what its image has inside');
    await workbench.screenshot('endpoints-03-job');
  });

  it('run a batch on several workers, which cost money while they are up', async () => {
    await workbench.page.keyboard.press('Control+p');
    await workbench.page.locator('.quick-input-widget .quick-input-box input').fill('prompts.csv');
    await workbench.choose('prompts.csv');
    await workbench.until('the file', async () => (await workbench.tabs()).includes('prompts.csv'));
    await workbench.command('PodRelay: Queue Batch…');
    await workbench.choose('text-to-image.json');
    assert.match(await workbench.answerDialog('Queue'), /Queue 12 jobs from prompts\.csv\?/);
    await rowReads('comfy-serverless', /[2-9] running/);
    const running = (await workbench.treeRows('Jobs')).filter(({ text }) => /comfy-serverless/.test(text));
    assert.ok(running.length >= 3, running.map(({ text }) => text).join('\n'));
    const perHour = /\$[1-9]\d*\.\d\d\/h/;
    await workbench.until('the cost', async () => (await workbench.statusTexts()).some((text) => perHour.test(text)));
    await workbench.screenshot('endpoints-05-batch');
    await workbench.statusItem(perHour).hover();
    await workbench.until('the worker in the tooltip', async () =>
      /workers? of comfy-serverless/.test(await workbench.page.locator('.monaco-hover').last().innerText()),
    );
    await workbench.screenshot('endpoints-06-cost');
  });

  it('have made all of the batch', async () => {
    await workbench.until('all pictures', () => stories().length === 1 + total, 120_000);
    assert.ok(stories().every(({ backend }) => backend.id.startsWith('endpoint:')));
    await rowReads('comfy-serverless', /0 running · 0 idle/);
    await workbench.until('no running cost', async () =>
      (await workbench.statusTexts()).some((text) => /\$0\.00\/h/.test(text)),
    );
    await workbench.screenshot('endpoints-08-done');
    await workbench.command('PodRelay: Use Backends in Their Order');
  });

  it('get no more jobs when the person says so', async () => {
    await workbench.command('PodRelay: Stop Using This Endpoint');
    await workbench.choose('comfy-serverless');
    await workbench.until('no more jobs', async () => !/for jobs/.test((await row('Serverless')) ?? 'for jobs'));
  });

  it('are created with a GPU of known price, after a question', async () => {
    await workbench.command('PodRelay: Create Endpoint…');
    const gpus = await workbench.quickItems();
    assert.ok(
      gpus.every((gpu) => /\$0\.\d+\/s \(\$\d+\.\d\d\/h\)/.test(gpu)),
      gpus.join('\n'),
    );
    await workbench.choose('RTX 4090');
    await asked('which image?');
    await workbench.answer('runpod/worker-comfyui:5.8.5-sdxl');
    await asked('how many workers?');
    await workbench.answer('2');
    assert.match(await workbench.answerDialog('Create'), /costs nothing without jobs/);
    await workbench.answerNotification(/the endpoint podrelay-\w+ is there/, 'Use It for Jobs');
    await rowReads('Serverless', /2 · 1 for jobs/);
    await workbench.screenshot('endpoints-04-created');
  });

  it('say what workers that stay up cost before they stay up', async () => {
    await workbench.command('PodRelay: Set Minimum Workers…');
    await workbench.choose('comfy-serverless');
    await asked('stay up without jobs?');
    await workbench.answer('1');
    await workbench.page.locator('.monaco-dialog-box').waitFor();
    await workbench.screenshot('endpoints-09-always');
    assert.match(
      await workbench.answerDialog('Keep It Up'),
      /up to \$1\.12\/h even without jobs: \$81\d\.\d\d a month/,
    );
    await rowReads('comfy-serverless', /^comfy-serverless.*\$1\.12\/h even without jobs/);
    await workbench.until('its cost', async () =>
      (await workbench.statusTexts()).some((text) => /\$1\.12\/h/.test(text)),
    );
    await workbench.screenshot('endpoints-10-always-row');
    await workbench.treeRow('Pods', 'comfy-serverless').click();
    await workbench.until('the details', async () => (await row('Idle timeout')) !== undefined);
    await workbench.command('Preferences: Toggle between Light/Dark Themes');
    await workbench.until('light', () => workbench.page.locator('.monaco-workbench.vs').isVisible());
    await workbench.screenshot('endpoints-11-light');
    await workbench.command('Preferences: Toggle between Light/Dark Themes');
    await workbench.treeRow('Pods', 'comfy-serverless').click();
  });

  it('tell the log of a worker in a channel of its own', async () => {
    await workbench.command('PodRelay: Show Worker Logs…');
    await workbench.choose('comfy-serverless');
    // The host of these tests cannot write what stands in it (it lacks a native module): podLogsFollow.test.ts has that.
    const channel = workbench.page.locator('.part.panel select').first();
    await workbench.until('the log', async () => {
      const name = (await channel.count()) === 0 ? '' : await channel.locator('option:checked').innerText();
      return /PodRelay worker: \w+ of comfy-serverless/.test(name);
    });
    await workbench.command('View: Toggle Panel Visibility');
  });

  it('cost nothing without jobs when no worker stays up', async () => {
    await workbench.command('PodRelay: Set Minimum Workers…');
    await workbench.choose('comfy-serverless');
    await asked('stay up without jobs?');
    await workbench.answer('0');
    await workbench.until(
      'no such cost',
      async () => !/even without/.test((await row('comfy-serverless')) ?? 'even without'),
    );
  });

  it('are stopped by their workers, and deleted after a question', async () => {
    await workbench.command('PodRelay: Set Max Workers…');
    await workbench.choose('comfy-serverless');
    await asked('how many workers?');
    await workbench.answer('0');
    await rowReads('comfy-serverless', /stopped · 0 queued/);
    await workbench.command('PodRelay: Delete Endpoint…');
    await workbench.choose('comfy-serverless');
    assert.match(await workbench.answerDialog('Delete'), /cannot be undone/);
    await workbench.until('it to be gone', async () => (await row('comfy-serverless')) === undefined);
  });
});
