import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Failure } from '../../src/sim/runpod/faults.ts';
import { openWindow, placeOf, removeFolder } from './jobWindow.ts';
import { lineOf } from './queueSoak.ts';
import { seededRandom } from './seededRandom.ts';

export interface PodSoak {
  readonly crashes: number;
  /** Pods that windows wanted, and that RunPod made. */
  readonly wanted: number;
  readonly made: number;
  /** More than one pod for one wish: each is paid for. */
  readonly madeTwice: number;
  /** Pods that cost money after the crashes, when the last window opens. */
  readonly runningThen: number;
  /** Of those, still there when every idle time is long over. */
  readonly leaked: readonly string[];
}

const windowsAtOnce = 2;
const longestLifeMs = 500;
/** 1.2 s */
const idleMinutes = 0.02;

/**
 * Windows that are killed at random moments while they create, start, stop and terminate pods, among replies that are lost
 * and errors after the deed; the last window opens as any does, and nobody stops a pod but its idle timer.
 */
export async function soakPods(crashes: number, seed: number): Promise<PodSoak> {
  const sim = await startSimulator({ timeScale: 200, seed });
  const folder = await mkdtemp(path.join(tmpdir(), 'podrelay-pod-soak-'));
  const random = seededRandom(seed);
  const sleep = (ms: number): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, ms));
  const settings = { 'gemini.enabled': false, 'cloud.readyTimeoutMinutes': 1 };
  const place = placeOf(sim, folder, { settings, podWatchEveryMs: 100 });
  let wanted = 0;

  const trouble = (): void => {
    const kind = random();
    const failure: Failure | undefined =
      kind < 0.2
        ? { kind: 'reset', effect: 'after' }
        : kind < 0.3
          ? { kind: 'status', status: 502, effect: 'after' }
          : kind < 0.4
            ? { kind: 'status', status: 500, effect: 'before' }
            : kind < 0.5
              ? { kind: 'hang', effect: 'after' }
              : undefined;
    if (failure !== undefined) {
      sim.runpod.faults.set({ failure, on: ['createPod', 'startPod', 'stopPod', 'terminatePod'], times: 1 });
    }
  };

  async function oneWindow(): Promise<void> {
    const kind = random();
    const what = kind < 0.55 ? 'launch' : kind < 0.8 ? 'start' : kind < 0.95 ? 'terminate' : 'stopAll';
    if (what === 'launch') wanted += 1;
    const program = path.join(import.meta.dirname, 'podChild.ts');
    const child = spawn(process.execPath, [program, JSON.stringify(place), what], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    await lineOf(child);
    trouble();
    await sleep(random() * longestLifeMs);
    child.kill('SIGKILL');
    await ended;
  }
  const billed = (): readonly { readonly id: string; readonly name: string; readonly status: string }[] =>
    sim.runpod.state().pods.filter(({ status }) => status !== 'EXITED' && status !== 'TERMINATED');

  try {
    let left = crashes;
    await Promise.all(
      Array.from({ length: windowsAtOnce }, async () => {
        for (; left > 0;) {
          left -= 1;
          await oneWindow();
        }
      }),
    );
    sim.runpod.faults.clear();
    const runningThen = billed().length;
    const last = openWindow({ ...place, idleMinutes });
    await last.core.keys.load();
    await last.core.pods.reconcile(last.signal);
    // Idle times are of its own clock; what still boots is given its time to answer first.
    for (const deadline = Date.now() + 60_000; billed().length > 0 && Date.now() < deadline;) await sleep(100);
    last.close();
    const all = sim.runpod.state().pods;
    const names = new Set(all.map(({ name }) => name));
    return {
      crashes,
      wanted,
      made: all.length,
      madeTwice: all.length - names.size + Math.max(0, all.length - wanted),
      runningThen,
      leaked: billed().map(({ name, status }) => `${name} ${status}`),
    };
  } finally {
    await sim.dispose();
    await removeFolder(folder);
  }
}
