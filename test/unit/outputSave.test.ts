import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { Fault } from '../../src/core/kernel/fault.ts';
import { fileFault } from '../../src/core/outputs/fileFault.ts';
import { extensionOf, mediaKind } from '../../src/core/outputs/mediaKind.ts';
import { placeFile, placeWithoutLinks } from '../../src/core/outputs/placeFile.ts';
import { markOf, partEnding } from '../../src/core/outputs/partName.ts';
import { removeParts, saveOutput } from '../../src/core/outputs/saveOutput.ts';
import { readSidecar, sidecarPath, writeSidecar } from '../../src/core/outputs/sidecar.ts';
import type { Sidecar } from '../../src/core/outputs/sidecar.ts';

const never = new AbortController().signal;
const png = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');

async function* bytes(...chunks: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    await nextTurn();
    yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
  }
}

function isFault(kind: Fault['kind'], text?: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof Fault, String(error));
    assert.equal(error.kind, kind);
    if (text !== undefined) assert.match(`${error.message} ${error.facts.nextStep ?? ''}`, text);
    return true;
  };
}

const story: Sidecar = {
  version: 1,
  jobId: 'job-1',
  output: { file: 'cat.png', bytes: 3, kind: 'image' },
  workflow: { '1': { class_type: 'SaveImage', inputs: {} } },
  inputs: { prompt: 'a cat' },
  seed: '18446744073709551615',
  backend: { id: 'pod:1', label: 'RTX 4090', tier: 'cloud' },
  gpu: 'NVIDIA GeForce RTX 4090',
  attempts: [
    { backend: 'local', outcome: 'failed', reason: 'Connection refused', milliseconds: 3 },
    { backend: 'pod:1', outcome: 'done', startedAt: '2026-01-02T03:04:05.000Z', milliseconds: 9000, micros: 850 },
  ],
  cost: { micros: null, basis: 'unknown' },
  times: { requestedAt: '2026-01-02T03:04:04.000Z', startedAt: null, finishedAt: '2026-01-02T03:04:14.000Z' },
  dropped: ['ControlNet'],
};

