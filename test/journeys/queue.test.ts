import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { Sidecar } from '../../src/core/outputs/sidecar.ts';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { openWorkbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

const sample = readFileSync(path.resolve(import.meta.dirname, '../../media/samples/text-to-image.json'), 'utf8');
const subjects = ['lighthouse', 'harbour', 'forest in fog', 'mountain pass', 'market, at night', 'quiet river'];
const total = 24;
const lines = Array.from(
  { length: total },
  (_, at) => `"a ${subjects[at % subjects.length]}, study ${at + 1}",${100 + at}`,
);
const batch = `\uFEFFprompt,seed\r\n${lines.join('\r\n')}\r\n`;

describe('a batch of prompts', function () {
  this.timeout(240_000);
  let sim: Simulator;
  let workbench: Workbench;

  before(async () => {
    sim = await startSimulator({ timeScale: 12, seed: 21 });
    sim.runpod.seedPod({ name: 'podrelay-queue' });
    workbench = await open('dark');
  });
  after(async () => {
    await workbench?.close();
    await sim?.dispose();
  });

  function open(theme: 'dark' | 'light'): Promise<Workbench> {
    const { addresses } = sim;
    return openWorkbench({
      workspaceFiles: {
        'text-to-image.json': sample,
        'prompts.csv': batch,
        'broken.csv': 'prompt,seed,colour\na,1,red\n"never closed,2,blue\nb,1.5,green\n',
      },
      openFile: 'prompts.csv',
      theme,
      size: { width: 1280, height: 900 },
      env: { RUNPOD_API_KEY: sim.runpodApiKey, GEMINI_API_KEY: sim.geminiApiKey },
      machineSettings: {
        'podrelay.local.url': addresses.localComfyUrl,
        'podrelay.runpod.apiUrl': addresses.runpodApiUrl,
        'podrelay.runpod.proxyUrl': addresses.podProxyUrl,
        'podrelay.gemini.apiUrl': addresses.geminiUrl,
        'podrelay.gemini.fallback': 'never',
      },
    });
  }

  const generated = (suffix: string): string[] => {
    const folder = path.join(workbench.workspace, 'generated');
    return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(suffix)) : [];
  };
  const records = (): Sidecar[] =>
    generated('.podrelay.json').map((name) =>
      JSON.parse(readFileSync(path.join(workbench.workspace, 'generated', name), 'utf8')),
    );
  const rows = async (): Promise<string[]> => (await workbench.treeRows('Jobs')).map(({ text }) => text);

  async function queueIt(): Promise<string> {
    await workbench.command('PodRelay: Queue Batch…');
    const items = await workbench.quickItems();
    assert.ok(
      items.some((item) => item.includes('text-to-image.json')),
      items.join('\n'),
    );
    await workbench.choose('text-to-image.json');
    const dialog = workbench.page.locator('.monaco-dialog-box');
    await dialog.waitFor();
    await workbench.screenshot('queue-02-asks');
    return workbench.answerDialog('Queue');
  }

  it('starts with a view that says what it is for', async () => {
    await workbench.openContainer('PodRelay');
    await workbench.until('the welcome', async () =>
      /Nothing is queued.*Queue Batch…/s.test(await workbench.welcome('Jobs')),
    );
    await workbench.until('the pod', async () => (await workbench.treeRows('Pods')).length > 0);
    await workbench.screenshot('queue-01-empty');
  });

  it('is shown before it is queued: count, columns, first jobs, cost', async () => {
    const text = await queueIt();
    assert.match(text, /Queue 24 jobs from prompts\.csv\?/);
    assert.match(text, /prompt: sets 2\.text/);
    assert.match(text, /seed: sets 5\.seed/);
    assert.match(text, /and 19 more/);
  });

  it('runs on the local ComfyUI and on the pod at once', async () => {
    await workbench.until('both to work', async () => {
      const now = await rows();
      return now.some((row) => row.includes('Local ComfyUI')) && now.some((row) => row.includes('podrelay-queue'));
    });
    await workbench.until('a share of it', async () =>
      (await workbench.statusTexts()).some((text) => /\d+\/24 · \d+ %/.test(text)),
    );
    await workbench.until('the first pictures', () => generated('.png').length >= 4, 60_000);
    await workbench.screenshot('queue-03-runs');
    const view = await rows();
    assert.ok(
      view.some((row) => /^Queued/.test(row)),
      view.join('\n'),
    );
    assert.ok(
      view.some((row) => /#1 /.test(row)),
      view.join('\n'),
    );
  });

  it('goes on where it was when the window is closed and opened again', async () => {
    await workbench.reload();
    assert.ok(generated('.png').length < total, 'it was in the middle');
    // The side bar comes back as it was; a click on its tab would close it.
    await workbench.view('Jobs').waitFor({ timeout: 60_000 });
    await workbench.until('jobs at work', async () => (await rows()).some((row) => /^Running/.test(row)), 60_000);
    await workbench.screenshot('queue-04-reopened');
    const toast = await workbench.notification(/prompts\.csv: 24 done/, 120_000);
    assert.match(await toast.innerText(), /\$0\.\d+/);
    await workbench.screenshot('queue-05-done');
    const seeds = records().map(({ seed }) => seed);
    assert.deepEqual(
      seeds.toSorted(),
      Array.from({ length: total }, (_, at) => 100 + at),
      'each line once',
    );
    assert.equal(generated('.png').length, total);
    const places = new Set(records().map(({ backend }) => backend.tier));
    assert.deepEqual([...places].toSorted(), ['cloud', 'local']);
  });

  it('tells why each job ran where it did', async () => {
    await workbench.rowAction('Jobs', 'study 24', 'Why This Backend?');
    await workbench.until('the reasons', async () => (await workbench.tabs()).some((tab) => tab.includes('why there')));
    const text = await workbench.page.locator('.editor-instance .view-lines').first().innerText();
    assert.match(plain(text), /Why there: +about/);
    await workbench.screenshot('queue-06-why');
  });

  it('reports a bad file with its lines, and queues nothing of it', async () => {
    await workbench.page.keyboard.press('Control+p');
    await workbench.page.locator('.quick-input-widget .quick-input-box input').fill('broken.csv');
    await workbench.choose('broken.csv');
    await workbench.until('the file', async () => (await workbench.tabs()).includes('broken.csv'));
    await workbench.command('PodRelay: Queue Batch…');
    await workbench.choose('text-to-image.json');
    const toast = await workbench.notification(/The batch was not queued: broken\.csv/);
    assert.match(await toast.innerText(), /line 1: the column 'colour' is not used/);
    await workbench.until('the report', async () => (await workbench.tabs()).some((tab) => tab.includes('problems')));
    const report = workbench.page.locator('.editor-instance .view-lines').first();
    await workbench.until('its lines', async () => /line 3: a quote is opened/.test(plain(await report.innerText())));
    assert.match(plain(await report.innerText()), /line 4: seed must be a whole number/);
    await workbench.screenshot('queue-07-problems');
    assert.ok(!(await rows()).some((row) => /^Queued/.test(row)));
  });
});

describe('the queue in a light theme', function () {
  this.timeout(180_000);
  let sim: Simulator;
  let workbench: Workbench;

  before(async () => {
    sim = await startSimulator({ timeScale: 30, seed: 22 });
    await sim.setLocalOpen(false);
    const lacking = JSON.parse(sample) as Record<string, { class_type: string }>;
    if (lacking['6'] !== undefined) lacking['6'].class_type = 'NotInstalledDecode';
    workbench = await openWorkbench({
      workspaceFiles: {
        'text-to-image.json': sample,
        'lacking.json': JSON.stringify(lacking),
        'ideas.jsonl': [
          { prompt: 'a tower in the rain', label: 'tower', priority: 5 },
          { prompt: 'a tower at noon', repeat: 2 },
          { prompt: 'a bridge', 'Sampler.cfg': 5.5 },
        ]
          .map((line) => JSON.stringify(line))
          .join('\n'),
      },
      openFile: 'ideas.jsonl',
      theme: 'light',
      size: { width: 1280, height: 900 },
      machineSettings: {
        'podrelay.local.url': sim.addresses.localComfyUrl,
        'podrelay.runpod.apiUrl': sim.addresses.runpodApiUrl,
        'podrelay.gemini.apiUrl': sim.addresses.geminiUrl,
      },
    });
    await workbench.openContainer('PodRelay');
    for (const view of ['Pods', 'Outputs']) await workbench.view(view).locator('.pane-header').click();
  });
  after(async () => {
    await workbench?.close();
    await sim?.dispose();
  });

  const rows = async (): Promise<string[]> => (await workbench.treeRows('Jobs')).map(({ text }) => text);
  const row = (text: RegExp): Promise<boolean> => rows().then((all) => all.some((one) => text.test(one)));

  it('says why jobs wait while nothing is up, is reordered, paused and resumed', async () => {
    await workbench.command('PodRelay: Queue Batch…');
    await workbench.choose('text-to-image.json');
    const dialog = await workbench.answerDialog('Queue');
    assert.match(dialog, /label: the name in the Jobs view/);
    assert.match(dialog, /Sampler\.cfg: sets 5\.cfg/);
    await workbench.until('the reason', () => row(/#1.*(refused|Local ComfyUI)/));
    assert.ok(await row(/^tower.*#1.*priority 5/), (await rows()).join('\n'));
    await workbench.rowAction('Jobs', 'a bridge', 'Move Job Up');
    await workbench.until('the new order', () => row(/a bridge.*#3/));
    await workbench.command('PodRelay: Pause Queue');
    await workbench.until('the pause', async () => (await workbench.statusTexts()).some((text) => /paused/.test(text)));
    await workbench.until('its reason', () => row(/a bridge.*The queue is paused/));
    await workbench.screenshot('queue-light-1-paused');
    await workbench.rowAction('Jobs', 'a bridge', 'Cancel Job');
    await workbench.until('it to be cancelled', () => row(/^Cancelled/));
    await sim.setLocalOpen(true);
    await workbench.command('PodRelay: Resume Queue');
    await workbench.until('the first to be done', () => row(/^Done/), 60_000);
    await workbench.notification(/ideas\.jsonl: 3 done, 1 cancelled, free/, 60_000);
  });

  it('shows what failed and why, and tries again what was cancelled', async () => {
    await workbench.page.keyboard.press('Control+p');
    await workbench.page.locator('.quick-input-widget .quick-input-box input').fill('lacking.json');
    await workbench.choose('lacking.json');
    await workbench.until('the file', async () => (await workbench.tabs()).includes('lacking.json'));
    await workbench.command('PodRelay: Add to Queue');
    await workbench.notification(/lacking\.json: failed\. Reason: .*NotInstalledDecode/, 60_000);
    await workbench.until('the reason', () => row(/lacking\.json.*NotInstalledDecode/));
    await workbench.screenshot('queue-light-2-failed');
    await workbench.rowAction('Jobs', 'a bridge', 'Retry Job');
    await workbench.until('it to be done', async () => !(await row(/^Cancelled/)) && (await row(/^Done4/)), 60_000);
    await workbench.command('PodRelay: Clear Finished Jobs');
    await workbench.until('the empty view', async () => (await rows()).length === 0);
    assert.match(await workbench.welcome('Jobs'), /Nothing is queued/);
  });
});

/** An editor draws blanks as no-break spaces. */
function plain(text: string): string {
  return text.replaceAll('\u00a0', ' ');
}
