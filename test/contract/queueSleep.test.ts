// A machine that sleeps while a queue is at work: its windows stand still in the middle of anything, the servers do not.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { leaseMs, openWindow, placeOf, removeFolder } from './jobWindow.ts';
import type { JobWindow } from './jobWindow.ts';
import { lineOf, spawnWindow } from './queueSoak.ts';
import { madeBy, untilEnded, viewOf } from './queueWorld.ts';

/** Many leases, as eight hours are many of 15 s. */
const asleepMs = 8 * leaseMs;
const jobs = 24;

describe('a laptop that slept', function () {
  this.timeout(120_000);
  let sim: Simulator;
  let folder: string;
  const children: ChildProcess[] = [];
  const windows: JobWindow[] = [];

  before(function () {
    if (process.platform === 'win32') {
      console.log('    skipped: a process cannot be halted here');
      this.skip();
    }
  });
  beforeEach(async () => {
    sim = await startSimulator({ timeScale: 200, seed: 29 });
    folder = await mkdtemp(path.join(tmpdir(), 'podrelay-sleep-'));
  });
  afterEach(async () => {
    for (const window of windows.splice(0)) window.close();
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await sim.dispose();
    await removeFolder(folder);
  });
  const spawn = (count: number): ChildProcess => {
    const child = spawnWindow(placeOf(sim, folder), count, leaseMs);
    children.push(child);
    return child;
  };
  const open = (): JobWindow => {
    const window = openWindow(placeOf(sim, folder));
    windows.push(window);
    return window;
  };
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  const madeTwice = (): readonly (readonly [string, number])[] =>
    [...madeBy(sim.local)].filter(([, times]) => times > 1);

  /** In the middle of a write it would hold the file's lock, and nobody could go on: a window hangs anywhere else. */
  async function haltBetweenWrites(child: ChildProcess): Promise<void> {
    const database = new DatabaseSync(path.join(folder, 'store', 'podrelay.db'), { timeout: 0 });
    for (;;) {
      child.kill('SIGSTOP');
      await sleep(20);
      try {
        database.exec('BEGIN IMMEDIATE; ROLLBACK');
        return database.close();
      } catch {
        child.kill('SIGCONT');
        await sleep(10);
      }
    }
  }

  it('goes on with the queue where it was: what ended meanwhile is collected, nothing is run twice', async () => {
    const [one, two] = [spawn(jobs / 2), spawn(jobs / 2)];
    await Promise.race([lineOf(one, /^here [3-9]/), lineOf(two, /^here [3-9]/)]);
    for (const child of [one, two]) child.kill('SIGSTOP');
    const reader = open();
    const before = await viewOf(reader);
    reader.close();
    assert.ok(before.counts.done < jobs, 'it was in the middle');
    await sleep(asleepMs);
    for (const child of [one, two]) child.kill('SIGCONT');
    const last = open();
    const view = await untilEnded(last, jobs, 60_000);
    assert.equal(view.counts.done, jobs, JSON.stringify(view.jobs.filter(({ state }) => state !== 'done')));
    assert.deepEqual(madeTwice(), []);
    assert.equal(madeBy(sim.local).size, jobs);
  });

  it('is one window that hung: another has the lead and its jobs, and it does not take them back', async () => {
    const hung = spawn(jobs);
    await lineOf(hung, /^here [3-9]/);
    await haltBetweenWrites(hung);
    const other = open();
    await other.core.queue.begin();
    const view = await untilEnded(other, jobs, 60_000);
    assert.equal(view.counts.done, jobs, JSON.stringify(view.jobs.filter(({ state }) => state !== 'done')));
    hung.kill('SIGCONT');
    await lineOf(hung, /^(elsewhere|none)/);
    await sleep(2 * leaseMs);
    const after = await viewOf(other);
    assert.deepEqual(after.counts, view.counts);
    assert.deepEqual(madeTwice(), []);
  });
});
