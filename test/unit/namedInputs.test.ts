import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseWorkflow } from '../../src/core/comfy/workflow.ts';
import type { Workflow } from '../../src/core/comfy/workflow.ts';
import { defaultWorkflow } from '../../src/core/generate/defaultWorkflow.ts';
import { copyInput, inputPathIn } from '../../src/core/inputs/copyInput.ts';
import {
  inputText,
  namedInputs,
  readInput,
  stillMeant,
  valueNow,
  withChange,
  withInputs,
} from '../../src/core/inputs/namedInputs.ts';
import type { InputChanges, NamedInput } from '../../src/core/inputs/namedInputs.ts';
import { inputItems } from '../../src/ui/jobs/inputItems.ts';

const workflow = defaultWorkflow({ prompt: 'a boat', width: 512, height: 768, seed: 7 });
const none: InputChanges = new Map();

function inputOf(graph: Workflow, key: string): NamedInput {
  const found = namedInputs(graph).find((one) => one.key === key);
  assert.ok(found, `there is no ${key}`);
  return found;
}
function value(key: string, text: string, graph = workflow): unknown {
  const input = inputOf(graph, key);
  const read = readInput(input, input.value, text);
  return read.is === 'value' ? read.value : read.is === 'wrong' ? read.why : read.is;
}

/** Two passes of different steps, sharing a seed of 64 bits and one prompt. */
const twoPasses = parseWorkflow(`{
  "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": ""}},
  "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a boat\\n  at sea", "clip": ["1", 1]}},
  "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["1", 1]}},
  "8": {"class_type": "LoadImage", "inputs": {"image": "boat.png"}},
  "4": {"class_type": "VAEEncode", "inputs": {"pixels": ["8", 0], "vae": ["1", 2]}},
  "5": {"class_type": "KSampler", "inputs": {"seed": 18446744073709551615, "steps": 20, "cfg": 7, "denoise": 0.6,
    "positive": ["2", 0], "negative": ["3", 0], "model": ["1", 0], "latent_image": ["4", 0]}},
  "6": {"class_type": "KSampler", "_meta": {"title": "Refine"}, "inputs": {"seed": 18446744073709551615, "steps": 8,
    "cfg": 7, "denoise": 0.3, "positive": ["2", 0], "negative": ["3", 0], "model": ["1", 0], "latent_image": ["5", 0]}},
  "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0]}}
}`);

describe('the inputs of a workflow that mean something', () => {
  it('are listed in one order, each with its present value', () => {
    const found = namedInputs(workflow).map(({ key, value: now }) => [key, now]);
    assert.deepEqual(found.slice(0, 6), [
      ['prompt', 'a boat'],
      ['negative', inputOf(workflow, 'negative').value],
      ['seed', 7],
      ['width', 512],
      ['height', 768],
      ['steps', inputOf(workflow, 'steps').value],
    ]);
    assert.ok(found.some(([key]) => key === 'denoise'));
    assert.ok(found.some(([key]) => key === 'checkpoint'));
  });

  it('are named by their nodes where a workflow has several, and are one where they are equal', () => {
    const found = namedInputs(twoPasses);
    assert.deepEqual(
      found.map(({ key }) => key),
      [...['prompt', 'negative', 'seed', '6.steps', '5.steps', 'cfg', '6.denoise', '5.denoise', 'checkpoint', 'image']],
    );
    assert.equal(inputOf(twoPasses, '6.steps').node, 'node 6 (Refine)');
    assert.equal(inputOf(twoPasses, 'seed').places.length, 2);
  });

  it('are none where nothing is named so', () => {
    const graph = { 1: { class_type: 'PreviewAny', inputs: { source: 'x' } } };
    assert.deepEqual(namedInputs(graph), []);
  });
});

