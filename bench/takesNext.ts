import type { Bench } from './measurement.ts';
import { lightRequests, openQueueOn, startServers } from './queueServers.ts';
import type { Servers } from './queueServers.ts';

const times = 40;
const depth = 2;
const signal = new AbortController().signal;

/** From the moment that a backend has a place to the moment that its server has the next prompt, real sockets and disk. */
export const takesNext: Bench = {
  name: 'takesNext',
  async measure() {
    const servers = await startServers([1], 0.1);
    const on = await openQueueOn(servers);
    const { queue, ends } = on;
    const arrivals = watchArrivals(servers);
    try {
      await queue.enqueue(lightRequests(4), signal);
      await on.untilDone(4);
      const idle: number[] = [];
      for (let n = 0; n < times; n++) {
        const before = arrivals.at.length;
        const startedAt = Date.now();
        await queue.enqueue(lightRequests(1), signal);
        await on.untilDone(4 + n + 1);
        idle.push(arrivals.at[before]! - startedAt);
      }
      const before = arrivals.at.length;
      await queue.enqueue(lightRequests(times), signal);
      await on.untilDone(4 + 2 * times);
      const next = arrivals.at.slice(before + depth).map((at, n) => at - ends[before + n]!);
      return [
        { what: 'an idle backend has a queued job after', judge: 'median', under: 50, unit: 'ms', samples: idle },
        { what: 'a free place has the next of many after', judge: 'median', under: 50, unit: 'ms', samples: next },
      ];
    } finally {
      arrivals.stop();
      await on.dispose();
      await servers.dispose();
    }
  },
};

/** When prompts came to the server, ms since the epoch. */
function watchArrivals({ all }: Servers): { readonly at: readonly number[]; readonly stop: () => void } {
  const at: number[] = [];
  let isOver = false;
  const posts = (): number =>
    all[0]!.sim.requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/prompt')).length;
  const earlier = posts();
  const look = (): void => {
    while (at.length < posts() - earlier) at.push(Date.now());
    if (!isOver) setImmediate(look);
  };
  look();
  return { at, stop: () => void (isOver = true) };
}
