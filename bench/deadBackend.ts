import { openWorld } from '../test/contract/world.ts';
import type { Bench } from './measurement.ts';

/** What it costs to pass over a backend that is known to be dead: from the request to the next backend's turn. */
export const deadBackend: Bench = {
  name: 'deadBackend',
  async measure() {
    const world = await openWorld();
    try {
      world.podId = world.sim.runpod.seedPod({ name: 'running' }).id;
      await world.sim.setLocalOpen(false);
      await world.core.backends.checkAll(world.signal);
      const samples: number[] = [];
      for (let run = 0; run < 500; run++) {
        const startedAt = performance.now();
        await world.core.backends.executeWithFallback(
          { localOnly: false },
          ({ id }) => {
            samples.push(performance.now() - startedAt);
            if (id !== 'cloud') throw new Error(`${id} was tried`);
            return Promise.resolve();
          },
          world.signal,
        );
      }
      return [{ what: 'passing over a backend known to be dead', judge: 'p99', under: 5, unit: 'ms', samples }];
    } finally {
      await world.close();
    }
  },
};