describe('a value for an input', () => {
  it('is read by what the input takes', () => {
    assert.equal(value('width', '1024'), 1024);
    assert.equal(value('cfg', '7,5'), 7.5);
    assert.equal(value('prompt', 'a cat'), 'a cat');
    assert.equal(value('negative', ''), '');
    assert.equal(value('seed', 'random'), 'random');
    assert.equal(JSON.stringify(value('seed', '18446744073709551615')), '18446744073709551615');
    assert.equal(value('image', 'sub/cat.png', twoPasses), 'sub/cat.png');
  });

  it('is refused in a sentence when it is none', () => {
    assert.equal(value('width', '770'), 'must be a multiple of 8, not 770; the nearest is 768');
    assert.equal(value('height', '40000'), 'must be from 16 to 16384 pixels, not 40000');
    assert.equal(value('steps', 'many'), "must be a whole number, not 'many'");
    assert.equal(value('steps', '0'), 'must be from 1 to 10000, not 0');
    assert.equal(value('denoise', '1.5'), 'must be from 0 to 1, not 1.5');
    assert.equal(value('cfg', ''), "must be a number, not ''");
    assert.equal(value('prompt', '  '), 'must not be empty');
    assert.match(String(value('seed', '1.5')), /^must be a whole number from 0 to 18446744073709551615/);
    assert.match(String(value('image', '/etc/passwd', twoPasses)), /^must name an image file/);
  });

  it('keeps the lines of a text that was not touched, and the digits of a seed', () => {
    assert.equal(inputText('a boat\n  at sea'), 'a boat at sea');
    assert.equal(value('prompt', 'a boat at sea', twoPasses), 'a boat\n  at sea');
    const { value: seed } = inputOf(twoPasses, 'seed');
    assert.equal(inputText(seed), '18446744073709551615');
    assert.equal(value('seed', '18446744073709551615', twoPasses), seed);
  });
});

describe('a run with changed inputs', () => {
  it('has the new values in every place, and leaves the file’s graph as it is', () => {
    const before = JSON.stringify(twoPasses);
    const inputs = namedInputs(twoPasses);
    const seeded = withChange(none, inputOf(twoPasses, 'seed'), 5);
    const changes = withChange(seeded, inputOf(twoPasses, '6.steps'), 12);
    const graph = withInputs(twoPasses, inputs, changes);
    assert.deepEqual([graph['5']?.inputs.seed, graph['6']?.inputs.seed], [5, 5]);
    assert.deepEqual([graph['5']?.inputs.steps, graph['6']?.inputs.steps], [20, 12]);
    assert.equal(JSON.stringify(twoPasses), before);
    assert.equal(graph['2'], twoPasses['2']);
  });

  it('forgets a change back to the file’s value, and one of a value that is another in the file by now', () => {
    const width = inputOf(workflow, 'width');
    const changes = withChange(none, width, 1024);
    assert.equal(valueNow(width, changes), 1024);
    assert.equal(withChange(changes, width, 512).size, 0);
    const edited = defaultWorkflow({ prompt: 'a boat', width: 640, height: 768, seed: 7 });
    assert.equal(stillMeant(changes, namedInputs(workflow)).size, 1);
    assert.equal(stillMeant(changes, namedInputs(edited)).size, 0);
  });

  it('is the first entry of the list, which shows what was changed and takes it back', () => {
    const inputs = namedInputs(twoPasses);
    const fresh = inputItems(inputs, none);
    assert.deepEqual([fresh[0]?.does, fresh[0]?.description], ['run', 'as the file says']);
    assert.equal(fresh.at(-1)?.description, 'boat.png');
    assert.equal(
      fresh.find(({ label }) => label.endsWith('Checkpoint'))?.description,
      'the first one that the backend has',
    );
    const changes = withChange(none, inputOf(twoPasses, '6.steps'), 12);
    const items = inputItems(inputs, changes);
    assert.equal(items[0]?.description, 'changed: Steps of node 6 (Refine)');
    const steps = items.find(({ label }) => label.endsWith('Steps of node 6 (Refine)'));
    assert.equal(steps?.description, '12 · in the file: 8');
    assert.equal(items.at(-1)?.does, 'reset');
  });
});

describe('an image for an input', () => {
  let folder = '';
  beforeEach(() => (folder = mkdtempSync(path.join(tmpdir(), 'podrelay-inputs-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('is named from the folder of the workflow, in which it must be', async () => {
    const own = path.join(folder, 'own');
    mkdirSync(path.join(own, 'sub'), { recursive: true });
    writeFileSync(path.join(own, 'sub', 'cat.png'), 'cat');
    writeFileSync(path.join(folder, 'other.png'), 'other');
    assert.equal(await inputPathIn(own, path.join(own, 'sub', 'cat.png')), 'sub/cat.png');
    assert.equal(await inputPathIn(own, path.join(folder, 'other.png')), undefined);
    await assert.rejects(inputPathIn(own, path.join(own, 'gone.png')), { kind: 'io' });
  });

  it('is copied there under a name that overwrites nothing, once', async () => {
    const own = path.join(folder, 'own');
    mkdirSync(own);
    writeFileSync(path.join(own, 'cat.png'), 'mine');
    writeFileSync(path.join(folder, 'cat.png'), 'another');
    assert.equal(await copyInput(own, path.join(folder, 'cat.png')), 'cat-2.png');
    assert.equal(await copyInput(own, path.join(folder, 'cat.png')), 'cat-2.png');
    assert.deepEqual(readdirSync(own).sort(), ['cat-2.png', 'cat.png']);
  });
});
