import { soakQueue } from '../test/contract/queueSoak.ts';
import type { Bench } from './measurement.ts';

/** As many as are wanted: PODRELAY_BENCH_CRASHES=1000. */
const crashes = Number(process.env.PODRELAY_BENCH_CRASHES ?? 300);

/** Windows that are killed at random moments with a queue at work; half a second each. */
export const queueCrashes: Bench = {
  name: 'queueCrashes',
  async measure() {
    const { queued, lost, falselyDone, paidTwice, madeTwice, leakedPods, notDone } = await soakQueue(crashes, 1);
    for (const one of notDone) console.error(`  not done: ${one}`);
    const none = { judge: 'max', under: 1, unit: 'jobs' } as const;
    return [
      {
        what: `of ${queued} queued jobs, lost over ${crashes} kills, lost replies, server deaths`,
        samples: [lost],
        ...none,
      },
      { what: 'called done without their file', samples: [falselyDone], ...none },
      { what: 'paid for twice', samples: [paidTwice], ...none },
      { what: 'made twice though no server had died with them', samples: [madeTwice], ...none },
      { what: 'pods that run unasked', samples: [leakedPods], ...none },
    ];
  },
};
