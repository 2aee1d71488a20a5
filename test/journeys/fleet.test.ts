// Pods that come and go by themselves for a batch, as a person sees it: the offer, the first message, the reasons, a budget
// that holds, RunPod and the network gone for a while, and the end at $0.00 an hour.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { Sidecar } from '../../src/core/outputs/sidecar.ts';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { startCable } from './cable.ts';
import type { Cable } from './cable.ts';
import { openWorkbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

const sample = readFileSync(path.resolve(import.meta.dirname, '../../media/samples/text-to-image.json'), 'utf8');
/** Long enough that the work is not done before everything was looked at. */
const steps = 30;
const subjects = ['lighthouse', 'harbour', 'forest in fog', 'mountain pass', 'night market', 'quiet river'];
const total = 40;
const batch = (count: number): string =>
  [
    'prompt,seed',
    ...Array.from({ length: count }, (_, at) => `a ${subjects[at % subjects.length]} ${at + 1},${100 + at}`),
  ]
    .map((line) => `${line}\n`)
    .join('');

describe('pods that come by themselves', function () {
  this.timeout(240_000);
  let sim: Simulator;
  let api: Cable;
  let proxy: Cable;
  let workbench: Workbench;

  before(async () => {
    sim = await startSimulator({ timeScale: 20, seed: 31 });
    await sim.setLocalOpen(false);
    const { localComfyUrl, runpodApiUrl, podProxyUrl } = sim.addresses;
    const apiOrigin = new URL(runpodApiUrl).origin;
    const proxyOrigin = /^http:\/\/[^/]+/.exec(podProxyUrl)?.[0] ?? '';
    [api, proxy] = await Promise.all([startCable(apiOrigin), startCable(proxyOrigin)]);
    workbench = await openWorkbench({
      workspaceFiles: {
        'text-to-image.json': sample.replace(/"steps": \d+/, `"steps": ${steps}`),
        'prompts.csv': batch(total),
      },
      openFile: 'prompts.csv',
      theme: 'dark',
      size: { width: 1400, height: 1000 },
      env: { RUNPOD_API_KEY: sim.runpodApiKey },
      machineSettings: {
        'podrelay.local.url': localComfyUrl,
        'podrelay.runpod.apiUrl': runpodApiUrl.replace(apiOrigin, api.origin),
        'podrelay.runpod.proxyUrl': podProxyUrl.replace(proxyOrigin, proxy.origin),
        'podrelay.gemini.enabled': false,
        // A pod holds its boot and its idle time: ten minutes, of which today's budget has room for one.
        'podrelay.cloud.idleMinutes': 5,
        'podrelay.cloud.maxUsdPerHour': 0.3,
      },
    });
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await workbench?.screenshot('fleet-failed');
  });
  after(async () => {
    await workbench?.close();
    await Promise.all([api?.pull(), proxy?.pull()]);
    await sim?.dispose();
  });

  const records = (): Sidecar[] => {
    const folder = path.join(workbench.workspace, 'generated');
    const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.podrelay.json')) : [];
    return names.map((name) => JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as Sidecar);
  };
  const rows = async (view: string): Promise<string[]> =>
    (await workbench.treeRows(view)).map(({ text }) => plain(text));
  const row = async (view: string, text: RegExp): Promise<string | undefined> =>
    (await rows(view)).find((one) => text.test(one));
  const billed = () => sim.runpod.state().pods.filter(({ status }) => status !== 'EXITED' && status !== 'TERMINATED');
  const status = async (text: RegExp): Promise<boolean> =>
    (await workbench.statusTexts()).some((one) => text.test(plain(one)));
  /** Pods that have a job, as the Jobs view says. */
  const podsAtWork = async (): Promise<number> => {
    const all = await rows('Jobs');
    return new Set(all.flatMap((one) => /% .*(podrelay-[a-z0-9]+)/.exec(one)?.[1] ?? [])).size;
  };
  const page = async (): Promise<string> => {
    const text = workbench.page.locator('.editor-instance .view-lines', { hasText: 'starts and stops by itself' });
    // The lines are in the document in the order in which they were drawn.
    const drawn = await text
      .first()
      .locator('.view-line')
      .evaluateAll((all) =>
        all.map((one) => ({
          top: Number.parseFloat((one as { style?: { top: string } }).style?.top ?? ''),
          text: one.textContent ?? '',
        })),
      );
    return plain(
      drawn
        .sort((a, b) => a.top - b.top)
        .map((line) => line.text)
        .join('\n'),
    );
  };

  async function budgetOfToday(usd: string): Promise<void> {
    await workbench.command('PodRelay: Set Budget…');
    await workbench.choose('Today');
    const question = workbench.page.locator('.quick-input-title', { hasText: 'Budget for Today' });
    await question.waitFor();
    await workbench.answer(usd);
    await question.waitFor({ state: 'hidden' });
  }

  /** In both themes, dark first. */
  async function pictures(name: string): Promise<void> {
    const toggle = 'Preferences: Toggle between Light/Dark Themes';
    await workbench.screenshot(`fleet-${name}-dark`);
    await workbench.command(toggle);
    await workbench.page.locator('.monaco-workbench.vs').waitFor();
    await workbench.screenshot(`fleet-${name}-light`);
    await workbench.command(toggle);
    await workbench.page.locator('.monaco-workbench.vs-dark').waitFor();
  }

  it('are offered where there is no pod, and where jobs wait that nothing can run', async () => {
    await workbench.openContainer('PodRelay');
    for (const view of ['Outputs', 'Backends']) await workbench.view(view).locator('.pane-header').click();
    await workbench.until('the welcome', async () => /Start Pods Automatically…/.test(await workbench.welcome('Pods')));
    await workbench.screenshot('fleet-01-offered-dark');
    await budgetOfToday('0.07');
    await workbench.command('PodRelay: Queue Batch…');
    await workbench.choose('text-to-image.json');
    await workbench.answerDialog('Queue');
    await workbench.until('the offer', () => row('Jobs', /Start pods for these jobs…/));
    await workbench.screenshot('fleet-02-jobs-wait-dark');
    assert.deepEqual(billed(), [], 'none before it is allowed');
    await workbench.treeRow('Jobs', 'Start pods for these jobs…').click();
    const items = await workbench.quickItems();
    assert.ok(
      items.some((item) => /Off.*now/.test(item)),
      items.join('\n'),
    );
    assert.ok(
      items.some((item) => /Up to 3 pods.*at most \$0\.90\/h/.test(item)),
      items.join('\n'),
    );
    await workbench.screenshot('fleet-03-how-many-dark');
    await workbench.choose('Up to 3 pods');
  });

  it('start with one message: name, price, the reason, a way to stop it', async () => {
    const told = /started the pod podrelay-\S+ for queued jobs\. It costs \$0\.\d+\/h/;
    const toast = await workbench.notification(told, 60_000);
    assert.match(await toast.innerText(), /Why\?[\s\S]*Stop It/);
    await workbench.until('its row', () => row('Pods', /^podrelay-/));
    // A message goes by itself after a while: the other theme is seen below.
    await workbench.screenshot('fleet-04-first-pod-dark');
    await workbench.answerNotification(told, 'Why?');
    await workbench.until('the reasons', async () => /podrelay-\S+ created at \$0\.\d+\/h/.test(await page()));
    assert.match(
      await page(),
      /Why +Nothing that runs can do 40 jobs\s+Choice +RTX \S+ as pod 1 at \$0\.\d+\/h\s+Costs +about \$0\.\d+/,
    );
  });

  it('are held by a budget, which is told where people look, and come at once when it is raised', async () => {
    await workbench.until('the budget to hold', () =>
      row('Pods', /Automatic pods1 of 3 .*the budget has too little left/),
    );
    await workbench.until('the page to follow', async () => /Now .*the budget has too little left/.test(await page()));
    assert.match(await page(), /Budget +today's budget of \$0\.07 has \$0\.0\d+ left/);
    await workbench.treeRow('Pods', /^podrelay-/).click();
    await workbench.until('the reason of a pod', () => row('Pods', /^Whystarted by PodRelay: nothing that runs /));
    await pictures('05-budget-holds');
    assert.equal(billed().length, 1);
    await budgetOfToday('1');
    await workbench.until('three pods', () => billed().length === 3, 60_000);
  });

  it('share the work, at a cost that is on the screen', async () => {
    await workbench.until('two to work', async () => (await podsAtWork()) >= 2, 60_000);
    await workbench.until('the running cost', () => status(/cloud · \$0\.8\d\/h/));
    await workbench.screenshot('fleet-06-work-dark');
  });

  it('lose nothing when the cable is pulled', async () => {
    const before = billed().length;
    await Promise.all([api.pull(), proxy.pull()]);
    const done = records().length;
    assert.ok(done < total, 'in the middle');
    await workbench.until('the view to say so', () => row('Pods', /^Pods not loaded/), 40_000);
    await workbench.until('automation to wait', () => row('Pods', /Automatic pods.*RunPod does not say/), 40_000);
    await workbench.until('the page to follow', async () => /Now +RunPod does not say/.test(await page()));
    await workbench.screenshot('fleet-07-cable-pulled-dark');
    assert.equal(billed().length, before, 'nothing is started or stopped blindly');
    await Promise.all([api.plug(), proxy.plug()]);
    await workbench.until('all to be done', () => records().length === total, 120_000);
    assert.deepEqual(
      records()
        .map(({ seed }) => seed)
        .toSorted(),
      Array.from({ length: total }, (_, at) => 100 + at),
      'each line once',
    );
    const pods = new Set(records().map(({ backend }) => backend.id));
    assert.ok(pods.size >= 2, [...pods].join());
    assert.ok(!(await row('Jobs', /^(Failed|Lost)/)));
  });

  it('stop by themselves: without work, or when a budget is spent, each with its reason, down to $0.00 an hour', async () => {
    // Close to its limit money is saved: idle pods are kept half as long.
    await budgetOfToday('0.1');
    await workbench.until(
      'the first to be idle',
      async () => /stopped at [^]*Why +It had no work for/.test(await page()),
      60_000,
    );
    assert.match(
      await page(),
      /Why +It had no work for \d+ s; its next start takes \d+ s\s+Saves +\$0\.2\d for each hour\s+Ran +\d+/,
    );
    await budgetOfToday('0.001');
    await workbench.until('none to be billed', () => billed().length === 0, 60_000);
    await workbench.until('no cost', () => status(/ \$0\.00\/h .*budget spent/));
    await workbench.until('the page to follow', async () => /The budget is spent; it has no work/.test(await page()));
    await pictures('08-all-stopped');
    assert.equal((await page()).match(/ stopped at /g)?.length, 3);
  });
});

describe('automatic pods that a person stops', function () {
  this.timeout(180_000);
  let sim: Simulator;
  let workbench: Workbench;

  before(async () => {
    sim = await startSimulator({ timeScale: 20, seed: 32 });
    await sim.setLocalOpen(false);
    workbench = await openWorkbench({
      workspaceFiles: { 'text-to-image.json': sample.replace(/"steps": \d+/, '"steps": 600'), 'prompts.csv': batch(6) },
      openFile: 'prompts.csv',
      theme: 'light',
      size: { width: 1280, height: 800 },
      env: { RUNPOD_API_KEY: sim.runpodApiKey },
      machineSettings: {
        'podrelay.local.url': sim.addresses.localComfyUrl,
        'podrelay.runpod.apiUrl': sim.addresses.runpodApiUrl,
        'podrelay.runpod.proxyUrl': sim.addresses.podProxyUrl,
        'podrelay.gemini.enabled': false,
        'podrelay.fleet.maxPods': 1,
      },
    });
    await workbench.openContainer('PodRelay');
    for (const view of ['Outputs', 'Backends']) await workbench.view(view).locator('.pane-header').click();
  });
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') await workbench?.screenshot('fleet-stop-failed');
  });
  after(async () => {
    await workbench?.close();
    await sim?.dispose();
  });

  const billed = () => sim.runpod.state().pods.filter(({ status }) => status !== 'EXITED' && status !== 'TERMINATED');
  const created = () => sim.runpod.requests.filter(({ operation }) => operation === 'createPod').length;
  const offRow = () => workbench.treeRow('Pods', /Automatic pods\s*off/);

  it('stay stopped at once, with a way back', async () => {
    await workbench.command('PodRelay: Queue Batch…');
    await workbench.choose('text-to-image.json');
    await workbench.answerDialog('Queue');
    await workbench.answerNotification(/started the pod podrelay-/, 'Stop It');
    await workbench.notification(/podrelay-\S+ is stopped\. No pod is started by itself any more\./);
    await workbench.screenshot('fleet-stop-1-it-light');
    assert.deepEqual([billed(), created()], [[], 1]);
    await offRow().waitFor();
    await workbench.until('the offer', async () =>
      (await workbench.treeRows('Jobs')).some(({ text }) => text.startsWith('Start pods for these jobs…')),
    );
    assert.deepEqual([billed(), created()], [[], 1], 'the jobs that wait did not bring it back');
    await workbench.answerNotification(/No pod is started by itself any more/, 'Start Automatically Again');
    await workbench.until('it to come back', () => billed().length === 1, 60_000);
  });

  it('are private, which is said where their address is copied', async () => {
    await workbench.until(
      'a job there',
      async () => (await workbench.treeRows('Jobs')).some(({ text }) => /% .*podrelay-/.test(text)),
      60_000,
    );
    await workbench.command('PodRelay: Copy Pod Address');
    await workbench.choose('podrelay-');
    const toast = await workbench.notification(/The pod is private: without its token the address answers 401/);
    assert.match(await toast.innerText(), /Open ComfyUI/);
    await workbench.screenshot('fleet-stop-2-private-light');
  });

  it('tell what runs on them before they are destroyed', async () => {
    await workbench.command('PodRelay: Terminate Pod…');
    await workbench.choose('podrelay-');
    const dialog = workbench.page.locator('.monaco-dialog-box');
    await dialog.waitFor();
    await workbench.screenshot('fleet-stop-3-terminate-light');
    const text = await workbench.answerDialog('Cancel');
    assert.match(text, /A job runs on it now|\d jobs are on it now/);
    assert.equal(billed().length, 1);
  });

  it('stay stopped when all are stopped', async () => {
    await workbench.command('PodRelay: Stop All Pods');
    await workbench.notification(/1 pod stopped\. No pod is started by itself any more\./);
    await workbench.screenshot('fleet-stop-4-all-light');
    await offRow().waitFor();
    assert.deepEqual(billed(), []);
  });
});

/** An editor draws blanks as no-break spaces. */
function plain(text: string): string {
  return text.replaceAll('\u00a0', ' ');
}
