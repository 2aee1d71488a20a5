import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { openWindow, placeOf, removeFolder } from './jobWindow.ts';
import type { WindowPlace } from './jobWindow.ts';
import { madeBy, namedRequest } from './queueWorld.ts';
import { seededRandom } from './seededRandom.ts';

export interface QueueSoak {
  readonly crashes: number;
  readonly queued: number;
  readonly done: number;
  /** Neither done nor failed for a reason of its own. */
  readonly lost: number;
  /** Done on record, without the file on disk. */
  readonly falselyDone: number;
  /** Made more than once on the pod, which is paid for. */
  readonly paidTwice: number;
  /** Made more than once, anywhere, though no server had died with it. */
  readonly madeTwice: number;
  /** Pods that run though nobody of us asked for them. */
  readonly leakedPods: number;
  readonly notDone: readonly string[];
}

const leaseMs = 300;
const jobsOfAWindow = 3;
const windowsAtOnce = 2;
const longestLifeMs = 500;

/**
 * Windows that are killed at random moments while they give a queue's jobs to a local ComfyUI and a pod, among lost replies,
 * dropped connections and a server that dies; the last window brings the rest to its end.
 */
export async function soakQueue(crashes: number, seed: number): Promise<QueueSoak> {
  const sim = await startSimulator({ timeScale: 200, seed });
  const folder = await mkdtemp(path.join(tmpdir(), 'podrelay-queue-soak-'));
  const random = seededRandom(seed);
  const sleep = (ms: number): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, ms));
  const podId = sim.runpod.seedPod({ name: 'podrelay-soak' }).id;
  const place = placeOf(sim, folder, { podId, settings: { 'gemini.enabled': false } });
  const pod = (): ReturnType<typeof sim.podComfy> => sim.podComfy(podId);
  const restartedWith = new Set<string>();
  let queued = 0;

  const trouble = (): void => {
    const kind = random();
    if (kind < 0.15) sim.local.control.faults = { lostReply: { times: 1 } };
    else if (kind < 0.3) setFaults(pod(), { lostReply: { times: 1 } });
    else if (kind < 0.4) sim.local.control.faults = { resetMidBody: { times: 2 } };
    else if (kind < 0.5) {
      // What it has made until now and was not fetched is gone with it.
      for (const id of madeBy(sim.local).keys()) restartedWith.add(id);
      sim.local.restart();
    }
  };

  async function oneWindow(): Promise<void> {
    const child = spawnWindow(place);
    const ended = once(child, 'exit');
    await lineOf(child);
    queued += jobsOfAWindow;
    const moment = random() * longestLifeMs;
    await sleep(moment / 2);
    trouble();
    await sleep(moment / 2);
    child.kill('SIGKILL');
    await ended;
  }

  try {
    // Servers that have run something of ours can tell whether they were restarted since.
    const first = openWindow(place, leaseMs);
    await first.core.queue.enqueue(Array.from({ length: 8 }, namedRequest), first.signal);
    queued += 8;
    await untilAllEnded(first, 30_000);
    first.close();

    let left = crashes;
    await Promise.all(
      Array.from({ length: windowsAtOnce }, async () => {
        for (; left > 0;) {
          left -= 1;
          await oneWindow();
        }
      }),
    );
    sim.local.control.faults = {};
    setFaults(pod(), {});
    await sleep(2 * leaseMs);
    const last = openWindow(place, 5_000);
    // What waits for a server to answer again is asked for now, not in a quarter of an hour.
    await last.core.database.write((rows) => rows.run(`UPDATE job SET lease_until = 0 WHERE owner = ''`));
    await last.core.queue.begin();
    await untilAllEnded(last, Math.max(120_000, queued * 500));
    const records = await last.records();
    last.close();

    const doneOnes = records.filter(({ state }) => state === 'done');
    const missing = await Promise.all(
      doneOnes.map(async ({ outputs }) => {
        const sizes = await Promise.all(outputs.map((output) => sizeOf(output.path)));
        return outputs.length === 0 || sizes.some((size, at) => size !== outputs[at]?.bytes);
      }),
    );
    const twice = (made: ReadonlyMap<string, number>): string[] =>
      [...made].filter(([, times]) => times > 1).map(([id]) => id);
    const others = records.filter(({ state }) => state !== 'done');
    return {
      crashes,
      queued,
      done: doneOnes.length,
      lost: queued - doneOnes.length,
      falselyDone: missing.filter(Boolean).length,
      paidTwice: twice(madeBy(pod())).length,
      madeTwice: twice(madeBy(sim.local, pod())).filter((id) => !restartedWith.has(id)).length,
      leakedPods: sim.runpod.state().pods.filter(({ id, status }) => id !== podId && status !== 'TERMINATED').length,
      notDone: others.map(
        ({ label, state, fault, backend }) => `${label} ${state} ${backend ?? ''} ${fault?.message ?? ''}`,
      ),
    };
  } finally {
    await sim.dispose();
    await removeFolder(folder);
  }

  async function untilAllEnded(window: ReturnType<typeof openWindow>, withinMs: number): Promise<void> {
    for (const deadline = Date.now() + withinMs; Date.now() < deadline; await sleep(50)) {
      await window.core.queue.refresh();
      const { view } = window.core.queue;
      if (view.known && view.value.counts.queued + view.value.counts.running === 0) return;
    }
    throw new Error(`The queue has not come to its end\n${window.log.slice(-60).join('\n')}`);
  }
}

/** @param least so many jobs shall wait or run at any time */
export function spawnWindow(place: WindowPlace, jobs = jobsOfAWindow, lease = leaseMs, least = 0): ChildProcess {
  const program = path.join(import.meta.dirname, 'queueChild.ts');
  const args = [program, JSON.stringify(place), String(jobs), String(lease), String(least)];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** The first line that it says, of the given kind. */
export async function lineOf(child: ChildProcess, kind = /./): Promise<string> {
  if (child.stdout === null) throw new Error('It says nothing');
  const lines = createInterface({ input: child.stdout });
  return new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      if (kind.test(line)) resolve(line);
    });
    child.once('exit', () => reject(new Error(`It has ended without a line like ${String(kind)}`)));
  });
}

function setFaults(comfy: Simulator['local'] | undefined, faults: Simulator['local']['control']['faults']): void {
  if (comfy !== undefined) comfy.control.faults = faults;
}

async function sizeOf(file: string): Promise<number | undefined> {
  return stat(file).then(
    ({ size }) => size,
    () => undefined,
  );
}
