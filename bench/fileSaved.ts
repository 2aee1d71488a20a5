import { job, openWorld, smallWorkflow } from '../test/contract/world.ts';
import type { Bench } from './measurement.ts';

const runs = 30;
type Messages = readonly (readonly [string, { readonly timestamp?: number }])[];

/** From the moment at which the server says that it has finished until the file is in the output folder. */
export const fileSaved: Bench = {
  name: 'fileSaved',
  async measure() {
    // In real time, so that the server's time stamps are ours.
    const world = await openWorld({ timeScale: 1 });
    try {
      const samples: number[] = [];
      for (let run = 0; run < runs; run++) {
        await world.core.jobs.run(job(smallWorkflow(run)), () => undefined, world.signal);
        const savedAt = Date.now();
        samples.push(savedAt - (await finishedAt(world.sim.addresses.localComfyUrl)));
      }
      return [{ what: 'server finished: until the file is saved', judge: 'median', under: 100, unit: 'ms', samples }];
    } finally {
      await world.close();
    }
  },
};

/** Of the newest prompt, ms since the epoch. */
async function finishedAt(comfyUrl: string): Promise<number> {
  const reply = await fetch(`${comfyUrl}/history?max_items=1`);
  const entries = Object.values((await reply.json()) as Record<string, { status: { messages: Messages } }>);
  const stamps = entries.flatMap(({ status }) =>
    status.messages
      .filter(([name]) => name === 'execution_success')
      .map(([, { timestamp }]) => timestamp ?? Number.NaN),
  );
  return Math.max(...stamps);
}
