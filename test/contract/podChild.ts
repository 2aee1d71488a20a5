// A window that looks after pods in a process of its own, to be killed at any moment. Arguments: the place as JSON, and what
// it does: 'launch', 'start' (a stopped one), 'stopAll' or 'terminate'. It tells when it begins and when it has done it.
import { deployRequest } from '../../src/core/fleet/deployRequest.ts';
import { rankGpus } from '../../src/core/fleet/rankGpus.ts';
import { isOurs } from '../../src/core/runpod/pod.ts';
import { readSettings } from '../../src/core/settings.ts';
import { openWindow } from './jobWindow.ts';
import type { WindowPlace } from './jobWindow.ts';

const [placeText, what] = process.argv.slice(2);
const place = JSON.parse(placeText ?? '') as WindowPlace;
const { core, signal } = openWindow(place);
const { settings } = readSettings((name) => place.settings?.[name]);
await core.keys.load();
// What is loaded at first use is there: the moments that follow are those of the work.
await Promise.all([core.pods.reconcile(signal), import('../../src/core/fleet/withinBudget.ts')]).catch(() => undefined);
process.stdout.write('begins\n');
try {
  await act();
  process.stdout.write('done\n');
} catch {
  // The trouble that was wanted.
  process.stdout.write('failed\n');
}
setInterval(() => undefined, 1_000);

async function act(): Promise<void> {
  const { pods } = core;
  if (what === 'launch') {
    const gpus = await core.gpuTypes({ cloud: 'SECURE', count: 1 }, signal);
    const wish = { minVramGb: 8, count: 1, maxUsdPerHourMicros: 1_000_000 };
    const { candidates } = rankGpus([{ cloud: 'SECURE', gpus }], wish);
    await pods.launch(deployRequest(candidates, settings), signal);
    return;
  }
  const { running } = await pods.reconcile(signal);
  const stopped = (pods.lastSeen?.pods ?? []).find((pod) => isOurs(pod) && pod.status === 'EXITED');
  const [some] = running;
  if (what === 'stopAll') await pods.stopAll('ours', signal);
  else if (what === 'start' && stopped !== undefined) await pods.start(stopped.id, signal);
  else if (what === 'terminate' && some !== undefined) await pods.terminate(some.id, signal);
}