describe('saving an output', () => {
  let root: string;
  let folder: string;
  beforeEach(async () => {
    root = await realpath(await mkdtemp(path.join(os.tmpdir(), 'podrelay-outputs-')));
    folder = path.join(root, 'generated');
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const save = (serverName: string, body: AsyncIterable<Uint8Array>, signal = never) =>
    saveOutput({ folder, serverName, body }, signal);

  it('writes the bytes under the name and leaves no part', async () => {
    const saved = await save('cat.png', bytes(png, 'rest'));
    assert.deepEqual(saved, { path: path.join(folder, 'cat.png'), bytes: png.length + 4, kind: 'image' });
    assert.deepEqual(await readFile(saved.path), Buffer.concat([png, Buffer.from('rest')]));
    assert.deepEqual(await readdir(folder), ['cat.png']);
  });

  it('works with a folder given with a trailing slash, with dots in it, or relative', async () => {
    await mkdir(folder);
    for (const given of [`${folder}/`, path.join(root, 'x') + '/../generated', path.relative(process.cwd(), folder)]) {
      const saved = await saveOutput({ folder: given, serverName: 'cat.png', body: bytes(png) }, never);
      assert.equal(path.dirname(path.resolve(saved.path)), folder);
    }
    assert.deepEqual((await readdir(folder)).sort(), ['cat-2.png', 'cat-3.png', 'cat.png']);
  });

  it('a web page under the name of a picture is refused and leaves nothing; under its own name it is kept', async () => {
    for (const page of ['<!DOCTYPE html><p>Starting', '\n <html lang="en">', '\ufeff<html>']) {
      await assert.rejects(save('cat.PNG', bytes(page)), isFault('protocol', /A web page came instead of 'cat\.PNG'/));
    }
    assert.deepEqual(await readdir(folder), []);
    assert.equal(path.basename((await save('page.html', bytes('<html>'))).path), 'page.html');
  });

  it('gives a nameless output the extension of what it is', async () => {
    assert.equal(path.basename((await save('', bytes(png))).path), 'output.png');
    assert.equal(path.basename((await save('..', bytes('RIFF\0\0\0\0WEBPVP8X'))).path), 'output.webp');
    assert.equal(path.basename((await save('notes', bytes('plain'))).path), 'notes');
  });

  it('a file that exists already is never overwritten', async () => {
    await mkdir(folder);
    await writeFile(path.join(folder, 'cat.png'), 'mine');
    const saved = await save('cat.png', bytes('theirs'));
    assert.equal(path.basename(saved.path), 'cat-2.png');
    assert.equal(await readFile(path.join(folder, 'cat.png'), 'utf8'), 'mine');
  });

  it('gives 20 parallel saves of one name 20 names, each with its own bytes', async () => {
    await mkdir(folder);
    await writeFile(path.join(folder, 'cat.png'), 'mine');
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, n) => save('cat.png', bytes(`first ${String(n)},`, `second ${String(n)}`))),
    );
    assert.equal(new Set(all.map((saved) => saved.path)).size, 20);
    for (const [n, saved] of all.entries()) {
      assert.equal(await readFile(saved.path, 'utf8'), `first ${String(n)},second ${String(n)}`);
    }
    assert.equal(await readFile(path.join(folder, 'cat.png'), 'utf8'), 'mine');
    assert.equal((await readdir(folder)).length, 21);
  });

  it('does not take the name whose sidecar is still there', async () => {
    await mkdir(folder);
    await writeFile(path.join(folder, 'cat.png.podrelay.json'), '{}');
    assert.equal(path.basename((await save('cat.png', bytes(png))).path), 'cat-2.png');
  });

  it('puts nothing outside the folder, whatever the server calls it', async () => {
    await mkdir(folder);
    const piece = fc.constantFrom('..', '/', '\\', '.', 'a', '\0', ' ', 'CON', root, '.part', '\uff0f', ':', '🎬', '~');
    const name = fc.oneof(
      fc.array(piece, { maxLength: 6 }).map((parts) => parts.join('')),
      fc.string({ unit: 'binary', maxLength: 300 }),
    );
    await fc.assert(
      fc.asyncProperty(name, async (serverName) => {
        const saved = await save(serverName, bytes('x'));
        assert.equal(path.dirname(await realpath(saved.path)), folder);
        assert.deepEqual(await readdir(root), ['generated']);
        assert.equal((await lstat(saved.path)).isFile(), true);
      }),
      { numRuns: 300 },
    );
    assert.ok((await readdir(folder)).every((file) => !file.endsWith('.part')));
  });

  it('follows a folder that is a symbolic link, and never a file that is one', async () => {
    const real = path.join(root, 'disk');
    const victim = path.join(root, 'victim');
    await mkdir(real);
    await symlink(real, folder);
    await symlink(victim, path.join(real, 'cat.png'));
    await symlink(victim, path.join(real, 'cat.png.part'));
    const saved = await save('cat.png', bytes(png));
    assert.equal(saved.path, path.join(folder, 'cat-2.png'));
    assert.equal(await realpath(saved.path), path.join(real, 'cat-2.png'));
    await assert.rejects(lstat(victim), { code: 'ENOENT' });
  });

  it('says so when the folder is a file or a link to nothing', async () => {
    await writeFile(folder, 'a file');
    await assert.rejects(save('cat.png', bytes(png)), isFault('io', /not a folder.*podrelay\.outputFolder/));
    await rm(folder);
    await symlink(path.join(root, 'nowhere', 'deep'), folder);
    await assert.rejects(save('cat.png', bytes(png)), isFault('io', /podrelay\.outputFolder/));
  });

  it('removes the part when the body fails, and passes its fault on', async () => {
    async function* breaks(): AsyncGenerator<Uint8Array> {
      yield* bytes(png);
      throw new Fault('unreachable', 'The connection was reset');
    }
    await assert.rejects(save('cat.png', breaks()), isFault('unreachable'));
    assert.deepEqual(await readdir(folder), []);
  });

  it('takes an empty body for an error, not for a file', async () => {
    await assert.rejects(save('cat.png', bytes()), isFault('protocol', /empty/));
    await assert.rejects(save('cat.png', bytes('')), isFault('protocol', /empty/));
    assert.deepEqual(await readdir(folder), []);
  });

  it('cancels before, between chunks, and while the server is silent', async () => {
    const reason = new Fault('timeout', 'Too slow');
    await assert.rejects(save('cat.png', bytes(png), AbortSignal.abort(reason)), isFault('timeout'));

    const stop = new AbortController();
    async function* cancelsAfterOne(): AsyncGenerator<Uint8Array> {
      yield* bytes(png);
      stop.abort(new Fault('cancelled', 'By the user'));
      yield* bytes('more');
    }
    await assert.rejects(save('cat.png', cancelsAfterOne(), stop.signal), isFault('cancelled', /By the user/));

    const silent = new AbortController();
    async function* hangs(): AsyncGenerator<Uint8Array> {
      yield* bytes(png);
      queueMicrotask(() => silent.abort(new Fault('cancelled', 'By the user')));
      await new Promise(() => undefined);
    }
    await assert.rejects(save('cat.png', hangs(), silent.signal), isFault('cancelled'));
    assert.deepEqual(await readdir(folder), []);
  });

  it('lets the body clean up when the save ends early', async () => {
    let closed = false;
    const stop = new AbortController();
    async function* body(): AsyncGenerator<Uint8Array> {
      try {
        yield png;
        stop.abort();
        yield png;
      } finally {
        closed = true;
      }
    }
    await assert.rejects(save('cat.png', body(), stop.signal), isFault('cancelled'));
    await nextTurn();
    assert.equal(closed, true);
  });

  it('holds 300 MB in no more memory than a few chunks', async function () {
    this.timeout(60_000);
    let most = 0;
    const before = process.memoryUsage().rss;
    async function* large(): AsyncGenerator<Uint8Array> {
      for (let n = 0; n < 300; n += 1) {
        await nextTurn();
        most = Math.max(most, process.memoryUsage().rss - before);
        // A new one each time, as a socket gives them: a chunk that is kept counts.
        yield Buffer.alloc(1 << 20, n);
      }
    }
    assert.equal((await save('film.mp4', large())).bytes, 300 * (1 << 20));
    // What is left between two garbage collections is the engine's own choice, some 64 MB.
    assert.ok(most < 160 * (1 << 20), `${String(most)} bytes more`);
  });
});

