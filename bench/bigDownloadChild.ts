// Started by bigDownload.ts: the core alone, against a simulator in another process.
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { job, openWorld, smallWorkflow } from '../test/contract/world.ts';

const [localComfyUrl = '', expectedBytes = ''] = process.argv.slice(2);
const world = await openWorld({ localComfyUrl });
try {
  const make = async (color: number) => {
    const { outputs } = await world.core.jobs.run(job(smallWorkflow(color)), () => undefined, world.signal);
    return outputs[0]!.path;
  };
  await make(1);
  process.send?.('ready');
  await once(process, 'message');
  const before = process.memoryUsage.rss();
  let peak = before;
  const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 5);
  const startedAt = performance.now();
  const file = await make(2);
  const seconds = (performance.now() - startedAt) / 1_000;
  clearInterval(watch);
  const { size } = await stat(file);
  if (size !== Number(expectedBytes)) throw new Error(`The file has ${String(size)} bytes`);
  process.send?.({ grownBytes: peak - before, seconds });
} finally {
  await world.close();
}
if (process.connected) process.disconnect();
