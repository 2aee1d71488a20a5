import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { openWorkbench, type Workbench } from './workbench.ts';

/** It names no checkpoint: on an endpoint it gets the one inside the image. */
const sample = readFileSync(path.resolve(import.meta.dirname, '../../media/samples/text-to-image.json'), 'utf8');

/** Serverless endpoints in the Pods view, as a person meets them in the demo. */
describe('endpoints in the Pods view', function () {
  this.timeout(180_000);
  let workbench: Workbench;

  before(async () => {
    workbench = await openWorkbench({
      size: { width: 1280, height: 1400 },
      workspaceFiles: { 'text-to-image.json': sample },
      openFile: 'text-to-image.json',
    });
    await workbench.openContainer('PodRelay');
    await workbench.command('PodRelay: Try the Demo (No Account)');
  });
  after(async () => workbench?.close());

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
    await workbench.page.locator('.tab', { hasText: 'text-to-image.json' }).first().click();
    await workbench.command('PodRelay: Run Workflow');
    const folder = path.join(workbench.workspace, 'generated');
    const record = await workbench.until(
      'the picture',
      () => existsSync(folder) && readdirSync(folder).find((name) => name.endsWith('.podrelay.json')),
      90_000,
    );
    const { backend } = JSON.parse(readFileSync(path.join(folder, record), 'utf8')) as { backend: { id: string } };
    assert.match(backend.id, /^endpoint:/);
    await workbench.screenshot('endpoints-03-job');
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