describe('a full or read-only disk', () => {
  const script = `
    import { saveOutput } from ${JSON.stringify(path.resolve('src/core/outputs/saveOutput.ts'))};
    import { writeSidecar } from ${JSON.stringify(path.resolve('src/core/outputs/sidecar.ts'))};
    import { readdirSync } from 'node:fs';
    const [, folder, story] = process.argv;
    async function* body() { for (let n = 0; n < 64; n += 1) yield Buffer.alloc(65536); }
    const save = () => saveOutput({ folder, serverName: 'cat.png', body: body() }, new AbortController().signal);
    try { await (story ? writeSidecar(folder + '/cat.png', JSON.parse(story)) : save()); console.log('saved'); }
    catch (error) { console.log(JSON.stringify({ kind: error.kind, message: error.message, next: error.facts.nextStep, files: readdirSync(folder) })); }`;

  /** Runs a save in a small file system of its own: Linux user namespaces let anyone mount one. */
  async function saveOn(
    mountOptions: string,
    sidecar?: Sidecar,
  ): Promise<{ kind: string; message: string; next: string; files: string[] }> {
    const mount = await mkdtemp(path.join(os.tmpdir(), 'podrelay-mount-'));
    try {
      const command = `mount -t tmpfs -o ${mountOptions} tmpfs "$0" && exec "$1" --input-type=module -e "$2" "$0" "$3"`;
      const told = sidecar === undefined ? '' : JSON.stringify(sidecar);
      const args = ['-rm', 'sh', '-c', command, mount, process.execPath, script, told];
      const { stdout } = await promisify(execFile)('unshare', args);
      return JSON.parse(stdout);
    } finally {
      await rm(mount, { recursive: true });
    }
  }

  before(async function () {
    try {
      await promisify(execFile)('unshare', ['-rm', 'sh', '-c', 'mount -t tmpfs tmpfs /mnt']);
    } catch {
      process.stdout.write('    Skipped: this machine does not allow mounting a small file system to fill\n');
      this.skip();
    }
  });

  it('a full disk: said, and nothing is left behind', async () => {
    const told = await saveOn('size=1m');
    assert.equal(told.kind, 'io');
    assert.match(told.message, /no room.*ENOSPC/);
    assert.match(told.next, /Free some space/);
    assert.deepEqual(told.files, []);
  });

  it('a disk that is full for the story of a picture: the same', async () => {
    const told = await saveOn('size=16k', { ...story, dropped: ['x'.repeat(60_000)] });
    assert.match(told.message, /no room.*ENOSPC/);
    assert.deepEqual(told.files, []);
  });

  it('says that the folder cannot be written to', async () => {
    const told = await saveOn('ro');
    assert.equal(told.kind, 'io');
    assert.match(told.message, /cannot be written to \(EROFS\)/);
    assert.deepEqual(told.files, []);
  });
});

