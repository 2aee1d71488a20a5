import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startSimulator } from '../../src/sim/simulator.ts';
import { openWindow, placeOf, removeFolder } from './jobWindow.ts';
import { smallWorkflow } from './world.ts';
import { seededRandom } from './seededRandom.ts';

export interface SoakResult {
  readonly begun: number;
  readonly done: number;
  /** Made by the server, and not done on record. */
  readonly lost: number;
  /** Done on record, without the file on disk. */
  readonly falselyDone: number;
  readonly runTwice: number;
  /** Files that no record names. */
  readonly strayFiles: number;
}

const jobLeaseMs = 15;
const jobsAtOnce = 2;
/** A window lives so long at most after its first job has begun: some jobs end, most are cut off somewhere. */
const longestLifeMs = 250;

/** Windows that are closed at random moments, one after the other, each with jobs at work; the last one collects the rest. */
export async function soakReloads(reloads: number, seed: number): Promise<SoakResult> {
  const sim = await startSimulator({ timeScale: 200, seed });
  const folder = await mkdtemp(path.join(tmpdir(), 'podrelay-soak-'));
  const random = seededRandom(seed);
  const sleep = (ms: number): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, ms));
  try {
    for (let n = 0; n < reloads; n++) {
      const window = openWindow(placeOf(sim, folder), jobLeaseMs);
      const recovering = window.core.recovery.recover(window.signal).catch(() => undefined);
      const running = Array.from({ length: jobsAtOnce }, (_, nth) => {
        const workflow = smallWorkflow(n * jobsAtOnce + nth, 'soak');
        const request = { id: randomUUID(), label: 'soak', workflow, media: 'image', localOnly: false } as const;
        return window.core.jobs.run(request, () => undefined, window.signal).catch(() => undefined);
      });
      await sleep(random() * longestLifeMs);
      window.close();
      await Promise.all([recovering, ...running]);
    }
    await sleep(10 * jobLeaseMs);
    const last = openWindow(placeOf(sim, folder), 10_000);
    await last.core.recovery.recover(last.signal);
    // Every ended job is kept on record only up to a number: all of them are read from the files, too.
    const records = await last.records();
    last.close();
    const doneOnRecord = records.filter(({ state }) => state === 'done');
    const files = await readdir(path.join(folder, 'generated')).catch(() => []);
    const pictures = files.filter((name) => !name.endsWith('.podrelay.json'));
    const made = sim.local.state().executedNodes.filter(({ classType }) => classType === 'SaveImage');
    const missing = await Promise.all(
      doneOnRecord
        .flatMap(({ outputs }) => outputs)
        .map(async (output) => (await sizeOf(output.path)) !== output.bytes),
    );
    const told = new Set(files.filter((name) => name.endsWith('.podrelay.json')));
    return {
      begun: reloads * jobsAtOnce,
      done: pictures.length,
      lost: made.length - pictures.length + records.filter(({ state }) => state === 'running').length,
      falselyDone: missing.filter(Boolean).length + doneOnRecord.filter(({ outputs }) => outputs.length === 0).length,
      runTwice: made.length - new Set(made.map(({ promptId }) => promptId)).size,
      strayFiles: pictures.filter((name) => !told.has(`${name}.podrelay.json`)).length,
    };
  } finally {
    await sim.dispose();
    await removeFolder(folder);
  }
}

async function sizeOf(file: string): Promise<number | undefined> {
  return stat(file).then(
    ({ size }) => size,
    () => undefined,
  );
}
