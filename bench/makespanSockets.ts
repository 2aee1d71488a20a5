import { ComfyApi, ComfyPool, CallWrapper, EQueueMode, PromptBuilder } from '@saintno/comfyui-sdk';
import type { Bench } from './measurement.ts';
import { endedOn, lightRequests, lightWorkflow, openQueueOn, send, startServers } from './queueServers.ts';
import type { Servers } from './queueServers.ts';

const jobs = 100;
const speeds = [1, 3, 9];
const jobSeconds = 2;
const calibrating = 4;
const signal = new AbortController().signal;

/** 100 jobs on real sockets, the queue with all its records and files; ComfyPool on the same servers beside it. */
export const makespanSockets: Bench = {
  name: 'makespanSockets',
  async measure() {
    const ours: number[] = [];
    const pools: number[] = [];
    for (let run = 0; run < 2; run++) {
      const servers = await startServers(speeds, jobSeconds);
      try {
        const ideal = await idealMs(servers);
        ours.push(((await onOurQueue(servers)) / ideal - 1) * 100);
        pools.push(((await onComfyPool(servers)) / ideal - 1) * 100);
      } finally {
        await servers.dispose();
      }
    }
    const what = `${jobs} jobs on servers of speed ${speeds.join(', ')}, real sockets: makespan over the ideal`;
    return [
      { what, judge: 'median', under: (1 / 0.95 - 1) * 100, unit: '%', samples: ours },
      { what: `${what}, ComfyPool beside it`, judge: 'median', under: Infinity, unit: '%', samples: pools },
    ];
  },
};

/**
 * All work shared out by what each server needs for a job when it never waits, without any rest: no schedule of whole jobs
 * reaches it.
 */
async function idealMs(servers: Servers): Promise<number> {
  const perMs = await Promise.all(
    servers.all.map(async ({ origin }) => {
      const ends: number[] = [];
      const before = await endedOn(origin);
      for (let n = 0; n <= calibrating; n++) await send(origin);
      while (ends.length <= calibrating) {
        while (ends.length < (await endedOn(origin)) - before) ends.push(performance.now());
        await new Promise((resolve) => setTimeout(resolve, 3));
      }
      return calibrating / (ends.at(-1)! - ends[0]!);
    }),
  );
  return jobs / perMs.reduce((sum, one) => sum + one, 0);
}

/** One job on each server first: models are loaded, and its speed is known as it is on any but the first day. */
async function onOurQueue(servers: Servers): Promise<number> {
  const on = await openQueueOn(servers);
  try {
    await on.queue.enqueue(lightRequests(2 * speeds.length), signal);
    await on.untilDone(2 * speeds.length);
    const startedAt = performance.now();
    await on.queue.enqueue(lightRequests(jobs), signal);
    await on.untilDone(2 * speeds.length + jobs);
    return performance.now() - startedAt;
  } finally {
    await on.dispose();
  }
}

async function onComfyPool(servers: Servers): Promise<number> {
  const clients = servers.all.map(({ origin, speed }) => new ComfyApi(origin, `speed-${speed}`));
  const pool = new ComfyPool(clients, EQueueMode.PICK_ZERO);
  try {
    await Promise.all(clients.map((client) => client.waitForReady()));
    const one = (): Promise<unknown> =>
      pool.run(async (api) => {
        const prompt = new PromptBuilder<string, string, never>(lightWorkflow() as never, [], ['images']).setOutputNode(
          'images',
          '7' as never,
        );
        const result = await new CallWrapper(api, prompt).run();
        if (result === false) throw new Error('ComfyPool has lost a job');
        return result;
      });
    const startedAt = performance.now();
    await Promise.all(Array.from({ length: jobs }, one));
    return performance.now() - startedAt;
  } finally {
    pool.destroy();
  }
}