describe('output faults and kinds', () => {
  it('names a next step for a folder without the right to write', () => {
    const denied = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
    assert.ok(isFault('io', /cannot be written to.*Allow writing there/s)(fileFault(denied, '/pictures')));
  });

  it('believes the bytes before the name', () => {
    assert.equal(mediaKind(png, 'film.mp4'), 'image');
    assert.equal(mediaKind(Buffer.from('<html>'), 'cat.png'), 'other');
    assert.equal(mediaKind(Buffer.from('\0\0\0\x20ftypisom', 'latin1'), 'x'), 'video');
    assert.equal(mediaKind(Buffer.from('\0\0\0\x20ftypavif', 'latin1'), 'x'), 'image');
    assert.equal(mediaKind(Buffer.from('1a45dfa3', 'hex'), 'x'), 'video');
    assert.equal(mediaKind(Buffer.from('ffd8ffe0', 'hex'), 'x'), 'image');
    assert.equal(mediaKind(Buffer.from('G@\0\x10'), 'x.TS'), 'video');
    assert.equal(mediaKind(new Uint8Array(0), 'x.png'), 'other');
    assert.equal(extensionOf(Buffer.from('GIF89a')), '.gif');
  });
});

describe('giving a file its name', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'podrelay-place-'));
    await writeFile(path.join(root, 'a.part'), 'new');
  });
  afterEach(() => rm(root, { recursive: true }));

  for (const [how, place] of [
    ['by a hard link', placeFile],
    ['without links', placeWithoutLinks],
  ] as const) {
    it(`takes a free name ${how}`, async () => {
      assert.equal(await place(path.join(root, 'a.part'), path.join(root, 'a')), true);
      assert.deepEqual(await readdir(root), ['a']);
      assert.equal(await readFile(path.join(root, 'a'), 'utf8'), 'new');
    });

    it(`leaves a taken name alone ${how}`, async () => {
      await writeFile(path.join(root, 'a'), 'old');
      assert.equal(await place(path.join(root, 'a.part'), path.join(root, 'a')), false);
      assert.equal(await readFile(path.join(root, 'a'), 'utf8'), 'old');
      assert.equal(await readFile(path.join(root, 'a.part'), 'utf8'), 'new');
    });

    it(`leaves nothing under the name when the file cannot have it ${how}`, async () => {
      await assert.rejects(place(path.join(root, 'gone.part'), path.join(root, 'a')), { code: 'ENOENT' });
      assert.deepEqual(await readdir(root), ['a.part']);
    });
  }
});

describe('the sidecar of an output', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'podrelay-sidecar-'));
  });
  afterEach(() => rm(root, { recursive: true }));

  it('is read back as it was written', async () => {
    const output = path.join(root, 'cat.png');
    assert.equal(await writeSidecar(output, story), path.join(root, 'cat.png.podrelay.json'));
    assert.deepEqual(await readSidecar(output), story);
    assert.deepEqual(await readdir(root), ['cat.png.podrelay.json']);
  });

  it('is never replaced', async () => {
    const output = path.join(root, 'cat.png');
    await writeSidecar(output, story);
    await assert.rejects(writeSidecar(output, { ...story, seed: 1 }), isFault('io', /exists already/));
    assert.equal((await readSidecar(output)).seed, story.seed);
    assert.deepEqual(await readdir(root), ['cat.png.podrelay.json']);
  });

  it('writes over what an earlier try of its job has left', async () => {
    const output = path.join(root, 'cat.png');
    const left = `${sidecarPath(output)}${partEnding(markOf(story.jobId))}`;
    await writeFile(left, '{"version":');
    await writeSidecar(output, story);
    assert.deepEqual(await readSidecar(output), story);
    await removeParts(root, markOf(story.jobId));
    assert.deepEqual(await readdir(root), ['cat.png.podrelay.json']);
  });

  it('that is missing, damaged or foreign is a fault', async () => {
    const output = path.join(root, 'cat.png');
    await assert.rejects(readSidecar(output), isFault('io'));
    await writeFile(sidecarPath(output), '{"version":1,');
    await assert.rejects(readSidecar(output), isFault('protocol', /not JSON/));
    await writeFile(sidecarPath(output), '{"version":2}');
    await assert.rejects(readSidecar(output), isFault('protocol', /not a PodRelay sidecar/));
  });
});
