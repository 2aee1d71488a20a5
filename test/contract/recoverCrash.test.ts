import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { leaseMs, openWindow, placeOf, removeFolder } from './jobWindow.ts';

/** When a window dies: so many ms after this phase of its second job or a later one shows. */
const deaths = [
  [/Asking/, 0],
  [/Asking/, 6],
  [/Sending/, 0],
  [/Sending/, 1],
  [/Sending/, 4],
  [/Fetching/, 0],
  [/Fetching/, 2],
  [/Fetching/, 4],
  [/Fetching/, 7],
  [/Fetching/, 10],
  [/Choosing/, 0],
  [/Choosing/, 4],
] as const;
/** So many windows work at the same time, on the same records. */
const atOnce = 4;

describe('windows that are killed at any moment', function () {
  this.timeout(120_000);
  let sim: Simulator;
  let folder: string;
  beforeEach(async () => {
    sim = await startSimulator({ timeScale: 200, seed: 9 });
    folder = await mkdtemp(path.join(tmpdir(), 'podrelay-crash-'));
  });
  afterEach(async () => {
    await sim.dispose();
    await removeFolder(folder);
  });

  async function killAt(phase: RegExp, ms: number): Promise<void> {
    const program = path.join(import.meta.dirname, 'jobChild.ts');
    const child = spawn(process.execPath, [program, JSON.stringify(placeOf(sim, folder))], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    let jobs = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.startsWith('Choosing')) jobs += 1;
      if (jobs > 1 && phase.test(line)) break;
    }
    await new Promise((resolve) => setTimeout(resolve, ms));
    child.kill('SIGKILL');
    await ended;
  }

  it('nothing is run twice, nothing is lost that was sent, and nothing is called done without its files', async () => {
    for (let from = 0; from < deaths.length; from += atOnce) {
      await Promise.all(deaths.slice(from, from + atOnce).map(([phase, ms]) => killAt(phase, ms)));
      await new Promise((resolve) => setTimeout(resolve, leaseMs + 20));
      const window = openWindow(placeOf(sim, folder));
      await window.core.recovery.recover(window.signal);
      window.close();
    }
    const reader = openWindow(placeOf(sim, folder));
    const records = await reader.records();
    reader.close();
    assert.ok(records.length >= deaths.length, `only ${records.length} jobs were begun`);
    assert.deepEqual(
      records.filter(({ state }) => state !== 'done' && state !== 'lost'),
      [],
    );
    const sent = sim.local.requests.filter(
      ({ method, path: at }) => method === 'POST' && at.endsWith('/prompt'),
    ).length;
    const run = sim.local.state().executedNodes.filter(({ classType }) => classType === 'SaveImage');
    assert.equal(new Set(run.map(({ promptId }) => promptId)).size, run.length, 'no prompt ran twice');
    const done = records.filter(({ state }) => state === 'done');
    const lost = records.filter(({ state }) => state === 'lost');
    // A kill between the intent and the request leaves a job on record that the server never saw.
    assert.equal(done.length, run.length, `${sent} sent, ${run.length} run, ${lost.length} lost`);
    const files = await readdir(path.join(folder, 'generated'));
    for (const { outputs } of done) {
      assert.equal(outputs.length, 1);
      const bytes = await readFile(outputs[0]!.path);
      assert.equal(bytes.length, outputs[0]!.bytes);
      assert.equal(bytes.subarray(-8, -4).toString('latin1'), 'IEND');
      assert.ok(files.includes(`${path.basename(outputs[0]!.path)}.podrelay.json`));
    }
    assert.equal(files.length, 2 * done.length, files.join(' '));
  });
});

describe('a disk that is full when a result comes', function () {
  this.timeout(60_000);
  let sim: Simulator;
  let folder: string;
  /** Linux user namespaces let anyone mount a small file system. */
  const inNamespace = (script: string, ...args: readonly string[]): Promise<unknown> =>
    promisify(execFile)('unshare', ['-rm', 'sh', '-c', script, ...args]);
  before(async function () {
    try {
      await inNamespace('mount -t tmpfs tmpfs /mnt');
    } catch {
      process.stdout.write('    Skipped: this machine does not allow mounting a small file system to fill\n');
      this.skip();
    }
  });
  beforeEach(async () => {
    sim = await startSimulator({ timeScale: 200, seed: 9 });
    folder = await mkdtemp(path.join(tmpdir(), 'podrelay-full-'));
    await mkdir(path.join(folder, 'generated'));
  });
  afterEach(async () => {
    await sim.dispose();
    await removeFolder(folder);
  });

  it('loses no result: it is fetched at the next start, when there is room', async () => {
    sim.local.control.faults = { bigOutputBytes: 3_000_000 };
    const mountAndRun = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$1" "$2" "$3"';
    const program = path.join(import.meta.dirname, 'jobChild.ts');
    const place = JSON.stringify(placeOf(sim, folder));
    const failed = await inNamespace(
      mountAndRun,
      path.join(folder, 'generated'),
      process.execPath,
      program,
      place,
    ).catch((error: unknown) => String((error as { stderr?: unknown }).stderr));
    assert.match(String(failed), /no room.*ENOSPC/);
    assert.match(String(failed), /PodRelay fetches it when it can/);
    const window = openWindow(placeOf(sim, folder));
    assert.deepEqual(
      (await window.records()).map(({ state }) => state),
      ['running'],
    );
    await window.core.database.write((rows) => rows.run('UPDATE job SET lease_until = 0'));
    const [ended] = await window.core.recovery.recover(window.signal);
    window.close();
    assert.equal(ended?.state, 'done');
    assert.equal(ended.outcome.outputs[0]?.bytes, 3_000_000);
    assert.equal((await readdir(path.join(folder, 'generated'))).length, 2);
    assert.equal(sim.local.state().history.length, 1);
  });
});
