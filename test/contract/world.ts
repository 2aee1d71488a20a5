import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createCore } from '../../src/core/createCore.ts';
import type { Core } from '../../src/core/createCore.ts';
import { memoryPodTokens } from '../../src/core/fleet/agentToken.ts';
import type { PodTokens } from '../../src/core/fleet/agentToken.ts';
import type { Consent, ConsentQuestion } from '../../src/core/gemini/consentQuestion.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { Emitter } from '../../src/core/kernel/event.ts';
import { Lifetime } from '../../src/core/kernel/lifetime.ts';
import type { Log, SecretId } from '../../src/core/kernel/ports.ts';
import type { JobOutcome } from '../../src/core/jobs/jobRunner.ts';
import { readSettings } from '../../src/core/settings.ts';
import type { Settings } from '../../src/core/settings.ts';
import { startSimulator } from '../../src/sim/simulator.ts';
import type { Simulator, SimulatorOptions } from '../../src/sim/simulator.ts';

/** The whole core against the whole simulator, over real sockets: what the extension is, without an editor. */
export interface World {
  readonly sim: Simulator;
  readonly core: Core;
  readonly folder: string;
  readonly log: readonly string[];
  readonly done: readonly JobOutcome[];
  readonly signal: AbortSignal;
  settings: Settings;
  podId: string | undefined;
  endpointIds: readonly string[];
  /** What the person says when asked for Gemini; 'no' until a test says otherwise. */
  consent: Consent;
  readonly questions: readonly ConsentQuestion[];
  readonly keys: Map<SecretId, string>;
  readonly podTokens: PodTokens;
  keysChanged(id: SecretId): void;
  close(): Promise<void>;
}

export const fastPodTimings = { pollMs: 30, confirmMs: 5_000, visibleWithinMs: 1_500, adoptWithinMs: 2_000 };

export interface WorldOptions extends Partial<SimulatorOptions> {
  readonly podWatchEveryMs?: number;
  readonly overBudgetIdleMs?: number;
  readonly localComfyUrl?: string;
  readonly mayRun?: () => boolean;
  /** Another world's: the same services, seen from another computer. */
  readonly sim?: Simulator;
}

export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const sim = options.sim ?? (await startSimulator({ timeScale: 200, seed: 11, ...options }));
  const folder = await mkdtemp(path.join(tmpdir(), 'podrelay-world-'));
  const life = new Lifetime();
  const lines: string[] = [];
  const write =
    (level: string) =>
    (text: string, data?: unknown): void =>
      void lines.push(
        `${level} ${text}${data === undefined ? '' : ` ${String(data instanceof Error ? data.message : JSON.stringify(data))}`}`,
      );
  const log: Log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  const keys = new Map<SecretId, string>([
    ['runpodApiKey', sim.runpodApiKey],
    ['geminiApiKey', sim.geminiApiKey],
  ]);
  const changed = life.own(new Emitter<SecretId>());
  const done: JobOutcome[] = [];
  const questions: ConsentQuestion[] = [];
  const world: World = {
    sim,
    folder,
    log: lines,
    done,
    signal: life.signal,
    settings: readSettings(() => undefined).settings,
    podId: undefined,
    endpointIds: [],
    consent: () => Promise.resolve(false),
    questions,
    keys,
    podTokens: memoryPodTokens(),
    keysChanged: (id) => changed.fire(id),
    core: undefined as unknown as Core,
    close: async () => {
      life.dispose();
      if (options.sim === undefined) await sim.dispose();
      await rm(folder, { recursive: true, force: true });
    },
  };
  const core = createCore(
    {
      clock: systemClock,
      log,
      random: Math.random,
      userAgent: 'PodRelay/test',
      settings: () => world.settings,
      addresses: { ...sim.addresses, localComfyUrl: options.localComfyUrl ?? sim.addresses.localComfyUrl },
      secrets: { get: (id) => Promise.resolve(keys.get(id)), onDidChange: (listener) => changed.event(listener) },
      podTokens: world.podTokens,
      podId: () => world.podId,
      endpointIds: () => world.endpointIds,
      databaseFile: path.join(folder, 'store', 'podrelay.db'),
      network: () => ({ proxyUrl: undefined, noProxy: [], strictTls: true }),
      outputFolder: () => path.join(folder, 'generated'),
      onJobDone: (outcome) => Promise.resolve(void done.push(outcome)),
      consent: (question, signal) => {
        questions.push(question);
        return world.consent(question, signal);
      },
      podTimings: fastPodTimings,
      geminiTimings: { pollMs: 20, deadlineMs: 2_000 },
      ...(options.mayRun === undefined ? {} : { mayRun: options.mayRun }),
      ...(options.overBudgetIdleMs === undefined ? {} : { overBudgetIdleMs: options.overBudgetIdleMs }),
      ...(options.podWatchEveryMs === undefined ? {} : { podWatchEveryMs: options.podWatchEveryMs }),
    },
    life,
  );
  return Object.assign(world, { core });
}

/** Two nodes, no model: a picture in one colour. */
export function smallWorkflow(
  color = 0x3366cc,
  prefix = 'test',
): Record<string, { class_type: string; inputs: Record<string, unknown> }> {
  return {
    '1': { class_type: 'EmptyImage', inputs: { width: 64, height: 48, batch_size: 1, color } },
    '2': { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: prefix } },
  };
}

export function samplerWorkflow(seed = 5, steps = 12): ReturnType<typeof smallWorkflow> {
  return {
    '1': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: '' } },
    '2': { class_type: 'CLIPTextEncode', inputs: { text: 'a lighthouse at dawn', clip: ['1', 1] } },
    '3': { class_type: 'CLIPTextEncode', inputs: { text: 'blurry', clip: ['1', 1] } },
    '4': { class_type: 'EmptyLatentImage', inputs: { width: 128, height: 128, batch_size: 1 } },
    '5': {
      class_type: 'KSampler',
      inputs: {
        seed,
        steps,
        cfg: 7,
        sampler_name: 'euler',
        scheduler: 'normal',
        denoise: 1,
        model: ['1', 0],
        positive: ['2', 0],
        negative: ['3', 0],
        latent_image: ['4', 0],
      },
    },
    '6': { class_type: 'VAEDecode', inputs: { samples: ['5', 0], vae: ['1', 2] } },
    '7': { class_type: 'SaveImage', inputs: { images: ['6', 0], filename_prefix: 'sampled' } },
  };
}

let jobs = 0;
export function job(workflow: ReturnType<typeof smallWorkflow> = smallWorkflow(), change: object = {}) {
  return { id: `job-${++jobs}`, label: 'test', workflow, media: 'image', localOnly: false, ...change } as const;
}
