// A window with a queue in a process of its own, to be killed at any moment. Arguments: the place as JSON, how many jobs it
// queues, and the length of its leases in ms. It tells what it does as lines.
import { openWindow } from './jobWindow.ts';
import type { WindowPlace } from './jobWindow.ts';
import { namedRequest } from './queueWorld.ts';

const [place, count, leaseMs] = process.argv.slice(2);
const window = openWindow(JSON.parse(place ?? '') as WindowPlace, Number(leaseMs));
const { queue } = window.core;
await queue.enqueue(Array.from({ length: Number(count) }, namedRequest), window.signal);
process.stdout.write('queued\n');
await queue.begin();
setInterval(() => {
  void queue.refresh().then(() => {
    if (queue.view.known) process.stdout.write(`${queue.view.value.leader} ${window.done.length}\n`);
  });
}, 25);
