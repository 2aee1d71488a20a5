import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createComfyClient } from '../src/core/comfy/comfyClient.ts';
import { createDispatcher } from '../src/core/http/dispatcher.ts';
import { systemClock } from '../src/core/kernel/clock.ts';
import { Fault } from '../src/core/kernel/fault.ts';
import { createRunpodClient } from '../src/core/runpod/runpodClient.ts';
import type { Bench } from './measurement.ts';

const count = 100_000;
const atOnce = 8;
/** A reply that keeps a call this long counts as a hang. */
const hangMs = 5_000;

type Random = () => number;
type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Replies with status 200 that no reader may take for an answer, over real sockets: each must end as a fault 'protocol'. */
export const malformedReplies: Bench = {
  name: 'malformedReplies',
  async measure() {
    const random = seeded(20_261_122);
    let spoil = false;
    const server = createServer((request, response) => {
      const answer = answers[request.url?.split('?')[0] ?? ''] ?? {};
      response.setHeader('content-type', random() < 0.5 ? 'application/json' : 'text/html; charset=utf-8');
      const reply = spoil ? malformed(answer, random) : JSON.stringify(answer);
      request.resume().on('end', () => response.end(reply));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const baseUrl = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    const transport = createDispatcher({ proxyUrl: undefined, noProxy: [], strictTls: true });
    const quiet = (): void => undefined;
    const options = {
      baseUrl,
      transport: () => Promise.resolve(transport),
      clock: systemClock,
      log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
      random,
      userAgent: 'PodRelay/bench',
    };
    const comfy = createComfyClient(options);
    const runpod = createRunpodClient({ ...options, apiKey: () => Promise.resolve('key'), retries: 0 });
    const calls: readonly ((signal: AbortSignal) => Promise<unknown>)[] = [
      (signal) => comfy.systemStats(signal),
      (signal) => comfy.queueRemaining(signal),
      (signal) => comfy.history('id', signal),
      (signal) => comfy.submit({ id: 'id', clientId: 'me', workflow: {} }, signal),
      (signal) => runpod.listPods(signal),
      (signal) => runpod.getPod('id', signal),
      (signal) => runpod.listGpuTypes({ cloud: 'SECURE', count: 1 }, signal),
      (signal) => runpod.podBilling({ bucketSize: 'day', lastN: 1 }, signal),
    ];
    for (const call of calls) await call(AbortSignal.timeout(hangMs));
    spoil = true;

    const wrong = new Map<string, number>();
    const samples: number[] = [];
    let asked = 0;
    const ask = async (): Promise<void> => {
      while (asked < count) {
        const call = calls[asked++ % calls.length]!;
        const startedAt = performance.now();
        const outcome = await call(AbortSignal.timeout(hangMs)).then(
          (value) => `taken for an answer: ${JSON.stringify(value).slice(0, 80)}`,
          (error: unknown) => (error instanceof Fault ? error.kind : `${String(error)}, which is no fault`),
        );
        samples.push(performance.now() - startedAt);
        if (outcome !== 'protocol') wrong.set(outcome, (wrong.get(outcome) ?? 0) + 1);
      }
    };
    try {
      await Promise.all(Array.from({ length: atOnce }, ask));
    } finally {
      await transport.close();
      server.closeAllConnections();
      server.close();
    }
    for (const [outcome, times] of [...wrong].slice(0, 10)) console.log(`\n  ${String(times)} × ${outcome}`);
    const others = [...wrong.values()].reduce((sum, times) => sum + times, 0);
    return [
      {
        what: `${count.toLocaleString('en')} malformed replies: not a 'protocol' fault`,
        judge: 'max',
        under: 1,
        unit: 'replies',
        samples: [others],
      },
      { what: 'a malformed reply: until its fault', judge: 'max', under: hangMs, unit: 'ms', samples },
    ];
  },
};

const pod = { id: 'abc', name: 'p', status: 'RUNNING', cost: 0.3 };
const gpu = {
  id: 'NVIDIA GeForce RTX 4090',
  name: 'RTX 4090',
  memory: 24,
  secure: true,
  community: true,
  price: { secure: 0.7, community: 0.4 },
};

/** By path: an answer that is taken, with nothing in it but what is required. */
const answers: Readonly<Record<string, Readonly<Record<string, Json>>>> = {
  '/system_stats': { system: { os: 'posix' }, devices: [{ name: 'cuda:0', type: 'cuda' }] },
  '/prompt': { exec_info: { queue_remaining: 0 }, prompt_id: 'id' },
  '/history/id': { id: { outputs: {} } },
  '/pods': { pods: [pod] },
  '/pods/id': pod,
  '/catalog/gpus': { gpus: [gpu] },
  '/billing/pods': { records: [] },
};

function malformed(answer: Readonly<Record<string, Json>>, random: Random): Uint8Array | string {
  const text = JSON.stringify(answer);
  const pick = <T>(...options: readonly T[]): T => options[Math.floor(random() * options.length)]!;
  switch (Math.floor(random() * 7)) {
    case 0:
      return text.slice(0, Math.floor(random() * (text.length - 1)));
    case 1:
      return `<!DOCTYPE html><html><body>${'x'.repeat(Math.floor(random() * 2_000))}</body></html>`;
    case 2:
      return Uint8Array.from({ length: 1 + Math.floor(random() * 300) }, () => Math.floor(random() * 256));
    case 3:
      return JSON.stringify(pick<Json>(null, true, 0, 'ok', [], [answer], [[]]));
    case 4:
      return `${text}${pick('}', ']', ',', '\u0000', text)}`;
    case 5:
      return '['.repeat(1 + Math.floor(random() * 50_000));
    default:
      return JSON.stringify(broken(answer, random));
  }
}

/** The same answer with each of its own fields of a wrong type. */
function broken(answer: Readonly<Record<string, Json>>, random: Random): Json {
  const wrong: Readonly<Record<string, readonly Json[]>> = {
    string: [7, [], {}, true, null],
    number: ['7', [], {}, true, null],
    boolean: ['yes', 2, []],
    object: [3, 'x', false],
  };
  return Object.fromEntries(
    Object.entries(answer).map(([key, value]) => {
      const choices = wrong[typeof value] ?? [];
      return [key, choices[Math.floor(random() * choices.length)] ?? 0];
    }),
  );
}

/** Repeatable: the same replies in every run. (mulberry32) */
function seeded(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
