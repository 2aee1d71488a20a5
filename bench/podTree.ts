import { known } from '../src/core/kernel/observed.ts';
import type { Pod } from '../src/core/runpod/pod.ts';
import { podRows } from '../src/ui/trees/podRows.ts';
import { TreeNodes } from '../src/ui/trees/treeNodes.ts';
import { openWorld } from '../test/contract/world.ts';
import type { Bench } from './measurement.ts';
import { timed } from './measurement.ts';

const count = 1_000;

/** From a new list of pods to what the editor is told to draw again. */
export const podTree: Bench = {
  name: 'podTree',
  async measure() {
    const world = await openWorld();
    try {
      for (let index = 0; index < count; index++) {
        world.sim.runpod.seedPod({ name: `pod-${String(index)}`, status: index % 20 === 0 ? 'RUNNING' : 'EXITED' });
      }
      const pods = await world.core.pods.refresh(world.signal);
      if (pods.length !== count) throw new Error(`${String(pods.length)} pods are listed`);
      const nodes = new TreeNodes();
      const draw = (seen: readonly Pod[], nowMs: number): unknown => nodes.update(podRows(scene(seen, nowMs)));
      const startedAt = Date.now();
      return [
        {
          what: 'tree with 1,000 pods, every row changed',
          judge: 'median',
          under: 100,
          unit: 'ms',
          samples: await timed(50, (run) => draw(pods, startedAt + run * 61_000)),
        },
        {
          what: 'tree with 1,000 pods, listed anew',
          judge: 'median',
          under: 100,
          unit: 'ms',
          samples: await timed(50, (run) => draw(run % 2 === 0 ? pods.slice(1) : pods, startedAt)),
        },
      ];
    } finally {
      await world.close();
    }
  },
};

function scene(pods: readonly Pod[], nowMs: number): Parameters<typeof podRows>[0] {
  return {
    pods: known(pods, nowMs),
    lastSeen: { pods, at: nowMs },
    hasKey: true,
    configured: pods[0]?.id,
    useAll: true,
    spent: undefined,
    filter: [],
    groupBy: 'none',
    address: (podId, port) => `https://${podId}-${String(port)}.proxy.runpod.net`,
    nowMs,
  };
}
