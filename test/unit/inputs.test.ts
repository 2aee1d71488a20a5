import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import type { Workflow } from '../../src/core/comfy/workflow.ts';
import { findInputFile, largestInputBytes } from '../../src/core/inputs/findInputFile.ts';
import { inputFileName, inputFilesOf } from '../../src/core/inputs/inputFilesOf.ts';
import { uploadInputs } from '../../src/core/inputs/uploadInputs.ts';
import { Fault } from '../../src/core/kernel/fault.ts';

const { signal } = new AbortController();
const load = (image: unknown, class_type = 'LoadImage'): Workflow => ({ '1': { class_type, inputs: { image } } });
const filesOf = (workflow: Workflow): readonly string[] => inputFilesOf(workflow).map(({ file }) => file);

describe('the input files of a graph', () => {
  it('are those that load nodes name', () => {
    const graph: Workflow = {
      '1': { class_type: 'LoadImage', inputs: { image: 'a.png' } },
      '2': { class_type: 'LoadImageMask', inputs: { image: 'sub\\mask.PNG [input]', channel: 'alpha' } },
      '3': { class_type: 'VHS_LoadVideo', inputs: { video: 'clip.mp4' } },
      '4': { class_type: 'LoadAudio', inputs: { audio: 'voice.wav' } },
    };
    assert.deepEqual(filesOf(graph), ['a.png', 'sub/mask.PNG', 'clip.mp4', 'voice.wav']);
  });

  it('are not those of other folders, other nodes, links, and what is no media', () => {
    for (const value of ['a.png [output]', 'a.png [temp]', ['2', 0], '.env', 'id_rsa', 'keys.json', '', 7]) {
      assert.deepEqual(filesOf(load(value)), [], String(value));
    }
    for (const name of [
      'LoadImageOutput',
      'VHS_LoadVideoPath',
      'SaveImage',
      'LoraLoader',
      'LoadImageSetFromFolderNode',
    ]) {
      assert.deepEqual(filesOf(load('a.png', name)), [], name);
    }
  });

  it('a name keeps what is in brackets of its own', () => {
    assert.equal(inputFileName('a [1].png'), 'a [1].png');
    assert.equal(inputFileName('a [1].png [input]'), 'a [1].png');
  });
});

describe('an input file', () => {
  let outside: string;
  let folder: string;
  beforeEach(async () => {
    outside = await mkdtemp(path.join(tmpdir(), 'podrelay-inputs-'));
    folder = path.join(outside, 'project');
    await mkdir(path.join(folder, 'sub'), { recursive: true });
    await writeFile(path.join(outside, 'secret.png'), 'secret');
    await writeFile(path.join(folder, 'a.png'), 'picture');
    await writeFile(path.join(folder, 'sub', 'b.png'), 'other');
  });
  afterEach(() => rm(outside, { recursive: true, force: true }));
  const text = async (file: string): Promise<string | undefined> => {
    const found = await findInputFile(folder, file, signal);
    return found === undefined ? undefined : Buffer.from(found.bytes).toString();
  };

  it('is found in the folder and below it', async () => {
    assert.equal(await text('a.png'), 'picture');
    assert.equal(await text('sub/b.png'), 'other');
    assert.equal(await text('sub\\b.png'), 'other');
    assert.equal(await text('./a.png'), 'picture');
  });

  it('is not found where there is none, and a folder is none', async () => {
    for (const file of ['c.png', 'a.png/b.png', 'sub', '', `${'x'.repeat(5_000)}.png`, 'a\0.png']) {
      assert.equal(await text(file), undefined, file.slice(0, 20));
    }
    assert.equal(await findInputFile(path.join(outside, 'nowhere'), 'a.png', signal), undefined);
  });

  it('is never one outside: not by dots, not by a full path, not by a link', async function () {
    const secret = path.join(outside, 'secret.png');
    for (const file of ['../secret.png', 'sub/../../secret.png', '..\\secret.png', secret]) {
      assert.equal(await text(file), undefined, file);
    }
    try {
      await symlink(secret, path.join(folder, 'link.png'));
      await symlink(outside, path.join(folder, 'up'));
      await symlink(path.join(folder, 'a.png'), path.join(folder, 'own.png'));
    } catch {
      console.log('      (this system lets nobody make symbolic links: that part is skipped)');
      return;
    }
    assert.equal(await text('link.png'), undefined);
    assert.equal(await text('up/secret.png'), undefined);
    assert.equal(await text('own.png'), 'picture');
  });

  it('is never one outside, whatever the name', async () => {
    const part = fc.constantFrom('..', '.', 'sub', 'secret.png', 'a.png', '/', '\\', 'C:', '%2e%2e', '．．', ' ');
    await fc.assert(
      fc.asyncProperty(
        fc.array(part, { minLength: 1, maxLength: 6 }),
        fc.constantFrom('/', '\\', ''),
        async (parts, by) => {
          assert.notEqual(await text(parts.join(by)), 'secret');
        },
      ),
      { numRuns: 300 },
    );
  });

  it('that is too large is told with its size, and not read', async () => {
    await truncate(path.join(folder, 'a.png'), largestInputBytes + 1);
    await assert.rejects(
      text('a.png'),
      (fault: unknown) =>
        fault instanceof Fault && fault.kind === 'rejected' && /a\.png has 101 MB/.test(fault.message),
    );
  });

  it('is uploaded once for all its uses, under a name of its content; the graph given stays as it is', async () => {
    const sent: string[] = [];
    const client = {
      upload: ({ name }: { name: string }) => {
        sent.push(name);
        return Promise.resolve(`renamed/${name}`);
      },
    };
    const graph: Workflow = {
      '1': { class_type: 'LoadImage', inputs: { image: 'a.png' } },
      '2': { class_type: 'LoadImageMask', inputs: { image: 'a.png [input]', channel: 'red' } },
      '3': { class_type: 'LoadImage', inputs: { image: 'theirs.png' } },
    };
    const before = JSON.stringify(graph);
    const told: string[] = [];
    const after = await uploadInputs(client, graph, folder, (file) => told.push(file), signal);
    assert.equal(sent.length, 1);
    assert.match(sent[0]!, /^podrelay-[0-9a-f]{24}\.png$/);
    assert.deepEqual(told, ['a.png']);
    assert.equal(after['1']?.inputs.image, `renamed/${sent[0]}`);
    assert.deepEqual(after['2']?.inputs, { image: `renamed/${sent[0]}`, channel: 'red' });
    assert.equal(after['3'], graph['3']);
    assert.equal(JSON.stringify(graph), before);
    assert.equal(await uploadInputs(client, graph, undefined, () => undefined, signal), graph);
  });
});
