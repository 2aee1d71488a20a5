import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SimTime } from '../../src/sim/mount.ts';
import { createGeminiSim } from '../../src/sim/gemini/geminiSim.ts';
import type { GeminiSim } from '../../src/sim/gemini/geminiSim.ts';

export const apiKey = 'AQ.simulated-key-for-tests';

export interface TestTime extends SimTime {
  /** Moves the simulated clock on; work already waiting is not hurried. */
  jump(ms: number): void;
}

/** Simulated time that runs `scale` times faster than life. */
export function createTestTime(scale: number): TestTime {
  const startedAt = Date.now();
  let jumpedMs = 0;
  return {
    now: () => startedAt + (Date.now() - startedAt) * scale + jumpedMs,
    after: (ms, work) => {
      const timer = setTimeout(work, ms / scale);
      return { cancel: () => clearTimeout(timer) };
    },
    jump: (ms) => {
      jumpedMs += ms;
    },
  };
}

export interface GeminiWorld {
  readonly sim: GeminiSim;
  readonly time: TestTime;
  /** e.g. http://127.0.0.1:4001 */
  readonly origin: string;
  /** A second address of the same simulator: another origin, as the storage host is. */
  readonly otherOrigin: string;
  close(): Promise<void>;
}

export async function openGeminiWorld(scale = 1_000): Promise<GeminiWorld> {
  const time = createTestTime(scale);
  const sim = createGeminiSim({ time, seed: 7, apiKey });
  const servers = [1, 2].map(() => createServer((req, res) => sim.handle(req, res)));
  const origins: string[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origins.push(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  }
  return {
    sim,
    time,
    origin: origins[0]!,
    otherOrigin: origins[1]!,
    close: async () => {
      sim.dispose();
      for (const server of servers) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- replies in tests are read as plain JSON
  readonly json: any;
  readonly bytes: Buffer;
}

/** A plain request with the key, for tests of the simulator itself. */
export async function ask(
  url: string,
  options: { method?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const reply = await fetch(url, {
    method: options.method ?? (options.body === undefined ? 'GET' : 'POST'),
    headers: options.headers ?? { 'x-goog-api-key': apiKey },
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    redirect: 'manual',
  });
  const bytes = Buffer.from(await reply.arrayBuffer());
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch {
    json = undefined;
  }
  return { status: reply.status, headers: reply.headers, json, bytes };
}
