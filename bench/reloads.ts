import { soakReloads } from '../test/contract/reloadSoak.ts';
import type { Bench } from './measurement.ts';

const reloads = 1_000;

/** Windows that are closed at random moments with jobs at work; some four minutes. */
export const reloadsAtRandom: Bench = {
  name: 'reloads',
  async measure() {
    const { lost, falselyDone, runTwice } = await soakReloads(reloads, 1);
    const none = { judge: 'max', under: 1, unit: 'jobs' } as const;
    return [
      { what: `jobs lost over ${reloads} random reloads`, samples: [lost], ...none },
      { what: 'jobs called done without their file', samples: [falselyDone], ...none },
      { what: 'jobs run twice', samples: [runTwice], ...none },
    ];
  },
};
