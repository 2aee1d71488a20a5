// Started by bigDownload.ts: the core alone, against a simulator in another process.
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { job, openWorld, smallWorkflow } from '../test/contract/world.ts';

const [localComfyUrl = '', expectedBytes = ''] = process.argv.slice(2);
const world = await openWorld({ localComfyUrl });
try {
  /** A job to its file, and the most memory that the process held meanwhile: what waits for the collector is its choice. */
  const make = async (color: number) => {
    let peakBytes = 0;
    const look = (): void => {
      void globalThis.gc?.({ type: 'minor' });
      peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
    };
    look();
    const watch = setInterval(look, 20);
    const startedAt = performance.now();
    const { outputs } = await world.core.jobs.run(job(smallWorkflow(color)), () => undefined, world.signal);
    clearInterval(watch);
    const { size } = await stat(outputs[0]!.path);
    return { peakBytes, size, seconds: (performance.now() - startedAt) / 1_000 };
  };
  const small = await make(1);
  process.send?.('ready');
  await once(process, 'message');
  const big = await make(2);
  if (big.size !== Number(expectedBytes)) throw new Error(`The file has ${String(big.size)} bytes`);
  process.send?.({ grownBytes: big.peakBytes - small.peakBytes, seconds: big.seconds });
} finally {
  await world.close();
}
if (process.connected) process.disconnect();
