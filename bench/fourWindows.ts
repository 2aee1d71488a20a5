import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { startSimulator } from '../src/sim/simulator.ts';
import { openWindow, placeOf, removeFolder } from '../test/contract/jobWindow.ts';
import { spawnWindow } from '../test/contract/queueSoak.ts';
import { madeBy, untilEnded, viewOf } from '../test/contract/queueWorld.ts';
import type { Bench } from './measurement.ts';

/** Longer on request: PODRELAY_BENCH_MINUTES=10. */
const minutes = Number(process.env.PODRELAY_BENCH_MINUTES ?? 1);
const windows = 4;
/** As in the product. */
const leaseMs = 15_000;
const betweenKillsMs = 20_000;
/** So many jobs wait or run at any time: there is always something to lead. */
const leastJobs = 60;
/** Simulated ms: a job takes some tenths of a second. */
const slowMs = 20_000;

/** Four windows, each a process, on one queue; now and then the one that leads is killed and a new one opened. */
export const fourWindows: Bench = {
  name: 'fourWindows',
  async measure() {
    const sim = await startSimulator({ timeScale: 200, seed: 5 });
    const folder = await mkdtemp(path.join(tmpdir(), 'podrelay-four-'));
    const place = placeOf(sim, folder);
    const open: Window[] = [];
    const handOvers: number[] = [];
    let mostLeaders = 0;
    sim.local.control.faults = { slowMs };
    const add = (): void => void open.push(follow(spawnWindow(place, leastJobs, leaseMs, leastJobs)));
    const leaders = (): Window[] => open.filter(({ says }) => says.startsWith('here'));
    try {
      for (let n = 0; n < windows; n++) add();
      const end = Date.now() + minutes * 60_000;
      let killAt = Date.now() + betweenKillsMs;
      let killedAt: number | undefined;
      while (Date.now() < end || killedAt !== undefined) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        const now = leaders();
        mostLeaders = Math.max(mostLeaders, now.length);
        if (killedAt !== undefined && now.length > 0) {
          handOvers.push((Date.now() - killedAt) / 1_000);
          killedAt = undefined;
          killAt = Date.now() + betweenKillsMs;
        }
        const [leader] = now;
        if (leader === undefined || killedAt !== undefined || Date.now() < killAt || Date.now() > end) continue;
        open.splice(open.indexOf(leader), 1);
        leader.child.kill('SIGKILL');
        killedAt = Date.now();
        await once(leader.child, 'exit');
        add();
      }
      const gone = open.map(({ child }) => once(child, 'exit'));
      for (const { child } of open) child.kill('SIGKILL');
      await Promise.all(gone);
      sim.local.control.faults = {};
      const last = openWindow(place, leaseMs);
      await last.core.queue.begin();
      const queued = Object.values((await viewOf(last)).counts).reduce((sum, count) => sum + count, 0);
      const view = await untilEnded(last, queued, 180_000);
      last.close();
      const twice = [...madeBy(sim.local).values()].filter((times) => times > 1).length;
      return [
        {
          what: `${windows} windows, ${minutes} min: leaders at once`,
          judge: 'max',
          under: 2,
          unit: 'times',
          samples: [mostLeaders],
        },
        { what: 'another window leads after a kill', judge: 'max', under: 15, unit: 's', samples: handOvers },
        { what: `of ${queued} jobs, run twice`, judge: 'max', under: 1, unit: 'jobs', samples: [twice] },
        { what: 'not done', judge: 'max', under: 1, unit: 'jobs', samples: [queued - view.counts.done] },
      ];
    } finally {
      for (const { child } of open) child.kill('SIGKILL');
      await sim.dispose();
      await removeFolder(folder);
    }
  },
};

interface Window {
  readonly child: ChildProcess;
  /** Its last word: who leads, as it sees it, and how many jobs it has done. */
  says: string;
}

function follow(child: ChildProcess): Window {
  const window: Window = { child, says: '' };
  if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', (line) => (window.says = line));
  return window;
}
