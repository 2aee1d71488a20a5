// `npm run bench`: what PodRelay promises in numbers, measured on this machine. `npm run bench -- NAME …` measures some.
// Ends with 1 when a target is missed. Nothing leaves the loopback.
import { activation } from './activation.ts';
import { bigDownload } from './bigDownload.ts';
import { deadBackend } from './deadBackend.ts';
import { dispatching } from './dispatching.ts';
import { failover } from './failover.ts';
import { fileSaved, fileShown } from './fileSaved.ts';
import { fleetCost } from './fleetCost.ts';
import { makespan } from './makespan.ts';
import { malformedReplies } from './malformedReplies.ts';
import { fourWindows } from './fourWindows.ts';
import { makespanSockets } from './makespanSockets.ts';
import { podCrashes } from './podCrashes.ts';
import { queueCrashes } from './queueCrashes.ts';
import { queueRecords } from './queueRecords.ts';
import { takesNext } from './takesNext.ts';
import { isMet, table } from './measurement.ts';
import type { Measurement } from './measurement.ts';
import { money } from './money.ts';
import { podTree } from './podTree.ts';
import { reloadsAtRandom } from './reloads.ts';
import { routing } from './routing.ts';
import { sizes } from './sizes.ts';

const benches = [
  sizes,
  routing,
  dispatching,
  makespan,
  fleetCost,
  podTree,
  deadBackend,
  failover,
  fileSaved,
  fileShown,
  bigDownload,
  malformedReplies,
  reloadsAtRandom,
  money,
  queueRecords,
  takesNext,
  makespanSockets,
  queueCrashes,
  podCrashes,
  fourWindows,
  activation,
];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !benches.some((bench) => bench.name === name));
if (unknown.length > 0) {
  console.error(
    `No benchmark is called ${unknown.join(', ')}. There are: ${benches.map(({ name }) => name).join(', ')}.`,
  );
  process.exit(2);
}

const measured: Measurement[] = [];
let broken = 0;
for (const bench of benches.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  process.stdout.write(`${bench.name} … `);
  const startedAt = performance.now();
  try {
    measured.push(...(await bench.measure()));
    console.log(`${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
  } catch (error) {
    broken += 1;
    console.log('could not be measured');
    console.error(error);
  }
}
const missed = measured.filter((one) => !isMet(one)).length;
console.log(`\n${table(measured)}\n`);
console.log(`${String(measured.length - missed)} met, ${String(missed)} missed, ${String(broken)} not measured`);
process.exit(missed + broken > 0 ? 1 : 0);
