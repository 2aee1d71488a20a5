import { simulate } from '../test/simulation/fleetWorld.ts';
import type { Setup } from '../test/simulation/setup.ts';
import { fairWeather } from '../test/simulation/market.ts';
import { drainPolicy } from '../test/simulation/policies.ts';
import { Random } from '../test/simulation/random.ts';
import { dayMs } from '../test/simulation/traces.ts';
import type { Arrival } from '../test/simulation/traces.ts';
import type { Bench } from './measurement.ts';

const jobs = 100;
const servers = [1, 3, 9].map((speed) => ({ gpu: `speed ${String(speed)}`, speed }));
const work = { image: 90, detail: 180, video: 450 };
const seeds = Array.from({ length: 20 }, (_, index) => index + 1);

/**
 * 100 jobs at once on three servers, by the real dispatcher on a virtual clock; each run takes up to 10 % more or
 * less than usual. The ideal is the usual time of all work, shared out by speed without any rest.
 */
export const makespan: Bench = {
  name: 'makespan',
  async measure() {
    const alike = (): readonly Arrival[] => Array.from({ length: jobs }, () => arrival('image'));
    const mixed = (seed: number): readonly Arrival[] => {
      const random = new Random(seed);
      return Array.from({ length: jobs }, () => arrival(random.pick(['image', 'image', 'image', 'detail', 'video'])));
    };
    const unit = '%';
    const cases = [
      { what: 'alike', arrivals: alike, measured: true },
      { what: 'mixed', arrivals: mixed, measured: true },
      { what: 'alike, speeds not measured yet', arrivals: alike, measured: false },
    ];
    return Promise.all(
      cases.map(async ({ what, arrivals, measured }) => ({
        what: `100 jobs on speeds 1, 3, 9 (${what}): makespan over the ideal`,
        judge: 'max' as const,
        // 95 % of the ideal.
        under: (1 / 0.95 - 1) * 100,
        unit,
        samples: await Promise.all(seeds.map((seed) => overIdeal(seed, arrivals(seed), measured))),
      })),
    );
  },
};

function arrival(fingerprint: keyof typeof work): Arrival {
  return { atMs: 0, fingerprint, work: work[fingerprint] };
}

/** Per cent. */
async function overIdeal(seed: number, arrivals: readonly Arrival[], measured: boolean): Promise<number> {
  const knownRuns = Object.entries(work).flatMap(([fingerprint, seconds]) =>
    servers.map(({ gpu, speed }) => ({ fingerprint, gpu, seconds: seconds / speed, atMs: 0 })),
  );
  const setup: Setup = {
    seed,
    arrivals,
    offers: [],
    policy: { ...drainPolicy, maxPods: 0 },
    weather: fairWeather,
    home: servers,
    ...(measured ? { knownRuns } : {}),
  };
  const { makespanSeconds, ended } = await simulate(setup, dayMs);
  if (ended !== jobs) throw new Error(`${String(ended)} of ${String(jobs)} jobs have ended`);
  const ideal = arrivals.reduce((sum, job) => sum + job.work, 0) / servers.reduce((sum, { speed }) => sum + speed, 0);
  return (makespanSeconds / ideal - 1) * 100;
}
