import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { sidecarPath, writeSidecar } from '../../src/core/outputs/sidecar.ts';
import type { Sidecar } from '../../src/core/outputs/sidecar.ts';
import { escapeHtml, html } from '../../src/ui/html.ts';
import { pageMessage } from '../../src/ui/outputs/messages.ts';
import { outputsScene } from '../../src/ui/outputs/outputCards.ts';
import type { OutputsInput } from '../../src/ui/outputs/outputCards.ts';
import { outputsPage } from '../../src/ui/outputs/outputsPage.ts';
import { OutputScanner } from '../../src/ui/outputs/scanOutputs.ts';

const forever = new AbortController().signal;

function sidecar(more: Partial<Sidecar> = {}): Sidecar {
  return {
    version: 1,
    jobId: 'job-1',
    output: { file: 'cat.png', bytes: 1_250_000, kind: 'image' },
    workflow: { '1': { class_type: 'SaveImage', inputs: {} } },
    inputs: {},
    seed: 42,
    backend: { id: 'cloud', label: 'RunPod pods', tier: 'cloud' },
    gpu: 'RTX 4090',
    attempts: [
      { backend: 'local', outcome: 'failed', reason: 'Nothing answers at 127.0.0.1' },
      { backend: 'cloud', outcome: 'done' },
    ],
    cost: { micros: 2_000, basis: 'measured' },
    times: {
      requestedAt: '2026-01-31T12:00:00.000Z',
      startedAt: '2026-01-31T12:00:01.000Z',
      finishedAt: '2026-01-31T12:00:05.200Z',
    },
    dropped: [],
    ...more,
  };
}

function input(story: Sidecar | undefined, more: Partial<OutputsInput> = {}): OutputsInput {
  const output = { name: 'cat.png', path: '/out/cat.png', mtimeMs: 1, sidecar: story };
  return {
    scan: { outputs: [output], total: 1 },
    failure: undefined,
    trusted: true,
    demo: false,
    onDesktop: true,
    sourceOf: (file) => `https://page${file}`,
    ...more,
  };
}

const cardOf = (story: Sidecar | undefined, more: Partial<OutputsInput> = {}) =>
  outputsScene(input(story, more)).cards[0]!;

describe('outputs view: cards', () => {
  it('say where a result was made, what it cost, what was tried before and what was lost', () => {
    const card = cardOf(sidecar({ dropped: ['The LoRA was left out', 'The seed is not exact'], simulated: true }));
    assert.equal(card.caption, 'RunPod pods · $0.002');
    assert.equal(card.warning, '2 not honoured');
    assert.equal(card.source, 'https://page/out/cat.png');
    assert.equal(card.spoken, 'cat.png, RunPod pods · $0.002, 2 not honoured');
    const lines = card.tooltip.split('\n');
    assert.equal(lines[0], 'cat.png · 1.3 MB');
    assert.equal(lines[1], 'Made on RunPod pods · RTX 4090 · 4.2 s · $0.002');
    assert.match(lines[2]!, /2026/);
    assert.deepEqual(lines.slice(3), [
      'Seed 42',
      'Tried before: local failed: Nothing answers at 127.0.0.1',
      'Not honoured: The LoRA was left out',
      'Not honoured: The seed is not exact',
      'Simulated: no model made this',
    ]);
  });

  it('never show an unknown cost as nothing', () => {
    const caption = (cost: Sidecar['cost']) => cardOf(sidecar({ cost })).caption;
    assert.equal(caption({ micros: null, basis: 'unknown' }), 'RunPod pods · cost unknown');
    assert.equal(caption({ micros: 0, basis: 'unknown' }), 'RunPod pods · cost unknown');
    assert.equal(caption({ micros: 0, basis: 'measured' }), 'RunPod pods · free');
    assert.equal(caption({ micros: 40_000, basis: 'estimated' }), 'RunPod pods · about $0.04');
  });

  it('show a file whose record is damaged, and say so', () => {
    const card = cardOf(undefined);
    assert.equal(card.kind, 'image');
    assert.equal(card.caption, 'origin unknown');
    assert.match(card.tooltip, /damaged/);
    assert.match(card.noRepeat, /No workflow/);
  });

  it('can be repeated where a workflow is recorded and the workspace is trusted', () => {
    assert.equal(cardOf(sidecar()).noRepeat, '');
    assert.match(cardOf(sidecar({ workflow: null })).noRepeat, /No workflow/);
    assert.match(cardOf(sidecar(), { trusted: false }).noRepeat, /Trust/);
  });

  it('cut what is endless', () => {
    const card = cardOf(sidecar({ dropped: ['x'.repeat(100_000)] }));
    assert.ok(card.tooltip.length < 2_000);
  });

  it('stand without times that are none', () => {
    const times = { requestedAt: '<b>', startedAt: null, finishedAt: 'yesterday' };
    assert.match(cardOf(sidecar({ times })).tooltip, /^Made on RunPod pods · RTX 4090 · \$0\.002$/m);
  });
});

