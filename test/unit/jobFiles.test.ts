import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RemoteFile } from '../../src/core/backends/backend.ts';
import { collectFiles } from '../../src/core/jobs/collectFiles.ts';
import type { CollectOptions } from '../../src/core/jobs/collectFiles.ts';
import type { JobOutcome } from '../../src/core/jobs/jobOutcome.ts';
import { tellStories } from '../../src/core/jobs/jobStory.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { readSidecar, sidecarPath } from '../../src/core/outputs/sidecar.ts';

const never = new AbortController().signal;
const ignore = (): void => undefined;
const quiet = { debug: ignore, info: ignore, warn: ignore, error: ignore };

let folder: string;

const at = (name: string): string => path.join(folder, name);
const names = async (): Promise<readonly string[]> => (await readdir(folder)).sort();

function file(name: string, text: string): RemoteFile {
  async function* body(): AsyncGenerator<Uint8Array> {
    await nextTurn();
    yield Buffer.from(text);
  }
  return { name, open: () => Promise.resolve(body()) };
}

async function collect(files: readonly RemoteFile[], change: Partial<CollectOptions> = {}, signal = never) {
  const onSaved = (): Promise<void> => Promise.resolve();
  return collectFiles({ files, jobId: 'a', folder, clock: systemClock, log: quiet, onSaved, ...change }, signal);
}

describe('the files of a job', () => {
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'podrelay-files-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  describe('collected after a crash', () => {
    const collected = async (text = 'cat'): Promise<string> => {
      const [output] = await collect([file('cat.png', text)], { before: [] });
      return path.basename(output!.path);
    };

    it('are the ones that it has left, and no second ones', async () => {
      await writeFile(at('cat.png'), 'cat');
      assert.equal(await collected(), 'cat.png');
      assert.deepEqual(await names(), ['cat.png']);
    });

    it('are found among others of their name', async () => {
      await writeFile(at('cat.png'), 'another picture');
      await writeFile(at('cat-2.png'), 'cat');
      assert.equal(await collected(), 'cat-2.png');
      assert.deepEqual(await names(), ['cat-2.png', 'cat.png']);
    });

    it('are no other pictures with as many bytes', async () => {
      await writeFile(at('cat.png'), 'dog');
      assert.equal(await collected(), 'cat-2.png');
      assert.equal(await readFile(at('cat.png'), 'utf8'), 'dog');
      assert.equal(await readFile(at('cat-2.png'), 'utf8'), 'cat');
    });

    it('are not those of another job, though they be the same', async () => {
      await writeFile(at('cat.png'), 'cat');
      await writeFile(sidecarPath(at('cat.png')), '{}');
      assert.equal(await collected(), 'cat-2.png');
    });

    it('are none that were there when no window has crashed, or another run makes the same', async () => {
      await writeFile(at('cat.png'), 'cat');
      await collect([file('cat.png', 'cat')]);
      await collect([file('cat.png', 'cat')], { before: [], hasOther: true });
      assert.deepEqual(await names(), ['cat-2.png', 'cat-3.png', 'cat.png']);
    });

    it('are whole: what it has left unfinished is removed, and nothing that another job is writing', async () => {
      const stop = new AbortController();
      const begun = Promise.withResolvers<void>();
      async function* hangs(): AsyncGenerator<Uint8Array> {
        yield Buffer.from('half');
        begun.resolve();
        await new Promise(ignore);
      }
      const first = collect([{ name: 'cat.png', open: () => Promise.resolve(hangs()) }], {}, stop.signal);
      await begun.promise;
      const [part = ''] = await names();
      await collect([file('dog.png', 'dog')], { jobId: 'b', before: [] });
      assert.deepEqual(await names(), [part, 'dog.png'].sort());
      await collect([file('cat.png', 'whole')], { before: [] });
      assert.deepEqual(await names(), ['cat.png', 'dog.png']);
      stop.abort();
      await assert.rejects(first, { kind: 'cancelled' });
      assert.equal(await readFile(at('cat.png'), 'utf8'), 'whole');
    });
  });

  describe('and their stories', () => {
    const outcome = (id: string): JobOutcome => ({
      request: { id, label: 'a cat', workflow: {}, media: 'image', localOnly: false },
      ...{ backend: 'local', tier: 'local', backendLabel: 'Local ComfyUI', gpu: undefined },
      outputs: [{ path: at('cat.png'), bytes: 3, kind: 'image' }],
      ...{ micros: 0, costBasis: 'own machine', basis: 'measured', workflow: {} },
      ...{ attempts: [], dropped: [], warnings: [], startedAt: 0, ms: 9 },
    });
    const told = async (): Promise<readonly unknown[]> => {
      const { jobId, times } = await readSidecar(at('cat.png'));
      return [jobId, Date.parse(times.finishedAt)];
    };

    it('are told once: a second window leaves it as the first has told it', async () => {
      await tellStories(outcome('a'), { finishedAt: 1_000, simulated: false });
      await tellStories(outcome('a'), { finishedAt: 2_000, simulated: false });
      assert.deepEqual(await told(), ['a', 1_000]);
    });

    it('of another job are not taken for theirs, and not replaced', async () => {
      await tellStories(outcome('a'), { finishedAt: 1_000, simulated: false });
      await assert.rejects(tellStories(outcome('b'), { finishedAt: 2_000, simulated: false }), { kind: 'io' });
      assert.deepEqual(await told(), ['a', 1_000]);
    });
  });
});
