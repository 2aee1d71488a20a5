// A window with a queue in a process of its own, to be killed at any moment. Arguments: the place as JSON, how many jobs it
// queues, the length of its leases in ms, and how many jobs shall wait or run at any time. It tells what it does as lines.
import { openWindow } from './jobWindow.ts';
import type { WindowPlace } from './jobWindow.ts';
import { namedRequest } from './queueWorld.ts';

const [place, count, leaseMs, least] = process.argv.slice(2);
const window = openWindow(JSON.parse(place ?? '') as WindowPlace, Number(leaseMs));
const { queue } = window.core;
await queue.enqueue(Array.from({ length: Number(count) }, namedRequest), window.signal);
process.stdout.write('queued\n');
await queue.begin();
const batch = 20;
let isAdding = false;
setInterval(() => {
  void queue.refresh().then(async () => {
    if (!queue.view.known) return;
    const { leader, counts } = queue.view.value;
    process.stdout.write(`${leader} ${window.done.length}\n`);
    if (isAdding || counts.queued + counts.running >= Number(least ?? 0)) return;
    isAdding = true;
    await queue.enqueue(Array.from({ length: batch }, namedRequest), window.signal);
    isAdding = false;
  });
}, 25);