describe('outputs view: when there is nothing to show', () => {
  const steps = (more: Partial<OutputsInput>) =>
    outputsScene(input(undefined, { scan: { outputs: [], total: 0 }, ...more })).notice?.steps.map(({ step }) => step);

  it('offers what to do next', () => {
    assert.deepEqual(steps({}), ['generate', 'runWorkflow', 'startDemo']);
    assert.deepEqual(steps({ demo: true }), ['generate', 'runWorkflow']);
    assert.deepEqual(steps({ trusted: false }), ['trust']);
    assert.deepEqual(steps({ failure: 'The folder cannot be read' }), ['refresh']);
  });

  it('says nothing before the folder was read', () => {
    assert.equal(outputsScene(input(undefined, { scan: undefined })).notice, undefined);
  });

  it('says how many there are when not all are shown', () => {
    const { more } = outputsScene(input(sidecar(), { scan: { outputs: [], total: 214 } }));
    assert.equal(more?.text, 'The newest 0 of 214');
    assert.equal(outputsScene(input(sidecar())).more, undefined);
  });
});

describe('outputs view: messages of the page', () => {
  it('are the ones that exist, and name files only', () => {
    const accepts = (message: unknown) => pageMessage.safeParse(message).success;
    assert.ok(accepts({ type: 'ready' }));
    assert.ok(accepts({ type: 'act', action: 'repeat', file: 'cat.png' }));
    assert.ok(accepts({ type: 'next', step: 'generate' }));
    for (const wrong of [
      undefined,
      'ready',
      { type: 'run' },
      { type: 'act', action: 'delete', file: 'cat.png' },
      { type: 'act', action: 'open' },
      { type: 'act', action: 'open', file: { name: 'cat.png' } },
      { type: 'act', action: 'open', file: 'x'.repeat(5_000) },
      { type: 'next', step: 'workbench.action.terminal.new' },
    ]) {
      assert.equal(accepts(wrong), false, JSON.stringify(wrong));
    }
  });
});

