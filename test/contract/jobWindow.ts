import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createCore } from '../../src/core/createCore.ts';
import type { Addresses, Core } from '../../src/core/createCore.ts';
import type { JobOutcome } from '../../src/core/jobs/jobRunner.ts';
import type { PodTokens } from '../../src/core/fleet/agentToken.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { Emitter } from '../../src/core/kernel/event.ts';
import { Lifetime } from '../../src/core/kernel/lifetime.ts';
import type { Log, SecretId } from '../../src/core/kernel/ports.ts';
import { readSettings } from '../../src/core/settings.ts';
import type { JobRecord } from '../../src/core/store/jobStore.ts';
import { createJobStore } from '../../src/core/store/jobStore.ts';
import type { Simulator } from '../../src/sim/simulator.ts';
import { fastPodTimings } from './world.ts';

/** What a window needs to know of the world; travels to another process as JSON. */
export interface WindowPlace {
  readonly addresses: Addresses;
  readonly runpodApiKey: string;
  readonly geminiApiKey: string;
  /** Of the database and the output folder. */
  readonly folder: string;
  readonly podId?: string;
  readonly endpointIds?: readonly string[];
  /** Default: 'generated' in the folder. */
  readonly outputFolder?: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly podWatchEveryMs?: number;
  /** Shorter than a person may set it. */
  readonly idleMinutes?: number;
}

/** One VS Code window: a core of its own, on records that it shares with the others. */
export interface JobWindow {
  readonly core: Core;
  readonly log: readonly string[];
  readonly done: readonly JobOutcome[];
  readonly signal: AbortSignal;
  /** All jobs on record, oldest first. */
  records(): Promise<readonly JobRecord[]>;
  close(): void;
}

/** Short, so that tests need not wait; a third of it is the time between two signs of life. */
export const leaseMs = 450;

export function placeOf(sim: Simulator, folder: string, change: Partial<WindowPlace> = {}): WindowPlace {
  const { addresses, runpodApiKey, geminiApiKey } = sim;
  return { addresses, runpodApiKey, geminiApiKey, folder, ...change };
}

export function openWindow(place: WindowPlace, jobLeaseMs = leaseMs): JobWindow {
  const life = new Lifetime();
  const lines: string[] = [];
  const write =
    (level: string) =>
    (text: string, data?: unknown): void => {
      lines.push(`${level} ${text}${data instanceof Error ? ` ${data.stack ?? data.message}` : ''}`);
    };
  const log: Log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  const keys: Readonly<Record<SecretId, string>> = {
    runpodApiKey: place.runpodApiKey,
    geminiApiKey: place.geminiApiKey,
  };
  const read = readSettings((name) => place.settings?.[name]).settings;
  const settings = { ...read, 'cloud.idleMinutes': place.idleMinutes ?? read['cloud.idleMinutes'] };
  const done: JobOutcome[] = [];
  const core = createCore(
    {
      clock: systemClock,
      log,
      random: Math.random,
      userAgent: 'PodRelay/test',
      settings: () => settings,
      addresses: place.addresses,
      secrets: { get: (id) => Promise.resolve(keys[id]), onDidChange: new Emitter<SecretId>().event },
      podTokens: podTokensIn(path.join(place.folder, 'secrets')),
      podId: () => place.podId,
      endpointIds: () => place.endpointIds ?? [],
      databaseFile: path.join(place.folder, 'store', 'podrelay.db'),
      network: () => ({ proxyUrl: undefined, noProxy: [], strictTls: true }),
      outputFolder: () => place.outputFolder ?? path.join(place.folder, 'generated'),
      onJobDone: (outcome) => Promise.resolve(void done.push(outcome)),
      consent: () => Promise.resolve(true),
      podTimings: fastPodTimings,
      geminiTimings: { pollMs: 20, deadlineMs: 2_000 },
      jobLeaseMs,
      ...(place.podWatchEveryMs === undefined ? {} : { podWatchEveryMs: place.podWatchEveryMs }),
      simulated: true,
    },
    life,
  );
  const reading = createJobStore(core.database, { owner: 'the test' });
  return {
    core,
    log: lines,
    done,
    signal: life.signal,
    records: async () => (await reading.recent(10_000)).toReversed(),
    close: () => life.dispose(),
  };
}

/** As all windows of a person have one secret store. */
function podTokensIn(folder: string): PodTokens {
  const file = (name: string): string => path.join(folder, name);
  return {
    get: (name) => readFile(file(name), 'utf8').catch(() => undefined),
    set: async (name, token) => {
      await mkdir(folder, { recursive: true });
      await writeFile(file(name), token);
    },
    remove: (name) => rm(file(name), { force: true }),
  };
}

/** A window may still be ending its last write when its folder goes. */
export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

/** Waits for what another process or a background job does; fails with the description after 10 s. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`It did not come to this: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
