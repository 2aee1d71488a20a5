import { setTimeout as sleep } from 'node:timers/promises';
import { job, openWorld, smallWorkflow } from '../test/contract/world.ts';
import type { Bench } from './measurement.ts';

const runs = 20;

/** The local ComfyUI refuses the connection, which nobody knew: until the pod that runs has the job. */
export const failover: Bench = {
  name: 'failover',
  async measure() {
    const world = await openWorld();
    try {
      const { id: podId } = world.sim.runpod.seedPod({ name: 'running' });
      world.podId = podId;
      await world.core.backends.checkAll(world.signal);
      await world.sim.setLocalOpen(false);
      const prompts = (): number =>
        (world.sim.podComfy(podId)?.requests ?? []).filter(
          ({ method, path }) => method === 'POST' && path === '/prompt',
        ).length;
      const samples: number[] = [];
      for (let run = 0; run < runs; run++) {
        world.core.backends.reset('local');
        const before = prompts();
        const startedAt = performance.now();
        const running = world.core.jobs.run(job(smallWorkflow(run)), () => undefined, world.signal);
        while (prompts() === before) await Promise.race([sleep(1), running]);
        samples.push(performance.now() - startedAt);
        const { backend, attempts } = await running;
        const refused = attempts[0];
        if (backend !== 'cloud' || refused?.backend !== 'local' || refused.outcome !== 'failed') {
          throw new Error(`Not a failover: ${JSON.stringify(attempts)}`);
        }
      }
      return [
        { what: 'local refuses: until the running pod has the job', judge: 'median', under: 300, unit: 'ms', samples },
      ];
    } finally {
      await world.close();
    }
  },
};