describe('pages', () => {
  it('escape every value, in text and in attributes', () => {
    const evil = `<img src=x onerror="alert('1')">&`;
    assert.equal(escapeHtml(evil), '&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;');
    assert.equal(html`<p title="${evil}">${evil}</p>`.text, `<p title="${escapeHtml(evil)}">${escapeHtml(evil)}</p>`);
    const items = ['a', '<b>'].map((one) => html`<i>${one}</i>`);
    assert.equal(html`${items}`.text, '<i>a</i><i>&lt;b&gt;</i>');
  });

  it('load our files alone, by a nonce, and have no script in them', () => {
    const page = outputsPage({
      nonce: 'abc',
      cspSource: 'https://csp',
      scriptUri: 'https://s.js',
      styleUri: 'https://s.css',
    });
    const policy = /Content-Security-Policy"\s+content="([^"]+)"/.exec(page)?.[1] ?? '';
    assert.match(policy, /^default-src &#39;none&#39;; /);
    assert.match(policy, /script-src &#39;nonce-abc&#39;$/);
    assert.doesNotMatch(policy, /unsafe|\*/);
    assert.doesNotMatch(page, /\son[a-z]+=|<script[^>]*>[^<]/);
  });
});

describe('outputs view: reading the folder', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'podrelay-outputs-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function make(name: string, minute: number): Promise<void> {
    const file = path.join(folder, name);
    await writeFile(file, 'x');
    await writeSidecar(file, sidecar({ output: { file: name, bytes: 1, kind: 'image' } }));
    const at = new Date(Date.UTC(2026, 0, 1, 0, minute));
    await utimes(sidecarPath(file), at, at);
  }
  const scan = (limit: number) => new OutputScanner().scan(folder, limit, forever);

  it('lists the newest first, and counts the rest', async () => {
    await make('b.png', 2);
    await make('a.png', 3);
    await make('c.png', 1);
    const { outputs, total } = await scan(2);
    assert.deepEqual(
      outputs.map(({ name }) => name),
      ['a.png', 'b.png'],
    );
    assert.equal(total, 3);
    assert.equal(outputs[0]?.sidecar?.backend.id, 'cloud');
  });

  it('leaves out files that are not ours, and records whose file was deleted', async () => {
    await make('a.png', 1);
    await writeFile(path.join(folder, 'holiday.jpg'), 'x');
    await make('gone.png', 2);
    await rm(path.join(folder, 'gone.png'));
    await writeFile(sidecarPath(path.join(folder, '')), '{}');
    const { outputs, total } = await scan(10);
    assert.deepEqual(
      outputs.map(({ name }) => name),
      ['a.png'],
    );
    assert.equal(total, 1);
  });

  it('takes the place of a file from its record’s name, whatever the record says', async () => {
    await make('a.png', 1);
    await rm(sidecarPath(path.join(folder, 'a.png')));
    const evil = sidecar({ output: { file: '../../etc/passwd', bytes: 1, kind: 'image' } });
    await writeSidecar(path.join(folder, 'a.png'), evil);
    assert.deepEqual(
      (await scan(10)).outputs.map((output) => output.path),
      [path.join(folder, 'a.png')],
    );
  });

  it('shows a file with a damaged record', async () => {
    await make('a.png', 1);
    await writeFile(sidecarPath(path.join(folder, 'a.png')), '{"version": 1');
    assert.equal((await scan(10)).outputs[0]?.sidecar, undefined);
  });

  it('shows a file whose record is larger than one can be, without reading that', async () => {
    await make('a.png', 1);
    const record = sidecarPath(path.join(folder, 'a.png'));
    const text = JSON.stringify(sidecar());
    await writeFile(record, text.padEnd(8_000_000));
    assert.equal((await scan(10)).outputs[0]?.sidecar?.jobId, 'job-1');
    await writeFile(record, text.padEnd(8_000_001));
    const { outputs } = await scan(10);
    assert.deepEqual([outputs[0]?.name, outputs[0]?.sidecar], ['a.png', undefined]);
  });

  it('reads a record again when it changed, and not before', async () => {
    await make('a.png', 1);
    const scanner = new OutputScanner();
    const first = (await scanner.scan(folder, 10, forever)).outputs[0]?.sidecar;
    assert.equal((await scanner.scan(folder, 10, forever)).outputs[0]?.sidecar, first);
    await writeFile(sidecarPath(path.join(folder, 'a.png')), JSON.stringify(sidecar({ seed: 7 })));
    assert.equal((await scanner.scan(folder, 10, forever)).outputs[0]?.sidecar?.seed, 7);
  });

  it('takes a missing folder for an empty one, and no other failure', async () => {
    const missing = await new OutputScanner().scan(path.join(folder, 'none'), 10, forever);
    assert.deepEqual(missing, { outputs: [], total: 0 });
    const file = path.join(folder, 'file');
    await writeFile(file, 'x');
    await assert.rejects(new OutputScanner().scan(file, 10, forever), { name: 'Fault', kind: 'io' });
    await mkdir(path.join(folder, 'sub.png'));
  });

  it('stops when it is cancelled', async () => {
    await make('a.png', 1);
    const stop = new AbortController();
    stop.abort();
    await assert.rejects(new OutputScanner().scan(folder, 10, stop.signal), { kind: 'cancelled' });
  });
});
