import assert from 'node:assert/strict';
import { openWorkbench, type Workbench } from './workbench.ts';

/** Serverless endpoints in the Pods view, as a person meets them in the demo. */
describe('endpoints in the Pods view', function () {
  this.timeout(180_000);
  let workbench: Workbench;

  before(async () => {
    workbench = await openWorkbench({ size: { width: 1280, height: 1400 } });
    await workbench.openContainer('PodRelay');
    await workbench.command('PodRelay: Try the Demo (No Account)');
  });
  after(async () => workbench?.close());

  const row = async (text: string): Promise<string | undefined> =>
    (await workbench.treeRows('Pods')).find((one) => one.text.includes(text))?.text;
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

  it('get jobs, and no more, when the person says so', async () => {
    await workbench.command('PodRelay: Use This Endpoint for Jobs');
    await workbench.choose('comfy-serverless');
    await rowReads('Serverless', /1 for jobs/);
    await workbench.until('the backend', async () =>
      (await workbench.treeRows('Backends')).some(({ text }) => /endpoint|comfy-serverless/.test(text)),
    );
    await workbench.screenshot('endpoints-02-used');
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
    await workbench.answer('runpod/worker-comfyui:5.8.5-sdxl');
    await workbench.answer('2');
    assert.match(await workbench.answerDialog('Create'), /costs nothing without jobs/);
    await workbench.answerNotification(/the endpoint podrelay-\w+ is there/, 'Use It for Jobs');
    await rowReads('Serverless', /2 · 1 for jobs/);
    await workbench.screenshot('endpoints-03-created');
  });

  it('are stopped by their workers, and deleted after a question', async () => {
    await workbench.command('PodRelay: Set Max Workers…');
    await workbench.choose('comfy-serverless');
    await workbench.answer('0');
    await rowReads('comfy-serverless', /stopped · 0 queued/);
    await workbench.command('PodRelay: Delete Endpoint…');
    await workbench.choose('comfy-serverless');
    assert.match(await workbench.answerDialog('Delete'), /cannot be undone/);
    await workbench.until('it to be gone', async () => (await row('comfy-serverless')) === undefined);
  });
});
