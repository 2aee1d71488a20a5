import { createDispatcher } from '../../src/core/http/dispatcher.ts';
import type { Transport } from '../../src/core/http/transport.ts';
import { createGeminiClient, geminiTimeouts } from '../../src/core/gemini/geminiClient.ts';
import type { GeminiClient } from '../../src/core/gemini/geminiClient.ts';
import type { GeminiUsage } from '../../src/core/gemini/price.ts';
import { abortFault } from '../../src/core/kernel/fault.ts';
import type { Clock, Log } from '../../src/core/kernel/ports.ts';
import { apiKey, openGeminiWorld } from './geminiWorld.ts';
import type { GeminiWorld } from './geminiWorld.ts';

/** A clock whose sleeps pass at once, on the simulator's clock too; what was slept is kept. */
export interface JumpingClock extends Clock {
  readonly sleeps: number[];
}

export interface ClientWorld extends GeminiWorld {
  readonly client: GeminiClient;
  readonly clock: JumpingClock;
  readonly logged: string[];
  readonly usages: GeminiUsage[];
  key: string | undefined;
}

/** The real client on a real socket to the simulator. */
export async function openClientWorld(timeouts = geminiTimeouts): Promise<ClientWorld> {
  const world = await openGeminiWorld();
  const sleeps: number[] = [];
  const logged: string[] = [];
  const usages: GeminiUsage[] = [];
  const clock: JumpingClock = {
    sleeps,
    now: () => world.time.now(),
    sleep: async (ms, signal) => {
      if (signal.aborted) throw abortFault(signal);
      sleeps.push(ms);
      world.time.jump(ms);
      await new Promise((resolve) => setImmediate(resolve));
      if (signal.aborted) throw abortFault(signal);
    },
  };
  const note = (text: string, data?: unknown): void => void logged.push(`${text} ${JSON.stringify(data)}`);
  const log: Log = { debug: note, info: note, warn: note, error: note };
  let transport: Transport | undefined;
  const open: ClientWorld = {
    ...world,
    clock,
    logged,
    usages,
    key: apiKey,
    client: createGeminiClient({
      baseUrl: world.origin,
      storageOrigins: [world.otherOrigin],
      transport: () => {
        transport ??= createDispatcher({ proxyUrl: '', noProxy: [], strictTls: true });
        return Promise.resolve(transport);
      },
      clock,
      log,
      random: () => 0.5,
      userAgent: 'podrelay-test',
      apiKey: () => Promise.resolve(open.key),
      timeouts,
      onUsage: (_model, usage) => usages.push(usage),
    }),
    close: async () => {
      await transport?.close();
      await world.close();
    },
  };
  return open;
}
