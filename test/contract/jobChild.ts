// A window in a process of its own, to be killed at any moment. Its argument is the place as JSON; it runs one job after
// the other and tells each phase as a line.
import { randomUUID } from 'node:crypto';
import { openWindow } from './jobWindow.ts';
import type { WindowPlace } from './jobWindow.ts';
import { smallWorkflow } from './world.ts';

const place = JSON.parse(process.argv[2] ?? '') as WindowPlace;
const window = openWindow(place);
process.stdout.write('open\n');
for (let n = 1; ; n++) {
  const color = Number.parseInt(randomUUID().slice(0, 6), 16);
  const request = { id: randomUUID(), label: `job ${n}`, workflow: smallWorkflow(color, 'crash') };
  await window.core.jobs.run(
    { ...request, media: 'image', localOnly: false },
    ({ phase }) => void process.stdout.write(`${phase}\n`),
    window.signal,
  );
}
