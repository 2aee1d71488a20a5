import { soakPods } from '../test/contract/podSoak.ts';
import type { Bench } from './measurement.ts';

/** As many as are wanted: PODRELAY_BENCH_CRASHES=1000. */
const crashes = Number(process.env.PODRELAY_BENCH_CRASHES ?? 100);

/** Windows that are killed at random moments while they create, start, stop and terminate pods. */
export const podCrashes: Bench = {
  name: 'podCrashes',
  async measure() {
    const { wanted, made, madeTwice, runningThen, leaked } = await soakPods(crashes, 1);
    for (const one of leaked) console.error(`  leaked: ${one}`);
    const what = `${crashes} kills, ${wanted} pods wanted, ${made} made, ${runningThen} left running by them`;
    const none = { judge: 'max', under: 1, unit: 'pods' } as const;
    return [
      { what: `${what}: still running when the next window has seen to them`, samples: [leaked.length], ...none },
      { what: 'made twice for one wish', samples: [madeTwice], ...none },
    ];
  },
};
